"""`cpl gc` takes what nobody needs and nothing else; `cpl verify` finds what was lost, and lets it be made again."""

import io
import json
import os
import time
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from infra.desk.cli import app
from infra.file_locks import locked
from infra.store import Ref, Store, garbage, rounds
from infra.store.bucket import sha256
from infra.store.garbage import Unreadable, drop, leftovers
from infra.store.verify import faults, faults_of
from tests.infra.desk.test_ask import publish as publish_round
from tests.sql.handmade import ROUND, parquet
from tests.stages import commit, manifest

pytestmark = pytest.mark.integration


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything is old enough to go."""
    monkeypatch.setattr(garbage, "AT_WORK", timedelta(seconds=-5))
    monkeypatch.setattr(garbage, "UPLOADS", timedelta(seconds=-5))


@pytest.fixture
def home(store: Store) -> Path:
    return store.cache.folder.parent


def publish(store: Store, campaign: str, payload: bytes) -> tuple[Ref, Ref]:
    stage = commit(store, "search", campaign, {"trees.parquet": payload})
    ref = commit(store, "publish", campaign, inputs={"stages.search": stage}, campaign=campaign, round=1)
    pointer = json.dumps({"campaign": campaign, "round": 1, "manifest": ref.model_dump()}).encode()
    store.put(f"rounds/{campaign}/0001/latest.json", pointer)
    store.put(f"campaigns/{campaign}/latest.json", pointer)
    return stage, ref


def test_what_is_left_over_goes_and_all_else_stays(store: Store, home: Path, at_once: None) -> None:
    stage, published = publish(store, "demo", b"trees")
    store.put("stages/search/demo/parts/q/1", b"kept before a kill")
    store.put("stages/search/demo/parts/q/manifest.json", b"a question may be called so")
    store.put("stages/search/unfinished/parts/q/1", b"a retry goes on from this")
    store.put("stages/search/demo/0123456789abcdef/trees.parquet", b"of a lost race, by an older version")
    store.put("results/search/k", b"{}")
    lost = store.add("trees.parquet", b"of a lost race")
    upload = store.client.create_multipart_upload(Bucket=store.bucket, Key=f"{store.prefix}objects/half")
    store.client.upload_part(
        Bucket=store.bucket,
        Key=f"{store.prefix}objects/half",
        UploadId=upload["UploadId"],
        PartNumber=1,
        Body=b"half",
    )
    found = leftovers(store, home)
    assert {str(one.where) for one in found if isinstance(one.where, str)} == {
        "stages/search/demo/parts/q/1",
        "stages/search/demo/parts/q/manifest.json",
        "stages/search/demo/0123456789abcdef/trees.parquet",
        "results/search/k",
        f"objects/{lost.sha256}",
    }
    assert [one.where for one in found if isinstance(one.where, tuple)] == [("objects/half", upload["UploadId"])]
    drop(store, found)
    assert leftovers(store, home) == []
    assert store.find("stages/search/demo") == stage
    assert store.fetch(stage, "trees.parquet").read_bytes() == b"trees"
    assert store.find("stages/publish/demo") == published
    assert store.get("stages/search/unfinished/parts/q/1") == b"a retry goes on from this"
    assert list(faults(store, deep=True)) == []


def test_payload_of_a_stage_that_is_about_to_be_committed_stays(
    store: Store, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.add("trees.parquet", b"a moment old")
    assert leftovers(store, home) == []
    monkeypatch.setattr(garbage, "AT_WORK", timedelta(seconds=-5))
    found = leftovers(store, home)
    assert len(found) == 1
    monkeypatch.setattr(garbage, "AT_WORK", timedelta(hours=1))
    store.add("trees.parquet", b"a moment old")
    drop(store, found)
    assert store.names("objects/"), "it was written again after it was looked at"


def test_nothing_goes_while_a_manifest_cannot_be_read(store: Store, home: Path, at_once: None) -> None:
    store.add("trees.parquet", b"perhaps named by it")
    store.put("stages/search/k/manifest.json", b'{"objects": [')
    with pytest.raises(Unreadable, match="stages/search/k/manifest"):
        leftovers(store, home)


def test_work_folders_go_unless_somebody_works_there_or_a_retry_may(store: Store, home: Path) -> None:
    commit(store, "search", "done")
    commit(store, "search", "busy")
    work = home / "work" / "search"
    for name in ("done", "busy", "failed", "forgotten"):
        (work / name).mkdir(parents=True)
        (work / name / "trees.parquet").write_bytes(b"trees")
    month_ago = time.time() - 30 * 86400
    os.utime(work / "forgotten" / "trees.parquet", (month_ago, month_ago))
    with locked(work / "busy.lock", "", lambda text: None):
        found = leftovers(store, home)
        assert [(one.where, one.size) for one in found] == [(work / "done", 5), (work / "forgotten", 5)]
        drop(store, found)
    assert sorted(path.name for path in work.iterdir() if path.is_dir()) == ["busy", "failed"]


def test_what_was_lost_or_damaged_is_named_with_its_round_and_made_again(store: Store, home: Path) -> None:
    runner = CliRunner()
    for campaign in ("whole", "lost", "cut", "painted", "torn"):
        publish(store, campaign, campaign.encode())
    assert runner.invoke(app, ["verify", "--deep"]).output.startswith("All that was published is there")
    store.delete([f"objects/{sha256(b'lost')}"])
    store.put(f"objects/{sha256(b'cut')}", b"c")
    store.put(f"objects/{sha256(b'painted')}", b"PAINTED")
    store.client.put_object(
        Bucket=store.bucket, Key=f"{store.prefix}stages/search/torn/manifest.json", Body=b'{"step": '
    )
    store._manifests.clear()
    shallow = {fault.rounds for fault in faults(store)}
    assert shallow == {("lost/0001",), ("cut/0001",), ("torn/0001",)}
    told = runner.invoke(app, ["verify", "--deep", "--drop"])
    assert told.exit_code == 1
    for campaign in ("lost", "cut", "painted", "torn"):
        assert f"{campaign}/0001" in told.output
        assert store.find(f"stages/search/{campaign}") is None
        publish(store, campaign, campaign.encode())
    assert "whole/0001" not in told.output
    store._manifests.clear()
    assert runner.invoke(app, ["verify", "--deep"]).exit_code == 0


def test_a_round_is_proven_from_its_manifests_alone(store: Store, tmp_path: Path) -> None:
    publish_round(store, tmp_path, "demo", 1)
    before = rounds.published(store, "demo", 1).manifest
    stages = rounds.stages_of(store.manifest(before))
    path = tmp_path / "ranks.parquet"  # no table of the warehouse
    trees = pl.DataFrame({"tree_id": ["t1", "t2"], "value": [0.5, 0.25]})
    trees.write_parquet(path)
    items = [store.add("ranks.parquet", path, rows=2), store.add("log.txt", b"a log")]
    searched = store.commit(manifest("search", "trees", items))
    miscounted = store.commit(manifest("search", "short", [store.add("short.parquet", path, rows=3)]))

    def published(**more: Ref) -> Ref:
        inputs = {f"stages.{name}": ref for name, ref in {**stages, "trees": searched, **more}.items()}
        facts = store.manifest(before).facts
        ref = commit(store, "publish", f"again-{len(more)}", {}, inputs, rounds.SINCE, **facts)
        rounds.publish(store, "demo", 1, ref)
        return ref

    published()

    def told() -> str:
        store._manifests.clear()
        found = faults_of(store, rounds.published(store, "demo", 1))
        return "\n".join(f"{fault.name}: {fault.problem} {fault.rounds}" for fault in found)

    def printed(status: int) -> str:
        store._manifests.clear()
        result = CliRunner().invoke(app, ["verify", "1", "--campaign", "demo"])
        assert result.exit_code == status, result.output
        return result.output

    assert printed(0) == "Round 1 of demo is what its manifests say, byte for byte; its checks hold.\n"
    table, log = (f"objects/{item.sha256}" for item in items)

    def turned(name: str, data: bytes, says: str) -> None:
        """The object as it is now is found out, and the round is whole when it is what it was."""
        whole = store.get(name)
        store.put(name, data)
        assert name in (output := told())
        assert says in output
        assert "demo/0001" in output
        store.put(name, whole)
        assert told() == ""

    turned(log, b"a lob", "its sha256 is ")  # one bit
    changed = io.BytesIO()
    trees.with_columns(value=pl.Series([0.5, 0.75])).write_parquet(changed)
    assert len(changed.getvalue()) == path.stat().st_size, "as long as it was: only its bytes tell"
    turned(table, changed.getvalue(), "its sha256 is ")
    place = searched.uri.removeprefix(store.uri)
    edited = json.loads(store.get(place))
    edited["objects"][0] |= {"sha256": sha256(changed.getvalue())}
    store.put(f"objects/{sha256(changed.getvalue())}", changed.getvalue())
    turned(place, json.dumps(edited).encode(), "it was changed after it was committed")
    store.delete([log])
    assert f"{log}: it is not there" in printed(1)
    store.add("log.txt", b"a log")
    published(short=miscounted)
    assert "it has 2 rows, not 3" in told()


def test_rules_that_a_published_warehouse_breaks_are_told(store: Store, tmp_path: Path) -> None:
    broken = [row | {"value": 7.0} if row["node_id"] == 1 else row for row in ROUND["nodes"]]
    sources = parquet(tmp_path, ROUND | {"nodes": broken})
    tables = {f"{table}.parquet": source.path for table, (source,) in sources.items()}
    inputs = {"stages.warehouse": commit(store, "warehouse", "broken", tables)}
    facts = {"campaign": "demo", "round": 1, "recipe": "r", "model": "m", "state": "completed", "notes": []}
    rounds.publish(store, "demo", 1, commit(store, "publish", "broken", {}, inputs, rounds.SINCE, **facts))
    result = CliRunner().invoke(app, ["verify", "--campaign", "demo"])
    assert result.exit_code == 1
    assert "11_values_in_range" in result.output
    assert "break these rules" in result.output


@pytest.mark.parametrize("pointer", [b"", b"[]", b'{"campaign": "x", "round": 1, "manifest": {"uri": "file:///etc"}}'])
def test_a_pointer_that_leads_nowhere_is_named(store: Store, pointer: bytes) -> None:
    store.put("rounds/x/0001/latest.json", pointer)
    (fault,) = faults(store)
    assert (fault.name, fault.is_useless) == ("rounds/x/0001/latest.json", True)


def test_the_commands_tell_first_and_act_when_asked(store: Store, at_once: None) -> None:
    store.put("results/search/k", b"x" * (1 << 20))
    told = CliRunner().invoke(app, ["gc"])
    assert "results of an older version: 1, 1.0 MiB" in told.output
    assert store.names("results/") == ["results/search/k"]
    assert "Removed" in CliRunner().invoke(app, ["gc", "--yes"]).output
    assert store.names("results/") == []
    assert "Nothing is left over" in CliRunner().invoke(app, ["gc"]).output
