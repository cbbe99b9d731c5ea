"""Scripted searches by every method, and what they and reflections teach: no rule of the warehouse is broken."""

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from infra.warehouse import IN_WORDS, ask, build, check
from tasks.language.format import FORMATS
from tasks.lessons.first_pit import FirstPit
from tasks.lessons.right_paths import RightPaths, right_paths
from tasks.lessons.rule import LessonRule
from tasks.lessons.scored_steps import ScoredSteps, scored_steps
from tasks.lessons.searched import by_question
from tasks.lessons.siblings import Siblings, siblings
from tasks.lessons.whole_answers import WholeAnswers
from tasks.records import TABLES, frame
from tasks.search.grow import Task
from tasks.settings import Search
from tasks.stages.search import trees_of
from tests.sql.handmade import EOS, QUESTIONS, ROUND, Row, parquet
from tests.sql.handmade import question as question_row
from tests.tasks.search.scripted import ScriptedPolicy

METHODS: dict[str, dict[str, Any]] = {
    "puct": {"simulations": 24, "readings": 1, "corrections": 1, "trees": 2},
    "stepwise": {"simulations": 16},
    "beam": {"beams": 3},
    "sampling": {"root_children": 12},
    "reflect": {"root_children": 2, "trials": 3},
    "pits": {"root_children": 12, "children": 3},
}

BOTH = ("trees", "tries")
OTHERS: dict[str, LessonRule] = {
    "answers": WholeAnswers(evidence=BOTH),
    "pits": FirstPit(evidence=BOTH, chosen="continuation", min_outcomes=1),
    "first_steps": FirstPit(evidence=BOTH, chosen="step", min_outcomes=1),
}

ASKED = QUESTIONS | {"q4": "No path is right.", "q5": "The engine was lost."}


async def is_even(answer: str) -> bool:
    return int(answer) % 2 == 0


async def is_first(plan: str) -> bool:
    """A plan leaks that begins with a certain step."""
    return "choose 0" in plan.split("</step>")[0]


class Late:
    """Right is the answer that comes after so many."""

    def __init__(self, wrong: int) -> None:
        self.wrong = wrong

    async def __call__(self, answer: str) -> bool:
        self.wrong -= 1
        return self.wrong < 0


def searched(name: str, settings: Search, skipped: str = "", lost: str = "") -> dict[str, list[Row]]:
    """The tables of one evidence. Of q4, nothing is right that the policy begins itself."""
    trees: list[Any] = []
    nodes: list[Any] = []
    for number, (question_id, text) in enumerate(ASKED.items()):
        policy = ScriptedPolicy(seed=3, fails_at=1 if question_id == lost else None, format=FORMATS[settings.steps])
        task = Task(
            question_id,
            text,
            (5, 100 + number),
            is_even if question_id != "q4" else Late(2) if name == "tries" else Late(10**6),
            0 if question_id == skipped else settings.simulations,
            question_id == "q2",
            gold="4",
            leaks=is_first,
            evidence=name,
        )
        part = asyncio.run(trees_of(task, policy, settings))
        trees += part.rows["trees"]
        nodes += part.rows["nodes"]
    return {"trees": trees, "nodes": nodes}


def without_words(learnt: dict[str, list[Row]]) -> dict[str, list[Row]]:
    return {name: [{column: row[column] for column in TABLES[name]} for row in rows] for name, rows in learnt.items()}


def assert_told_in_words(path: Path, learnt: dict[str, list[Row]]) -> None:
    """The views put together again what the rules saw."""
    for table, (view, key) in IN_WORDS.items():
        told = ask(path, f"from {view} order by lesson, {key}").records()
        rows = sorted(learnt[table], key=lambda row: (row["lesson"], row[key]))
        assert [{column: one[column] for column in row} for one, row in zip(told, rows, strict=True)] == [
            row | {"value_targets": pytest.approx(row["value_targets"])} if "value_targets" in row else row
            for row in rows
        ]


@pytest.mark.parametrize("method", METHODS)
def test_a_searched_round_breaks_no_rule(method: str, tmp_path: Path) -> None:
    trees = searched("trees", Search(method=method, **METHODS[method]), skipped="q3", lost="q5")
    tries = searched("tries", Search(method="reflect", root_children=2, trials=12))
    found = {table: trees[table] + tries[table] for table in trees}
    assert {"solution", "leaked"} <= {row["kind"] for row in tries["nodes"] if row["origin"] == "hint"}
    pairs, imitations = [], []
    others: dict[str, list[Row]] = {lesson: [] for lesson in OTHERS}
    for question in by_question(frame("trees", found["trees"]), frame("nodes", found["nodes"])):
        imitations += right_paths(question, RightPaths(evidence=("trees", "tries")), EOS)[0]
        pairs += siblings(question, Siblings(evidence=("trees", "tries")))[0]
        for lesson, rule in OTHERS.items():
            others[lesson] += rule.rows(question, EOS)[0]
    assert {pair["tree_id"].partition("/")[0] for pair in pairs} == {"trees", "tries"}
    assert all(others.values())
    assert "continuation" in {pair["kind"] for rows in others.values() for pair in rows}
    imitated = {
        row["question_id"]: (row["tree_id"].partition("/")[0], row["origin"]) for row in imitations if row["weight"]
    }
    assert imitated == {
        "q1": ("trees", "policy"),
        "q3": ("tries", "policy"),
        "q4": ("tries", "hint"),
        "q5": ("trees" if method == "puct" else "tries", "policy"),  # one of whose two trees was not lost
    }
    path = tmp_path / "warehouse.duckdb"
    questions = [
        *ROUND["questions"],
        *(question_row("q1", ["add"]) | {"question_id": name, "question": ASKED[name]} for name in ("q4", "q5")),
    ]
    learnt = {
        "preferences": [{"lesson": "steps"} | row for row in pairs]
        + [{"lesson": lesson} | row for lesson, rows in others.items() for row in rows],
        "imitations": [{"lesson": "paths"} | row for row in imitations],
    }
    build(path, parquet(tmp_path, ROUND | {"questions": questions, "pair_effects": []} | found | without_words(learnt)))
    assert check(path) == []
    assert_told_in_words(path, learnt)


@pytest.mark.parametrize("method", [method for method in METHODS if method != "reflect"])
def test_a_round_without_plans_teaches_its_steps_and_breaks_no_rule(method: str, tmp_path: Path) -> None:
    """Steps of solutions are searched, paired, imitated and scored as plan steps are; no plan is anywhere."""
    found = searched("trees", Search(method=method, steps="solution", **METHODS[method]))
    assert {"step", "solution"} <= {row["kind"] for row in found["nodes"]}
    assert not [row["text"] for row in found["nodes"] if row["kind"] == "plan" or "plan>" in row["text"]]
    learnt: dict[str, list[Row]] = {"preferences": [], "imitations": []}
    for question in by_question(frame("trees", found["trees"]), frame("nodes", found["nodes"])):
        imitated = right_paths(question, RightPaths(evidence=("trees",)), EOS)[0]
        learnt["imitations"] += [{"lesson": "paths"} | row for row in imitated]
        if method == "stepwise":
            scored = scored_steps(question, ScoredSteps(evidence=("trees",), alpha=0.1), EOS)[0]
            learnt["imitations"] += [{"lesson": "scores"} | row for row in scored]
        for lesson, rule in ({"steps": Siblings(evidence=BOTH)} | OTHERS).items():
            learnt["preferences"] += [{"lesson": lesson} | row for row in rule.rows(question, EOS)[0]]
    kinds = {(row["lesson"], row["kind"]) for row in learnt["preferences"]}
    assert {("steps", "step"), ("first_steps", "step"), ("answers", "continuation")} <= kinds
    whole = [
        row["prompt"] + row["completion"] for row in learnt["imitations"] if row["lesson"] == "paths" and row["weight"]
    ]
    assert whole
    for text in whole:
        assert "\n</question>\n<solution>\n<step>\nStep 1: " in text
    path = tmp_path / "warehouse.duckdb"
    questions = [question_row("q1", ["add"]) | {"question_id": name, "question": text} for name, text in ASKED.items()]
    questions[1]["is_held_out"] = True
    build(path, parquet(tmp_path, ROUND | {"questions": questions, "pair_effects": []} | found | without_words(learnt)))
    assert check(path) == []
    assert_told_in_words(path, learnt)
    [counted] = ask(path, "from search_yield").records()
    pairs = Counter(kind for kind, _ in {(row["kind"], row["pair_id"]) for row in learnt["preferences"]})
    for kind in ("plan", "step", "solution", "continuation"):
        assert counted[f"{kind}_pairs"] == pairs[kind]
