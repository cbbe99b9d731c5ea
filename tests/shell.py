"""Rounds on the real stack as a user types them: what the tests of whole rounds share."""

import base64
import io
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from infra.desk.published import published, round_summary, warehouse_of
from infra.environment import Environment, stack_variables
from infra.stack import api
from infra.store import Store
from infra.warehouse import opened

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
"""For rounds that are more than a search, and whose arms are not what is looked at."""
NO_ARM = {"without": ["value", "sft", "sft_more", "step_dpo", "step_apo"]}
"""For rounds whose search is what is looked at."""


class Shell:
    """`cpl` and `prefect` as a user types them, in the repository and with a home of the test's own."""

    def __init__(self, home: Path) -> None:
        not_ours = ("PREFECT_", "AWS_", "CPL_STORE")  # a store of the developer's is not written to
        kept = {name: text for name, text in os.environ.items() if not name.startswith(not_ours)}
        self.environment = kept | {"CPL_HOME": str(home)}
        self.home = home

    def run(self, *words: str, succeeds: bool = True) -> str:
        program = Path(sys.executable).parent / words[0]
        # `prefect` would read the folder's prefect.toml, which is that of the stack that was started there last.
        own = stack_variables(self.home) if words[0] == "prefect" else {}
        done = subprocess.run(
            [str(program), *words[1:]],
            cwd=ROOT,
            env=self.environment | own,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode == 0) is succeeds, done.stdout + done.stderr
        return done.stdout + done.stderr

    def make(self, campaign: str, *words: str, succeeds: bool = True, **fields: Any) -> str:
        """Round 1 of a campaign with these fields of its recipe."""
        words += tuple(word for name, value in fields.items() for word in ("--set", f"{name}={json.dumps(value)}"))
        return self.run("cpl", "round", "--campaign", campaign, "--round", "1", *words, succeeds=succeeds)

    def round(self, campaign: str, *words: str, succeeds: bool = True, shards: int = 1, **changed: Any) -> str:
        """A small round of CPL."""
        fields = SMALL | {name.replace("__", "."): value for name, value in changed.items()}
        return self.make(campaign, *words, "--shards", str(shards), succeeds=succeeds, **fields)

    def show(self, campaign: str, round: int = 1) -> dict[str, Any]:
        """What `cpl show --json` prints, without the two seconds in which it starts."""
        return round_summary(self.store(), campaign, round)

    def sql(self, query: str, campaign: str, round: int = 1) -> list[dict[str, Any]]:
        store = self.store()
        with opened(warehouse_of(store, published(store, campaign, round))) as warehouse:
            rows: list[dict[str, Any]] = warehouse.sql(query).pl().to_dicts()
        return rows

    def store(self) -> Store:
        """The stack's store, without reading this process's environment."""
        os.environ.update(stack_variables(self.home))
        return Store.open(Environment(home=self.home, store="s3://cpl"))

    def api(self, path: str, **document: Any) -> Any:
        return api.ask(self.home, "POST", path, document) if document else api.ask(self.home, "GET", path)


ANSWERS = (
    *("flow_runs", "task_runs", "logs", "artifacts", "deployments", "flows", "work_pools", "work_queues"),
    *("variables", "block_documents", "v2/concurrency_limits", "work_pools/cpl/workers"),
)
"""What Prefect's server gives a list of."""


def words_of(shell: Shell) -> Iterator[tuple[str, bytes]]:
    """All that rounds leave where somebody may read it, by where it lies: logs, what is in the store, the tables in
    words, and what Prefect's server answers."""
    for log in (*shell.home.glob("logs/*"), *shell.home.glob("engine/**/*.log"), *shell.home.glob("work/**/*.log")):
        yield str(log), log.read_bytes()
    store = shell.store()
    for name in store.names(""):
        data = store.get(name)
        yield name, pl.read_parquet(io.BytesIO(data)).write_json().encode() if data[:4] == b"PAR1" else data
    for answer in ANSWERS:
        for page in itertools.count():
            rows = shell.api(f"/{answer}/filter", limit=200, offset=200 * page)
            yield f"{answer}, page {page}", json.dumps(rows).encode()
            if len(rows) < 200:
                break
    events = shell.api("/events/filter", limit=50)
    while events["events"]:
        yield "events", json.dumps(events).encode()
        if not events["next_page"]:
            break
        events = shell.api(events["next_page"].partition("/api")[2])
    yield "settings", json.dumps(shell.api("/admin/settings")).encode()


def secrets_of(shell: Shell) -> dict[str, bytes]:
    """What nobody may read there: the login in its forms, and the store's key."""
    kept = stack_variables(shell.home)
    login = kept["PREFECT_API_AUTH_STRING"]
    found = {"login": login, "password": login.partition(":")[2], "store": kept["AWS_SECRET_ACCESS_KEY"]}
    found |= {"as a header": base64.b64encode(login.encode()).decode()}
    return {name: secret.encode() for name, secret in found.items()}


@contextmanager
def running_shell(folder: Path) -> Iterator[Shell]:
    """A stack of its own with its home in `folder`, which ends with the tests."""
    if not Environment().engine_python.exists():
        pytest.fail(f"no engine environment at {Environment().engine_python}: `make install` makes it")
    shell = Shell(folder / "home")
    before = dict(os.environ)
    shell.run("cpl", "up")
    yield shell
    shell.run("cpl", "down")
    os.environ.clear()
    os.environ.update(before)


def cached(summary: dict[str, Any]) -> dict[str, bool]:
    return {stage["stage"]: stage["cached"] for stage in summary["stages"]}


def held_out(shell: Shell, campaign: str) -> int:
    (count,) = shell.sql("select count(*) as n from questions where is_held_out", campaign)
    return int(count["n"])
