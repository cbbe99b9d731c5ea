"""The rule *whole_answers*: right answers against wrong ones, none used twice while others are there."""

from collections import Counter
from itertools import product
from typing import Any

import pytest

from tasks.lessons.searched import SearchedTree
from tasks.lessons.whole_answers import WholeAnswers
from tests.tasks.lessons.grown import EOS, FOREST, HINTED, Row, node, right, tree, without_plans, wrong


def paired(*trees: SearchedTree, **settings: Any) -> tuple[list[Row], int]:
    rule = WholeAnswers.model_validate({"evidence": ("trees",), **settings})
    return rule.rows({"trees": trees}, EOS)


def answers(rights: int, wrongs: int) -> SearchedTree:
    ends = [right(2 + n, 1) for n in range(rights)] + [wrong(2 + rights + n, 1) for n in range(wrongs)]
    return tree(node(0, None, "root", 0.0), node(1, 0, "plan", 0.0), *ends)


def test_a_pair_is_of_two_whole_answers_from_the_question_on() -> None:
    rows, dropped = paired(FOREST)
    assert dropped == 0
    assert {(row["prompt"], row["parent_id"], row["kind"]) for row in rows} == {("<0>", 0, "continuation")}
    assert {row["chosen"] for row in rows} == {"<1><6>", "<3><11>"}
    assert {row["rejected"] for row in rows} == {"<1><7>", "<1><8>", "<2><9><10>"}
    assert {(row["chosen_q"], row["rejected_q"]) for row in rows} == {(1.0, -1.0)}


def test_without_plans_an_answer_is_its_steps_and_their_end() -> None:
    assert paired(without_plans(FOREST)) == paired(FOREST)


@pytest.mark.parametrize(("rights", "wrongs", "most"), [*product((1, 2, 3, 4, 6), (1, 2, 4), (1, 3, 4, 50))])
def test_pairs_are_distinct_and_each_answer_is_used_as_often_as_the_others(rights: int, wrongs: int, most: int) -> None:
    rows, _ = paired(answers(rights, wrongs), most=most)
    assert len(rows) == len({row["pair_id"] for row in rows}) == min(most, rights * wrongs)
    for side, there in (("chosen_id", rights), ("rejected_id", wrongs)):
        used = Counter(row[side] for row in rows)
        assert len(used) == min(there, len(rows))
        assert max(used.values()) - min(used.values()) <= 1


def test_when_all_were_used_each_right_answer_meets_the_wrong_one_after_its_first() -> None:
    rows, _ = paired(answers(3, 3), most=6)
    (a, x), (b, y), (c, z), *again = [(row["chosen_id"], row["rejected_id"]) for row in rows]
    assert again == [(a, y), (b, z), (c, x)]


def test_the_seed_chooses() -> None:
    drawn = [[row["pair_id"] for row in paired(answers(5, 5), most=2, seed=seed)[0]] for seed in (1, 1, 2, 3)]
    assert drawn[0] == drawn[1]
    assert len({tuple(one) for one in drawn}) > 1


@pytest.mark.parametrize(
    "lacks", [answers(0, 3), answers(3, 0), HINTED, tree(node(0, None, "root", 0.0), right(1, 0), wrong(2, 0))]
)
def test_without_right_or_wrong_answers_that_follow_an_own_plan_there_is_no_pair(lacks: SearchedTree) -> None:
    assert paired(lacks) == ([], 1)


def test_what_is_malformed_is_no_answer() -> None:
    searched = tree(
        node(0, None, "root", 0.0), node(1, 0, "plan", 0.0), right(2, 1), node(3, 1, "malformed", -1.0, reward=-1.0)
    )
    assert paired(searched) == ([], 1)


def test_the_first_tree_with_both_gives_the_pairs_and_none_that_begins_later() -> None:
    later = tree(
        node(0, None, "root", 0.0), node(1, 0, "plan", 0.0), right(2, 1), wrong(3, 1), steps=1, tree_id="later"
    )
    second = tree(*answers(1, 1).nodes.values(), tree_id="second")
    rows, _ = paired(answers(2, 0), later, second)
    assert [row["tree_id"] for row in rows] == ["second"]


def test_a_question_that_one_evidence_left_out_is_learnt_from_the_other() -> None:
    assert paired(FOREST, evidence=("tries", "trees")) == paired(FOREST)
