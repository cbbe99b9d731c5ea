"""The rule *siblings*: which steps are preferred to which, and what a preference is worth."""

from typing import Any

import pytest

from tasks.lessons.preference import is_known
from tasks.lessons.searched import Found, SearchedTree
from tasks.lessons.siblings import Siblings, siblings, step_pairs
from tests.tasks.lessons.grown import FOREST, HINTED, OPINION, node, right, tree, without_plans, wrong


def test_all_positive_negative_plan_siblings_and_one_solution_pair_a_parent() -> None:
    pairs = list(step_pairs(FOREST, given()))
    assert [(pair["chosen_id"], pair["rejected_id"], pair["kind"]) for pair in pairs] == [
        (1, 2, "plan"),
        (3, 2, "plan"),
        (6, 7, "solution"),
    ]
    assert [(pair["chosen_value"], pair["rejected_value"]) for pair in pairs] == [(0.5, -0.5), (0.2, -0.5), (0.3, -0.3)]


@pytest.mark.parametrize("pairs", ["all", "best_worst"])
def test_steps_of_solutions_are_paired_as_plan_steps_are(pairs: str) -> None:
    planned = list(step_pairs(FOREST, given(plan_pairs=pairs)))
    found = list(step_pairs(without_plans(FOREST), given(plan_pairs=pairs)))
    assert found == [pair | {"kind": pair["kind"].replace("plan", "step")} for pair in planned]
    assert {pair["kind"] for pair in found} == {"step", "solution"}


def test_a_pairs_prefix_is_its_parents_path() -> None:
    pair = list(step_pairs(FOREST, given()))[-1]
    assert (pair["pair_id"], pair["tree_id"], pair["question_id"], pair["parent_id"]) == ("t/6-7", "t", "t", 1)
    assert pair["prompt"] == "<0><1>"
    assert pair["prompt_ids"] == [1, 2, 11, 12]
    assert (pair["chosen"], pair["chosen_ids"], pair["chosen_q"]) == ("<6>", [61, 62], 1.0)
    assert (pair["rejected"], pair["rejected_ids"], pair["rejected_q"]) == ("<7>", [71, 72], -1.0)


def test_a_solution_among_the_siblings_leaves_only_the_solution_pair() -> None:
    mixed = tree(
        node(0, None, "root", 0.0),
        node(1, 0, "plan", 0.1),
        node(2, 1, "plan", 0.9),
        node(3, 1, "plan", -0.9),
        right(4, 1),
        wrong(5, 1),
    )
    assert [(pair["chosen_id"], pair["rejected_id"]) for pair in step_pairs(mixed, given())] == [(4, 5)]


def test_every_parent_is_compared_whatever_is_below_the_one_before() -> None:
    searched = tree(
        node(0, None, "root", 0.0),
        node(1, 0, "plan", 0.5),
        node(2, 0, "plan", -0.5),
        right(3, 1),
        wrong(4, 1),
        node(5, 2, "plan", 0.1),
        node(6, 2, "plan", -0.9),
    )
    assert [(pair["chosen_id"], pair["rejected_id"]) for pair in step_pairs(searched, given())] == [
        (1, 2),
        (3, 4),
        (5, 6),
    ]


@pytest.mark.parametrize("kind", ["plan", "solution"])
@pytest.mark.parametrize("q", [0.5, -0.5])
def test_a_step_of_q_0_is_neither_chosen_nor_rejected(kind: str, q: float) -> None:
    even = tree(node(0, None, "root", 0.0), node(1, 0, "plan", 0.1), node(2, 1, kind, q), node(3, 1, kind, 0.0))
    assert list(step_pairs(even, given())) == []


def test_solutions_without_a_plan_make_no_pair() -> None:
    planless = tree(node(0, None, "root", 0.0), right(1, 0), wrong(2, 0))
    assert list(step_pairs(planless, given())) == []


def test_solutions_at_the_root_follow_no_plan_and_leave_its_plan_pairs_alone() -> None:
    """As in the released code, which drops them before it looks at a parent's kind (methods.md 1.6)."""
    answered_at_once = tree(
        node(0, None, "root", -0.2),
        node(1, 0, "plan", 0.6),
        node(2, 0, "plan", -0.4),
        node(3, 0, "plan", -0.8),
        wrong(4, 0),
        right(5, 0),
    )
    pairs = [(pair["chosen_id"], pair["rejected_id"]) for pair in step_pairs(answered_at_once, given())]
    assert pairs == [(1, 2), (1, 3)]


def test_solutions_right_below_a_later_trees_root_follow_the_plan_in_its_prompt() -> None:
    later = tree(node(0, None, "root", 0.0), right(1, 0), wrong(2, 0), steps=1)
    assert [(pair["chosen_id"], pair["rejected_id"]) for pair in step_pairs(later, given())] == [(1, 2)]


@pytest.mark.parametrize("unlearnable", ["malformed", "too_deep", "undecided", "leaked"])
def test_a_step_that_nobody_can_learn_from_is_in_no_pair(unlearnable: str) -> None:
    reward = None if unlearnable in ("undecided", "leaked") else -1.0
    searched = tree(
        node(0, None, "root", 0.0),
        node(1, 0, "plan", 0.5),
        node(2, 0, unlearnable, reward, visits=int(reward is not None), reward=reward),
        right(3, 1),
    )
    assert list(step_pairs(searched, given())) == []


def given(*trees: str, **settings: Any) -> Siblings:
    return Siblings.model_validate({"evidence": trees or ("trees",), **settings})


def test_the_best_against_the_worst_is_one_pair_a_parent() -> None:
    """SVPO's, of plan steps too (methods.md 3.3)."""
    pairs = step_pairs(FOREST, given(plan_pairs="best_worst"))
    assert [(pair["chosen_id"], pair["rejected_id"]) for pair in pairs] == [(1, 2), (6, 7)]


def test_values_that_are_nearer_than_the_gap_make_no_pair() -> None:
    """1: +.5, 2: -.5, 3: +.2; 6 is right and 7 wrong."""
    found: Found = {"trees": [FOREST]}

    def chosen(gap: float) -> tuple[list[int], int]:
        pairs, dropped = siblings(found, given(min_gap=gap))
        return [pair["chosen_id"] for pair in pairs], dropped

    assert chosen(0.7) == ([1, 3, 6], 0)
    assert chosen(0.71) == ([1, 6], 0)
    assert chosen(1.0) == ([1, 6], 0)
    assert chosen(1.5) == ([6], 0)


def test_a_pair_needs_as_many_outcomes_as_it_is_asked_for() -> None:
    found = {"trees": [OPINION]}
    pairs, dropped = siblings(found, given(min_outcomes=0))
    assert ([pair["chosen_id"] for pair in pairs], dropped) == ([1, 3], 0)
    assert siblings(found, given(min_outcomes=1)) == ([], 2)
    assert given().min_outcomes == 1


def test_both_steps_of_a_pair_need_their_outcomes() -> None:
    pairs = list(step_pairs(FOREST, given()))
    assert [is_known(FOREST, pair, 1) for pair in pairs] == [True, True, True]
    assert [is_known(FOREST, pair, 2) for pair in pairs] == [False, False, False]
    twice = tree(*(one | {"visits": 2} if one["node_id"] in (6, 10) else one for one in FOREST.nodes.values()))
    assert [is_known(twice, pair, 2) for pair in step_pairs(twice, given())] == [True, False, False]


def test_a_plan_step_under_a_hint_is_not_preferred_for_what_followed_it() -> None:
    """Who wrote what followed had been told the answer."""
    assert siblings({"tries": [HINTED]}, given("tries")) == ([], 1)


def test_the_scale_of_solutions_is_that_of_the_rule() -> None:
    pairs, _ = siblings({"trees": [FOREST]}, given(solution_value_scale=0.5))
    assert [(pair["chosen_value"], pair["rejected_value"]) for pair in pairs] == [(0.5, -0.5), (0.2, -0.5), (0.5, -0.5)]


BETTER = {"text": "<left>", "token_ids": [31, 32]}
WORSE = {"text": "<right>", "token_ids": [41, 42]}


def test_steps_that_two_trees_compare_are_one_pair_and_the_later_tree_has_the_word() -> None:
    """Stepwise search: a later tree begins below a step whose children the first one has already, tried less often."""
    first = tree(
        node(0, None, "root", 0.2, visits=4),
        node(1, 0, "plan", 0.2, visits=4),
        node(2, 1, "plan", -0.5) | BETTER,
        node(3, 1, "plan", 0.5) | WORSE,
        method="stepwise",
    )
    later = tree(
        node(0, None, "root", 0.5, visits=16) | {"text": "<0><1>", "token_ids": [1, 2, 11, 12]},
        node(1, 0, "plan", 0.9, visits=9) | BETTER,
        node(2, 0, "plan", -0.8, visits=7) | WORSE,
        node(3, 0, "plan", -0.1, visits=2),
        tree_id="t/step-1",
        steps=1,
        method="stepwise",
    )
    pairs, _ = siblings({"trees": [first, later]}, given())
    assert [(pair["pair_id"], pair["chosen"], pair["rejected"]) for pair in pairs] == [
        ("t/step-1/1-2", "<left>", "<right>"),
        ("t/step-1/1-3", "<left>", "<3>"),
    ]


@pytest.mark.parametrize("order", [("trees", "tries"), ("tries", "trees")])
def test_of_steps_that_two_evidences_compare_the_one_named_first_has_the_word(order: tuple[str, str]) -> None:
    found: Found = {
        name: [
            tree(
                node(0, None, "root", 0.0, visits=2),
                node(1, 0, "plan", 0.5 if name == "trees" else -0.5) | BETTER,
                node(2, 0, "plan", -0.5 if name == "trees" else 0.5) | WORSE,
                right(3, 1),
                wrong(4, 2),
                tree_id=name,
            )
        ]
        for name in ("trees", "tries")
    }
    pairs, _ = siblings(found, given(*order))
    assert [pair["tree_id"] for pair in pairs] == [order[0]]
    alone, _ = siblings(found, given("tries"))
    assert [pair["chosen"] for pair in alone] == ["<right>"], "what the rule does not name teaches nothing"


def test_of_several_trees_the_one_that_tried_both_steps_more_often_has_the_word() -> None:
    """Ten trees of a question stand beside each other: that one comes last says nothing for it."""

    def seen(name: str, q: float, visits: int) -> SearchedTree:
        good, bad = (right, wrong) if q > 0 else (wrong, right)
        steps = node(1, 0, "plan", q, visits=visits), node(2, 0, "plan", -q, visits=visits)
        return tree(node(0, None, "root", 0.0, visits=2 * visits), *steps, good(3, 1), bad(4, 2), tree_id=name)

    sure, hasty = seen("sure", 0.9, 50), seen("hasty", -0.1, 2)
    for trees in ([sure, hasty], [hasty, sure]):
        rows, _ = siblings({"trees": trees}, Siblings(evidence=("trees",)))
        assert [(row["tree_id"], row["chosen"]) for row in rows] == [("sure", "<1>")]
    for trees in ([sure, seen("even", -0.1, 50)], [seen("even", -0.1, 50), sure]):
        rows, _ = siblings({"trees": trees}, Siblings(evidence=("trees",)))
        assert [row["tree_id"] for row in rows] == [trees[1].tree_id], "of two that tried as often, the later one"


def test_a_question_that_one_evidence_left_out_is_learnt_from_the_other() -> None:
    both, alone = ([name] * (name == "tries") + ["trees"] for name in ("tries", "trees"))
    assert siblings({"trees": [FOREST]}, given(*both)) == siblings({"trees": [FOREST]}, given(*alone))
