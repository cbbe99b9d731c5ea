"""How the micro base plans: what it does about a clause of each kind, right or wrong, and how often.

A Markov chain over plan steps whose exact shares are known, so that the world's values can be calculated. Its favourite
is wrong for some kinds and right for others, by degrees, and so is its eye for mistakes.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tasks.micro.world import LONGEST_PLAN, Move, Problem, Step


@dataclass(frozen=True)
class Habit:
    """Shares of a clause's right move and of its detour; the wrong move has the rest. `mend`: of wrong moves, where it
    can be done: right after them, or at the plan's end. `finish`: of every further part of a detour."""

    right: float
    detour: float
    mend: float
    finish: float


HABITS = {
    "add": Habit(0.65, 0.25, 0.6, 0.9),
    "sub": Habit(0.50, 0.30, 0.7, 0.7),
    "mul": Habit(0.65, 0.15, 0.4, 0.9),
    "div": Habit(0.80, 0.10, 0.1, 0.6),
    "add_back": Habit(0.25, 0.15, 0.5, 0.8),
    "sub_back": Habit(0.50, 0.10, 0.1, 0.5),
    "mul_back": Habit(0.15, 0.15, 0.6, 0.9),
    "div_back": Habit(0.35, 0.10, 0.2, 0.7),
    "add_groups": Habit(0.10, 0.30, 0.4, 0.8),
    "add_priced": Habit(0.30, 0.15, 0.0, 0.7),
}


class Place(NamedTuple):
    """Where a plan stands: at part `part` of a clause, with clause `owed` done wrong, `fresh`: just now."""

    clause: int = 0
    part: int = 0
    owed: int | None = None
    fresh: bool = False


class Option(NamedTuple):
    """What may come next: a move about a clause, or the plan's end (None)."""

    share: float
    move: Move | None
    clause: int
    after: Place


Attempt = Sequence[tuple[int, Move]]
"""The moves of a plan, each with the clause it is about."""

Care = Callable[[int], float]
"""The share of a clause's mistakes that are not made."""


def no_care(clause: int) -> float:
    return 0.0


def options(steps: Sequence[Step], place: Place, care: Care = no_care) -> list[Option]:
    """What may come next; the shares sum to 1."""
    clause, part, owed, fresh = place
    is_end = clause == len(steps)
    if part:
        step = steps[clause]
        share = _careful(HABITS[step.kind].finish, care(clause))
        done = Place(clause + 1, owed=owed)
        after = Place(clause, part + 1, owed) if part + 1 < len(step.detour) else done
        return [Option(share, step.detour[part], clause, after), *_scaled(1 - share, options(steps, done, care))]
    if owed is not None and (fresh or is_end):
        share = _careful(HABITS[steps[owed].kind].mend, care(owed))
        left = [Option(1.0, None, clause, place)] if is_end else options(steps, Place(clause, owed=owed), care)
        return [Option(share, steps[owed].mend, owed, Place(clause)), *_scaled(1 - share, left)]
    if is_end:
        return [Option(1.0, None, clause, place)]
    step = steps[clause]
    habit = HABITS[step.kind]
    can_wait = owed is not None and steps[owed].is_addition == step.is_addition
    after = Place(clause + 1, owed=owed if can_wait else None)
    detour = habit.detour if step.detour else 0.0
    right = _careful(habit.right + habit.detour - detour, care(clause))
    detour *= 1.0 - care(clause)
    chosen = [
        Option(right, step.right, clause, after),
        Option(1.0 - right - detour, step.wrong, clause, Place(clause + 1, owed=clause, fresh=True)),
    ]
    if step.detour:
        chosen.append(Option(detour, step.detour[0], clause, after._replace(clause=clause, part=1)))
    return chosen


def attempt(problem: Problem, rng: random.Random, care: Care = no_care) -> Attempt:
    """A plan by habit. One that grows too long is drawn again."""
    while True:
        place, moves = Place(), list[tuple[int, Move]]()
        while len(moves) <= LONGEST_PLAN:
            choices = options(problem.steps, place, care)
            [chosen] = rng.choices(choices, [option.share for option in choices])
            if chosen.move is None:
                return moves
            moves.append((chosen.clause, chosen.move))
            place = chosen.after


def first_mistake(problem: Problem, moves: Attempt) -> tuple[int, str]:
    """The place in a plan that misses the answer of the move to blame, and why it is wrong."""
    for clause, step in enumerate(problem.steps):
        done = tuple(move for owner, move in moves if owner == clause)
        if done not in step.ways:
            place = next(place for place, (owner, _) in enumerate(moves) if owner == clause)
            return place, step.reason if done[0] is step.wrong else "A part is missing."
    place = next(place for place, (clause, move) in enumerate(moves) if move is problem.steps[clause].wrong)
    return place, "That cannot be mended."


def _careful(share: float, care: float) -> float:
    return care + (1.0 - care) * share


def _scaled(factor: float, choices: list[Option]) -> list[Option]:
    return [option._replace(share=factor * option.share) for option in choices]
