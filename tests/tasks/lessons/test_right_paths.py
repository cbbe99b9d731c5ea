"""The rule *right_paths*: what is imitated, and what V should say of the steps."""

from typing import Any

import pytest

from tasks.lessons.right_paths import RightPaths, right_paths
from tasks.lessons.searched import SearchedTree
from tasks.settings import Search
from tests.tasks.lessons.grown import EOS, FOREST, HINTED, OPINION, Row, node, right, tree, without_plans, wrong


def taught(*trees: SearchedTree, most: int = 4, seed: int = 42) -> list[Row]:
    rule = RightPaths(evidence=("trees",), most=most, seed=seed)
    return right_paths({"trees": trees}, rule, EOS)[0]


def imitated(rows: list[Row]) -> list[Row]:
    assert {row["weight"] for row in rows} <= {0.0, 1.0}
    return [row for row in rows if row["weight"]]


def targets(rows: list[Row]) -> dict[int, float]:
    """By node: its token ids are its number and 1, then 2."""
    found: dict[int, float] = {}
    for row in rows:
        for position, target in zip(row["value_positions"], row["value_targets"], strict=True):
            token = row["completion_ids"][position]
            assert token % 10 == 2
            assert token // 10 not in found
            found[token // 10] = target
    return found


def test_right_paths_are_imitated_to_their_end_of_sequence() -> None:
    rows = taught(FOREST)
    assert {row["completion"] for row in imitated(rows)} == {"<1><6>", "<3><11>"}
    assert all((row["completion_ids"][-1] == EOS) == bool(row["weight"]) for row in rows)
    assert all(row["prompt_ids"] == [1, 2] for row in rows)
    assert [bool(row["weight"]) for row in rows] == [True] * 2 + [False] * 3, "imitated ones come first"


def test_what_was_sampled_several_times_weighs_as_many_if_the_rule_says_so() -> None:
    """ReST keeps what is right of five samples, and not what is distinct."""
    samples = tree(
        *(node(0, None, "root", 0.6, visits=5), node(1, 0, "plan", 0.6, visits=5)),
        *(right(2, 1, visits=3), wrong(3, 1, visits=1), right(4, 1, visits=1)),
    )
    rule = RightPaths(evidence=("trees",), most=5)
    for repeated, weights in ((True, {2: 3.0, 4: 1.0}), (False, {2: 1.0, 4: 1.0})):
        rows, _ = right_paths({"trees": [samples]}, rule.model_copy(update={"repeated": repeated}), EOS)
        assert {row["leaf_id"]: row["weight"] for row in rows if row["weight"]} == weights
    assert "repeated" not in rule.model_dump(), "the keys of lessons without it are what they were"


def test_only_where_samples_are_counted_can_they_weigh() -> None:
    rule = RightPaths(evidence=("trees",), repeated=True)
    assert [
        rule.refuses(Search(method=name)) is None for name in ("sampling", "reflect", "puct", "stepwise", "pits")
    ] == [*(True, True, False, False, False)]
    assert "in one tree" in str(rule.refuses(Search(method="sampling", trees=2)))
    assert RightPaths(evidence=("trees",)).refuses(Search(method="puct")) is None


def test_an_imitation_is_a_row_of_its_path() -> None:
    [row] = [row for row in taught(FOREST) if row["leaf_id"] == 11]
    assert row == {
        "example_id": "t/11",
        "tree_id": "t",
        "question_id": "t",
        "leaf_id": 11,
        "origin": "policy",
        "weight": 1.0,
        "prompt_tokens": 2,
        "prompt_characters": 3,
        "eos": EOS,
        "prompt_ids": [1, 2],
        "completion_ids": [31, 32, 111, 112, EOS],
        "prompt": "<0>",
        "completion": "<3><11>",
        "value_positions": [1, 3],
        "value_targets": [0.2, 1.0],
    }


def test_no_more_paths_than_asked_and_the_same_seed_chooses_the_same() -> None:
    chosen = [[row["leaf_id"] for row in imitated(taught(FOREST, most=1, seed=seed))] for seed in (1, 1, 2, 3, 4, 5, 6)]
    assert all(len(ids) == 1 for ids in chosen)
    assert chosen[0] == chosen[1]
    assert len({ids[0] for ids in chosen}) == 2


def test_every_visited_step_has_one_value_target_at_its_last_token() -> None:
    expected = {1: 0.5, 2: -0.5, 3: 0.2, 6: 1.0, 7: -1.0, 8: -1.0, 9: -1.0, 10: -1.0, 11: 1.0}
    for most in (1, 4):
        assert targets(taught(FOREST, most=most)) == expected


def test_solutions_without_a_plan_are_not_imitated() -> None:
    planless = tree(node(0, None, "root", 0.0), right(1, 0), wrong(2, 0))
    assert imitated(taught(planless)) == []
    assert targets(taught(planless)) == {1: 1.0, 2: -1.0}


def test_a_path_of_a_later_tree_begins_at_the_question() -> None:
    """Stepwise search: step 2 of the first tree is in the second one's prompt."""
    first = tree(
        node(0, None, "root", 0.5, visits=3),
        node(1, 0, "plan", -0.5),
        node(2, 0, "plan", 0.5),
        method="stepwise",
    )
    later = tree(
        node(0, None, "root", 0.5, visits=3) | {"text": "<0><2>", "token_ids": [1, 2, 21, 22]},
        node(1, 0, "plan", 0.5),
        right(2, 1),
        right(3, 1),
        tree_id="t/step-1",
        steps=1,
        method="stepwise",
    )
    followed, *others = taught(first, later, most=1)
    leaf = followed["leaf_id"]
    assert (followed["prompt"], followed["prompt_ids"]) == ("<0>", [1, 2])
    assert followed["completion"] == f"<2><1><{leaf}>"
    assert followed["completion_ids"] == [21, 22, 11, 12, leaf * 10 + 1, leaf * 10 + 2, EOS]
    assert (followed["value_positions"], followed["value_targets"]) == ([3, 5], [0.5, 1.0])
    assert imitated(others) == []
    assert {row["completion"] for row in others} == {"<1>", "<2>", f"<2><1><{5 - leaf}>"}


def test_a_path_that_a_later_tree_finds_again_is_imitated_once() -> None:
    """Stepwise search: the second tree begins below a step under which the first one had the same solution."""
    solution = {"text": "<right>", "token_ids": [31, 32]}
    first = tree(
        node(0, None, "root", 0.5, visits=3),
        node(1, 0, "plan", 0.5, visits=3),
        right(2, 1) | solution,
        method="stepwise",
    )
    later = tree(
        node(0, None, "root", 0.5, visits=3) | {"text": "<0><1>", "token_ids": [1, 2, 11, 12]},
        right(1, 0, visits=2) | solution,
        right(2, 0),
        tree_id="t/step-1",
        steps=1,
        method="stepwise",
    )
    for seed in range(5):
        rows = taught(first, later, seed=seed)
        assert sorted(row["completion"] for row in imitated(rows)) == ["<1><2>", "<1><right>"]
        assert sum(len(row["value_targets"]) for row in rows) == 4, "every tree's steps teach the value"


def test_steps_of_solutions_are_imitated_and_judged_as_plan_steps_are() -> None:
    assert taught(without_plans(FOREST)) == taught(FOREST)
    assert imitated(taught(without_plans(FOREST)))


def test_solutions_right_below_a_later_trees_root_follow_the_plan_in_its_prompt() -> None:
    later = tree(node(0, None, "root", 0.0), right(1, 0), wrong(2, 0), steps=1)
    assert [row["leaf_id"] for row in imitated(taught(later))] == [1]


@pytest.mark.parametrize("unlearnable", ["malformed", "too_deep", "undecided", "leaked"])
def test_a_step_that_nobody_can_learn_from_is_no_row(unlearnable: str) -> None:
    reward = None if unlearnable in ("undecided", "leaked") else -1.0
    searched = tree(
        node(0, None, "root", 0.0),
        node(1, 0, "plan", 0.5),
        node(2, 0, unlearnable, reward, visits=int(reward is not None), reward=reward),
        right(3, 1),
    )
    assert {row["completion"] for row in taught(searched)} == {"<1><3>"}


def test_a_hopeless_step_on_a_right_path_is_not_imitated() -> None:
    """Q = -1 although a right solution is below: from round 2 on V may say so."""
    hopeless = tree(node(0, None, "root", 0.0), node(1, 0, "plan", -1.0, visits=2), right(2, 1))
    assert imitated(taught(hopeless)) == []


def test_a_step_of_which_nothing_is_known_is_no_target_of_the_value() -> None:
    """Its Q is the V that it had itself."""
    rows, unknown = right_paths({"trees": [OPINION]}, RightPaths(evidence=("trees",)), EOS)
    assert [(row["completion"], row["value_targets"]) for row in rows] == [("<2><4>", [-0.5, -1.0])]
    assert unknown == 3


#   What of several evidences is learnt: `trees`, and `tries` where these have nothing to imitate.

PLAN = node(1, 0, "plan", 1.0, visits=2)
SOLVED = tree(node(0, None, "root", 1.0, visits=3), PLAN, right(2, 1))
UNSOLVED = tree(node(0, None, "root", -1.0, visits=3), PLAN | {"q": -1.0}, wrong(2, 1))
SAMPLED = tree(
    node(0, None, "root", 0.5, visits=4),
    node(1, 0, "plan", 0.5, visits=4),
    *(right(number, 1) for number in (2, 3, 4)),
    wrong(5, 1),
    tree_id="s",
    method="sampling",
)


def chosen(trees: SearchedTree | None, tries: SearchedTree | None, **settings: Any) -> list[Row]:
    found = {name: [tree] for name, tree in (("tries", tries), ("trees", trees)) if tree is not None}
    rule = RightPaths.model_validate({"evidence": ("trees", "tries"), **settings})
    return right_paths(found, rule, EOS)[0]


def test_a_right_path_of_the_first_evidence_is_enough() -> None:
    rows = chosen(SOLVED, SAMPLED)
    assert [row["tree_id"] for row in rows] == ["t"]
    assert rows == chosen(SOLVED, None)


def test_a_reflections_success_is_imitated_where_the_search_found_no_right_path() -> None:
    """LEPA (methods.md 4.1), and the point of reflecting: what is learnt is another thing than without it."""
    rows = chosen(UNSOLVED, HINTED)
    (path,) = imitated(rows)
    assert (path["example_id"], path["origin"], path["completion"]) == ("h/4", "hint", "<3><4>")
    assert path["completion_ids"] == [31, 32, 41, 42, EOS]
    assert rows[1:] == chosen(UNSOLVED, None), "the search still teaches the value"
    assert [row["value_targets"] for row in rows[1:]] == [[-1.0, -1.0]]


def test_what_a_hinted_plan_led_to_is_known_at_its_end_and_its_steps_are_not_judged() -> None:
    """What is written after a verdict says nothing of what is written without; the solution is."""
    reflected, failed = chosen(None, HINTED)
    assert (reflected["value_positions"], reflected["value_targets"]) == ([3], [1.0])
    assert (failed["completion"], failed["weight"], failed["value_targets"]) == ("<1><2>", 0.0, [-1.0, -1.0])


def test_a_step_that_was_planned_again_under_a_hint_is_judged_by_what_followed_without() -> None:
    """Its Q is of both: 0."""
    again = tree(
        node(0, None, "root", 0.0, visits=2),
        node(1, 0, "plan", 0.0, visits=2),
        wrong(2, 1),
        right(3, 1, origin="hint"),
        method="reflect",
    )
    assert targets(chosen(None, again)) == {1: -1.0, 2: -1.0, 3: 1.0}
    (path,) = imitated(chosen(UNSOLVED, again))
    assert path["value_targets"] == [-1.0, 1.0]


def test_the_next_evidence_gives_as_many_paths_and_the_values_of_those_alone() -> None:
    """Its other steps are not asked for: the first evidence judges."""
    rows = chosen(UNSOLVED, SAMPLED, most=2)
    assert [row["tree_id"] for row in rows] == ["s", "s", "t"]
    assert [(row["weight"], len(row["value_targets"])) for row in rows] == [(1.0, 2), (1.0, 1), (0.0, 2)]
    assert rows[0]["value_targets"] == [0.5, 1.0]


def test_a_question_that_was_not_searched_is_learnt_from_what_was_sampled() -> None:
    rows = chosen(None, SAMPLED, most=2)
    assert [row["weight"] for row in rows] == [1.0, 1.0, 0.0, 0.0]
    assert targets(rows) == {1: 0.5, 2: 1.0, 3: 1.0, 4: 1.0, 5: -1.0}


def test_where_no_evidence_has_a_right_path_the_first_still_teaches_the_value() -> None:
    assert chosen(UNSOLVED, UNSOLVED) == chosen(UNSOLVED, None)
    assert imitated(chosen(UNSOLVED, None)) == []


def test_values_may_be_learnt_of_the_imitated_and_of_so_many_wrong_paths_alone() -> None:
    """AlphaMath: up to four right and four wrong ones (methods.md 2.1)."""

    def learnt(most_wrong: int | None, seed: int = 42) -> list[tuple[float, str]]:
        rule = RightPaths(evidence=("trees",), most=1, most_wrong=most_wrong, seed=seed)
        return [(row["weight"], row["completion"]) for row in right_paths({"trees": [FOREST]}, rule, EOS)[0]]

    wrong_ones = {"<1><7>", "<1><8>", "<2><9><10>"}
    (imitated_one,) = learnt(0)
    assert imitated_one[0] == 1.0
    drawn = {learnt(1, seed)[1] for seed in range(20)}
    assert drawn == {(0.0, path) for path in wrong_ones}
    assert {path for weight, path in learnt(9) if not weight} == wrong_ones
    assert len(learnt(None)) == 5, "the other right path, too"


def test_wrong_paths_that_several_trees_found_are_drawn_once() -> None:
    trees = [tree(*FOREST.nodes.values(), tree_id=f"t{number}") for number in range(10)]
    rule = RightPaths(evidence=("trees",), most=1, most_wrong=4)
    rows, _ = right_paths({"trees": trees}, rule, EOS)
    assert sorted(row["completion"] for row in rows if not row["weight"]) == ["<1><7>", "<1><8>", "<2><9><10>"]
