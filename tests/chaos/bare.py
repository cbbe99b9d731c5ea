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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import flows.round
from infra.engine import tenant
from infra.environment import environment
from infra.store import Ref, Store
from infra.store.rounds import Title
from tasks.running import progress, stage
from tasks.running.record import RoundRun
from tasks.stages.publish import point_to

WITHOUT = {
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
    for name in ("recorded", "point_to", "show_result", "tell_errors_in_a_sentence"):
        setattr(flows.round, name, globals()[f"_{name}"])
    stage.Stage.__call__ = _called  # type: ignore[method-assign]
    progress.Progress._draw = lambda self, done, said: None  # type: ignore[method-assign]
    try:
        flows.round.cpl.fn(**parameters)
    except Exception as problem:
        traceback.print_exc()
        print(f"FAILED: {type(problem).__name__}: {problem}", file=sys.stderr, flush=True)
        sys.stderr.flush()
        os._exit(1)
    os._exit(0)


def _called(self: stage.Stage[Any], *args: Any, **kwargs: Any) -> Ref:
    """As its Prefect task does it."""
    given = self._given(*args, **kwargs)
    return self.run(given, Store.open(environment()), log)[0]


@contextmanager
def _recorded(title: Title) -> Iterator[RoundRun]:
    with tenant(environment()):
        yield RoundRun()


_point_to: Callable[[Title, Ref], None] = point_to.fn


def _show_result(title: Title) -> None:
    pass


def _tell_errors_in_a_sentence() -> None:
    pass
