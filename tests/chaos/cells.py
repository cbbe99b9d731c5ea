"""The cells of the matrix: which fault hits which stage, at which seeded moment. Pure."""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple


class Slot(NamedTuple):
    """A stage of a round that a fault may hit. `row`: its row of the matrix. `stage`, `number`: its name, and
    which of the keys of that name, from 0, in the order in which a round first looks for them in the store."""

    row: str
    stage: str
    number: int


SLOTS = (
    Slot("rollouts", "search", 0),
    Slot("search", "search", 1),
    Slot("pairs", "lessons", 0),
    Slot("pairs", "lessons", 1),
    Slot("SFT", "learn", 0),
    Slot("preference training", "learn", 1),
    Slot("evaluation", "evaluate", 0),
    Slot("evaluation", "evaluate", 1),
    Slot("evaluation", "evaluate", 2),
    Slot("warehouse", "warehouse", 0),
    Slot("publish", "publish", 0),
)
SHARDED = (
    Slot("shards", "search", 1),
    Slot("shards", "search", 2),
    Slot("search", "search", 3),
    Slot("shards", "search", 4),
    Slot("shards", "search", 5),
    *SLOTS[2:],
)
"""Of a round whose two searches have two shards each: it looks for a search, and then for its shards."""
ROWS = tuple(dict.fromkeys(slot.row for slot in (*SLOTS, *SHARDED)))
WITH_ENGINE = {"rollouts", "search", "shards", "evaluation"}
WITH_TRAINER = {"SFT", "preference training"}

KILLS = ("flow", "worker", "trainer", "engine", "store", "server")
TWO_RUNS = "two runs"
FAULTS: Mapping[str, str] = {
    **{f"kill {one}": f"SIGKILL of the {one}" for one in KILLS},
    "kill flow twice": "SIGKILL of the flow, and of its retry in the same stage",
    **{f"stop {one}": f"SIGSTOP of the {one} for 30 s" for one in KILLS},
    "disk full": "no room on the disk of the home, until the run fails or for 20 s",
    "store error": "half of the calls of the store answered 500",
    "store half": "half of the answers of the store broken off",
    "store cut": "no answer from the store for 8 s",
    "store slow": "every call of the store 0.5 s later",
    "engine error": "a third of the engine's answers 500",
    "engine half": "a third of the engine's answers broken off",
    "engine cut": "a third of the engine's answers missing",
    "engine slow": "a third of the engine's answers 2 s later",
    "clock": "the clock of flows, workers, trainers and engine an hour on",
    TWO_RUNS: "the same round started twice at once",
}
ALONE = {"clock"}
"""Played only where they are asked for: they need the stack to be started otherwise."""


@dataclass(frozen=True)
class Moment:
    """Before or after the store has done the `call`-th call of the stage (from 1) or, where that is None, `seconds`
    after the stage began."""

    call: int | None
    is_after: bool = False
    seconds: float = 0.0

    def __str__(self) -> str:
        if self.call is None:
            return f"{self.seconds:.2f} s after it began"
        return f"{'after' if self.is_after else 'before'} its call {self.call} of the store"


@dataclass(frozen=True)
class Cell:
    slot: Slot
    fault: str
    moment: Moment

    @property
    def victim(self) -> str:
        return next((one for one in KILLS if one in self.fault.split()), "")


SHORT = 3.0
"""Seconds of a stage in which nobody hits a moment by the clock."""


class Pace(NamedTuple):
    """What a stage takes that nothing befalls: calls of the store, and seconds."""

    calls: int
    seconds: float


def is_there(slot: Slot, fault: str, real_engine: bool) -> bool:
    """Whether a stage has the victim at all. Of a real engine nobody can spoil the answers."""
    if fault == TWO_RUNS:
        return False  # of a whole round
    if "trainer" in fault:
        return slot.row in WITH_TRAINER
    if "engine" in fault:
        return slot.row in WITH_ENGINE and not (real_engine and not fault.startswith(("kill", "stop")))
    return True


def moment_of(slot: Slot, fault: str, pace: Pace, rng: random.Random) -> Moment:
    """Half of the moments lie at a call of the store, where what is half done shows, and all of a short stage; the
    others anywhere in the stage. What lasts to the end of the stage begins in its first half. A trainer is hit so many
    seconds after it was started."""
    share = rng.random() * (0.5 if fault.split()[0] in ("store", "engine") else 1.0)
    at_call, is_after = rng.random() < 0.5 or pace.seconds < SHORT, rng.random() < 0.5
    if at_call and "trainer" not in fault:
        return Moment(int(share * pace.calls) + 1, is_after)
    return Moment(None, seconds=share * 0.9 * pace.seconds)


def rounds(seed: int, paces: Mapping[Slot, Pace], only: tuple[str, str], real_engine: bool) -> Iterator[list[Cell]]:
    """Without end, what hits each round: a fault in every slot, every fault of the matrix before one comes again. Every
    fifth round searches in shards. SIGSTOP costs half a minute each: a stage sees one of them a turn.

    `only`: this row and this fault; "": all. Of all, every eighth round is hit by nothing, for it is started twice.
    """
    rng = random.Random(seed)
    row, fault = only
    queues: dict[str, list[str]] = {name: [] for name in ROWS}
    stops: dict[str, list[str]] = {name: [] for name in ROWS}

    def turn(slot: Slot) -> list[str]:
        wanted = {fault} if fault else FAULTS.keys() - ALONE
        able = [one for one in FAULTS if one in wanted and is_there(slot, one, real_engine)]
        long = [one for one in able if one.startswith("stop")]
        left = stops[slot.row] = stops[slot.row] or rng.sample(long, len(long))
        chosen = [one for one in able if one not in long] + [left.pop() for _ in left[:1]]
        return rng.sample(chosen, len(chosen))

    number = 0
    while True:
        number += 1
        if not any(only) and number % 8 == 0:
            yield []
            continue
        slots: Sequence[Slot] = SHARDED if row == "shards" or (not row and number % 5 == 0) else SLOTS
        hit = []
        for slot in slots:
            if row not in ("", slot.row):
                continue
            queue = queues[slot.row]
            queue.extend([] if queue else turn(slot))
            if queue:
                one = queue.pop(0)
                hit.append(Cell(slot, one, moment_of(slot, one, paces[slot], rng)))
        if not hit:
            raise SystemExit(f"no stage {row!r} has a fault {fault!r}")
        yield hit
