"""`cpl trace`: a round over time, by the rules of Chrome's trace-event format and the times of its manifests."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from infra.desk import trace as subject
from infra.desk.trace import document
from infra.store import Manifest, Ref, Store
from tests.infra.desk.test_ask import publish
from tests.stages import manifest

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
ENGINE = {
    "at": [3.0, 5.0, 9.0],
    "requests": [0.0, 10.0, 30.0],
    "generated_tokens": [0.0, 400.0, 1000.0],
    "sequence_seconds": [0.0, 16.0, 40.0],
    "busy_seconds": [0.0, 1.0, 5.0],
    "waiting": [0.0, 7.0, 0.0],
}
REQUIRED = {
    "M": {"ph", "name", "pid", "tid", "args"},
    "X": {"ph", "name", "cat", "pid", "tid", "ts", "dur", "args"},
    "C": {"ph", "name", "pid", "tid", "ts", "args"},
    "s": {"ph", "name", "cat", "id", "pid", "tid", "ts"},
    "f": {"ph", "name", "cat", "id", "pid", "tid", "ts", "bp"},
}
"""Fields that each phase needs (Trace Event Format, "Event Descriptions")."""


def stage(
    name: str, begun: float, seconds: float, run: str = "one", inputs: dict[str, Ref] | None = None, **fields: Any
) -> tuple[Ref, Manifest]:
    """One that was made `begun` seconds after noon."""
    ended = NOON + timedelta(seconds=begun + seconds)
    made = manifest(name, name, [], created_at=ended, seconds=seconds, run_id=run, inputs=inputs or {}, **fields)
    return Ref(uri=f"s3://cpl/{made.prefix}/manifest.json", sha256="0" * 64, rows=5), made


def slices(told: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [event for event in told["traceEvents"] if event["ph"] == "X" and event["cat"] == kind]


def counted(told: dict[str, Any], name: str) -> dict[float, float]:
    """A counter's values by their moments (s)."""
    return {round(one["ts"] / 1e6, 6): one["args"]["value"] for one in told["traceEvents"] if one["name"] == name}


def refuse_malformed(told: dict[str, Any]) -> None:
    """What Perfetto's importer would count as an error."""
    told = json.loads(json.dumps(told, allow_nan=False))
    assert told["displayTimeUnit"] == "ms"
    for event in told["traceEvents"]:
        assert event.keys() == REQUIRED[event["ph"]], event
        assert all(event.get(number, 0) >= 0 for number in ("ts", "dur")), event
        assert isinstance(event["args"]["value"], float | int) if event["ph"] == "C" else True
    by_thread: dict[tuple[int, int], list[dict[str, Any]]] = {}
    for event in told["traceEvents"]:
        if event["ph"] == "X":
            by_thread.setdefault((event["pid"], event["tid"]), []).append(event)
    for events in by_thread.values():  # slices of a thread nest
        for one in events:
            for other in events:
                apart = one["ts"] + one["dur"] <= other["ts"] or other["ts"] + other["dur"] <= one["ts"]
                outer, inner = sorted((one, other), key=lambda event: -event["dur"])
                within = outer["ts"] <= inner["ts"] and inner["ts"] + inner["dur"] <= outer["ts"] + outer["dur"]
                assert apart or within, (one, other)
    ids = {phase: [one["id"] for one in told["traceEvents"] if one["ph"] == phase] for phase in "sf"}
    assert ids["s"] == ids["f"] == list(range(1, len(ids["s"]) + 1))


@pytest.fixture
def stages() -> dict[str, tuple[Ref, Manifest]]:
    """A base model of the day before, a search, and two trainings side by side after a pause."""
    base = stage("base", -86_400, 5, run="before")
    trees = stage(
        "trees",
        0,
        10,
        inputs={"policy": base[0]},
        timeline={"engine": ENGINE, "parts": {"at": [3.0, 9.0], "done": [1.0, 4.0]}},
    )
    updates = {"at": [2.0, 4.0], "done": [1.0, 2.0], "loss": [0.7, 0.5]}
    sft = stage("sft", 12, 6, inputs={"start": base[0], "lesson": trees[0]}, timeline={"updates": updates})
    value = stage("value", 13, 8, inputs={"lesson": trees[0]})
    return {"trees": trees, "sft": sft, "value": value, "base": base}


def test_stages_lie_where_their_manifests_say_and_pauses_between_them(
    stages: dict[str, tuple[Ref, Manifest]],
) -> None:
    told = document(stages)
    refuse_malformed(told)
    found = {one["name"]: one for one in slices(told, "stage")}
    assert found.keys() == stages.keys()
    for name, (_, made) in stages.items():
        assert found[name]["dur"] == pytest.approx(1e6 * made.seconds)
        assert datetime.fromisoformat(found[name]["args"]["created at"]) == made.created_at
    begun = {name: one["ts"] / 1e6 for name, one in found.items()}
    assert begun == pytest.approx({"base": 0, "trees": 5, "sft": 17, "value": 18}), (
        "the day between two runs is left out"
    )
    assert found["base"]["pid"] != found["trees"]["pid"] == found["sft"]["pid"]
    assert found["sft"]["args"]["made of"] == {"start": "base", "lesson": "trees"}
    pauses = [(one["ts"] / 1e6, one["dur"] / 1e6) for one in slices(told, "wait") if one["name"] == "no stage at work"]
    assert pauses == [pytest.approx((15, 2))]
    assert len([one for one in told["traceEvents"] if one["ph"] == "s"]) == 4


def test_trainings_in_runs_of_their_own_lie_when_they_ran() -> None:
    """A run of its own that begins after another has ended waits for nobody: the round's own is still at work."""
    trees = stage("trees", 0, 50)
    sft = stage("sft", 50, 10, run="first training")
    scored = stage("evaluate_base", 60, 29)
    apo = stage("step_apo", 90, 10, run="second training")
    last = stage("evaluate_step_apo", 100, 5)
    told = document({"trees": trees, "sft": sft, "evaluate_base": scored, "step_apo": apo, "evaluate_step_apo": last})
    begun = {one["name"]: one["ts"] / 1e6 for one in slices(told, "stage")}
    assert begun == {"trees": 0, "sft": 50, "evaluate_base": 60, "step_apo": 90, "evaluate_step_apo": 100}


def test_engine_trees_and_updates_go_on_over_time(stages: dict[str, tuple[Ref, Manifest]]) -> None:
    told = document(stages)
    assert counted(told, "trees: engine, tokens a second") == pytest.approx({8: 200, 10: 150, 14: 0})
    assert counted(told, "trees: engine, sequences in the engine") == pytest.approx({8: 8, 10: 6, 14: 0})
    assert counted(told, "trees: engine, requests waiting") == pytest.approx({8: 0, 10: 7, 14: 0})
    assert counted(told, "trees: parts done") == pytest.approx({8: 1, 14: 4})
    assert counted(told, "sft: updates loss") == pytest.approx({19: 0.7, 21: 0.5})
    (waits,) = [one for one in slices(told, "wait") if one["name"] == "until the engine serves"]
    assert (waits["ts"], waits["dur"]) == pytest.approx((5e6, 3e6))


@pytest.mark.integration
def test_the_command_prints_it(store: Store, tmp_path: Path) -> None:
    publish(store, tmp_path, "demo", 1)
    cli = typer.Typer()
    cli.command()(subject.trace)
    result = CliRunner().invoke(cli, ["1", "--campaign", "demo"])
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    refuse_malformed(told)
    assert {one["name"] for one in slices(told, "stage")} == {"search", "warehouse", "publish"}
