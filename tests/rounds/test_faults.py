"""What goes wrong in a round on the real stack: a kill, nothing right, bad input."""

import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import polars as pl
import psutil
import pytest

from infra.desk.run import nested
from tasks.micro.world import generate
from tasks.running.parts import opened
from tests.infra.stack.browser import Browser, browser
from tests.infra.stack.stacks import open_ui
from tests.shell import NO_ARM, SMALL, Shell, held_out

pytestmark = [pytest.mark.round, pytest.mark.timeout(900)]

T = TypeVar("T")
KILLED_OF = 24
"""Questions of the round that is killed."""


@pytest.fixture
def window(tmp_path: Path) -> Iterator[Browser]:
    with browser(tmp_path / "browser") as window:
        yield window


def test_a_killed_search_goes_on_where_it_was(shell: Shell, window: Browser) -> None:
    """SIGKILL of the flow's process in the middle of the search, then Retry in the UI, by a browser.

    Asked to wait for approval, it waits when all is searched, and Resume lets it go on.
    """
    store = shell.store()
    before = set(store.names("stages/search/"))
    (run,) = re.findall(r"flow-run/([0-9a-f-]{36})", _started(shell, "killed"))
    (process,) = _wait_for(_worker(shell).children, bool, every=0.1)
    kept = _wait_for(lambda: [name for name in store.names("stages/search/") if "/parts/" in name], bool, every=0.1)
    process.kill()
    bundles = [pl.read_ipc(store.get(name)) for name in kept]
    finished = pl.concat([opened(part, ["trees"]) for bundle in bundles for part in bundle["part"]])
    crashed = _ended(shell, run)
    assert crashed.startswith("CRASHED")
    assert (
        not set(store.names("stages/search/")) - before - {n for n in store.names("stages/search/") if "/parts/" in n}
    )

    # The worker reports one crash twice, before and after it runs hooks, a process of its own. A retry between the two
    # would be undone by the second.
    time.sleep(2)
    _wait_for(_worker(shell).children, lambda hooks: not hooks)
    assert _retried(shell, window, run).startswith("PAUSED")
    _wait_for(_worker(shell).children, lambda running: not running)
    assert "it waits for somebody" in shell.run("cpl", "show", "1", "--campaign", "killed")
    shown = shell.api("/artifacts/filter", artifacts={"flow_run_id": {"any_": [run]}, "key": {"any_": ["approval"]}})
    assert re.search(r"## pairs: \d+ preferences", shown[0]["data"])
    _pressed(shell, window, run, "Resume", "Submit")
    assert _ended(shell, run).startswith("COMPLETED")
    open_ui(window, shell.home, f"/runs/flow-run/{run}")
    window.grow(1400, 2000)
    window.click("Task Runs")
    window.until(r"/[a-z]-\w+\s+Cached\s/.test(document.body.innerText)")
    window.leave()

    running = {"flow_runs": {"id": {"any_": [run]}}, "task_runs": {"state": {"type": {"any_": ["RUNNING", "PENDING"]}}}}
    # A killed process's tasks do not run for ever; those of one that goes on beside the retry end with it.
    _wait_for(lambda: shell.api("/task_runs/filter", **running), lambda found: not found, seconds=120)

    trees = pl.DataFrame(shell.sql("select tree_id, expansions, service_seconds from trees", "killed"))
    assert trees.height == trees["tree_id"].n_unique() == 2 * KILLED_OF - held_out(shell, "killed")
    before_the_kill = finished.explode("trees").unnest("trees").select(trees.columns)
    searched = {row["tree_id"]: row["service_seconds"] for row in trees.to_dicts()}
    assert {row["tree_id"]: row["service_seconds"] for row in before_the_kill.to_dicts()}.items() <= searched.items()
    duplicates = shell.sql("select pair_id from preferences group by all having count(*) > 1", "killed")
    assert duplicates == []


def _state(shell: Shell, run: str) -> str:
    now = shell.api(f"/flow_runs/{run}")["state"]
    return f"{now['type']}: {now['message']}"


def _started(shell: Shell, campaign: str) -> str:
    """Starts a round without following it; what `prefect deployment run` printed.

    Its trees are wide and deep and none is skipped, so that there is a middle.
    """
    deep = {"simulations": 12, "root_children": 10, "children": 8, "budget_by": ""}
    recipe = nested(
        SMALL
        | NO_ARM
        | {"questions.count": KILLED_OF, "evaluation.benchmarks": ["micro/test"], "evaluation.count": 4}
        | {f"evidence.trees.{name}": value for name, value in deep.items()}
    )
    parameters = {"campaign": campaign, "recipe": {"by model": recipe}, "approve": True}
    words = [word for name, value in parameters.items() for word in ("-p", f"{name}={json.dumps(value)}")]
    return shell.run("prefect", "deployment", "run", "cpl/round", *words)


def _wait_for(look: Callable[[], T], is_enough: Callable[[T], bool], seconds: float = 400, every: float = 1.0) -> T:
    deadline = time.monotonic() + seconds
    while not is_enough(found := look()):
        assert time.monotonic() < deadline, f"waited {seconds} s in vain, saw {found} last"
        time.sleep(every)
    return found


def _ended(shell: Shell, run: str) -> str:
    """The state in which a flow run stays, once it does, and its message."""

    ends = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED", "PAUSED")
    return _wait_for(lambda: _state(shell, run), lambda state: state.startswith(ends))


def _retried(shell: Shell, window: Browser, run: str) -> str:
    _pressed(shell, window, run, "Retry", "Retry")
    return _ended(shell, run)


def _pressed(shell: Shell, window: Browser, run: str, button: str, yes: str) -> None:
    """On the page of the run, and `yes` in the dialog that asks whether it is meant."""
    before = shell.api(f"/flow_runs/{run}")["state"]["id"]
    open_ui(window, shell.home, f"/runs/flow-run/{run}")
    window.click(button)
    window.click(yes, behind=int(yes == button))
    _wait_for(lambda: shell.api(f"/flow_runs/{run}")["state"]["id"], lambda now: now != before)
    window.leave()


def _worker(shell: Shell) -> psutil.Process:
    """The stack's own worker: its child is the process of the flow."""
    parts = json.loads(shell.run("cpl", "status", "--json"))["parts"]
    (pid,) = [part["pid"] for part in parts if part["name"] == "worker"]
    return psutil.Process(pid)


def test_without_a_right_path_the_policy_stays_and_the_value_is_trained(shell: Shell, tmp_path: Path) -> None:
    rows = [{"question": one.question, "answer": "no number at all"} for one in generate("train", 6, seed=1)]
    mine = tmp_path / "unanswerable.jsonl"
    mine.write_text("".join(json.dumps(row) + "\n" for row in rows))
    shell.round("unsolved", "--train-apart", questions__source=str(mine), questions__count=6)
    summary = shell.show("unsolved")
    assert any(note.startswith("sft was not trained: paths") for note in summary["notes"])
    assert any(note.startswith("step_apo was not trained: pairs") for note in summary["notes"])
    assert {row["model"] for row in summary["evaluations"]} == {"base"}
    models = shell.sql("select model, uri from models", "unsolved")
    assert {row["model"] for row in models} == {"base", "value"}
    assert summary["counts"]["trees"] == 12 - held_out(shell, "unsolved")
    assert summary["counts"]["preferences"] == 0
    apart = shell.api("/flow_runs/filter", deployments={"name": {"any_": ["training"]}})
    assert [(one["name"], one["state_type"]) for one in apart] == [("learn value", "COMPLETED")]


def test_bad_input_is_named_before_anything_is_spent(shell: Shell) -> None:
    assert "nowhere.jsonl" in shell.round("wrong", succeeds=False, evaluation__benchmarks=["nowhere.jsonl"])


def test_an_unknown_recipe_and_a_model_that_is_none_are_named(shell: Shell) -> None:
    assert "no-such-recipe" in shell.run("cpl", "round", "--recipe", "no-such-recipe", succeeds=False)
    assert "no-such-model" in shell.run("cpl", "round", "--model", "no-such-model", succeeds=False)
