"""`make chaos`: plays the cells of the matrix on stacks of its own, and compares what was published with a round that
nothing befell. Writes build/chaos.json after every round; a run that was ended goes on.

Many faults hit one round, each in another stage, each asserted and recovered from before the next: nothing is done, or
Retry is pressed when the run has failed, as an operator would.
"""

import argparse
import json
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import psutil

from infra.desk.run import nested
from infra.environment import ROOT
from infra.store import garbage, verify
from infra.store.rounds import publications
from tasks.running.workplace import code_version
from tests.chaos.cells import FAULTS, SHARDED, SLOTS, TWO_RUNS, Cell, Pace, Slot, rounds
from tests.chaos.faults import Harm, do
from tests.chaos.published import differences, digest, rows
from tests.chaos.report import Outcome, report
from tests.chaos.site import ENDS, Site, wait_for
from tests.chaos.stages import Stages
from tests.servers import small_disk

OUTPUT = ROOT / "build" / "chaos.json"
FOLDER = ROOT / "build" / "chaos"
"""Homes, logs and documents of the sites."""
DISK_MIB = 1500
PATIENCE = 300.0
"""Seconds within which a fault must be recovered from, what an operator does among them."""
MOST_RETRIES = 4
RECIPE = {
    "without": ["value", "sft_more", "step_dpo"],
    "second_opinion": False,
    "questions.count": 8,
    "questions.held_out": 0.2,
    "evidence.tries.root_children": 2,
    "evidence.tries.trials": 2,
    "evidence.trees.simulations": 8,
    "evidence.trees.budget_by": "",
    "arms.sft.epochs": 2,
    "arms.sft.batch_size": 4,
    "arms.step_apo.epochs": 2,
    "arms.step_apo.batch_size": 4,
    "evaluation.benchmarks": ["micro/test"],
    "evaluation.count": 8,
}


class Game:
    """The rounds of one run of the matrix, on one site."""

    def __init__(self, site: Site, stages: Stages, say: Callable[[str], None], real_engine: bool) -> None:
        self.site, self.stages, self.say, self.real_engine = site, stages, say, real_engine
        self.reference: dict[str, list[str]] = {}
        self.harm, self.undone_at = Harm(), math.inf

    def begin(self, number: int, shards: int = 1, cells: Sequence[Cell] = ()) -> str:
        """A new round, of which nothing but questions, benchmarks and base model is in the store."""
        of_shards = (slot.number for slot in SHARDED if slot.row == "shards")
        self.stages.begin([cell.slot for cell in cells], of_shards if shards > 1 else ())
        return self.site.start(
            campaign=f"chaos-{number}", round=1, repeat=number, shards=shards, recipe={"by model": nested(RECIPE)}
        )

    def without_faults(self, number: int, shards: int) -> dict[Slot, Pace]:
        """A round that nothing befalls: its tables are what others are compared with; how long its stages took."""
        run = self.begin(number, shards)
        assert wait_for(lambda: self._ended(run), 900, 0.5), "a round without faults does not end"
        assert self._completed(run), self.site.state(run)
        paces = {slot: self.stages.pace(slot) for slot in (SHARDED if shards > 1 else SLOTS)}
        found = rows(self.site.store, f"chaos-{number}")
        if self.reference:
            said = differences(self.same(self.reference), self.same(found))
            assert not said, said
        self.reference = self.reference or found
        return paces

    def play(self, number: int, cells: list[Cell]) -> list[Outcome]:
        """A round that is hit by these, one after another."""
        shards = 2 if any(cell.slot.row == "shards" for cell in cells) else 1
        run = self.begin(number, shards, cells)
        outcomes: list[Outcome] = []
        for cell in cells:
            outcome = Outcome(cell.slot.row, cell.fault, str(cell.moment), f"chaos-{number}")
            outcomes.append(outcome)
            self._play_cell(run, cell, outcome)
            self.say(
                f"  {outcome.stage}, {outcome.fault}, {outcome.moment}: "
                + (
                    f"{outcome.recovery_seconds:.1f} s, {outcome.retries} retries"
                    if outcome.recovered
                    else outcome.note
                )
            )
            if not outcome.recovered and outcome.hit:
                break
        self.stages.let_go()
        self._until(run, outcomes[-1], lambda: self._completed(run))
        said = self._compared(run, number)
        for outcome in outcomes:
            outcome.differences = said
        return outcomes

    def play_two_runs(self, number: int) -> Outcome:
        """The same round, started twice at once: one does the work and the other finds it done."""
        outcome = Outcome("whole round", TWO_RUNS, "at its start", f"chaos-{number}", hit=True)
        self.site.let_in(2)
        try:
            begun = time.monotonic()
            one, other = self.begin(number), self.begin(number)
            over = [self._until(run, outcome, lambda run=run: self._completed(run)) for run in (one, other)]  # type: ignore[misc]
        finally:
            self.site.let_in(1)
        outcome.recovered = all(over)
        outcome.recovery_seconds = round(time.monotonic() - begun, 1)
        outcome.differences = self._compared(one, number)
        return outcome

    def _compared(self, run: str, number: int) -> list[str]:
        """What is not as it is in a round that nothing befell, and who is still there."""
        orphans: list[str] = []

        def are_gone() -> bool:
            orphans[:] = self.site.orphans()
            return not orphans

        wait_for(are_gone, 30, 1.0)
        said = [f"orphan: {one}" for one in orphans]
        if not self._completed(run):
            said.append(f"lost: the round ended {self.site.state(run)}")
            self.site.cancel(run)
            return said
        if (count := len(list(publications(self.site.store, f"chaos-{number}")))) != 1:
            said.append(f"doubled: {count} publications")
        found = rows(self.site.store, f"chaos-{number}")
        return said + differences(self.same(self.reference), self.same(found))

    def same(self, found: dict[str, list[str]]) -> dict[str, list[str]]:
        """What is the same in every round: all where the policy is scripted, else the questions and how many there
        are of what is made of each."""
        if not self.real_engine:
            return found
        counts = {table: [str(len(found[table]))] for table in ("trees", "evaluation_samples", "models")}
        return {"questions": found["questions"]} | counts

    def _play_cell(self, run: str, cell: Cell, outcome: Outcome) -> None:
        stages, slot, is_sharded = self.stages, cell.slot, cell.slot.row == "shards"

        def victim() -> psutil.Process | None:
            return self.site.victim(cell.victim, is_sharded)

        def is_over() -> bool:
            return stages.key(slot) in stages.seen and not stages.reached.is_set()

        stages.arm(slot, cell.moment, lambda: not cell.victim or victim() is not None)
        if cell.moment.call is not None:
            self._until(run, outcome, lambda: stages.reached.is_set() or is_over())
        else:
            self._until(run, outcome, lambda: is_over() or (stages.is_under_way(slot) and stages.has_victim()))
            begun = time.monotonic()
            while not is_over() and time.monotonic() - begun < cell.moment.seconds:
                time.sleep(0.005)
        found = victim() if cell.victim else None
        key = stages.key(slot)
        if is_over() or (cell.victim and found is None) or key is None:
            outcome.note = outcome.note or f"missed: the {'stage' if is_over() else cell.victim} was gone"
            stages.disarm()
            return
        hit_at = time.monotonic()
        outcome.worked_seconds = round(hit_at - stages.begun.get(key, hit_at), 2)
        if found is not None:
            outcome.victim = f"{' '.join(found.cmdline())[-80:]} ({found.pid})"
        self.harm = do(self.site, cell.fault, found)
        self.undone_at = time.monotonic() + self.harm.lasts
        outcome.hit = self.harm.is_seen
        stages.disarm()
        self._recover(run, cell, outcome, hit_at)

    def _recover(self, run: str, cell: Cell, outcome: Outcome, hit_at: float) -> None:
        """What an operator does: nothing while the run goes on, and Retry when it has failed."""
        stages, again = self.stages, cell.fault.endswith("twice")

        def is_past() -> bool:
            key = stages.key(cell.slot)
            found = key is not None and stages.seen.get(key, 0.0) > hit_at
            if cell.slot.stage == "publish":
                return self.site.state(run)["type"] == "COMPLETED"
            return found or stages.new > hit_at

        def second_kill() -> bool:
            nonlocal again
            if again and outcome.retries and (flow := self.site.victim("flow", cell.slot.row == "shards")):
                time.sleep(4.0 * (int(hit_at * 1000) % 7) / 7 + 2.0)
                if is_past():
                    return False
                with suppress(psutil.NoSuchProcess):
                    flow.kill()
                    again = False
                    outcome.note = f"killed again ({flow.pid})"
            return False

        def is_over() -> bool:
            return not second_kill() and self.undone_at == math.inf and is_past()

        outcome.recovered = self._until(run, outcome, is_over, hit_at)
        if again:
            outcome.hit, outcome.note = False, "missed: the retry was over before it was killed"
        outcome.recovery_seconds = round(time.monotonic() - hit_at, 1)
        self._undo()
        if self.harm.spoils:
            spoilt = self.harm.spoilt()
            outcome.victim = f"{spoilt} {self.harm.spoils}"
            if not spoilt:
                outcome.hit, outcome.note = False, "missed: no call came"

    def _undo(self) -> None:
        self.harm.undo()
        self.undone_at = math.inf

    def _until(self, run: str, outcome: Outcome, is_true: Callable[[], bool], hit_at: float | None = None) -> bool:
        """Whether it became true in time; presses Retry on the way, where the run has failed."""
        deadline, last, looked = time.monotonic() + PATIENCE, "", 0.0
        while not is_true():
            now = time.monotonic()
            if now > self.undone_at:
                self._undo()
            if now > deadline:
                outcome.note = f"not over after {PATIENCE:.0f} s: {self.site.state(run)}"
                return False
            if now - looked > 0.5:
                looked = now
                state = self.site.state(run)
                if state["type"] == "COMPLETED" and not is_true():
                    outcome.note = "the round completed without the stage"
                    return False
                if state["type"] in ("FAILED", "CRASHED", "CANCELLED") and state["id"] != last:
                    last = state["id"]
                    self._failed_so(run, state, outcome, hit_at)
                    if outcome.retries > MOST_RETRIES:
                        outcome.note = f"failed {outcome.retries} times: {state['message']}"
                        return False
            time.sleep(0.02)
        return True

    def _failed_so(self, run: str, state: dict[str, Any], outcome: Outcome, hit_at: float | None) -> None:
        if outcome.told_seconds is None and hit_at is not None:
            outcome.told_seconds = round(time.monotonic() - hit_at, 1)
        outcome.sentence = outcome.sentence or f"{state['type']}: {state['message']}"
        self._undo()
        wait_for(self.site.parts_are_up, 120, 0.5)
        time.sleep(2.0)  # nobody is quicker
        if self.site.state(run)["id"] == state["id"]:
            outcome.retries += wait_for(lambda: self.site.retry(run), 60, 1.0)

    def _completed(self, run: str) -> bool:
        return bool(self.site.state(run)["type"] == "COMPLETED")

    def _ended(self, run: str) -> bool:
        return self.site.state(run)["type"] in ENDS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, default=200, help="faults that hit")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--stage", default="", help="only of this row")
    parser.add_argument("--fault", default="", choices=["", *FAULTS], help="only this one")
    parser.add_argument("--engine", choices=["scripted", "real"], default="scripted")
    parser.add_argument(
        "--sites", type=int, default=3, help="stacks that are played on at once: most faults are waited for"
    )
    parser.add_argument("--output", type=Path, default=OUTPUT)
    parser.add_argument("--site", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.site is None:
        sys.exit(play_on_sites(asked))
    play_on_site(asked)


def play_on_sites(asked: argparse.Namespace) -> int:
    """Each site in a process of its own, with a small disk of its own; the document has the faults of all of them."""
    children = []
    for site in range(asked.sites):
        home = FOLDER / f"home-{site}"
        home.mkdir(parents=True, exist_ok=True)
        words = [sys.executable, "-m", "tests.chaos.matrix", *sys.argv[1:], "--site", str(site)]
        children.append(subprocess.Popen([*small_disk(home, DISK_MIB), *words]))
    while any(child.poll() is None for child in children):
        time.sleep(5)
        join(asked)
    same = join(asked)
    if not same:
        print("DIFFERS: rounds without faults, from site to site")
    return max(abs(child.returncode) for child in children) or not same


def join(asked: argparse.Namespace) -> bool:
    """Writes one document of what all sites have played so far. Whether their rounds without faults are alike."""
    about = about_of(asked)
    documents = [found for site in range(asked.sites) if (found := played(asked, site))]
    references = sorted({one["reference"] for one in documents})
    if documents:
        cells = [cell for one in documents for cell in one["cells"]]
        write(asked.output, report(cells, about | {"reference": " and ".join(references)}))
    return len(references) <= 1


def about_of(asked: argparse.Namespace) -> dict[str, Any]:
    """What a run that goes on must have in common with the one that was ended."""
    return {
        "seed": asked.seed, "engine": asked.engine, "stage": asked.stage, "fault": asked.fault, "sites": asked.sites,
        "code": code_version(),
    }  # fmt: skip


def part_of(asked: argparse.Namespace, site: int) -> Path:
    """Where a site writes what it has played."""
    return FOLDER / f"{asked.output.stem}-{site}.json"


def played(asked: argparse.Namespace, site: int) -> dict[str, Any]:
    """What a site has written of this run, or of the one that it goes on with."""
    path = part_of(asked, site)
    found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return found if all(found.get(name) == value for name, value in about_of(asked).items()) else {}


def write(path: Path, document: dict[str, Any]) -> None:
    """Readers find an old document or a new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as file:
        json.dump(document, file, indent=1)
    Path(file.name).replace(path)


def play_on_site(asked: argparse.Namespace) -> None:
    """This site's rounds of the plan, one in as many as there are sites, until its share of the faults has hit."""
    started, output = time.monotonic(), part_of(asked, asked.site)

    def say(line: str) -> None:
        print(f"{asked.site} {time.monotonic() - started:7.1f} s  {line}", flush=True)

    about = about_of(asked)
    kept = played(asked, asked.site).get("cells", [])
    stages = Stages()
    home = FOLDER / f"home-{asked.site}"
    with Site(home, stages.watch, asked.engine == "real", asked.fault == "clock").running() as site:
        game = Game(site, stages, say, asked.engine == "real")
        say("the stack is up; a round without faults")
        paces = game.without_faults(9000, 1)
        if asked.stage in ("", "shards"):
            say("one in shards")
            paces = game.without_faults(9001, 2) | paces
        say(", ".join(f"{slot.row} {pace.calls} calls {pace.seconds:.1f} s" for slot, pace in paces.items()))
        about["reference"] = digest(game.reference)
        plan = enumerate(rounds(asked.seed, paces, (asked.stage, asked.fault), asked.engine == "real"), 1)
        done = {one["round"] for one in kept}
        outcomes = list(kept)
        while sum(one["hit"] for one in outcomes) < math.ceil(asked.cells / asked.sites):
            number, cells = next(plan)
            if number % asked.sites != asked.site or f"chaos-{number}" in done:
                continue
            if cells:
                say(f"round {number}: {len(cells)} faults")
                outcomes += [vars(one) for one in game.play(number, cells)]
            else:
                say(f"round {number}: started twice")
                outcomes.append(vars(game.play_two_runs(number)))
            for line in outcomes[-1]["differences"]:
                say(f"  DIFFERS: {line}")
            found = report(outcomes, about)
            write(output, found)
            say(" ".join(f"{name} {found[name]}" for name in ("faults", "missed", "recovered", "lost", "changed")))
        with mock.patch.object(garbage, "AT_WORK", timedelta()):  # nobody is: what is young is left over, too
            left = garbage.leftovers(site.store, site.home)
            garbage.drop(site.store, left)
            say(f"leftovers: {len(left)}, after gc {len(garbage.leftovers(site.store, site.home))}")
        say(f"what cannot be read: {list(map(str, verify.faults(site.store, deep=True)))}")


if __name__ == "__main__":
    main()
