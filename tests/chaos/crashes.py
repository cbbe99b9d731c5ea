"""Kills a round at one call of the store after another, without Prefect: `python -m tests.chaos.crashes`.

Every fault hits a round that goes on from what the one before left, so a few rounds bear hundreds of faults: a call of
the store is drawn, the process is killed before or after the store has done it, and a new one goes on. In the end the
published tables are compared with those of a round that nothing befell.
"""

import argparse
import json
import os
import random
import re
import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from infra.desk.run import nested
from infra.engine import stop_local_engines
from infra.engine.server import local_engine
from infra.environment import ROOT, Environment
from infra.store import Store
from infra.store.rounds import publications
from tasks.running.workplace import code_version
from tests.chaos import bare
from tests.chaos.engine import SPOILING, launcher
from tests.chaos.proxy import Call, Proxy, Spoiling
from tests.chaos.published import differences, digest, rows
from tests.servers import Weed

FAULTS = {
    "kill flow": 10,
    "kill engine": 2,
    "kill store": 1,
    "stop flow": 1,
    "store error": 2,
    "store half": 2,
    "store cut": 2,
    "engine error": 1,
    "engine half": 1,
    "engine cut": 1,
}
"""How often each is drawn, beside the others."""
LOOKED_FOR = re.compile(r"GET .*\bstages/([^/]+)/[^/]+/manifest\.json")
STOPPED_SECONDS = 2.0
PATIENCE = 120.0
ATTEMPTS = 3
"""At the rest of a round, which nothing befalls any more."""


class Fault(NamedTuple):
    """`call`: its number, from 1, among the calls of an attempt that no attempt before has made. It hits before or
    after the store has done that call."""

    kind: str
    call: int
    is_after: bool

    def __str__(self) -> str:
        return f"{self.kind} {'after' if self.is_after else 'before'} new call {self.call}"


@dataclass
class Watched:
    """The calls of the store that a round makes, in all of its attempts. One fault at a time holds a call."""

    fault: Fault | None = None
    """What the present attempt is to meet; None: nothing."""
    known: set[str] = field(default_factory=set)
    """Every call that was made, by method and place."""
    calls: int = 0
    """Of this attempt, those that none before had made."""
    stage: str = ""
    """Whose calls they are: the name of the stage that was looked for last."""
    reached: threading.Event = field(default_factory=threading.Event)
    release: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def watch(self, call: Call) -> threading.Event | None:
        with self.lock:
            if not call.status:
                self.calls += f"{call.method} {call.place}" not in self.known
                self.known.add(f"{call.method} {call.place}")
                looked_for = LOOKED_FOR.search(f"{call.method} {call.place}")
                self.stage = looked_for[1] if looked_for else self.stage
            fault = self.fault
            if fault is None or self.reached.is_set() or bool(call.status) is not fault.is_after:
                return None
            if self.calls < fault.call:
                return None
            self.reached.set()
            return self.release

    def begin(self, fault: Fault | None) -> None:
        with self.lock:
            self.fault, self.calls = fault, 0
            self.reached, self.release = threading.Event(), threading.Event()


class Place:
    """A home, a store behind a proxy, and the scripted engine, which the round starts itself."""

    def __init__(self, folder: Path, store: dict[str, str], weed: Weed | None = None) -> None:
        """`store`: the environment that leads to the S3 server; `weed`: it, where it may be killed."""
        self.home, self.weed, self.watched = folder / "home", weed, Watched()
        self.home.mkdir(parents=True)
        self.spoiling = folder / "home" / "spoiling.json"
        self.variables = store | {
            "CPL_HOME": str(self.home),
            "CPL_ENGINE_PYTHON": str(launcher(folder)),
            "CPL_DEVICE": "cpu",
            "CPL_STORE": f"s3://cpl/{folder.name}",
            SPOILING: str(self.spoiling),
        }

    @contextmanager
    def open(self) -> Iterator["Place"]:
        before = dict(os.environ)
        os.environ.update(self.variables)
        self.store = Store.open(Environment())
        try:
            with Proxy(self.variables["AWS_ENDPOINT_URL"], self.watched.watch) as self.proxy:
                yield self
        finally:
            stop_local_engines(Environment())
            os.environ.clear()
            os.environ.update(before)

    def start(self, number: int) -> BaseProcess:
        recipe = {"by model": nested(bare.RECIPE)}
        asked = {"campaign": f"crash-{number}", "round": 1, "repeat": number, "recipe": recipe}
        return bare.start(asked, self.variables | {"AWS_ENDPOINT_URL": self.proxy.url}, self.said(number))

    def mend(self) -> None:
        """Nobody spoils anything any more."""
        self.proxy.spoiling = Spoiling()
        self.spoiling.unlink(missing_ok=True)

    def said(self, number: int) -> Path:
        return self.home / f"round-{number}.log"

    def leftovers(self) -> list[str]:
        """Processes of rounds that are still there though none runs."""
        found = []
        ours = {os.getsid(0), *(server.pid for server in [self.weed and self.weed.part.process()] if server)}
        for process in psutil.process_iter():
            with suppress(psutil.Error, ProcessLookupError):
                is_ours = os.getsid(process.pid) in ours
                if process.environ().get("CPL_HOME") == str(self.home) and not is_ours:
                    found.append(f"{' '.join(process.cmdline())[:100]} ({process.pid})")
        return found


@dataclass
class Crash:
    """One fault: where it hit, and what an attempt said that it ended."""

    round: int
    fault: str
    stage: str
    victim: str
    sentence: str = ""


def hit(place: Place, process: BaseProcess, fault: Fault) -> str:
    """Does it, the call being held; the victim, or nothing where there is none."""
    what, _, who = fault.kind.partition(" ")
    if what in ("store", "engine"):
        if what == "store":
            place.proxy.spoiling = Spoiling(who, 0.3, random.Random(fault.call))  # type: ignore[arg-type]
        else:
            place.spoiling.write_text(json.dumps({"kind": who, "share": 0.34}))
        return what
    if who == "store":
        assert place.weed is not None
        place.weed.kill()
        place.weed.start()
        return who
    if who == "engine":
        engine = local_engine(Environment(home=place.home))
        if engine is None:
            return ""
        victim = psutil.Process(engine.pid)
    else:
        victim = psutil.Process(process.pid)
    try:
        if what == "stop":
            victim.send_signal(signal.SIGSTOP)
            time.sleep(STOPPED_SECONDS)
            victim.send_signal(signal.SIGCONT)
            return who
        victim.kill()
    except psutil.NoSuchProcess:
        return ""
    with suppress(psutil.NoSuchProcess):
        while victim.is_running() and victim.status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.005)
    return who


def play(place: Place, number: int, faults: Sequence[Fault]) -> list[Crash]:
    """A round that these hit, one after another: it goes on, or is started again where one ended it."""
    place.watched.known = set()
    crashes: list[Crash] = []
    process: BaseProcess | None = None

    def ended(attempt: BaseProcess) -> bool:
        """Waits for the end of an attempt, and tells of it; whether it was the round's."""
        place.watched.release.set()
        attempt.join(PATIENCE)
        assert attempt.exitcode is not None, f"{crashes}: the round hangs"
        place.mend()
        if attempt.exitcode == 1 and crashes:
            lines = place.said(number).read_text().splitlines()
            crashes[-1].sentence = next(line for line in reversed(lines) if line.startswith("FAILED"))
        return attempt.exitcode == 0

    for fault in faults:
        place.watched.begin(fault)
        process = process or place.start(number)
        begun = time.monotonic()
        while process.is_alive() and not place.watched.reached.wait(0.01):
            assert time.monotonic() - begun < PATIENCE, f"{fault}: the round hangs"
        if not place.watched.reached.is_set():
            if ended(process):
                return crashes
            process = None
            continue
        place.mend()
        if victim := hit(place, process, fault):
            crashes.append(Crash(number, str(fault), place.watched.stage, victim))
        if fault.kind == "kill flow":
            assert not ended(process)
            process = None
        place.watched.release.set()
    place.watched.begin(None)
    for _ in range(ATTEMPTS):
        if ended(process or place.start(number)):
            return crashes
        process = None
    raise AssertionError(f"the round does not end: {place.said(number).read_text()[-3000:]}")


def drawn(rng: random.Random, calls: int, count: int, faults: Mapping[str, int] = FAULTS) -> list[Fault]:
    """Faults so far apart that a round of so many calls bears them all, more or less."""
    kinds = rng.choices(list(faults), list(faults.values()), k=count)
    return [Fault(kind, rng.randint(1, max(1, 3 * calls // (2 * count))), rng.random() < 0.5) for kind in kinds]


def compared(place: Place, number: int, reference: dict[str, list[str]]) -> list[str]:
    """What a round lost, doubled, changed or left behind."""
    different = differences(reference, rows(place.store, f"crash-{number}"))
    if (count := len(list(publications(place.store, f"crash-{number}")))) != 1:
        different.append(f"{count} publications")
    return different + place.leftovers()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faults", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--each", type=int, default=8, help="faults of one round")
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "crashes.json")
    asked = parser.parse_args()
    folder = ROOT / "build" / f"crashes-{os.getpid()}"
    folder.mkdir(parents=True)
    weed = Weed(folder / "weed")
    started = time.monotonic()
    try:
        weed.start()
        with Place(folder, weed.environment, weed).open() as place:
            play(place, 9000, [])
            calls, reference = place.watched.calls, rows(place.store, "crash-9000")
            print(f"a round without faults: {calls} calls, {time.monotonic() - started:.1f} s", flush=True)
            rng = random.Random(asked.seed)
            crashes: list[Crash] = []
            said: list[str] = []
            number = 0
            while len(crashes) < asked.faults:
                number += 1
                crashes += play(place, number, drawn(rng, calls, asked.each))
                different = compared(place, number, reference)
                said += [f"round {number}: {line}" for line in different]
                print(
                    f"{time.monotonic() - started:7.1f} s  round {number}: {len(crashes)} faults, "
                    f"{len(said)} differences {different}",
                    flush=True,
                )
                document: dict[str, Any] = {
                    "seed": asked.seed,
                    "code": code_version(),
                    "reference": digest(reference),
                    "seconds": round(time.monotonic() - started, 1),
                    "faults": len(crashes),
                    "differences": said,
                    "cells": [vars(one) for one in crashes],
                }
                asked.output.write_text(json.dumps(document, indent=1))
    finally:
        weed.part.end(patience=0.1)


if __name__ == "__main__":
    main()
