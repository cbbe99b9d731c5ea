"""The stage *lessons*: what all questions of a round teach, as its tables hold it."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest
from pydantic import TypeAdapter, ValidationError

from infra.store import Ref
from tasks.lessons.right_paths import RightPaths
from tasks.lessons.rules import Rule
from tasks.lessons.siblings import Siblings
from tasks.records import TABLES
from tasks.stages import lessons
from tests.tasks.lessons.grown import EOS, HINTED, Row, node, right, tables, wrong
from tests.tasks.running.local_stage import LocalStage

ROOT = node(0, None, "root", None, visits=0)
SEARCHED = (
    ROOT,
    node(1, 0, "plan", 0.5, visits=5),
    node(2, 0, "plan", -0.3),  # by V alone
    *(right(number, 1) for number in (3, 4, 5, 6)),
    wrong(7, 1),
)
LATER = (
    node(0, None, "root", 0.2, visits=2) | {"text": "<0><1>", "token_ids": [1, 2, 11, 12]},
    node(1, 0, "plan", 0.5),
    node(2, 0, "plan", -0.5),
)
SAMPLED = (ROOT, node(1, 0, "plan", 1.0, visits=3), *(right(number, 1) for number in (2, 3, 4)))

NAMES = [f"q{number * 7 % 30:02}" for number in range(30)]
SKIPPED, PUCT, STEPWISE = (NAMES[turn::3] for turn in range(3))
"""By turns: one that was not searched, one searched by PUCT in one tree, one step by step in two."""


def searched() -> dict[str, tuple[pl.DataFrame, pl.DataFrame]]:
    trees: list[tuple[Row, tuple[Row, ...]]] = []
    for name in NAMES:
        about = {"question_id": name, "tree_id": f"trees/{name}"}
        if name in STEPWISE:
            about["backup"] = "rollouts"
            trees += [(about, SEARCHED), (about | {"tree_id": f"trees/{name}/step-1", "steps": 1}, LATER)]
        else:
            trees.append((about, SEARCHED) if name in PUCT else (about | {"state": "skipped"}, (ROOT,)))
    tries = [
        ({"question_id": name, "tree_id": f"tries/{name}", "evidence": "tries", "backup": "trajectories"}, SAMPLED)
        for name in NAMES
    ]
    return {"trees": tables(*trees), "tries": tables(*tries), "none": tables(({"question_id": "", "tree_id": ""}, ()))}


class Evidence(LocalStage):
    """A workplace where every search is a stage of its own, with a model whose end of sequence is known."""

    def __init__(self, folder: Path, found: dict[str, tuple[pl.DataFrame, pl.DataFrame]]) -> None:
        super().__init__(folder)
        self.found = found
        self.store: Any = SimpleNamespace(folder=lambda ref, name: folder)

    def read(self, ref: Ref, table: str) -> pl.DataFrame:
        return self.found[ref.uri.split("/")[-2]][("trees", "nodes").index(table)]


def a_ref(name: str) -> Ref:
    return Ref(uri=f"s3://cpl/{name}/manifest.json", sha256="0" * 64, rows=1)


@pytest.fixture(autouse=True)
def model(monkeypatch: pytest.MonkeyPatch) -> None:
    read = SimpleNamespace(read=lambda folder: SimpleNamespace(words=SimpleNamespace(eos=EOS)))
    monkeypatch.setattr(lessons, "ModelFolder", read)


def chosen(
    folder: Path, rule: RightPaths | Siblings, found: Any = None, tokens: int = 0
) -> tuple[pl.DataFrame, dict[str, Any]]:
    """`tokens`: a budget for the searches of all evidence together."""
    workplace = Evidence(folder, found or searched())
    trees = {name: a_ref(name) for name in workplace.found}
    rows = lessons.choose.body(workplace, "lesson", trees, a_ref("policy"), rule, tokens, trees if tokens else None)
    table = workplace.written(rule.gives)
    assert table.height == rows
    assert table.schema == TABLES[rule.gives]
    return table, workplace.facts


def test_all_questions_teach_preferences_in_their_order(tmp_path: Path) -> None:
    table, facts = chosen(tmp_path, Siblings(evidence=("trees",), solution_value_scale=0.5))
    of_one = {"3-7": (0.5, -0.5)}
    of_two = {"1-2": (0.5, -0.3), **of_one, "step-1/1-2": (0.5, -0.5)}
    pairs = dict.fromkeys(PUCT, of_one) | dict.fromkeys(STEPWISE, of_two)
    assert table.select("pair_id", "chosen_value", "rejected_value").rows() == [
        (f"trees/{name}/{pair}", *values) for name in NAMES for pair, values in pairs.get(name, {}).items()
    ]
    assert table["lesson"].unique().to_list() == ["lesson"]
    assert facts == {
        "plan_pairs": 20,
        "step_pairs": 0,
        "solution_pairs": 20,
        "continuation_pairs": 0,
        "pairs_without_outcomes": 10,
    }


def test_all_questions_are_imitated_in_their_order_and_the_seed_chooses_their_paths(tmp_path: Path) -> None:
    rule = RightPaths(evidence=("trees", "tries"), most=2)
    table, facts = chosen(tmp_path, rule)
    assert table.equals(chosen(tmp_path, rule)[0])
    assert not table.equals(chosen(tmp_path, rule.model_copy(update={"seed": 43}))[0])
    imitated = table.filter(weight=1.0)
    searched_first = [name for name in NAMES if name not in SKIPPED] + SKIPPED
    assert imitated["question_id"].to_list() == [name for name in searched_first for _ in range(2)]
    by = {name: "tries" if name in SKIPPED else "trees" for name in NAMES}
    assert imitated["tree_id"].to_list() == [f"{by[name]}/{name}" for name in searched_first for _ in range(2)]
    drawn = [tuple(leaf) for leaf in imitated.group_by("question_id").agg("leaf_id")["leaf_id"]]
    assert len(set(drawn)) > 3, "each question has its own draw"
    assert imitated["eos"].unique().to_list() == [EOS]
    assert facts == {
        "imitated": 60,
        "hinted": 0,
        "value_targets": 10 * 4 + 10 * 6 + 10 * 9,
        "steps_without_outcome": 10,
    }
    assert sum(map(len, table["value_targets"])) == facts["value_targets"]


def paid() -> dict[str, tuple[pl.DataFrame, pl.DataFrame]]:
    """Four questions, the last held out; each took 70 tokens of its trees and 30 of its tries."""
    trees, tries = (
        [
            ({"question_id": q, "tree_id": f"{name}/{q}", "generated_tokens": n, "is_held_out": q == "d"}, SEARCHED)
            for q in "abcd"
        ]
        for name, n in (("trees", 70), ("tries", 30))
    )
    return {"trees": tables(*trees), "tries": tables(*tries)}


def test_a_budget_pays_for_the_first_questions_with_all_that_was_done_to_them(tmp_path: Path) -> None:
    rule = Siblings(evidence=("trees",))
    table, facts = chosen(tmp_path, rule, paid(), tokens=250)
    assert table["question_id"].unique(maintain_order=True).to_list() == ["a", "b"]
    assert (facts["learnt_from"], facts["tokens"]) == (2, 200)
    assert "notes" not in facts


def test_a_budget_that_pays_for_all_is_told_not_to_be_spent(tmp_path: Path) -> None:
    table, facts = chosen(tmp_path, Siblings(evidence=("trees",)), paid(), tokens=5_000)
    assert table["question_id"].unique(maintain_order=True).to_list() == ["a", "b", "c"]
    assert (facts["learnt_from"], facts["tokens"]) == (3, 300)
    assert facts["notes"] == [
        "all questions together took 300 tokens, and the budget of 5,000 is not spent: ask for more questions "
        "(questions.count)"
    ]


def test_what_a_hint_led_to_is_counted(tmp_path: Path) -> None:
    about = {"question_id": "h", "tree_id": "tries/h", "evidence": "tries", "backup": "trajectories"}
    table, facts = chosen(
        tmp_path, RightPaths(evidence=("tries",)), {"tries": tables((about, list(HINTED.nodes.values())))}
    )
    assert table.select("origin", "weight").rows() == [("hint", 1.0), ("policy", 0.0)]
    assert (facts["imitated"], facts["hinted"], facts["value_targets"]) == (1, 1, 3)


def test_a_rule_is_told_by_its_name_and_says_which_table_it_gives() -> None:
    rules = TypeAdapter(dict[str, Rule]).validate_python(
        {
            "paths": {"rule": "right_paths", "evidence": ["trees", "tries"], "most": 3},
            "steps": {"rule": "siblings", "evidence": ["trees"], "min_outcomes": 0},
        }
    )
    assert rules["paths"] == RightPaths(evidence=("trees", "tries"), most=3)
    assert rules["steps"] == Siblings(evidence=("trees",), min_outcomes=0)
    assert [rule.gives for rule in rules.values()] == ["imitations", "preferences"]
    for wrong_one in ({"rule": "all"}, {"rule": "siblings", "evidence": []}, {"rule": "siblings", "most": 3}):
        with pytest.raises(ValidationError):
            TypeAdapter(Rule).validate_python({"evidence": ["trees"]} | wrong_one)


def test_what_a_query_leaves_out_is_counted_and_kept(tmp_path: Path) -> None:
    often = (
        "select pair_id, if(chosen.visits < 3, 'tried too little', null) as reason from preferences as pairs "
        "inner join nodes as chosen on chosen.tree_id = pairs.tree_id and chosen.node_id = pairs.chosen_id "
        "inner join trees on trees.tree_id = pairs.tree_id where pairs.kind = 'plan' and evidence = 'trees'"
    )
    table, facts = chosen(tmp_path, Siblings(evidence=("trees",), select=often))
    dropped = pl.read_parquet(tmp_path / "dropped.parquet")
    assert (table.height, facts["plan_pairs"], facts["solution_pairs"], facts["deselected"]) == (10, 10, 0, 30)
    reasons = {("tried too little", "plan"): 10, ("not selected", "solution"): 20}
    assert {(reason, kind): n for reason, kind, n in dropped.group_by("reason", "kind").len().rows()} == reasons
    assert facts["notes"] == ["its query left 30 of 40 rows out; dropped.parquet has them, with the reasons"]
