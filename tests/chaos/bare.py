"""A whole round without Prefect, in a process that is killed and started again: `cpl`'s own order of stages, each run
as its task runs it, against a real store and a scripted engine.

A process is forked from one that has imported everything, so that a fault costs tenths of a second. What is left out is
Prefect's part: workers, states, retries. `tests.chaos.matrix` plays these on the stack.
"""

import logging
import multiprocessing
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any
from unittest import mock

import flows.round
from infra.engine import tenant
from infra.environment import environment
from infra.store import Ref, Store
from infra.store.rounds import Title
from tasks.running import progress, stage
from tasks.running.record import RoundRun
from tasks.stages.publish import point_to

RECIPE = {
    "without": ["value", "sft", "sft_more", "step_dpo", "step_apo"],
    "second_opinion": False,
    "questions.count": 6,
    "questions.held_out": 0.2,
    "evidence.tries.root_children": 2,
    "evidence.tries.trials": 2,
    "evidence.trees.simulations": 6,
    "evidence.trees.budget_by": "",
    "evaluation.benchmarks": ["micro/test"],
    "evaluation.count": 6,
}
"""A round that trains nothing: a trainer's start alone takes seconds."""

log = logging.getLogger("chaos")
_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload([__name__])


def start(parameters: dict[str, Any], variables: dict[str, str], said: Path) -> BaseProcess:
    """A process in which this round runs, in a session of its own; `said`: where its log goes."""
    process = _forks.Process(target=_run, args=(parameters, variables, said))
    process.start()
    return process


def _run(parameters: dict[str, Any], variables: dict[str, str], said: Path) -> None:
    os.setsid()
    os.environ.update(variables)
    output = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, force=True)
    try:
        with _without_prefect():
            flows.round.cpl.fn(**parameters)
    except Exception as problem:
        traceback.print_exc()
        print(f"FAILED: {type(problem).__name__}: {problem}", file=sys.stderr, flush=True)
        os._exit(1)
    os._exit(0)


@contextmanager
def _without_prefect() -> Iterator[None]:
    """The flow's order of stages, each run as its task runs it; nothing is shown to anybody."""
    of_the_flow: dict[str, Any] = {
        "recorded": _recorded,
        "point_to": point_to.fn,
        "show_result": _nothing,
        "tell_errors_in_a_sentence": _nothing,
    }
    with (
        mock.patch.multiple(flows.round, **of_the_flow),
        mock.patch.object(stage.Stage, "__call__", _called),
        mock.patch.object(progress.Progress, "_draw", _nothing),
    ):
        yield


def _called(self: stage.Stage[Any], *args: Any, **kwargs: Any) -> Ref:
    """As its Prefect task does it."""
    given = self._given(*args, **kwargs)
    return self.run(given, Store.open(environment()), log)[0]


@contextmanager
def _recorded(title: Title) -> Iterator[RoundRun]:
    with tenant(environment()):
        yield RoundRun()


def _nothing(*_: object) -> None:
    pass
