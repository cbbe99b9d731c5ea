"""A round whose trainings do not fit is refused before it searches."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import flows.round
from flows.round import cpl
from infra.environment import Environment
from infra.store import Ref
from tasks.running.memory import Machine, TooLarge
from tasks.running.record import RoundRun

BASE = Ref(
    uri="s3://cpl/base/manifest.json", sha256="0" * 64, rows=0, counts={"parameters": 10**9, "head": 10**7}, notes=()
)


class Searches(Exception):
    """It does."""


@contextmanager
def recorded(title: Any) -> Iterator[RoundRun]:
    yield RoundRun()


def search(*given: Any) -> None:
    raise Searches


@pytest.mark.parametrize(("gigabytes", "then"), [(8, TooLarge), (32, Searches)])
def test_before_it_searches(
    gigabytes: int, then: type[Exception], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """1e9 parameters on a CPU: 16 GB."""
    stand_ins = {
        "environment": lambda: Environment(home=tmp_path),
        "locate": lambda model: SimpleNamespace(digest="", in_style=lambda style: ()),
        "open_round": lambda *given, **told: SimpleNamespace(round=1),
        "round_before": lambda title: None,
        "recorded": recorded,
        "content_of": lambda *given: "",
        "load_benchmarks": lambda *given: BASE,
        "sample_questions": lambda *given: BASE,
        "refuse_overlaps": lambda *given: None,
        "prepare_model": lambda *given: BASE,
        "find_contamination": lambda *given: BASE,
        "refuse_contaminated": lambda *given: None,
        "compare_lengths": lambda *given: BASE,
        "search": search,
        "Store": SimpleNamespace(open=lambda here: None),
        "tell_errors_in_a_sentence": lambda: None,
    }
    for name, stand_in in stand_ins.items():
        monkeypatch.setattr(flows.round, name, stand_in)
    monkeypatch.setattr(Machine, "here", lambda: Machine((), None, gigabytes * 10**9))
    with pytest.raises(then):
        cpl.fn(recipe="cpl-micro")
