"""The micro world: procedural word problems that many plans solve, and more plans miss, in degrees.

A question is a chain of clauses about one quantity. Each clause has a *kind*. Plain kinds mean what their key word
says; hard-worded ones do not ("3 fewer than Ann has" asks for an addition). Kinds come in opposite pairs: the wrong
move of one is the right move of its twin. So a policy gains nothing by avoiding an operation. A clause is also done in
parts, or by a wrong move that a later one mends.

Pure and deterministic: no clock, no files, no global random state.
"""

import hashlib
import itertools
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from tasks.micro.words import FAMILIAR, UNSEEN, Words

Operator = Literal["+", "-", "*", "/"]

PLAIN_KINDS = ("add", "sub", "mul", "div")
HARD_KINDS = ("add_back", "sub_back", "mul_back", "div_back", "add_groups", "add_priced")
KINDS = PLAIN_KINDS + HARD_KINDS

TWINS = {
    one: other
    for pair in (
        ("add", "sub"),
        ("mul", "div"),
        ("add_back", "sub_back"),
        ("mul_back", "div_back"),
        ("add_groups", "add_priced"),
    )
    for one, other in (pair, pair[::-1])
}

LARGEST = 60  # what is more is cut off there
LONGEST_PLAN = 9  # moves of a written plan
ANSWERS = range(10, 31)  # above every number of a plan, so an answer that shows up in a plan is a leak
HARD_SHARE = 0.6  # of the clauses

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
    """What can be done about a clause.

    `right`: all at once. `detour`: the same in parts; empty where there are none (a multiplication by 2 or 3).
    `wrong`: what the key word tempts to, and `reason`: why it is wrong. `mend`: what makes up for it, at once or later,
    while no addition and multiplication come in between and nothing was cut off.
    """

    kind: str
    right: Move
    detour: tuple[Move, ...]
    wrong: Move
    mend: Move
    reason: str

    @property
    def ways(self) -> tuple[tuple[Move, ...], ...]:
        """The moves that do what the clause asks, be others among them."""
        return ((self.right,), self.detour, (self.wrong, self.mend))

    @property
    def is_addition(self) -> bool:
        """Whether its moves add or subtract: they may be done in any order, but not before a multiplication."""
        return self.right.operator in "+-"


class Calculation(NamedTuple):
    """What a plan comes to. `lines`: without numbers. `is_exact`: nothing was rounded or cut off."""

    lines: list[str]
    result: int
    is_exact: bool


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


def calculate(start: int, moves: Sequence[Move]) -> Calculation:
    """Follows a plan line by line, right or wrong. A division is rounded down, a number is kept within 0..LARGEST."""
    lines: list[str] = []
    current, is_exact = start, True
    for move in moves:
        operand = move.factor * move.operand
        if move.factor > 1:
            lines.append(f"{move.factor} * {move.operand} = {operand}")
        result, loss = _apply(current, move.operator, operand)
        lines.append(f"{current} {move.operator} {operand} = {result}{loss}")
        current, is_exact = result, is_exact and not loss
    return Calculation(lines, current, is_exact)


def numbered(lines: Iterable[str]) -> list[str]:
    """The lines of a solution."""
    return [f"{number}. {line}" for number, line in enumerate(lines, 1)]


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
        "longer": ((5, 6), (1, 1)),
        "combinations": ((2, 3, 4), (3, 4, 3)),
        "pretrain": ((1, 2, 3, 4, 5, 6), (2, 5, 6, 4, 2, 1)),
    }
    choice, weights = levels.get(split, ((2, 3, 4), (3, 4, 4)))
    while True:
        level = rng.choices(choice, weights)[0]
        kinds = [rng.choice(HARD_KINDS if rng.random() < HARD_SHARE else PLAIN_KINDS) for _ in range(level)]
        meet = any(pair <= set(kinds) for pair in UNSEEN_PAIRS)
        if split == "pretrain" or meet == (split == "combinations"):
            return kinds


def _problem(kinds: list[str], words: Words, rng: random.Random) -> Problem | None:
    """Numbers that suit the kinds; None when none were found soon (six multiplications have none)."""
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
        steps.append(_step(kind, k, m, thing, holder, name))
        gold = calculate(start, [step.right for step in steps])
        if not gold.is_exact:
            return None
        if kind.endswith("_back"):
            holder = name
    if rng.random() < 0.3:
        distractor = rng.choice(words.distractors).format(x=names.pop(), k=rng.randint(2, 20), o=other_thing)
        sentences.insert(rng.randint(1, len(sentences)), distractor)
    sentences.append(rng.choice(words.questions).format(h=holder, o=thing))
    question = " ".join(sentences)
    if gold.result not in ANSWERS or str(gold.result) in _numerals(question):
        return None
    plan = [step.right.text for step in steps]
    answer, solution = str(gold.result), numbered(gold.lines)
    return Problem(question, answer, list(kinds), len(kinds), plan, solution, start, tuple(steps))


def _apply(current: int, operator: Operator, operand: int) -> tuple[int, str]:
    """The result, and what was lost."""
    if operator == "/":
        return current // operand, " (rounded)" if current % operand else ""
    result = {"+": current + operand, "-": current - operand, "*": current * operand}[operator]
    if result < 0:
        return 0, " (none left)"
    return (LARGEST, " (full)") if result > LARGEST else (result, "")


def _numerals(text: str) -> set[str]:
    return set("".join(c if c.isdigit() else " " for c in text).split())


def _numbers(kind: str, rng: random.Random) -> tuple[int, int]:
    """The clause's number k and, for groups and prices, the second number m."""
    if kind in ("mul", "div", "mul_back", "div_back"):
        return rng.randint(2, 4), 1
    return rng.randint(2, 9), rng.randint(2, 4)


def _step(kind: str, k: int, m: int, thing: str, holder: str, other: str) -> Step:
    right, wrong = (_RIGHT[one](k, m, thing, holder, other) for one in (kind, TWINS[kind]))
    return Step(kind, right, _parts(right), wrong, _mend(right, wrong), _REASONS[kind].format(x=other))


def _parts(move: Move) -> tuple[Move, ...]:
    k = move.operand
    operands: tuple[int, ...] = (k,) * move.factor if move.factor > 1 else (k // 2, k - k // 2)
    if move.operator in "*/":
        operands = (2, 2) if k == 4 else ()
    verb = _VERBS[move.operator]
    texts = [f"begin to {move.text}: {verb} {operands[0]}"] if operands else []
    texts += [f"then {verb} the other {operand}" for operand in operands[1:]]
    return tuple(Move(text, move.operator, operand) for text, operand in zip(texts, operands, strict=True))


def _mend(right: Move, wrong: Move) -> Move:
    """The move that leads from where the wrong one led to where the right one leads; both have the same operand."""
    if right.operator in "*/":
        operator, factor = right.operator, right.operand
    else:
        missing = sum(move.factor * (1 if move.operator == sign else -1) for move, sign in ((right, "+"), (wrong, "-")))
        operator, factor = "+" if missing > 0 else "-", abs(missing)
    return Move(f"to mend it, {_VERBS[operator]} {factor} times {right.operand}", operator, right.operand, factor)


def _change(verb: str, operator: Operator, k: int, h: str, x: str) -> Move:
    return Move(f"{verb} {k} to get from {h} to {x}", operator, k)


_VERBS: dict[Operator, str] = {"+": "add", "-": "subtract", "*": "multiply by", "/": "divide by"}

# The right move of each kind, from (k, m, things, holder, other name).
_RIGHT: dict[str, Callable[[int, int, str, str, str], Move]] = {
    "add": lambda k, m, o, h, x: Move(f"add the {k} new {o}", "+", k),
    "sub": lambda k, m, o, h, x: Move(f"subtract the {k} lost {o}", "-", k),
    "mul": lambda k, m, o, h, x: Move(f"multiply the {o} by {k}", "*", k),
    "div": lambda k, m, o, h, x: Move(f"divide the {o} by {k}", "/", k),
    "add_back": lambda k, m, o, h, x: _change("add", "+", k, h, x),
    "sub_back": lambda k, m, o, h, x: _change("subtract", "-", k, h, x),
    "mul_back": lambda k, m, o, h, x: _change("multiply by", "*", k, h, x),
    "div_back": lambda k, m, o, h, x: _change("divide by", "/", k, h, x),
    "add_groups": lambda k, m, o, h, x: Move(f"add {m} times {k} {o}", "+", k, factor=m),
    "add_priced": lambda k, m, o, h, x: Move(f"add the {k} new {o}", "+", k),
}

_REASONS = {
    "add": "They are new.",
    "sub": "They are lost.",
    "mul": "They become more.",
    "div": "They become fewer.",
    "add_back": "{x} has more.",
    "sub_back": "{x} has less.",
    "mul_back": "{x} has more.",
    "div_back": "{x} has less.",
    "add_groups": "All groups count.",
    "add_priced": "Prices do not count.",
}
