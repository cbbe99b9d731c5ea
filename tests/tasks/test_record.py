"""The record of a run: what it says, and that a store that is down hides neither an error nor a published round."""

import json
import logging

import pytest

from infra.s3 import StoreDown
from infra.store import Store
from tasks.record import recorded
from tests.stages import commit

pytestmark = pytest.mark.integration


def test_a_failed_run_says_what_it_did_and_why_it_failed(store: Store) -> None:
    def run() -> None:
        with recorded("demo", 1) as (stages, notes):
            stages["questions"] = commit(store, "questions", "k")
            notes.append("Few questions.")
            raise ValueError("no such recipe")

    with pytest.raises(ValueError, match="no such recipe"):
        run()
    record = json.loads(store.get("runs/latest/demo/0001.json"))
    assert (record["state"], record["error"]) == ("failed", "ValueError: no such recipe")
    assert [stage["step"] for stage in record["stages"]] == ["questions"]
    assert record["notes"] == ["Few questions."]


def test_with_the_store_down_the_real_error_is_raised(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def run() -> None:
        with recorded("demo", 1):
            _down(store, monkeypatch)
            raise ValueError("the real one")

    with pytest.raises(ValueError, match="the real one"):
        run()


def test_with_the_store_down_a_published_round_stays_one(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    logger = logging.getLogger("prefect.flow_runs")
    monkeypatch.setattr(logger, "handlers", [caplog.handler])  # not Prefect's server
    with recorded("demo", 1) as (stages, _):
        stages["questions"] = commit(store, "questions", "k")
        _down(store, monkeypatch)
    assert "was not recorded" in caplog.text


def _down(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> None:
        raise StoreDown("cannot be reached")

    for method in ("put", "get", "read"):
        monkeypatch.setattr(store, method, away)
