"""The rule *first_pit*: which step of a wrong answer is rejected, and what is chosen in its place."""

from typing import Any

import pytest

from tasks.lessons.first_pit import FirstPit, good_states, pits
from tasks.lessons.searched import SearchedTree
from tests.tasks.lessons.grown import EOS, FOREST, HINTED, OPINION, Row, node, right, tree, without_plans, wrong

#                      root
#     1: .2                            2: -1 of 4
#     3: 0             4: -1 of 4      8 wrong of 4
#     5 right 6 wrong  7 wrong of 4
SAMPLED = tree(
    node(0, None, "root", -0.5, visits=10),
    node(1, 0, "plan", -2 / 3, visits=6),
    node(2, 0, "plan", -1.0, visits=4),
    node(3, 1, "plan", 0.0, visits=2),
    node(4, 1, "plan", -1.0, visits=4),
    right(5, 3),
    wrong(6, 3),
    wrong(7, 4, visits=4),
    wrong(8, 2, visits=4),
    method="sampling",
)


def found(*trees: SearchedTree, chosen: str = "step", **settings: Any) -> tuple[list[Row], int]:
    rule = FirstPit.model_validate({"evidence": ("trees",), "chosen": chosen, "min_outcomes": 4, **settings})
    return rule.rows({"trees": trees}, EOS)


def ends(rows: list[Row]) -> list[tuple[int, int, int]]:
    return [(row["parent_id"], row["chosen_id"], row["rejected_id"]) for row in rows]


def test_each_wrong_answers_first_step_that_leads_nowhere_is_rejected() -> None:
    """6 is wrong though its plan was right: the solution itself is the pit, of one trajectory."""
    assert [pit["node_id"] for pit in pits(SAMPLED, 4, {*good_states(SAMPLED)})] == [6, 4, 2]
    rows, dropped = found(SAMPLED)
    assert (ends(rows), dropped) == ([(3, 5, 6), (1, 3, 4), (0, 1, 2)], 0)
    assert [row["kind"] for row in rows] == ["solution", "plan", "plan"]
    assert [(row["prompt"], row["chosen"], row["rejected"]) for row in rows][1] == ("<0><1>", "<3>", "<4>")


def test_steps_of_solutions_have_pits_as_plan_steps_do() -> None:
    for chosen in ("step", "continuation"):
        planned, dropped = found(SAMPLED, chosen=chosen)
        rows, dropped_without = found(without_plans(SAMPLED), chosen=chosen)
        assert (ends(rows), dropped_without) == (ends(planned), dropped)
        assert [row["kind"] for row in rows] == [row["kind"].replace("plan", "step") for row in planned]


def test_the_shortest_right_continuation_goes_to_its_end() -> None:
    """In tokens, whichever they are: of <9> there is one, of <5> more."""
    longer = tree(*SAMPLED.nodes.values(), right(9, 3) | {"token_ids": [99]}, node(10, 1, "plan", 1.0), right(11, 10))
    rows, _ = found(longer, chosen="continuation")
    assert ends(rows) == [(3, 9, 6), (1, 9, 4), (0, 9, 2)]
    assert [row["chosen"] for row in rows] == ["<9>", "<3><9>", "<1><3><9>"]
    assert [row["rejected"] for row in rows] == ["<6>", "<4>", "<2>"], "one step, not the answer that it led to"
    assert [row["kind"] for row in rows] == ["solution", "continuation", "continuation"]


def test_a_shorter_answer_elsewhere_in_the_tree_continues_no_other_state() -> None:
    elsewhere = tree(*SAMPLED.nodes.values(), right(9, 0) | {"kind": "plan", "reward": None}, right(10, 9))
    assert ends(found(elsewhere, chosen="continuation")[0]) == [(3, 5, 6), (1, 5, 4), (0, 10, 2)]


@pytest.mark.parametrize(("least", "rejected"), [(4, [6, 4, 2]), (5, [6]), (1, [6, 4, 2])])
def test_a_plan_step_is_a_pit_when_enough_trajectories_failed_below_it(least: int, rejected: list[int]) -> None:
    assert [row["rejected_id"] for row in found(SAMPLED, min_outcomes=least)[0]] == rejected


def test_a_step_from_which_another_tree_found_a_right_answer_is_no_pit() -> None:
    """Five failures in one tree do not make a pit of <2>: the other tree knows that it can be solved."""
    other = tree(node(0, None, "root", 0.0, visits=2), node(2, 0, "plan", 0.0, visits=2), right(20, 2), wrong(21, 2))
    rejected = {row["rejected"] for row in found(SAMPLED, other)[0]}
    assert rejected == {"<6>", "<4>", "<21>"}
    assert {row["rejected"] for row in found(other, SAMPLED)[0]} == rejected


def test_an_answer_that_another_trees_check_took_for_right_has_no_pit_and_the_next_ones_have() -> None:
    right_elsewhere = {*good_states(SAMPLED), "<0><1><3><6>"}
    assert [pit["node_id"] for pit in pits(SAMPLED, 4, right_elsewhere)] == [4, 2]


def test_a_step_that_two_wrong_answers_take_is_rejected_once() -> None:
    again = tree(*SAMPLED.nodes.values(), wrong(9, 4), method="sampling")
    assert [row["rejected_id"] for row in found(again)[0]] == [6, 4, 2]


def test_where_nothing_is_right_no_step_is_the_first_that_is_wrong() -> None:
    lost = tree(node(0, None, "root", -1.0, visits=4), node(1, 0, "plan", -1.0, visits=4), wrong(2, 1, visits=4))
    assert found(lost) == ([], 0)
    assert found(HINTED, min_outcomes=1) == ([], 0), "what followed a hint leads nowhere"
    assert found(OPINION, min_outcomes=1) == ([], 0)


def test_no_more_than_asked_and_a_seed_says_which() -> None:
    """Those that were found first are of the answers with the fewest steps."""
    drawn = [[row["rejected_id"] for row in found(SAMPLED, most=1, seed=seed)[0]] for seed in range(20)]
    assert {len(one) for one in drawn} == {1}
    assert {*map(tuple, drawn)} == {(6,), (4,), (2,)}
    assert drawn == [[row["rejected_id"] for row in found(SAMPLED, most=1, seed=seed)[0]] for seed in range(20)]
    assert all(found(SAMPLED, most=3, seed=seed) == found(SAMPLED) for seed in range(5)), "as many as there are"


def test_a_pair_that_the_trees_own_q_denies_is_dropped() -> None:
    """From round 2 on Q holds V: here it says that the pit is better than what led to a right answer."""
    assert ends(found(FOREST, min_outcomes=1)[0]) == [(1, 6, 7), (1, 6, 8), (0, 1, 2)]
    denied = tree(*(one | {"q": -0.9} if one["node_id"] in (1, 3) else one for one in FOREST.nodes.values()))
    rows, dropped = found(denied, min_outcomes=1)
    assert (ends(rows), dropped) == ([(1, 6, 7), (1, 6, 8)], 1)
    pit = FOREST.nodes[2]["q"]
    level = tree(*(one | {"q": pit} if one["node_id"] in (1, 3) else one for one in FOREST.nodes.values()))
    assert found(level, min_outcomes=1) == (rows, 1), "nor does one that it calls as good"


def test_a_right_solution_without_a_plan_is_not_chosen() -> None:
    planless = tree(
        node(0, None, "root", 0.0, visits=5),
        node(1, 0, "plan", -1.0, visits=4),
        wrong(2, 1, visits=4),
        right(3, 0),
        method="sampling",
    )
    twice = tree(*planless.nodes.values(), node(4, 0, "plan", -1.0, visits=4), wrong(5, 4, visits=4))
    for chosen in ("step", "continuation"):
        assert found(planless, chosen=chosen) == ([], 1)
        assert found(twice, chosen=chosen) == ([], 2)


def test_rollouts_that_are_no_nodes_tell_a_pit_but_continue_nowhere() -> None:
    """Stepwise search: the later tree has tried the same steps more often, and has the word."""
    first = tree(
        node(0, None, "root", 0.0, visits=8),
        node(1, 0, "plan", 0.5, visits=4),
        node(2, 0, "plan", -1.0, visits=5),
        wrong(3, 2),
        method="stepwise",
    )
    rows, dropped = found(first)
    assert (ends(rows), dropped) == ([(0, 1, 2)], 0)
    assert found(first, chosen="continuation") == ([], 1)


def test_a_question_that_one_evidence_left_out_is_learnt_from_the_other() -> None:
    assert found(SAMPLED, evidence=("tries", "trees")) == found(SAMPLED)
