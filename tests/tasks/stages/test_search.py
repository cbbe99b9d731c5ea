"""What one evidence decides of the next, pass rates and budgets, and what a search says of itself."""

import asyncio
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest

from infra.store import Ref
from tasks.records import TABLES, frame
from tasks.running.parts import Part
from tasks.search.grow import Task, method
from tasks.search.puct import Puct
from tasks.settings import Search
from tasks.stages.search import budget, counted, library_of, pass_rates, search, to_search, trees_of
from tests.sql.handmade import HINTED, Row, node, question, tree
from tests.tasks.running.local_stage import LocalStage
from tests.tasks.search.scripted import ScriptedPolicy, is_even

BUDGETED = Search(simulations=20, budget_by="tries", skip_above=1.0, more_below=0.25, more_factor=2.0)
FIGURES = {"expansions": 3, "nodes": 8, "visits": 7, "value": 0.0}


def sampled(question_id: str, state: str = "finished") -> Row:
    return tree(f"tries/{question_id}", question_id, state, **FIGURES, evidence="tries", method="reflect")


def ended(question_id: str, reward: float | None, visits: int = 1, **about: Any) -> Row:
    kind = "undecided" if reward is None else "solution"
    return node(f"tries/{question_id}", 9, 0, 1, kind, "", reward=reward, visits=visits) | about


def test_the_pass_rate_is_that_of_the_trajectories_that_the_policy_began() -> None:
    """Each as often as it was sampled. A reflection was told the answer: that what follows is right says nothing of the
    policy."""
    names = ["hinted", "half", "often", "third", "undecided", "unknown", "lost"]
    trees = [sampled(name, "failed" if name == "lost" else "finished") for name in names]
    nodes = [
        ended("hinted", -1.0, visits=2),
        ended("hinted", 1.0) | HINTED,
        ended("half", 1.0),
        ended("half", -1.0),
        ended("often", 1.0, visits=3),
        ended("often", -1.0),
        ended("third", 1.0, visits=2),
        ended("third", -1.0, visits=3, kind="malformed"),
        ended("third", -1.0, kind="too_deep"),
        ended("undecided", None, visits=0),
        ended("undecided", 1.0),
        ended("unknown", None, visits=0),
        ended("lost", 1.0),
        node("tries/half", 1, 0, 1, "plan", "", visits=5),
        node("another/tree", 1, 0, 1, "solution", "", reward=1.0),
    ]
    rates = pass_rates(frame("trees", trees), frame("nodes", nodes))
    assert rates == {"hinted": 0.0, "half": 0.5, "often": 0.75, "third": pytest.approx(1 / 3), "undecided": 1.0}


@pytest.mark.parametrize(
    ("pass_rate", "trained", "held_out"), [(1.0, 0, 20), (0.5, 20, 20), (0.25, 20, 20), (0.0, 40, 20), (None, 20, 20)]
)
def test_a_held_out_question_gets_the_plain_budget(pass_rate: float | None, trained: int, held_out: int) -> None:
    assert budget({"is_held_out": False}, pass_rate, BUDGETED) == trained
    assert budget({"is_held_out": True}, pass_rate, BUDGETED) == held_out


def three_questions() -> pl.DataFrame:
    """Of which the second is held out."""
    return frame("questions", [question("q1", []), question("q2", [], is_held_out=True), question("q3", [])])


def test_held_out_questions_are_searched_if_the_search_says_so() -> None:
    assert list(to_search(three_questions(), Search())) == ["q1", "q2", "q3"]
    asked = to_search(three_questions(), Search(held_out=False))
    assert list(asked) == ["q1", "q3"]
    assert asked["q3"]["question"] == "What is 1 + 1?"


def test_a_search_of_nothing_asks_no_engine_and_leaves_empty_tables(tmp_path: Any) -> None:
    """As a shard may that has held-out questions alone."""

    class Workplace(LocalStage):
        def read(self, ref: Ref, table: str) -> pl.DataFrame:
            return three_questions().filter("is_held_out")

    workplace = Workplace(tmp_path)
    ref = Ref(uri="s3://cpl/x/manifest.json", sha256="0" * 64, rows=3)
    assert search.body(workplace, ref, ref, "tries", Search(held_out=False)) == 0
    for table in ("trees", "nodes", "engine_use"):
        assert pl.read_parquet(tmp_path / f"{table}.parquet").schema == TABLES[table]
    assert set(workplace.facts.values()) == {0}


def test_questions_are_solved_and_trees_fail() -> None:
    """A stepwise search has a tree for every step: two right ones are one question solved."""
    rows = [
        tree("q1", "q1", "finished", **FIGURES, is_solved=True, undecided=1),
        tree("q1/step-1", "q1", "finished", **FIGURES, steps=1, is_solved=True, undecided=2),
        tree("q2", "q2", "finished", **FIGURES),
        tree("q2/step-1", "q2", "finished", **FIGURES, steps=1, is_solved=True),
        tree("q3", "q3", "failed", **FIGURES, error="the engine is gone"),
        tree("q4", "q4", "skipped", **FIGURES | {"expansions": 0}, simulations=0),
    ]
    assert counted(frame("trees", rows), frame("nodes", [])) == {
        "expansions": 15,
        "generated_tokens": 240,
        "undecided": 3,
        "leaked": 0,
        "solved": 2,
        "hinted": 0,
        "failed": 1,
        "skipped": 1,
    }


def test_a_question_is_solved_by_a_hint_where_nothing_else_was_right() -> None:
    nodes = [
        ended("a", 1.0, origin="hint"),
        ended("a", -1.0),
        ended("b", 1.0),
        ended("b", 1.0, origin="hint"),
        ended("c", 1.0, origin="hint"),
        ended("e", 1.0, origin="hint"),
        ended("e", -1.0),
        ended("d", -1.0, origin="hint"),
        node("tries/d", 3, 0, 1, "leaked", "", **HINTED),
        node("tries/c", 3, 0, 1, "leaked", "", **HINTED),
    ]
    told = counted(frame("trees", [sampled(name) for name in "abcde"]), frame("nodes", nodes))
    assert (told["hinted"], told["leaked"]) == (3, 2)


def test_a_question_may_have_several_trees_that_are_searched_anew() -> None:
    """AlphaMath: ten (methods.md 2.1)."""
    task = Task("q1", "How many?", (5, 6), is_even, 12, evidence="trees")

    def searched(trees: int, policy: ScriptedPolicy) -> Part:
        return asyncio.run(trees_of(task, policy, Search(trees=trees, temperature=1.0)))

    several = searched(3, ScriptedPolicy(1))
    assert [row["tree_id"] for row in several.rows["trees"]] == ["trees/q1", "trees/q1/tree-1", "trees/q1/tree-2"]
    assert {row["question_id"] for row in several.rows["trees"]} == {"q1"}
    texts = [
        [row["text"] for row in several.rows["nodes"] if row["tree_id"] == tree["tree_id"]]
        for tree in several.rows["trees"]
    ]
    assert len({tuple(one) for one in texts}) == 3
    assert len(searched(1, ScriptedPolicy(1)).rows["trees"]) == 1
    lost = searched(3, ScriptedPolicy(1, fails_at=9))
    assert lost.error == "the engine is gone"
    assert sorted(row["state"] for row in lost.rows["trees"]).count("failed") == 1


def test_the_ties_of_each_tree_are_broken_by_a_seed_of_its_own() -> None:
    task = Task("q1", "How many?", (5, 6), is_even, 12)
    made = [method(replace(task, copy=copy), Search()) for copy in (0, 0, 1)]
    drawn = [one.random.random() for one in made if isinstance(one, Puct)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_a_library_holds_the_right_steps_of_the_round_before() -> None:
    """Of its questions and its search, whatever else the round has."""
    texts = {"q1": "Ann has 3 apples.", "q2": "Ben has 4 pears."}
    steps = {"q1": "<step>\nPlan 1: count the apples\n</step>\n", "q2": "<step>\nPlan 1: count the pears\n</step>\n"}
    nodes = [
        row
        for name, text in steps.items()
        for row in (
            node(f"trees/{name}", 0, None, 0, "root", ""),
            node(f"trees/{name}", 1, 0, 1, "plan", text, q=1.0, visits=1),
            node(f"trees/{name}", 2, 1, 2, "solution", "", reward=1.0, q=1.0, visits=1),
        )
    ]
    held = {
        ("before", "questions"): frame(
            "questions", [question(name, []) | {"question": t} for name, t in texts.items()]
        ),
        ("search", "trees"): frame("trees", [tree(f"trees/{name}", name, "budget", **FIGURES) for name in steps]),
        ("search", "nodes"): frame("nodes", nodes),
    }
    workplace: Any = SimpleNamespace(read=lambda ref, table: held[ref, table])
    source: Any = {"questions": "before", "search": "search"}
    offers = library_of(workplace, source).offers("Ann has 5 apples.", 1)
    assert [*offers(0)] == ["count the apples"]
