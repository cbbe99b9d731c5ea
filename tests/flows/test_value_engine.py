"""A separate value model beside engines of the user's own needs an engine that the user names, too."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import flows.round
from flows.parameters import NAMES, chosen
from flows.round import cpl
from infra.engine import NoValueEngine, refuse_without_value_engine
from infra.environment import Environment

OURS, THEIRS = "http://127.0.0.1:1", "http://127.0.0.1:2"


class Begun(Exception):
    """The first stage was."""


@contextmanager
def recorded(title: Any) -> Iterator[Any]:
    yield SimpleNamespace(keep=None)


def begin(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, recipe: Any, value: Any = None, **engines: Any) -> None:
    """A round, up to its first stage."""
    here = Environment(home=tmp_path, **engines)

    def first_stage(*given: Any) -> None:
        raise Begun

    stand_ins = {
        "environment": lambda: here,
        "locate": lambda model: SimpleNamespace(digest=""),
        "open_round": lambda *given, **told: SimpleNamespace(round=1),
        "round_before": lambda title: value and SimpleNamespace(value=value),
        "recorded": recorded,
        "content_of": first_stage,
        "Store": SimpleNamespace(open=lambda here: None),
        "tell_errors_in_a_sentence": lambda: None,
    }
    for name, stand_in in stand_ins.items():
        monkeypatch.setattr(flows.round, name, stand_in)
    cpl.fn(recipe=recipe)


def test_it_is_refused_before_anything_runs_with_the_way_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(NoValueEngine, match=r"next\.value.*CPL_VALUE_ENGINE_URLS.*--set \"next\.value=\[\]\""):
        begin(monkeypatch, tmp_path, "cpl-paper", engine_urls=[OURS])


@pytest.mark.parametrize("name", NAMES)
def test_every_recipe_begins_where_its_engines_are_there(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for engines in ({}, {"engine_urls": [OURS], "value_engine_urls": [THEIRS]}):
        with pytest.raises(Begun):
            begin(monkeypatch, tmp_path, name, **engines)
    needs = bool(chosen(name, "micro").read().next.value)
    with pytest.raises(NoValueEngine if needs else Begun):
        begin(monkeypatch, tmp_path, name, engine_urls=[OURS])


def test_nor_does_a_round_that_the_one_before_gave_a_value_model(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its own recipe may train none; where V decides nothing, none is needed."""
    with pytest.raises(NoValueEngine):
        begin(monkeypatch, tmp_path, {"cpl-paper": {"next": {"value": []}}}, value="value", engine_urls=[OURS])
    with pytest.raises(Begun):
        begin(monkeypatch, tmp_path, {"cpl-paper": {"next": {"value": []}}}, engine_urls=[OURS])
    with pytest.raises(Begun):
        begin(monkeypatch, tmp_path, "rest-micro", value="value", engine_urls=[OURS])


def test_an_engine_is_missing_beside_engines_of_the_users_own_alone(tmp_path: Path) -> None:
    for ours, theirs in (([], []), ([], [THEIRS]), ([OURS], [THEIRS])):
        refuse_without_value_engine(Environment(home=tmp_path, engine_urls=ours, value_engine_urls=theirs))
