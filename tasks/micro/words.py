"""The words of the micro world: familiar ones, and unseen ones for its split `phrasing`.

Places in a template: {h} who has the things, {x} another name, {o} the things, {k} the clause's number, {m} a second
number (groups, prices), {n} the number at the start.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Words:
    names: tuple[str, ...]
    things: tuple[str, ...]
    starts: tuple[str, ...]
    clauses: dict[str, tuple[str, ...]]
    distractors: tuple[str, ...]
    questions: tuple[str, ...]


FAMILIAR = Words(
    names=("Tom", "Ann", "Ben", "Mia", "Sam", "Eva", "Max", "Lea", "Jim", "Zoe"),
    things=("apples", "coins", "books", "cards", "shells", "pens", "cups", "balls"),
    starts=("{h} has {n} {o}.", "{h} starts with {n} {o}."),
    clauses={
        "add": ("{h} buys {k} {o}.", "{h} finds {k} more {o}.", "{h} gets {k} {o} from {x}."),
        "sub": ("{h} gives {k} {o} to {x}.", "{h} loses {k} {o}.", "{h} sells {k} of the {o}."),
        "mul": (
            "{h} soon has {k} times the {o}.",
            "Each of the {o} turns into {k} {o}.",
            "The {o} of {h} grow to {k} times the number.",
        ),
        "div": (
            "{h} makes {k} equal piles of {o} and keeps one pile.",
            "{h} shares the {o} so that {k} people get the same.",
            "Only one of {k} equal parts of the {o} stays with {h}.",
        ),
        "add_back": (
            "{h} now has {k} {o} fewer than {x}.",
            "That is {k} {o} less than {x} has.",
            "This is {k} below the {o} of {x}.",
        ),
        "sub_back": (
            "{h} now has {k} {o} more than {x}.",
            "That is {k} {o} over what {x} has.",
            "This is {k} above the {o} of {x}.",
        ),
        "mul_back": (
            "{h} now has {k} times fewer {o} than {x}.",
            "That is {k} times less than {x} has.",
            "This is the number of {x} divided by {k}.",
        ),
        "div_back": (
            "{h} now has {k} times as many {o} as {x}.",
            "That is {k} times what {x} has.",
            "This is the number of {x} times {k}.",
        ),
        "add_groups": (
            "{h} buys {m} bags with {k} {o} each.",
            "{h} finds {m} boxes of {k} {o}.",
            "{x} gives {h} {m} packs with {k} {o} each.",
        ),
        "add_priced": (
            "{h} buys {k} {o} for {m} dollars each.",
            "{h} pays {m} cents each for {k} {o}.",
            "{x} sells {h} {k} {o} at {m} dollars each.",
        ),
    },
    distractors=("{x} has {k} {o}.", "{x} is {k} years old.", "It takes {k} days."),
    questions=("How many {o} does {h} have?", "What is the number of {o} of {h}?"),
)

UNSEEN = Words(
    names=("Omar", "Nina", "Raj", "Ivy", "Kurt", "Yuki", "Paul", "Rosa"),
    things=("stamps", "eggs", "beads", "nuts"),
    starts=("There are {n} {o} in the bag of {h}.", "At first {h} owns {n} {o}."),
    clauses={
        "add": ("{h} picks up another {k} {o}.", "{x} hands {h} {k} {o}."),
        "sub": ("{h} throws {k} {o} away.", "{k} {o} of {h} break."),
        "mul": ("A wizard makes {k} {o} out of each one.", "In a year there are {k} times the {o}."),
        "div": (
            "{h} sorts the {o} into {k} equal rows and takes one row.",
            "{h} keeps one {o} out of every {k}.",
        ),
        "add_back": ("{h} is {k} {o} short of what {x} has.", "{h} would need {k} {o} to reach {x}."),
        "sub_back": ("{h} is {k} {o} ahead of {x}.", "{h} would lose {k} {o} to be level with {x}."),
        "mul_back": (
            "{h} owns one out of {k} parts of what {x} has.",
            "For each one of {h} there are {k} of {x}.",
        ),
        "div_back": ("{h} owns {k} for each one of {x}.", "For each one of {x} there are {k} of {h}."),
        "add_groups": ("{m} crates of {k} {o} arrive for {h}.", "{h} opens {m} jars that hold {k} {o}."),
        "add_priced": (
            "{h} orders {k} {o} that cost {m} francs.",
            "At {m} francs a piece {h} takes {k} {o}.",
        ),
    },
    distractors=("{x} walks {k} miles.", "The shop opens at {k}."),
    questions=("Count the {o} that {h} has at the end.", "In the end {h} has how many {o}?"),
)
