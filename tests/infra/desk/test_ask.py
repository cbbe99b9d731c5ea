"""`cpl sql` and `cpl show` as a user meets them, on a real S3 server that holds the hand-made round."""

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from infra.desk import ask
from infra.desk.power import power
from infra.desk.published import round_summary
from infra.store import Store, rounds
from infra.warehouse import build
from tasks.running.report import report
from tests.sql.handmade import ROUND, parquet
from tests.stages import commit

pytestmark = pytest.mark.integration

cli = typer.Typer()
cli.command()(ask.sql)
cli.command()(ask.show)
cli.command("rounds")(ask.list_rounds)
cli.command()(ask.remove)
cli.command()(power)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, list(arguments))


def publish(
    store: Store,
    folder: Path,
    campaign: str,
    round: int,
    run_id: str = "",
    notes: Sequence[str] = ("By hand.",),
    version: int = rounds.SINCE,
) -> None:
    """The hand-made round, published as the flow publishes one (tasks.stages.publish)."""
    run_id = run_id or f"{campaign}-{round}"
    made = {f"{table}.parquet": source.path for table, (source,) in parquet(folder, ROUND, round).items()}
    if version < rounds.SINCE:  # one file, with what its views were then
        build(folder / "factory.duckdb", parquet(folder, ROUND, round))
        made = {"factory.duckdb": folder / "factory.duckdb"}
    stages = {
        "search": commit(store, "search", f"{campaign}-0"),
        "warehouse": commit(store, "warehouse", run_id, made),
    }
    ref = commit(
        store,
        "publish",
        run_id,
        {},
        {f"stages.{name}": stage for name, stage in stages.items()},
        version,
        campaign=campaign,
        round=round,
        recipe="cpl-micro",
        model="micro",
        state="completed",
        notes=list(notes),
    )
    rounds.publish(store, campaign, round, ref)


def test_before_the_first_round_both_say_how_to_make_one(store: Store) -> None:
    for arguments in (["sql", "from trees"], ["show"], ["show", "--json"]):
        result = run(*arguments)
        assert result.exit_code == 1
        assert "make round" in result.output
    assert "step_preferences" in run("sql", "--list").output


def test_sql_prints_a_table_csv_or_json(store: Store, tmp_path: Path) -> None:
    publish(store, tmp_path, "demo", 1)
    query = "select tree_id, prompt_ids, value from trees order by tree_id limit 1"
    assert "t1" in run("sql", query).output
    assert list(csv.reader(io.StringIO(run("sql", query, "--csv").output))) == [
        ["tree_id", "prompt_ids", "value"],
        ["t1", "[1, 2, 3]", str(-2 / 7)],
    ]
    assert json.loads(run("sql", query, "--json").output) == [
        {"tree_id": "t1", "prompt_ids": [1, 2, 3], "value": -2 / 7}
    ]


def test_sql_reads_a_query_from_a_file(store: Store, tmp_path: Path) -> None:
    publish(store, tmp_path, "demo", 1)
    file = tmp_path / "query.sql"
    file.write_text("-- How many?\nselect count(*) as nodes from nodes")
    assert json.loads(run("sql", "--file", str(file), "--json").output) == [{"nodes": 22}]


def test_sql_that_is_wrong_or_writes_is_told_plainly(store: Store, tmp_path: Path) -> None:
    publish(store, tmp_path, "demo", 1)
    for query, complaint in (("select tree from trees", "tree_id"), ("delete from trees", "read-only")):
        result = run("sql", query)
        assert result.exit_code == 1
        assert complaint in result.output
        assert "Traceback" not in result.output
    assert run("sql").exit_code == 2
    assert run("sql", "from trees", "--csv", "--json").exit_code == 2


def test_rounds_and_campaigns_are_chosen_by_name_and_the_last_one_by_default(store: Store, tmp_path: Path) -> None:
    for campaign, round in (("demo", 1), ("demo", 2), ("other", 1)):
        publish(store, tmp_path, campaign, round)
    query = "select distinct campaign, round from trees"

    def asked(*options: str) -> Any:
        return json.loads(run("sql", query, "--json", *options).output)

    assert asked() == [{"campaign": "other", "round": 1}]
    assert asked("--campaign", "demo") == [{"campaign": "demo", "round": 2}]
    assert asked("--campaign", "demo", "--round", "1") == [{"campaign": "demo", "round": 1}]
    missing = run("sql", query, "--campaign", "demo", "--round", "3")
    assert missing.exit_code == 1
    assert "No round 3 of campaign 'demo'" in missing.output
    assert "demo, other" in run("show", "--campaign", "nobody").output


def test_power_asks_the_campaign_or_says_what_it_assumes(store: Store, tmp_path: Path) -> None:
    assert "Assumed, for there is no round yet" in run("power").output
    assert run("power", "--campaign", "demo").exit_code == 1
    publish(store, tmp_path, "demo", 1)
    printed = run("power", "--points", "10").output
    assert "By the models of demo/1: questions that show a difference of 10 points" in printed
    [row] = json.loads(run("power", "--json").output)
    assert (row["asked"], row["n"], row["differing"]) == ("micro/test", 2, 0.5)


def test_show_sums_up_a_published_round(store: Store, tmp_path: Path) -> None:
    publish(store, tmp_path, "demo", 1)
    summary = json.loads(run("show", "1", "--json").output)
    assert (summary["campaign"], summary["round"], summary["state"]) == ("demo", 1, "completed")
    assert summary["stages"] == [
        {"stage": "search", "seconds": 2.0, "cached": True},
        {"stage": "warehouse", "seconds": 2.0, "cached": False},
    ]
    assert (summary["counts"]["nodes"], summary["counts"]["preferences"]) == (22, 2)
    assert [(row["model"], row["accuracy"], row["n"]) for row in summary["evaluations"]] == [
        ("base", 0.5, 2),
        ("step_apo", 1.0, 2),
    ]
    assert len(summary["by_kind"]) == 4
    assert [(row["kind"], row["sibling_auc"]) for row in summary["value_rankings"]] == [
        ("plan", None),
        ("solution", 0.7),
    ]
    assert [(row["model"], row["other"], row["verdict"]) for row in summary["comparisons"]] == [
        ("step_apo", "base", "cannot be told with n = 2")
    ]
    assert [(row["model"], row["same_as"]) for row in summary["models"]] == [
        ("base", None),
        ("sft", None),
        ("step_apo", None),
    ]
    assert summary["notes"] == ["By hand."]
    assert "1 of 2" in run("show").output


def test_show_prefers_what_the_last_run_recorded(store: Store, tmp_path: Path) -> None:
    publish(store, tmp_path, "demo", 1)
    record = {
        "campaign": "demo",
        "round": 2,
        "run_id": "later",
        "state": "failed",
        "seconds": 3.5,
        "stages": [{"stage": "questions", "seconds": 1.0, "cached": True}],
        "notes": [],
        "error": "StoreError: disk full",
    }
    rounds.write_record(store, record)
    summary = json.loads(run("show", "--json").output)
    assert (summary["round"], summary["state"], summary["error"]) == (2, "failed", "StoreError: disk full")
    assert "disk full" in run("show").output
    rounds.write_record(store, record | {"round": 1, "state": "completed"})
    assert json.loads(run("show", "1", "--json").output)["seconds"] == 3.5


def test_every_round_is_listed_and_a_replaced_one_can_still_be_asked(store: Store, tmp_path: Path) -> None:
    publish(store, tmp_path, "demo", 1)
    publish(store, tmp_path, "other", 1)
    (first,) = (row for row in json.loads(run("rounds", "demo", "--json").output))
    assert (first["campaign"], first["round"], first["state"]) == ("demo", 1, "published")
    publish(store, tmp_path, "demo", 1, run_id="again", notes=["By hand, again."])
    failed = {"campaign": "demo", "round": 2, "state": "failed", "error": "no room", "recipe": "cpl-micro"}
    rounds.write_record(store, failed)

    header, _, *table = run("rounds").output.splitlines()[1:5]
    places = [line.index("cpl-micro") for line in table if "cpl-micro" in line]
    assert places == [header.index("recipe")] * 2, "each cell stands below its name, of failed rounds too"
    listed = [(row["campaign"], row["round"], row["state"]) for row in json.loads(run("rounds", "--json").output)]
    assert listed == [("demo", 1, "published"), ("demo", 2, "failed"), ("other", 1, "published")]
    everything = json.loads(run("rounds", "--all", "--json").output)
    assert [row["state"] for row in everything] == ["replaced", "published", "failed", "published"]
    assert everything[0]["publication"] == first["publication"]

    def notes(*options: str) -> Any:
        return json.loads(run("show", "1", "--campaign", "demo", "--json", *options).output)["notes"]

    assert notes() == ["By hand, again."]
    assert notes("--publication", first["publication"]) == ["By hand."]
    assert run("sql", "from trees", "--campaign", "demo", "--publication", first["publication"]).exit_code == 0
    assert "cpl rounds" in run("show", "--campaign", "demo", "--publication", "beef").output
    assert run("rounds", "nope").exit_code == 1
    assert "'nope'" in run("rounds", "nope").output


def test_the_default_is_the_round_that_ran_last_though_it_published_nothing_new(store: Store, tmp_path: Path) -> None:
    publish(store, tmp_path, "demo", 1)
    publish(store, tmp_path, "other", 1)
    record = {"run_id": "r", "seconds": 1.0, "stages": [], "notes": [], "error": None}
    rounds.write_record(store, record | {"campaign": "demo", "round": 1, "state": "completed"})
    assert json.loads(run("show", "--json").output)["campaign"] == "demo"
    assert json.loads(run("sql", "select distinct campaign from trees", "--json").output) == [{"campaign": "demo"}]
    assert "Campaign demo, up to round 1" in run("sql", "from trees").output
    failed = record | {"campaign": "other", "round": 1, "state": "failed", "error": "no room"}
    rounds.write_record(store, failed)
    assert json.loads(run("show", "--json").output)["error"] == "no room"
    assert json.loads(run("sql", "select distinct campaign from trees", "--json").output) == [{"campaign": "demo"}]


def test_a_round_is_removed_but_not_from_under_one_that_builds_on_it(store: Store, tmp_path: Path) -> None:
    for campaign, round in (("demo", 1), ("demo", 2), ("other", 1)):
        publish(store, tmp_path, campaign, round)
        record = {"run_id": "r", "state": "completed", "seconds": 1.0, "stages": [], "notes": [], "error": None}
        rounds.write_record(store, record | {"campaign": campaign, "round": round})

    def listed() -> list[tuple[str, int]]:
        return [(row["campaign"], row["round"]) for row in json.loads(run("rounds", "--json").output)]

    assert "round 2 of 'demo' builds on round 1" in run("remove", "demo", "1", "--yes").output
    assert run("remove", "demo", "2").exit_code == 1, "it asks first, and nobody answered"
    assert listed() == [("demo", 1), ("demo", 2), ("other", 1)]
    assert run("remove", "demo", "2", "--yes").exit_code == 0
    assert listed() == [("demo", 1), ("other", 1)]
    assert json.loads(run("show", "--campaign", "demo", "--json").output)["round"] == 1
    assert run("remove", "other", "--yes").exit_code == 0
    assert listed() == [("demo", 1)]
    assert json.loads(run("show", "--json").output)["campaign"] == "demo"
    assert "no campaign 'other'" in run("remove", "other", "--yes").output
    assert "Nothing is published" not in run("show").output


JUNK = [b"", b"null", b"[]", b'{"ran": 1}', b'{"ran": {"campaign": "../x", "round": "1"}}', b"[" * 100_000, b"\xff"]
STRANGE = [
    "rounds/latest.json",
    "rounds/demo/x/latest.json",
    "runs/latest/q",
    "runs/latest/a/b/c.json",
    "campaigns/x/y/z",
]


def test_a_record_that_is_none_counts_as_none_and_the_next_run_writes_it(store: Store, tmp_path: Path) -> None:
    publish(store, tmp_path, "demo", 1)
    record = {"campaign": "demo", "round": 1, "run_id": "r", "state": "completed", "seconds": 7.0}
    for junk in JUNK:
        store.put("runs/last.json", junk)
        store.put("runs/latest/demo/0001.json", junk)
        summary = json.loads(run("show", "--json").output)
        assert (summary["campaign"], summary["notes"]) == ("demo", ["By hand."])
        assert run("sql", "from trees").exit_code == run("rounds").exit_code == 0
        rounds.write_record(store, record)
        assert rounds.last_run(store) == ("demo", 1)
        assert json.loads(run("show", "--json").output)["seconds"] == 7.0


def test_names_that_the_factory_did_not_make_are_passed_over_and_can_go(store: Store, tmp_path: Path) -> None:
    publish(store, tmp_path, "demo", 1)
    strange = [*STRANGE, "campaigns/\x1b]0;owned/latest.json", "objects/\x1b]0;owned"]
    for name in strange:
        store.put(name, b"{}")
    assert rounds.campaigns(store) == ["demo"]
    assert rounds.next_round(store, "demo") == 2
    assert json.loads(run("show", "--json").output)["campaign"] == "demo"
    assert [row["round"] for row in json.loads(run("rounds", "--json").output)] == [1]
    assert run("remove", "demo", "--yes").exit_code == 0
    store.delete(strange)
    assert not set(strange) & set(store.names(""))


def test_the_page_in_the_ui_is_made_of_what_was_published(store: Store, tmp_path: Path) -> None:
    publish(store, tmp_path, "demo", 1)
    page = report(round_summary(store, "demo", 1))
    assert "> **Note:** By hand." in page
    assert "data:image/svg+xml" in page
    assert "- step_apo: `s3://" in page


def test_a_round_of_an_earlier_version_is_listed_and_says_who_can_show_it(store: Store, tmp_path: Path) -> None:
    publish(store, tmp_path, "old", 1, version=rounds.SINCE - 1)
    assert "old" in run("rounds").output
    shown = run("show", "--campaign", "old")
    assert shown.exit_code == 1
    assert "earlier version (0.1.0)" in shown.output
    assert run("sql", "select 1 as one", "--campaign", "old").exit_code == 0
