"""The micro world: procedural word problems whose plans can be right or plausibly wrong.

A question is a chain of 1 to 5 clauses about one quantity. Each clause has a *kind*. Plain kinds mean what their key
word says; hard-worded ones do not ("3 fewer than Ann has" asks for an addition). Hard kinds come in opposite pairs: the
wrong step of one is the right step of its twin. So a policy gains nothing by avoiding an operation.

Pure and deterministic: no clock, no files, no global random state. Its tables of kinds and splits, and the
clauses that they name, are read side by side: one file.
"""

import hashlib
import itertools
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from tasks.micro.words import FAMILIAR, UNSEEN, Words

Operator = Literal["+", "-", "*", "/"]

PLAIN_KINDS = ("add", "sub", "mul", "div")
HARD_KINDS = ("add_back", "sub_back", "mul_back", "div_back", "add_groups", "add_priced")
KINDS = PLAIN_KINDS + HARD_KINDS

LARGEST = 60  # no number on the way, right or wrong, is larger
ANSWERS = range(6, 31)  # above every step index, so an answer that shows up in a plan is a leak
HARD_SHARE = 0.55  # of the clauses a policy is asked about
HARD_SHARE_PRETRAIN = 0.42

# Kinds that never meet in post-training: the split `combinations` is made of them.
UNSEEN_PAIRS = tuple(
    frozenset(pair)
    for pair in (
        ("add", "div"),
        ("sub", "add_groups"),
        ("mul", "add_back"),
        ("div_back", "add_priced"),
        ("sub_back", "mul_back"),
    )
)

Split = Literal["pretrain", "train", "validation", "test", "longer", "phrasing", "combinations"]
IN_DOMAIN: tuple[Split, ...] = ("train", "validation", "test")
OUT_OF_DOMAIN: tuple[Split, ...] = ("longer", "phrasing", "combinations")
SPLITS: tuple[Split, ...] = ("pretrain", *IN_DOMAIN, *OUT_OF_DOMAIN)

# A question belongs to the split whose share of [0, 100) holds the digest of its text: no two splits share a text.
# The out-of-domain splits share theirs with others of different structure (number of clauses, words, kinds that meet).
_SHARES: dict[Split, range] = {
    "pretrain": range(50),
    "train": range(50, 75),
    "validation": range(75, 85),
    "test": range(85, 100),
    "longer": range(50, 100),
    "phrasing": range(50, 100),
    "combinations": range(50, 100),
}


@dataclass(frozen=True)
class Move:
    """One plan step and what it does to the quantity: `operator` with `factor * operand` (factor 1: no product)."""

    text: str
    operator: Operator
    operand: int
    factor: int = 1


@dataclass(frozen=True)
class Step:
    """A clause's right move, the tempting wrong one (hard kinds only) and why the wrong one is wrong."""

    kind: str
    right: Move
    wrong: Move | None = None
    reason: str = ""


@dataclass(frozen=True)
class Problem:
    """A question with its gold plan (texts without "Plan k: ") and its gold solution (numbered calculations)."""

    question: str
    answer: str
    kinds: list[str]
    level: int
    plan: list[str]
    solution: list[str]
    start: int
    steps: tuple[Step, ...]


def generate(split: str, count: int, seed: int) -> list[Problem]:
    """`count` distinct questions of a split; the same seed gives the same list, a larger count extends it.

    Raises ValueError for an unknown split.
    """
    if split not in SPLITS:
        raise ValueError(f"unknown micro split {split!r}: choose one of {', '.join(SPLITS)}")
    return list(itertools.islice(_distinct(split, random.Random(f"{split}:{seed}")), count))


def calculate(start: int, moves: list[Move]) -> tuple[list[str], int] | None:
    """The numbered calculations of a plan and their result; None when a number leaves 0..LARGEST or is no integer."""
    lines: list[str] = []
    current = start
    for move in moves:
        operand = move.factor * move.operand
        if move.factor > 1:
            lines.append(f"{move.factor} * {move.operand} = {operand}")
        result = _apply(current, move.operator, operand)
        if result is None:
            return None
        lines.append(f"{current} {move.operator} {operand} = {result}")
        current = result
    return [f"{number}. {line}" for number, line in enumerate(lines, 1)], current


def split_of(question: str) -> frozenset[Split]:
    """The splits whose share of digests holds this text (several only where their structures differ)."""
    place = int.from_bytes(hashlib.sha256(question.encode()).digest()[:8]) % 100
    return frozenset(split for split, share in _SHARES.items() if place in share)


def _distinct(split: Split, rng: random.Random) -> Iterator[Problem]:
    seen: set[str] = set()
    while True:
        problem = _problem(_kinds(split, rng), _words(split, rng), rng)
        if problem and split in split_of(problem.question) and problem.question not in seen:
            seen.add(problem.question)
            yield problem


def _words(split: Split, rng: random.Random) -> Words:
    if split == "pretrain":
        return rng.choices((FAMILIAR, UNSEEN), (3, 1))[0]
    return UNSEEN if split == "phrasing" else FAMILIAR


def _kinds(split: Split, rng: random.Random) -> list[str]:
    levels = {
        "longer": ((4, 5), (1, 1)),
        "combinations": ((2, 3), (1, 1)),
        "pretrain": ((1, 2, 3, 4, 5), (6, 6, 5, 2, 1)),
    }
    choice, weights = levels.get(split, ((1, 2, 3), (3, 4, 3)))
    hard = HARD_SHARE_PRETRAIN if split == "pretrain" else HARD_SHARE
    while True:
        level = rng.choices(choice, weights)[0]
        kinds = [rng.choice(HARD_KINDS if rng.random() < hard else PLAIN_KINDS) for _ in range(level)]
        meet = any(pair <= set(kinds) for pair in UNSEEN_PAIRS)
        if split == "pretrain" or meet == (split == "combinations"):
            return kinds


def _problem(kinds: list[str], words: Words, rng: random.Random) -> Problem | None:
    """Numbers that suit the kinds; None when none were found soon (five multiplications have none)."""
    return next(filter(None, (_draw(kinds, words, rng) for _ in range(100))), None)


def _draw(kinds: list[str], words: Words, rng: random.Random) -> Problem | None:
    names = rng.sample(words.names, len(kinds) + 2)
    holder, thing, other_thing = names.pop(), *rng.sample(words.things, 2)
    start = rng.randint(2, 30)
    sentences = [rng.choice(words.starts).format(h=holder, n=start, o=thing)]
    steps: list[Step] = []
    for kind in kinds:
        name = names.pop()
        k, m = _numbers(kind, rng)
        sentences.append(rng.choice(words.clauses[kind]).format(h=holder, x=name, k=k, m=m, o=thing))
        steps.append(_STEPS[kind](k, m, thing, holder, name))
        if kind.endswith("_back"):
            holder = name
    if rng.random() < 0.3:
        distractor = rng.choice(words.distractors).format(x=names.pop(), k=rng.randint(2, 20), o=other_thing)
        sentences.insert(rng.randint(1, len(sentences)), distractor)
    sentences.append(rng.choice(words.questions).format(h=holder, o=thing))
    question = " ".join(sentences)

    moves = [step.right for step in steps]
    gold = calculate(start, moves)
    if gold is None or gold[1] not in ANSWERS or str(gold[1]) in _numerals(question):
        return None
    if not _is_fair(start, steps, gold[1]):
        return None
    plan = [move.text for move in moves]
    return Problem(question, str(gold[1]), list(kinds), len(kinds), plan, gold[0], start, tuple(steps))


def _is_fair(start: int, steps: list[Step], answer: int) -> bool:
    """No wrong plan reaches the answer, and each plan with a single wrong step can be calculated."""
    options = [[step.right] + ([step.wrong] if step.wrong else []) for step in steps]
    for moves in itertools.product(*options):
        wrong = sum(move is not step.right for move, step in zip(moves, steps, strict=True))
        result = calculate(start, list(moves)) if wrong else None
        if (result and result[1] == answer) or (wrong == 1 and result is None):
            return False
    return True


def _apply(current: int, operator: Operator, operand: int) -> int | None:
    if operator == "/" and current % operand:
        return None
    result = {
        "+": current + operand,
        "-": current - operand,
        "*": current * operand,
        "/": current // operand,
    }[operator]
    return result if 0 <= result <= LARGEST and operand <= LARGEST else None


def _numerals(text: str) -> set[str]:
    return set("".join(c if c.isdigit() else " " for c in text).split())


def _numbers(kind: str, rng: random.Random) -> tuple[int, int]:
    """The clause's number k and, for groups and prices, the second number m."""
    if kind in ("mul", "div", "mul_back", "div_back"):
        return rng.randint(2, 4), 1
    return rng.randint(2, 9), rng.randint(2, 4)


def _product(k: int, m: int, o: str) -> Move:
    return Move(f"add {m} times {k} {o}", "+", k, factor=m)


def _new(k: int, o: str) -> Move:
    return Move(f"add the {k} new {o}", "+", k)


def _change(verb: str, operator: Operator, k: int, h: str, x: str) -> Move:
    return Move(f"{verb} {k} to get from {h} to {x}", operator, k)


# Each builds a step from (k, m, things, holder, other name).
_STEPS: dict[str, Callable[[int, int, str, str, str], Step]] = {
    "add": lambda k, m, o, h, x: Step("add", _new(k, o)),
    "sub": lambda k, m, o, h, x: Step("sub", Move(f"subtract the {k} lost {o}", "-", k)),
    "mul": lambda k, m, o, h, x: Step("mul", Move(f"multiply the {o} by {k}", "*", k)),
    "div": lambda k, m, o, h, x: Step("div", Move(f"divide the {o} by {k}", "/", k)),
    "add_back": lambda k, m, o, h, x: Step(
        "add_back", _change("add", "+", k, h, x), _change("subtract", "-", k, h, x), f"{x} has more."
    ),
    "sub_back": lambda k, m, o, h, x: Step(
        "sub_back", _change("subtract", "-", k, h, x), _change("add", "+", k, h, x), f"{x} has less."
    ),
    "mul_back": lambda k, m, o, h, x: Step(
        "mul_back", _change("multiply by", "*", k, h, x), _change("divide by", "/", k, h, x), f"{x} has more."
    ),
    "div_back": lambda k, m, o, h, x: Step(
        "div_back", _change("divide by", "/", k, h, x), _change("multiply by", "*", k, h, x), f"{x} has less."
    ),
    "add_groups": lambda k, m, o, h, x: Step("add_groups", _product(k, m, o), _new(k, o), "All groups count."),
    "add_priced": lambda k, m, o, h, x: Step("add_priced", _new(k, o), _product(k, m, o), "Prices do not count."),
}
