"""A user's first hour, on the real stack: a round, its page, the same again, a preview, and a campaign."""

import itertools
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.desk.run import nested
from infra.environment import Environment
from infra.stack.metrics import FILE, Metrics
from tests.infra.desk.test_trace import refuse_malformed, slices
from tests.infra.stack.browser import browser
from tests.shell import ONE_ARM, SMALL, Shell, cached, held_out, running_shell, secrets_of, words_of

pytestmark = [pytest.mark.round, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    with running_shell(tmp_path_factory.mktemp("round")) as shell:
        yield shell


@pytest.fixture(scope="module")
def first(shell: Shell) -> dict[str, Any]:
    """The summary of round 1 of the campaign `first`, when nothing of it was in the cache but what all rounds share."""
    shell.round("first")
    shown: dict[str, Any] = json.loads(shell.run("cpl", "show", "1", "--campaign", "first", "--json"))
    return shown


def test_a_round_is_published_and_can_be_asked(shell: Shell, first: dict[str, Any]) -> None:
    summary = first
    assert (summary["round"], summary["state"]) == (1, "completed")
    assert not cached(summary)["warehouse"]
    assert {row["model"] for row in summary["evaluations"]} == {"base", "sft", "sft_more", "step_dpo", "step_apo"}
    assert {row["split"] for row in summary["evaluations"]} == {"in_domain", "out_of_domain"}
    assert all(row["n"] in (30, 10) and 0 <= row["accuracy"] <= 1 for row in summary["evaluations"])
    assert all(row["clusters"] <= row["n"] and row["generated_tokens"] > 0 for row in summary["evaluations"])
    assert {(row["form"], row["shots"]) for row in summary["evaluations"]} == {("plan", 0)}
    counted = json.loads(shell.run("cpl", "sql", "select count(*) as n from trees", "--campaign", "first", "--json"))
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


def test_its_page_opens_its_deepest_and_its_widest_tree(shell: Shell, first: dict[str, Any], tmp_path: Path) -> None:
    page = tmp_path / "first.html"
    shell.run("cpl", "page", "--campaign", "first", "--no-open", "--output", str(page))
    shape = (
        "select tree_id, question_id, max(depth) as deepest, count(*) as nodes from nodes join trees using (tree_id)"
    )
    trees = shell.sql(f"{shape} group by all", "first")
    with browser(tmp_path / "browser") as window:
        window.go_offline()
        window.open(page.as_uri())
        for by in ("deepest", "nodes"):
            tree = max(trees, key=lambda row: row[by])
            window.run(f"location.hash = 'question={tree['question_id']}&tree={tree['tree_id']}'")
            window.until(f"document.querySelector('.tree-tab[aria-pressed=true]')?.title === '{tree['tree_id']}'")
            facts = window.run("document.getElementById('tree-facts').textContent")
            assert f"{tree['nodes']} nodes" in facts
            assert f"depth {tree['deepest']} " in facts
        assert window.said("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded") == []


def test_its_models_load_without_the_value_words_where_the_engine_loads_them(
    shell: Shell, first: dict[str, Any], tmp_path: Path
) -> None:
    (policy,) = shell.sql("select model from models where is_next", "first")
    shell.run("cpl", "export", "model", policy["model"], str(tmp_path / "with"), "--campaign", "first")
    bare = ["--without-value-words", "--campaign", "first"]
    shell.run("cpl", "export", "model", policy["model"], str(tmp_path / "without"), *bare)
    text = "<question>\nAnn has 2 apples and buys 3.\n</question>\n<plan>\n"
    code = (
        "import sys; from transformers import AutoTokenizer\n"
        "print([len(AutoTokenizer.from_pretrained(one)) for one in sys.argv[1:]])\n"
        f"print([AutoTokenizer.from_pretrained(one)({text!r})['input_ids'] for one in sys.argv[1:]])"
    )
    folders = [str(tmp_path / name) for name in ("with", "without")]
    engine = str(Environment().engine_python)
    said = subprocess.run([engine, "-c", code, *folders], capture_output=True, text=True, check=True).stdout
    sizes, ids = (json.loads(line) for line in said.splitlines())
    assert sizes[0] == sizes[1] + 2
    assert ids[0] == ids[1] != []


def test_the_same_again_does_nothing_and_publishes_nothing_new(
    shell: Shell, first: dict[str, Any], tmp_path: Path
) -> None:
    store = shell.store()
    published = store.names("stages/publish/")
    metrics = Metrics(shell.home, {})
    shell.round("first")
    metrics.write(tmp_path)
    for stage in ("questions", "search-trees", "evaluate-base"):
        assert f'cpl_stages_ended_total{{stage="{stage}",state="Cached"}} 1.0\n' in (tmp_path / FILE).read_text()
    assert all(cached(shell.show("first")).values())
    assert store.names("stages/publish/") == published


def test_it_leaves_no_secret_anywhere(shell: Shell, first: dict[str, Any]) -> None:
    secrets, named = secrets_of(shell), []
    for place, text in words_of(shell):
        assert not [name for name, secret in secrets.items() if secret in text], place
        named += [place] if b"first-round-1" in text else []
    assert {"flow_runs, page 0", str(shell.home / "logs" / "worker.log")} <= set(named), "what is there is found"


def test_its_trace_has_engine_trees_and_updates_where_its_manifests_have_the_stages(
    shell: Shell, first: dict[str, Any]
) -> None:
    told = json.loads(shell.run("cpl", "trace", "1", "--campaign", "first"))
    refuse_malformed(told)
    stages = {one["name"]: one for one in slices(told, "stage")}
    made = {row["stage"]: row["seconds"] for row in shell.sql("select stage, seconds from stages", "first")}
    assert {name: one["dur"] / 1e6 for name, one in stages.items() if name in made} == pytest.approx(made, abs=1e-5)
    asked = "select count(distinct question_id) as questions, sum(generated_tokens) as tokens from trees"
    (searched,) = shell.sql(f"{asked} where evidence = 'trees'", "first")
    rates = [one for one in told["traceEvents"] if one["name"] == "trees: engine, tokens a second"]
    tokens = sum(one["args"]["value"] * (after["ts"] - one["ts"]) / 1e6 for one, after in itertools.pairwise(rates))
    assert tokens == pytest.approx(float(searched["tokens"]), rel=0.01)
    assert counted_of(told, "trees: parts done")[-1] == searched["questions"]
    (learnt,) = shell.sql("select updates from costs where stage = 'sft'", "first")
    assert counted_of(told, "sft: updates done")[-1] == learnt["updates"]


def counted_of(told: dict[str, Any], name: str) -> list[float]:
    return [one["args"]["value"] for one in told["traceEvents"] if one["name"] == name]


def test_a_preview_foretells_a_round_of_as_many_questions(shell: Shell, first: dict[str, Any]) -> None:
    """Of all questions: it finds the round's own work, and foretells the tokens that it took."""
    arms = {"without": ["value", "sft_more", "step_dpo"]}
    words = [f"--set={name}={json.dumps(value)}" for name, value in (SMALL | arms).items()]
    told = shell.run("cpl", "preview", "--handful", "40", "--seconds", "1", *words)
    (tokens,) = shell.sql("select sum(generated_tokens) as n from trees where evidence = 'trees'", "first")
    row = next(line for line in told.splitlines() if line.startswith("| trees"))
    assert row.split("|")[3].strip() == f"{tokens['n']:,}"
    for part in ("40 of 40 questions", "How a question is asked", "A tree", "A preference", "A row that is learnt"):
        assert part in told


def test_a_campaign_goes_on_and_redoes_only_what_another_setting_changes(shell: Shell, first: dict[str, Any]) -> None:
    """Two rounds in one flow run."""
    changed = {"arms.step_apo.alpha": 2.0}
    fields = {"campaign": "chained", "rounds": 2, "recipe": {"by model": nested(SMALL | ONE_ARM | changed)}}
    words = [word for name, value in fields.items() for word in ("-p", f"{name}={json.dumps(value)}")]
    shell.run("prefect", "deployment", "run", "cpl-campaign/campaign", "--watch", *words)
    done_before = cached(shell.show("chained"))
    assert all(done_before[stage] for stage in ("questions", "tries", "trees", "pairs", "sft", "value", "evaluate_sft"))
    assert not any(done_before[stage] for stage in ("step_apo", "evaluate_step_apo", "warehouse"))
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
    told = shell.run("cpl", "page", "--campaign", "chained", "--no-open").split()[-1]
    assert Path(told).name == "chained.html"
    assert "2 rounds; " in Path(told).read_text()
