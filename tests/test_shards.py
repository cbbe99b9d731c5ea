"""A search in shards on the real stack: two homes, a machine that is lost, a round that is interrupted or cancelled.

Where there is a Postgres, it is the server's database, as it is to be with more workers than the stack's own.
"""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, TypeVar

import polars as pl
import pytest

from infra.engine import stop_local_engines
from infra.environment import Environment, stack_variables
from infra.stack import api
from infra.stack.local import WORKER, Stack
from infra.stack.process import Daemon
from infra.store import Store
from infra.store.s3 import StoreError
from tasks.running.parts import opened
from tasks.stages.search_in_shards import share
from tests.servers import SECRET, start_postgres

pytestmark = [pytest.mark.round, pytest.mark.timeout(600)]

ROOT = Path(__file__).parent.parent
COUNT = 30
T = TypeVar("T")

ROUND = """
import sys
from prefect import flow
from infra.engine import tenant
from infra.environment import environment
from tasks.stages.model import locate, prepare_model
from tasks.questions import content_of
from tasks.stages.questions import sample_questions
from tasks.settings import Questions, Search
from tasks.stages.search_in_shards import search_in_shards

@flow(name="search-alone")
def search_alone(count: int, shards: int, policy: str, search: Search):
    with tenant(environment()):
        questions = sample_questions(1, {"micro": content_of("micro")}, Questions(count=count))
        model = questions if policy == "none" else prepare_model(*locate(policy))
        return search_in_shards(questions, model, "trees", search, None, None, None, shards)

search_alone(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], Search.model_validate_json(sys.argv[4]))
"""
"""What a round does up to a search whose budgets no other search sets."""


class Site:
    """A running stack, and a second machine: a worker of a home of its own, told where server and store are."""

    def __init__(self, folder: Path) -> None:
        self.stack = Stack(folder / "home", ROOT)
        self.stack.up(print)
        self.environment = self.stack.environment() | stack_variables(self.stack.home)
        self.homes = [self.stack.home, folder / "second"]
        self.second_worker = Daemon("second", folder)
        os.environ.update({name: text for name, text in self.environment.items() if name.startswith("AWS_")})
        self.store = Store.open(Environment(home=self.stack.home))

    def start_second_worker(self) -> None:
        command = "worker start --pool cpl --type process --work-queue shards --limit 1 --name second"
        environment = self.environment | {"CPL_HOME": str(self.homes[1])}
        self.second_worker.start([sys.executable, "-m", "prefect", *command.split()], environment, ROOT)

    def start_round(self, log: Path, shards: int, policy: str = "micro", **search: Any) -> subprocess.Popen[bytes]:
        settings = json.dumps({"max_step_tokens": 96} | search)
        with log.open("wb") as output:
            return subprocess.Popen(
                [sys.executable, "-c", ROUND, str(COUNT), str(shards), policy, settings],
                env=self.environment | {"PYTHONPATH": str(ROOT)},
                cwd=ROOT,
                stdout=output,
                stderr=output,
            )

    def shards(self) -> list[dict[str, Any]]:
        """The runs of the deployment, as the API tells of them."""
        runs: list[dict[str, Any]] = self.api("/flow_runs/filter", deployments={"name": {"any_": ["shard"]}})
        return runs

    def api(self, path: str, **document: Any) -> Any:
        return api.ask(self.stack.home, "POST", path, document)

    def set_state(self, flow_run_id: str, state: str, message: str) -> None:
        self.api(f"/flow_runs/{flow_run_id}/set_state", state={"type": state, "message": message}, force=True)

    def parts(self, asked: set[str]) -> dict[str, bytes]:
        """The finished trees of these questions that are kept for a retry, by question."""
        names = [name for name in self.store.names("stages/search/") if "/parts/" in name]
        kept: dict[str, bytes] = {}
        for name in names:
            with suppress(StoreError):  # a shard that was finished meanwhile needs its parts no more
                kept |= dict(pl.read_ipc(self.store.get(name)).iter_rows())
        return {question: part for question, part in kept.items() if question in asked}

    def table(self, stage: str, table: str) -> pl.DataFrame:
        """A table of the stage of that name that was committed last."""
        prefixes = [name.removesuffix("/manifest.json") for name in self.store.names(f"stages/{stage}/")]
        refs = [ref for prefix in prefixes if "/parts/" not in prefix and (ref := self.store.find(prefix))]
        newest = max(refs, key=lambda ref: self.store.manifest(ref).created_at)
        return pl.read_parquet(self.store.fetch(newest, f"{table}.parquet"))

    def close(self) -> None:
        self.second_worker.end()
        for home in self.homes:
            stop_local_engines(Environment(home=home))
        self.stack.down(print)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    if not Environment().engine_python.exists():
        pytest.fail(f"no engine environment at {Environment().engine_python}: `make install` makes it")
    with ExitStack() as until_the_end, pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("PREFECT_", "AWS_", "CPL_"))]:
            patch.delenv(name)
        patch.setenv("PREFECT_SERVER_SERVICES_CANCELLATION_CLEANUP_LOOP_SECONDS", "2")
        folder = tmp_path_factory.mktemp("shards")
        database = until_the_end.enter_context(start_postgres(folder / "database"))
        for name, text in database.items():
            patch.setenv(name, text)
        patch.setenv("CPL_HOME", str(folder / "home"))
        before = dict(os.environ)
        site = Site(folder)
        assert bool(database) != (folder / "home/prefect/prefect.db").exists()
        for name in database:
            patch.delenv(name)
        try:
            yield site
        finally:
            site.close()
            os.environ.clear()
            os.environ.update(before)


def test_a_shell_that_says_nothing_of_the_database_changes_nothing_and_workers_do_not_know_it(site: Site) -> None:
    said: list[str] = []
    Stack(site.stack.home, ROOT).up(said.append)
    assert said == []
    worker = site.stack.parts[WORKER].process()
    assert worker is not None
    assert not [name for name, text in worker.environ().items() if SECRET in text]


def test_a_lost_machines_shard_is_finished_by_another(site: Site, tmp_path: Path) -> None:
    """Two machines, three losses: the round's process, then a worker with the process of its shard."""
    before = {run["id"] for run in site.shards()}
    site.start_second_worker()
    interrupted = site.start_round(tmp_path / "interrupted.log", shards=2, simulations=40)
    wait_for(lambda: len(states(site, before)) == 2, interrupted, tmp_path / "interrupted.log")
    interrupted.kill()
    interrupted.wait()
    log = tmp_path / "round.log"
    round = site.start_round(log, shards=2, simulations=40)

    def lost() -> list[dict[str, Any]]:
        started = [run for run in site.shards() if run["id"] not in before]
        on_second = [run for run in started if run["labels"].get("prefect.worker.name") == "second"]
        return [run for run in on_second if run["state_type"] == "RUNNING"]

    (victim,) = wait_for(lost, round, log)
    asked = set(share(site.table("questions", "questions"), victim["parameters"]["shard"], 2)["question_id"])
    wait_for(lambda: site.parts(asked), round, log, every=0.1)
    kill_machine(site)
    kept = [opened(part, ["trees"]) for part in site.parts(asked).values()]
    assert 0 < len(kept) < len(asked), "the kill came too late to be in the middle of the shard"
    assert len(states(site, before)) == 2, "the second start of the round joined the runs of the first"
    site.set_state(victim["id"], "CRASHED", "No heartbeat for 90 s: its process is gone.")

    assert round.wait(300) == 0, log.read_text()
    assert "is started again (2 of at most 3)" in log.read_text()
    trees, nodes = site.table("search", "trees"), site.table("search", "nodes")
    assert trees["question_id"].equals(site.table("questions", "questions")["question_id"])
    assert nodes["tree_id"].unique(maintain_order=True).to_list() == trees["tree_id"].to_list()
    assert nodes.height == trees["nodes"].sum()
    kept_trees = pl.concat(kept).explode("trees").unnest("trees")
    assert trees.join(kept_trees, on=trees.columns, how="semi", nulls_equal=True).height == kept_trees.height
    assert sorted(states(site, before)) == ["COMPLETED", "COMPLETED", "CRASHED"]
    assert all(run["parent_task_run_id"] for run in site.shards())

    finished = site.start_round(tmp_path / "again.log", shards=3, simulations=40)
    assert finished.wait(120) == 0
    assert len(states(site, before)) == 3, "what was searched in two shards is not searched again in three"


def test_shards_are_cancelled_with_their_round(site: Site, tmp_path: Path) -> None:
    """More shards than machines: one is running and one waits for its turn when the round is cancelled."""
    before = {run["id"] for run in site.shards()}
    log = tmp_path / "round.log"
    round = site.start_round(log, shards=2, simulations=100, seed=2)
    wait_for(lambda: "RUNNING" in states(site, before), round, log)
    assert sorted(states(site, before)) == ["RUNNING", "SCHEDULED"]
    (of_round,) = re.findall(r"flow-run/([0-9a-f-]{36})", log.read_text())
    round.kill()
    round.wait()
    site.set_state(of_round, "CANCELLED", "as the worker of the round would, having ended its process")
    wait_for(lambda: states(site, before) == ["CANCELLED"] * 2, seconds=60)


def test_a_failed_shard_fails_the_round_in_its_own_words(site: Site, tmp_path: Path) -> None:
    log = tmp_path / "round.log"
    round = site.start_round(log, shards=2, simulations=4, policy="none")
    assert round.wait(120) != 0
    assert re.search(r"shard \d of 2 ended Failed: .* has no object below 'model/'", log.read_text())


def states(site: Site, apart_from: set[str]) -> list[str]:
    return [run["state_type"] for run in site.shards() if run["id"] not in apart_from]


def kill_machine(site: Site) -> None:
    """SIGKILL to the second worker and to all that it started, by their pids, and to its home's engine."""
    worker = site.second_worker.process()
    assert worker is not None
    for process in [worker, *worker.children(recursive=True)]:
        process.kill()
    stop_local_engines(Environment(home=site.homes[1]))


def wait_for(
    look: Callable[[], T],
    process: subprocess.Popen[bytes] | None = None,
    log: Path | None = None,
    seconds: float = 180,
    every: float = 0.5,
) -> T:
    """What `look` gives as soon as that is something; `process` must not end before."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert process is None or process.poll() is None, log and log.read_text()
        assert time.monotonic() < deadline, f"waited {seconds} s in vain"
        time.sleep(every)
    return found
