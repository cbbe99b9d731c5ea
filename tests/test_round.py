"""A user's first hour, on the real stack: a round, the same again, another setting, and a run that is killed."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import polars as pl
import psutil
import pytest

from infra.desk.run import nested
from infra.environment import Environment, stack_variables
from infra.stack import api
from infra.store import Store

pytestmark = [pytest.mark.round, pytest.mark.timeout(900)]

T = TypeVar("T")

ROOT = Path(__file__).parent.parent
SMALL = {
    "questions.count": 40,
    "evidence.trees.simulations": 8,
    "evidence.tries.root_children": 2,
    "evidence.tries.trials": 2,
    "evaluation.count": 30,
    "evaluation.out_of_domain_count": 10,
    "arms.sft.epochs": 1,
    "arms.value.epochs": 1,
    "arms.step_dpo.epochs": 1,
    "arms.step_apo.epochs": 1,
}
ONE_ARM = {"without": ["sft_more", "step_dpo"]}
"""For rounds whose arms are not what is looked at."""


class Shell:
    """`cpl` and `prefect` as a user types them, in the repository and with a home of the test's own."""

    def __init__(self, home: Path) -> None:
        not_ours = ("PREFECT_", "AWS_", "CPL_STORE")  # a store of the developer's is not written to
        kept = {name: text for name, text in os.environ.items() if not name.startswith(not_ours)}
        self.environment = kept | {"CPL_HOME": str(home)}
        self.home = home

    def run(self, *words: str, succeeds: bool = True) -> str:
        program = Path(sys.executable).parent / words[0]
        done = subprocess.run(
            [str(program), *words[1:]], cwd=ROOT, env=self.environment, capture_output=True, text=True, check=False
        )
        assert (done.returncode == 0) is succeeds, done.stdout + done.stderr
        return done.stdout + done.stderr

    def round(self, campaign: str, succeeds: bool = True, shards: int = 1, **changed: Any) -> str:
        fields = SMALL | {name.replace("__", "."): value for name, value in changed.items()}
        words = [word for name, value in fields.items() for word in ("--set", f"{name}={json.dumps(value)}")]
        words += ["--round", "1", "--shards", str(shards)]
        return self.run("cpl", "round", "--campaign", campaign, *words, succeeds=succeeds)

    def show(self, campaign: str, round: int = 1) -> dict[str, Any]:
        summary: dict[str, Any] = json.loads(self.run("cpl", "show", str(round), "--campaign", campaign, "--json"))
        return summary

    def sql(self, query: str, campaign: str, round: int = 1) -> list[dict[str, Any]]:
        of_round = ("--campaign", campaign, "--round", str(round))
        rows: list[dict[str, Any]] = json.loads(self.run("cpl", "sql", query, *of_round, "--json"))
        return rows

    def store(self) -> Store:
        """The stack's store, without reading this process's environment."""
        os.environ.update(stack_variables(self.home))
        return Store.open(Environment(home=self.home, store="s3://cpl"))

    def api(self, path: str, **document: Any) -> Any:
        return api.ask(self.home, "POST", path, document) if document else api.ask(self.home, "GET", path)


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    if not Environment().engine_python.exists():
        pytest.fail(f"no engine environment at {Environment().engine_python}: `make install` makes it")
    shell = Shell(tmp_path_factory.mktemp("round") / "home")
    before = dict(os.environ)
    shell.run("cpl", "up")
    yield shell
    shell.run("cpl", "down")
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="module")
def first(shell: Shell) -> dict[str, Any]:
    """The summary of round 1 of the campaign `first`, when nothing of it was in the cache but what all rounds share."""
    shell.round("first")
    return shell.show("first")


def cached(summary: dict[str, Any]) -> dict[str, bool]:
    return {stage["stage"]: stage["cached"] for stage in summary["stages"]}


def held_out(shell: Shell, campaign: str) -> int:
    (count,) = shell.sql("select count(*) as n from questions where is_held_out", campaign)
    return int(count["n"])


def test_a_round_is_published_and_can_be_asked(shell: Shell, first: dict[str, Any]) -> None:
    summary = first
    assert (summary["round"], summary["state"]) == (1, "completed")
    assert not cached(summary)["warehouse"]
    assert {row["model"] for row in summary["evaluations"]} == {"base", "sft", "sft_more", "step_dpo", "step_apo"}
    assert {row["split"] for row in summary["evaluations"]} == {"in_domain", "out_of_domain"}
    assert all(row["n"] in (30, 10) and 0 <= row["accuracy"] <= 1 for row in summary["evaluations"])
    counted = shell.sql("select count(*) as n from trees", "first")
    assert counted == [{"n": 80 - held_out(shell, "first")}], "two searches, one of them of what is learnt from"
    assert summary["counts"]["preferences"] > 0
    parents = shell.sql("select model, parent from models", "first")
    assert {row["model"]: row["parent"] for row in parents} == {
        "base": None,
        "sft": "base",
        "value": "base",
        "step_apo": "sft",
        "step_dpo": "sft",
        "sft_more": "sft",
    }
    assert {row["model"] for row in shell.sql("select model from value_rankings", "first")} == {"value"}


def test_the_same_again_does_nothing_and_publishes_nothing_new(shell: Shell, first: dict[str, Any]) -> None:
    store = shell.store()
    published = store.names("stages/publish/")
    shell.round("first")
    assert all(cached(shell.show("first")).values())
    assert store.names("stages/publish/") == published


def test_a_search_setting_redoes_the_search_and_what_follows(shell: Shell, first: dict[str, Any]) -> None:
    """On two shards, which one machine searches in turn while the round waits for both."""
    shell.round("narrower", evidence__trees__c_puct=1.0, shards=2, without=ONE_ARM["without"])
    done_before = cached(shell.show("narrower"))
    assert done_before["tries"]
    assert done_before["questions"]
    assert done_before["evaluate_base"]
    assert not any(done_before[step] for step in ("trees", "pairs", "sft", "step_apo", "warehouse"))


def test_a_killed_search_goes_on_where_it_was(shell: Shell) -> None:
    """SIGKILL of the flow's process in the middle of the search, then the UI's retry of the same flow run."""
    store = shell.store()
    before = set(store.names("stages/search/"))
    (run,) = re.findall(r"flow-run/([0-9a-f-]{36})", _started(shell, "killed"))
    (process,) = _wait_for(_worker(shell).children, bool)
    kept = _wait_for(lambda: [name for name in store.names("stages/search/") if "/parts/" in name], bool)
    process.kill()
    bundles = [pl.read_ipc(store.get(name)) for name in kept]
    finished = pl.concat([pl.read_ipc(part, columns=["trees"]) for bundle in bundles for part in bundle["part"]])
    crashed = _ended(shell, run)
    assert crashed.startswith("CRASHED")
    assert (
        not set(store.names("stages/search/")) - before - {n for n in store.names("stages/search/") if "/parts/" in n}
    )

    ended = _retried(shell, run)
    if ended.startswith("CRASHED: Flow run infrastructure exited"):
        # The worker's second report of the same crash, seconds after the first, came after the retry and undid it.
        # A process that the retry had begun by then goes on, and takes turns with this one's.
        ended = _retried(shell, run)
    assert ended.startswith("COMPLETED")

    running = {"flow_runs": {"id": {"any_": [run]}}, "task_runs": {"state": {"type": {"any_": ["RUNNING", "PENDING"]}}}}
    # A killed process's tasks do not run for ever; those of one that goes on beside the retry end with it.
    _wait_for(lambda: shell.api("/task_runs/filter", **running), lambda found: not found, seconds=120)

    trees = pl.DataFrame(shell.sql("select tree_id, expansions, service_seconds from trees", "killed"))
    assert trees.height == trees["tree_id"].n_unique() == 80 - held_out(shell, "killed")
    before_the_kill = finished.explode("trees").unnest("trees").select(trees.columns)
    searched = {row["tree_id"]: row["service_seconds"] for row in trees.to_dicts()}
    assert {row["tree_id"]: row["service_seconds"] for row in before_the_kill.to_dicts()}.items() <= searched.items()
    duplicates = shell.sql("select pair_id from preferences group by all having count(*) > 1", "killed")
    assert duplicates == []


def _started(shell: Shell, campaign: str) -> str:
    """Starts a round without following it; what `prefect deployment run` printed.

    Its trees are wide and deep and none is skipped, so that there is a middle.
    """
    deep = {"simulations": 60, "root_children": 10, "children": 8, "budget_by": ""}
    recipe = nested(SMALL | ONE_ARM | {f"evidence.trees.{name}": value for name, value in deep.items()})
    parameters = {"campaign": campaign, "recipe": {"by model": recipe}}
    words = [word for name, value in parameters.items() for word in ("-p", f"{name}={json.dumps(value)}")]
    return shell.run("prefect", "deployment", "run", "cpl/round", *words)


def _wait_for(look: Callable[[], T], is_enough: Callable[[T], bool], seconds: float = 400) -> T:
    deadline = time.monotonic() + seconds
    while not is_enough(found := look()):
        assert time.monotonic() < deadline, f"waited {seconds} s in vain, saw {found} last"
        time.sleep(0.1)
    return found


def _ended(shell: Shell, run: str) -> str:
    """The final state of a flow run, once it has one, and its message."""

    def state() -> str:
        now = shell.api(f"/flow_runs/{run}")["state"]
        return f"{now['type']}: {now['message']}"

    return _wait_for(state, lambda state: state.startswith(("COMPLETED", "FAILED", "CRASHED", "CANCELLED")))


def _retried(shell: Shell, run: str) -> str:
    retry = {"type": "SCHEDULED", "name": "AwaitingRetry", "message": "Retry from the UI"}
    shell.api(f"/flow_runs/{run}/set_state", state=retry, force=True)
    return _ended(shell, run)


def _worker(shell: Shell) -> psutil.Process:
    """The stack's own worker: its child is the process of the flow."""
    parts = json.loads(shell.run("cpl", "status", "--json"))["parts"]
    (pid,) = [part["pid"] for part in parts if part["name"] == "worker"]
    return psutil.Process(pid)


def test_a_model_that_training_did_not_change_is_said_to_be_so_and_not_evaluated(shell: Shell) -> None:
    """At a rate below what float32 can add to a weight, beside arms that are trained."""
    shell.round("still", arms__step_dpo__learning_rate=1e-30)
    summary = shell.show("still")
    assert {row["model"] for row in summary["evaluations"]} == {"base", "sft", "sft_more", "step_apo"}
    assert [note for note in summary["notes"] if note.startswith("step_dpo: ") and "same as sft" in note]


def test_without_a_right_path_the_policy_stays_and_the_value_is_trained(
    shell: Shell, first: dict[str, Any], tmp_path: Path
) -> None:
    asked = shell.sql("select question from questions limit 6", "first")
    rows = [{"question": row["question"], "answer": "no number at all"} for row in asked]
    mine = tmp_path / "unanswerable.jsonl"
    mine.write_text("".join(json.dumps(row) + "\n" for row in rows))
    shell.round("unsolved", questions__source=str(mine), questions__count=6)
    summary = shell.show("unsolved")
    assert any(note.startswith("sft was not trained: paths") for note in summary["notes"])
    assert any(note.startswith("step_apo was not trained: pairs") for note in summary["notes"])
    assert {row["model"] for row in summary["evaluations"]} == {"base"}
    models = shell.sql("select model, uri from models", "unsolved")
    assert {row["model"] for row in models} == {"base", "value"}
    assert summary["counts"]["trees"] == 12 - held_out(shell, "unsolved")
    assert summary["counts"]["preferences"] == 0


def test_a_campaign_chains_its_rounds_and_finds_the_first_one_done(shell: Shell, first: dict[str, Any]) -> None:
    """Two rounds in one flow run. All of the first was done before: with one arm it has fewer models in its tables."""
    fields = {"campaign": "chained", "rounds": 2, "recipe": {"by model": nested(SMALL | ONE_ARM)}}
    words = [word for name, value in fields.items() for word in ("-p", f"{name}={json.dumps(value)}")]
    shell.run("prefect", "deployment", "run", "cpl-campaign/campaign", "--watch", *words)
    summary = shell.show("chained", round=2)
    assert (summary["round"], summary["state"]) == (2, "completed")
    searched = "select round, count(*) as trees from trees where evidence = 'trees' group by round order by round"
    rounds = shell.sql(searched, "chained", round=2)
    assert rounds == [{"round": 1, "trees": 40}, {"round": 2, "trees": 40}]
    assert summary["evaluations"]
    asked = {row["stage"]: row for row in shell.sql("select * from engine_use where round = 2", "chained", round=2)}
    assert asked["trees_value"]["generated_tokens"] > 0  # the value model of round 1 judged the steps of round 2
    spread = "select stddev(value) as spread from nodes where round = 2 and tree_id like 'trees/%'"
    judged = shell.sql(spread, "chained", round=2)
    assert judged[0]["spread"] > 0
    again = cached(shell.show("chained"))
    assert [stage for stage, is_found in again.items() if not is_found] == ["warehouse"]


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"questions__source": "no/such/file.jsonl"}, "no/such/file.jsonl"),
        ({"evaluation__benchmarks": ["nowhere.jsonl"]}, "nowhere.jsonl"),
        ({"evidence__trees__simulations": 0}, "evidence.trees.simulations"),
        ({"arms__step_apo__start": "sftt"}, "'sftt' is no model above it"),
        ({"reapeat": 1}, "reapeat"),
    ],
)
def test_bad_input_is_named_before_anything_is_spent(shell: Shell, wrong: dict[str, Any], named: str) -> None:
    assert named in shell.round("wrong", succeeds=False, **wrong)


def test_an_unknown_recipe_and_a_model_that_is_none_are_named(shell: Shell) -> None:
    assert "no-such-recipe" in shell.run("cpl", "round", "--recipe", "no-such-recipe", succeeds=False)
    assert "no-such-model" in shell.run("cpl", "round", "--model", "no-such-model", succeeds=False)
