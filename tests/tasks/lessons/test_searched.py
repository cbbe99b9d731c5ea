"""What a searched tree says of its steps, and which trees teach anything."""

import pytest

from tasks.lessons.searched import Outcome, affordable, by_question
from tests.tasks.lessons.grown import FOREST, HINTED, OPINION, node, right, tables, tree, wrong


def test_an_outcome_counts_the_trajectories_that_ended_below() -> None:
    assert FOREST.outcomes[1] == Outcome(-1 / 3, 3)
    assert FOREST.outcomes[2] == Outcome(-1.0, 1)
    assert 4 not in FOREST.outcomes
    assert 5 not in FOREST.outcomes
    assert FOREST.unknown == 0
    assert OPINION.unknown == 3


def test_stepwise_rollouts_are_outcomes_though_they_are_no_nodes() -> None:
    searched = tree(node(0, None, "root", 0.5, visits=4), node(1, 0, "plan", 0.5, visits=4), method="stepwise")
    assert searched.outcomes == {1: Outcome(0.5, 4)}
    assert searched.unknown == 0


def test_what_followed_a_hint_is_no_outcome_of_the_plan_and_one_of_the_solution() -> None:
    assert HINTED.outcomes == {1: Outcome(-1.0, 1), 2: Outcome(-1.0, 1), 4: Outcome(1.0, 1)}
    assert HINTED.unknown == 1
    assert [leaf["node_id"] for leaf in HINTED.leaves()] == [2, 4]


def test_nor_is_it_of_a_step_that_the_policy_had_planned_without() -> None:
    shared = tree(
        node(0, None, "root", 0.0, visits=3),
        node(1, 0, "plan", -1 / 3, visits=3),
        wrong(2, 1, visits=2),
        right(3, 1, origin="hint"),
    )
    assert shared.outcomes == {1: Outcome(-1.0, 2), 2: Outcome(-1.0, 2), 3: Outcome(1.0, 1)}


def test_the_trees_of_each_question_by_evidence() -> None:
    root = [node(0, None, "root", None, visits=0)]
    rows = [
        ({"tree_id": "b", "question_id": "b"}, root),
        ({"tree_id": "a", "question_id": "a"}, root),
        ({"tree_id": "a/step-1", "question_id": "a"}, root),
        ({"tree_id": "tries/c", "question_id": "c", "evidence": "tries"}, root),
        ({"tree_id": "tries/a", "question_id": "a", "evidence": "tries"}, root),
    ]
    found = [
        {name: [one.tree_id for one in trees] for name, trees in question.items()}
        for question in by_question(*tables(*rows))
    ]
    assert found == [{"trees": ["b"]}, {"trees": ["a", "a/step-1"], "tries": ["tries/a"]}, {"tries": ["tries/c"]}]


@pytest.mark.parametrize("about", [{"state": "failed"}, {"state": "skipped"}, {"is_held_out": True}])
def test_what_teaches_nothing(about: dict[str, object]) -> None:
    root = [node(0, None, "root", None, visits=0)]
    first = {"tree_id": "a", "question_id": "a"} | about
    second = {"tree_id": "tries/a", "question_id": "a", "evidence": "tries"}
    assert list(by_question(*tables((first, root)))) == []
    (question,) = by_question(*tables((first, root), (second, root)))
    assert list(question) == ["tries"]


def test_a_budget_pays_for_the_first_questions_with_all_that_was_searched_of_them() -> None:
    root = [node(0, None, "root", None, visits=0)]
    rows = [
        ({"tree_id": "b", "question_id": "b", "generated_tokens": 30}, root),
        ({"tree_id": "h", "question_id": "h", "generated_tokens": 900, "is_held_out": True}, root),
        ({"tree_id": "a", "question_id": "a", "generated_tokens": 20}, root),
        ({"tree_id": "a/step-1", "question_id": "a", "generated_tokens": 5}, root),
        ({"tree_id": "c", "question_id": "c", "generated_tokens": 1}, root),
        ({"tree_id": "tries/a", "question_id": "a", "evidence": "tries", "generated_tokens": 15}, root),
        ({"tree_id": "tries/b", "question_id": "b", "evidence": "tries", "generated_tokens": 20}, root),
    ]
    trees, _ = tables(*rows)
    assert affordable(trees, 90) == (["b", "a"], 90)
    assert affordable(trees, 89) == (["b"], 50)
    assert affordable(trees, 91) == (["b", "a", "c"], 91)
    assert affordable(trees, 49) == ([], 0)
