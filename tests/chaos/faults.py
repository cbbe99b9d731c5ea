"""What each fault of the matrix does to the site, and what undoes it."""

import json
import math
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import psutil

from tests.chaos.cells import FAULTS
from tests.chaos.proxy import Spoiling
from tests.chaos.site import Site, fill, wait_for

STOPPED_SECONDS = 30.0
FULL_SECONDS = 20.0
CUT_SECONDS = 8.0
SPOILT_SHARE = 0.34
"""Of the engine's answers."""


def _nothing() -> None:
    pass


@dataclass(frozen=True)
class Harm:
    """A fault that was done. `is_seen`: and can be seen to have been. `undo` ends it: when its stage is over or its run
    has failed, and at the latest `lasts` seconds after it was done. `spoilt`: how many of what it `spoils`, so far."""

    is_seen: bool = True
    undo: Callable[[], object] = _nothing
    lasts: float = math.inf
    spoils: str = ""
    spoilt: Callable[[], int] = lambda: 0


def do(site: Site, fault: str, victim: psutil.Process | None) -> Harm:
    """Does one of FAULTS. `victim`: of a kill or a stop.

    Raises:
        ValueError: for what is no fault of one stage.
    """
    if fault in FAULTS:
        match fault.split():
            case ["kill", *_] if victim:
                return _kill(victim)
            case ["stop", _] if victim:
                return _stop(victim)
            case ["disk", "full"]:
                return _fill_disk(site)
            case ["store", "cut" | "slow" as kind]:
                return _spoil_calls(site, Spoiling(kind, 1.0))
            case ["store", "error" | "half" as kind]:
                return _spoil_calls(site, Spoiling(kind, 0.5))
            case ["engine", kind]:
                return _spoil_answers(site, kind)
            case ["clock"]:
                return _move_clock(site)
    raise ValueError(f"{fault!r} is no fault of one stage, or has no victim")


def _kill(victim: psutil.Process) -> Harm:
    victim.kill()
    return Harm(wait_for(lambda: not victim.is_running() or victim.status() == psutil.STATUS_ZOMBIE, 5, 0.01))


def _stop(victim: psutil.Process) -> Harm:
    victim.send_signal(signal.SIGSTOP)

    def go_on() -> None:
        with suppress(psutil.NoSuchProcess):
            victim.send_signal(signal.SIGCONT)

    is_seen = wait_for(lambda: victim.status() == psutil.STATUS_STOPPED, 5, 0.01)
    return Harm(is_seen, go_on, STOPPED_SECONDS)


def _fill_disk(site: Site) -> Harm:
    ballast = fill(site.home)
    is_full = os.statvfs(site.home).f_bavail == 0
    return Harm(is_full, lambda: ballast.unlink(missing_ok=True), FULL_SECONDS)


def _spoil_calls(site: Site, spoiling: Spoiling) -> Harm:
    site.proxy.spoiling = spoiling

    def undo() -> None:
        site.proxy.spoiling = Spoiling()

    lasts = CUT_SECONDS if spoiling.kind == "cut" else math.inf
    return Harm(undo=undo, lasts=lasts, spoils="calls of the store", spoilt=lambda: spoiling.hit)


def _spoil_answers(site: Site, kind: str) -> Harm:
    before = site.spoilt()
    site.spoiling.write_text(json.dumps({"kind": kind, "share": SPOILT_SHARE}))
    return Harm(
        undo=lambda: site.spoiling.unlink(missing_ok=True),
        spoils="answers of the engine",
        spoilt=lambda: site.spoilt() - before,
    )


def _move_clock(site: Site) -> Harm:
    site.clock.write_text("+3600s")
    return Harm(undo=lambda: site.clock.write_text("+0s"))
