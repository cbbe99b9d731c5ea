"""What a searched tree teaches, on a tree small enough to read."""

from typing import Any

import polars as pl
import pytest

from tasks.language.format import STEP_CLOSE
from tasks.lessons.examples import sft_examples
from tasks.lessons.pairs import Learnt, is_known, learnt, step_pairs
from tasks.lessons.searched import Outcome, SearchedTree
from tasks.records import frame
from tasks.settings import Pairs

EOS = 0


def node(
    node_id: int,
    parent_id: int | None,
    kind: str,
    q: float | None,
    *,
    visits: int = 1,
    reward: float | None = None,
) -> dict[str, Any]:
    return {
        "node_id": node_id,
        "parent_id": parent_id,
        "kind": kind,
        "text": f"<{node_id}>",
        "token_ids": [node_id * 10 + 1, node_id * 10 + 2],
        "visits": visits,
        "q": q,
        "reward": reward,
    }


def tree(*nodes: dict[str, Any], tree_id: str = "t", steps: int = 0, method: str = "puct") -> SearchedTree:
    about = {"tree_id": tree_id, "question_id": "t", "method": method, "steps": steps, "state": "budget"}
    return SearchedTree(about, list(nodes))


#                root
#     1: +.5      2: -.5    3: +.2   4: unvisited   5: malformed
#     6 right 7 wrong 8 wrong   9: -1 plan   11 right
#                               10 wrong
FOREST = tree(
    node(0, None, "root", 0.1, visits=12),
    node(1, 0, "plan", 0.5),
    node(2, 0, "plan", -0.5),
    node(3, 0, "plan", 0.2),
    node(4, 0, "plan", None, visits=0),
    node(5, 0, "malformed", -1.0, reward=-1.0),
    node(6, 1, "solution", 1.0, reward=1.0),
    node(7, 1, "solution", -1.0, reward=-1.0),
    node(8, 1, "solution", -1.0, reward=-1.0),
    node(9, 2, "plan", -1.0),
    node(10, 9, "solution", -1.0, reward=-1.0),
    node(11, 3, "solution", 1.0, reward=1.0),
)


def test_all_positive_negative_plan_siblings_and_one_solution_pair_a_parent() -> None:
    pairs = list(step_pairs(FOREST, solution_value_scale=0.3))
    assert [(pair["chosen_id"], pair["rejected_id"], pair["kind"]) for pair in pairs] == [
        (1, 2, "plan"),
        (3, 2, "plan"),
        (6, 7, "solution"),
    ]
    assert [(pair["chosen_value"], pair["rejected_value"]) for pair in pairs] == [(0.5, -0.5), (0.2, -0.5), (0.3, -0.3)]


def test_a_pairs_prefix_is_its_parents_path() -> None:
    pair = list(step_pairs(FOREST, 0.3))[-1]
    assert pair["prompt"] == "<0><1>"
    assert pair["prompt_ids"] == [1, 2, 11, 12]
    assert (pair["chosen_ids"], pair["rejected_ids"]) == ([61, 62], [71, 72])


def test_a_solution_among_the_siblings_leaves_only_the_solution_pair() -> None:
    mixed = tree(
        node(0, None, "root", 0.0),
        node(1, 0, "plan", 0.1),
        node(2, 1, "plan", 0.9),
        node(3, 1, "plan", -0.9),
        node(4, 1, "solution", 1.0, reward=1.0),
        node(5, 1, "solution", -1.0, reward=-1.0),
    )
    assert [(pair["chosen_id"], pair["rejected_id"]) for pair in step_pairs(mixed, 0.3)] == [(4, 5)]


def test_every_parent_is_compared_whatever_is_below_the_one_before() -> None:
    searched = tree(
        node(0, None, "root", 0.0),
        node(1, 0, "plan", 0.5),
        node(2, 0, "plan", -0.5),
        node(3, 1, "solution", 1.0, reward=1.0),
        node(4, 1, "solution", -1.0, reward=-1.0),
        node(5, 2, "plan", 0.1),
        node(6, 2, "plan", -0.9),
    )
    assert [(pair["chosen_id"], pair["rejected_id"]) for pair in step_pairs(searched, 0.3)] == [(1, 2), (3, 4), (5, 6)]


@pytest.mark.parametrize("kind", ["plan", "solution"])
@pytest.mark.parametrize("q", [0.5, -0.5])
def test_a_step_of_q_0_is_neither_chosen_nor_rejected(kind: str, q: float) -> None:
    even = tree(node(0, None, "root", 0.0), node(1, 0, "plan", 0.1), node(2, 1, kind, q), node(3, 1, kind, 0.0))
    assert list(step_pairs(even, 0.3)) == []


def test_solutions_without_a_plan_make_no_pair_and_no_path() -> None:
    planless = tree(
        node(0, None, "root", 0.0),
        node(1, 0, "solution", 1.0, reward=1.0),
        node(2, 0, "solution", -1.0, reward=-1.0),
    )
    assert list(step_pairs(planless, 0.3)) == []
    assert not any(example["is_policy"] for example in sft_examples([planless], 4, "s", EOS))


def test_right_paths_are_imitated_to_their_end_of_sequence() -> None:
    examples = sft_examples([FOREST], paths=4, seed="s", eos=EOS)
    assert {example["completion"] for example in examples if example["is_policy"]} == {"<1><6>", "<3><11>"}
    assert all((example["completion_ids"][-1] == EOS) == example["is_policy"] for example in examples)
    assert all(example["prompt_ids"] == [1, 2] for example in examples)


def test_no_more_paths_than_asked_and_the_same_seed_chooses_the_same() -> None:
    chosen = [
        [example["leaf_id"] for example in sft_examples([FOREST], paths=1, seed=seed, eos=EOS) if example["is_policy"]]
        for seed in ("a", "a", "b", "c", "d", "e")
    ]
    assert all(len(ids) == 1 for ids in chosen)
    assert chosen[0] == chosen[1]
    assert len({ids[0] for ids in chosen}) == 2


def test_every_visited_step_has_one_value_target_at_its_last_token() -> None:
    examples = sft_examples([FOREST], paths=1, seed="s", eos=EOS)
    targets: dict[int, float] = {}
    for example in examples:
        for position, target in zip(example["value_positions"], example["value_targets"], strict=True):
            token = example["completion_ids"][position]
            assert token % 10 == 2
            assert token // 10 not in targets
            targets[token // 10] = target
    assert targets == {1: 0.5, 2: -0.5, 3: 0.2, 6: 1.0, 7: -1.0, 8: -1.0, 9: -1.0, 10: -1.0, 11: 1.0}


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
        node(2, 1, "solution", 1.0, reward=1.0),
        node(3, 1, "solution", 1.0, reward=1.0),
        tree_id="t/step-1",
        steps=1,
        method="stepwise",
    )
    imitated, *others = sft_examples([first, later], paths=1, seed="s", eos=EOS)
    leaf = imitated["leaf_id"]
    assert (imitated["prompt"], imitated["prompt_ids"]) == ("<0>", [1, 2])
    assert imitated["completion"] == f"<2><1><{leaf}>"
    assert imitated["completion_ids"] == [21, 22, 11, 12, leaf * 10 + 1, leaf * 10 + 2, EOS]
    assert (imitated["value_positions"], imitated["value_targets"]) == ([3, 5], [0.5, 1.0])
    assert not any(example["is_policy"] for example in others)
    assert {example["completion"] for example in others} == {"<1>", "<2>", f"<2><1><{5 - leaf}>"}


def test_a_path_that_a_later_tree_finds_again_is_imitated_once() -> None:
    """Stepwise search: the second tree begins below a step under which the first one had the same solution."""
    solution = {"text": "<right>", "token_ids": [31, 32]}
    first = tree(
        node(0, None, "root", 0.5, visits=3),
        node(1, 0, "plan", 0.5, visits=3),
        node(2, 1, "solution", 1.0, reward=1.0) | solution,
        method="stepwise",
    )
    later = tree(
        node(0, None, "root", 0.5, visits=3) | {"text": "<0><1>", "token_ids": [1, 2, 11, 12]},
        node(1, 0, "solution", 1.0, visits=2, reward=1.0) | solution,
        node(2, 0, "solution", 1.0, reward=1.0),
        tree_id="t/step-1",
        steps=1,
        method="stepwise",
    )
    for seed in "abcde":
        examples = sft_examples([first, later], paths=4, seed=seed, eos=EOS)
        imitated = [example["completion"] for example in examples if example["is_policy"]]
        assert sorted(imitated) == ["<1><2>", "<1><right>"]
        assert sum(len(example["value_targets"]) for example in examples) == 4, "every tree's steps teach the value"


def test_solutions_at_the_root_follow_no_plan_and_leave_its_plan_pairs_alone() -> None:
    """As in the released code, which drops them before it looks at a parent's kind (methods.md 1.6)."""
    answered_at_once = tree(
        node(0, None, "root", -0.2),
        node(1, 0, "plan", 0.6),
        node(2, 0, "plan", -0.4),
        node(3, 0, "plan", -0.8),
        node(4, 0, "solution", -1.0, reward=-1.0),
        node(5, 0, "solution", 1.0, reward=1.0),
    )
    pairs = [(pair["chosen_id"], pair["rejected_id"]) for pair in step_pairs(answered_at_once, 0.3)]
    assert pairs == [(1, 2), (1, 3)]


def test_solutions_right_below_a_later_trees_root_follow_the_plan_in_its_prompt() -> None:
    later = tree(
        node(0, None, "root", 0.0),
        node(1, 0, "solution", 1.0, reward=1.0),
        node(2, 0, "solution", -1.0, reward=-1.0),
        steps=1,
    )
    assert [(pair["chosen_id"], pair["rejected_id"]) for pair in step_pairs(later, 0.3)] == [(1, 2)]
    assert [example["leaf_id"] for example in sft_examples([later], 4, "s", EOS) if example["is_policy"]] == [1]


@pytest.mark.parametrize("unlearnable", ["malformed", "too_deep", "undecided"])
def test_a_step_that_nobody_can_learn_from_is_in_no_pair(unlearnable: str) -> None:
    reward = None if unlearnable == "undecided" else -1.0
    searched = tree(
        node(0, None, "root", 0.0),
        node(1, 0, "plan", 0.5),
        node(2, 0, unlearnable, reward, visits=int(reward is not None), reward=reward),
        node(3, 1, "solution", 1.0, reward=1.0),
    )
    assert list(step_pairs(searched, 0.3)) == []
    assert {example["completion"] for example in sft_examples([searched], 4, "s", EOS)} == {"<1><3>"}


def test_a_hopeless_step_on_a_right_path_is_not_imitated() -> None:
    """Q = -1 although a right solution is below: from round 2 on V may say so."""
    hopeless = tree(
        node(0, None, "root", 0.0),
        node(1, 0, "plan", -1.0, visits=2),
        node(2, 1, "solution", 1.0, reward=1.0),
    )
    assert not any(example["is_policy"] for example in sft_examples([hopeless], 4, "s", EOS))


def test_an_outcome_counts_the_trajectories_that_ended_below() -> None:
    assert FOREST.outcomes[1] == Outcome(-1 / 3, 3)
    assert FOREST.outcomes[2] == Outcome(-1.0, 1)
    assert 4 not in FOREST.outcomes
    assert 5 not in FOREST.outcomes


#            root
#   1: V alone   2: known to be bad   3: V alone, below it 5: V alone
#                4 wrong
OPINION = (
    node(0, None, "root", 0.1, visits=6),
    node(1, 0, "plan", 0.4),
    node(2, 0, "plan", -0.5, visits=2),
    node(3, 0, "plan", 0.3, visits=2),
    node(4, 2, "solution", -1.0, reward=-1.0),
    node(5, 3, "plan", 0.2),
)


def test_a_step_of_which_nothing_is_known_is_no_target_of_the_value() -> None:
    """Its Q is the V that it had itself."""
    searched = tree(*OPINION)
    assert searched.unknown == 3
    examples = sft_examples([searched], 4, "s", EOS)
    assert [(example["completion"], example["value_targets"]) for example in examples] == [("<2><4>", [-0.5, -1.0])]


def test_a_pair_needs_as_many_outcomes_as_it_is_asked_for() -> None:
    def made(min_outcomes: int) -> Learnt:
        nodes = pl.DataFrame([row | {"tree_id": "q"} for row in OPINION], infer_schema_length=None)
        settings = Pairs(min_outcomes=min_outcomes)
        return learnt(NO_ROLLOUTS, trees("budget"), nodes, settings, EOS)

    assert [pair["chosen_id"] for pair in made(0).pairs] == [1, 3]
    assert made(0).dropped == {"pairs_without_outcomes": 0, "steps_without_outcome": 3}
    assert made(1).pairs == []
    assert made(1).dropped["pairs_without_outcomes"] == 2
    assert Pairs().min_outcomes == 1


def test_steps_that_two_trees_compare_are_one_pair_and_the_later_tree_has_the_word() -> None:
    """Stepwise search: a later tree begins below a step whose children the first one has already, tried less often."""
    better = {"text": "<left>", "token_ids": [31, 32]}
    worse = {"text": "<right>", "token_ids": [41, 42]}
    first = (
        node(0, None, "root", 0.2, visits=4),
        node(1, 0, "plan", 0.2, visits=4),
        node(2, 1, "plan", -0.5) | better,
        node(3, 1, "plan", 0.5) | worse,
    )
    later = (
        node(0, None, "root", 0.5, visits=16) | {"text": "<0><1>", "token_ids": [1, 2, 11, 12]},
        node(1, 0, "plan", 0.9, visits=9) | better,
        node(2, 0, "plan", -0.8, visits=7) | worse,
        node(3, 0, "plan", -0.1, visits=2),
    )
    about = {"question_id": "q", "method": "stepwise", "state": "finished", "is_held_out": False}
    grown = pl.DataFrame([about | {"tree_id": "q", "steps": 0}, about | {"tree_id": "q/step-1", "steps": 1}])
    nodes = [row | {"tree_id": name} for name, rows in (("q", first), ("q/step-1", later)) for row in rows]
    pairs = learnt(NO_ROLLOUTS, grown, pl.DataFrame(nodes, infer_schema_length=None), Pairs(), EOS).pairs
    assert [(pair["pair_id"], pair["chosen"], pair["rejected"]) for pair in pairs] == [
        ("q/step-1/1-2", "<left>", "<right>"),
        ("q/step-1/1-3", "<left>", "<3>"),
    ]


def test_both_steps_of_a_pair_need_their_outcomes() -> None:
    pairs = list(step_pairs(FOREST, 0.3))
    assert [is_known(FOREST, pair, 1) for pair in pairs] == [True, True, True]
    assert [is_known(FOREST, pair, 2) for pair in pairs] == [False, False, False]
    twice = tree(*(one | {"visits": 2} if one["node_id"] in (6, 10) else one for one in FOREST.nodes.values()))
    assert [is_known(twice, pair, 2) for pair in step_pairs(twice, 0.3)] == [True, False, False]


def test_stepwise_rollouts_are_outcomes_though_they_are_no_nodes() -> None:
    searched = tree(node(0, None, "root", 0.5, visits=4), node(1, 0, "plan", 0.5, visits=4), method="stepwise")
    assert searched.outcomes == {1: Outcome(0.5, 4)}
    assert searched.unknown == 0


#   What rollouts teach. Every step has one token for its words and one that ends it.


def attempt(name: str, steps: str, answer: str | None, *, is_correct: bool | None, **about: Any) -> dict[str, Any]:
    """`name`: sample.trial. `steps`: a letter a step, two tokens each; one token ends the plan, two solve."""
    sample, trial = name.split(".")
    plan_ids = [token for letter in steps for token in (ord(letter), 2)]
    return {
        "rollout_id": f"q/{name}",
        "question_id": "q",
        "sample": int(sample),
        "trial": int(trial),
        "plan": "".join(f"{letter}{STEP_CLOSE}" for letter in steps) + "</plan>",
        "plan_ids": [*plan_ids, 3],
        "step_ends": list(range(1, len(plan_ids), 2)),
        "solution": None if answer is None else f"{answer}</solution>",
        "solution_ids": [] if answer is None else [70, 71],
        "answer": answer,
        "is_correct": is_correct,
        "is_leaked": False,
        "reflection": "It was miscounted." if int(trial) else None,
        "error": None,
    } | about


NO_ROLLOUTS = pl.DataFrame([attempt("0.0", "a", "5", is_correct=True)]).clear()
ROOT = node(0, None, "root", None, visits=0)
WRONG_PATH = (ROOT, node(1, 0, "plan", -1.0, visits=2), node(2, 1, "solution", -1.0, reward=-1.0))
RIGHT_PATH = (ROOT, node(1, 0, "plan", 1.0, visits=2), node(2, 1, "solution", 1.0, reward=1.0))


def trees(state: str, *, is_held_out: bool = False) -> pl.DataFrame:
    about = {"tree_id": "q", "question_id": "q", "method": "puct", "steps": 0}
    return pl.DataFrame(about | {"state": state, "is_held_out": is_held_out})


def taught(
    *attempts: dict[str, Any],
    state: str = "budget",
    found: tuple[dict[str, Any], ...] = WRONG_PATH,
    is_held_out: bool = False,
    paths: int = 4,
) -> list[dict[str, Any]]:
    rollouts = pl.DataFrame(attempts, infer_schema_length=None) if attempts else NO_ROLLOUTS
    nodes = pl.DataFrame([row | {"tree_id": "q"} for row in found], infer_schema_length=None)
    return learnt(rollouts, trees(state, is_held_out=is_held_out), nodes, Pairs(paths=paths), EOS).examples


def imitated(examples: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(example["example_id"], example["origin"]) for example in examples if example["is_policy"]]


FAILED = attempt("0.0", "a", "4", is_correct=False)
REFLECTED = attempt("0.1", "b", "5", is_correct=True)


def test_a_right_reflection_is_imitated_where_the_trees_hold_no_right_path() -> None:
    """LEPA (methods.md 4.1), and the point of rolling out: what is learnt is another thing than without it."""
    examples = taught(FAILED, REFLECTED)
    assert imitated(examples) == [("q/0.1", "reflection")]
    assert imitated(taught()) == []
    assert examples != taught()
    assert examples[0]["completion"] == REFLECTED["plan"] + REFLECTED["solution"]
    assert examples[0]["completion_ids"] == [ord("b"), 2, 3, 70, 71, EOS]
    assert examples[0]["prompt_ids"] == [1, 2]
    assert (examples[0]["value_positions"], examples[0]["value_targets"]) == ([4], [1.0]), "its steps have a tree"
    assert examples[1:] == taught(), "the trees still teach the value"
    assert [example["value_targets"] for example in taught()] == [[-1.0, -1.0]]


def test_the_first_success_is_imitated_a_first_attempt_before_a_reflection() -> None:
    right = [attempt(name, name, "5", is_correct=True) for name in ("0.1", "2.0", "1.0")]
    assert imitated(taught(FAILED, *right)) == [("q/1.0", "rollout")]


def test_a_reflection_on_a_question_that_was_not_searched_is_right_at_its_end_and_its_steps_are_not_judged() -> None:
    """What a plan leads to that was written after a verdict says nothing of one that was written without."""
    reflected, failed = taught(FAILED, REFLECTED, state="skipped", found=(ROOT,))
    assert (reflected["rollout_id"], reflected["origin"], reflected["is_policy"]) == ("q/0.1", "reflection", True)
    assert (reflected["value_positions"], reflected["value_targets"]) == ([4], [1.0])
    assert (failed["value_positions"], failed["value_targets"]) == ([1, 4], [-1.0, -1.0])


def test_a_right_path_of_the_trees_is_enough() -> None:
    examples = taught(FAILED, REFLECTED, found=RIGHT_PATH)
    assert imitated(examples) == [("q/2", "tree")]
    assert examples == taught(found=RIGHT_PATH)


def test_a_failed_tree_teaches_nothing_and_the_rollouts_of_its_question_do() -> None:
    assert imitated(taught(REFLECTED, state="failed")) == [("q/0.1", "reflection")]
    assert taught(state="failed", found=RIGHT_PATH) == []
    assert len(taught(REFLECTED, state="failed", found=RIGHT_PATH)) == 1


def test_a_held_out_question_teaches_nothing() -> None:
    assert taught(REFLECTED, is_held_out=True, found=RIGHT_PATH) == []


@pytest.mark.parametrize("about", [{"is_leaked": True}, {"is_correct": False}, {"is_correct": None}])
def test_only_right_attempts_that_were_not_told_the_answer_are_imitated(about: dict[str, Any]) -> None:
    assert imitated(taught(FAILED, REFLECTED | about)) == []


def test_a_question_that_could_not_be_rolled_out_has_nothing_to_imitate() -> None:
    lost = dict.fromkeys(REFLECTED) | {"rollout_id": "q/failed", "question_id": "q", "error": "the engine is gone"}
    assert imitated(taught(lost, REFLECTED)) == [("q/0.1", "reflection")]
    assert imitated(taught(lost, state="skipped", found=(ROOT,))) == []


def test_a_question_that_was_not_searched_is_imitated_from_its_right_rollouts() -> None:
    attempts = [
        attempt("0.0", "a", "5", is_correct=True),
        attempt("1.0", "a", "5", is_correct=True),  # the same words again
        attempt("2.0", "b", "5", is_correct=True),
        attempt("3.0", "c", "6", is_correct=False),
    ]
    examples = taught(*attempts, state="skipped", found=(ROOT,))
    completions = {example["completion"]: example for example in examples}
    assert {text for text, one in completions.items() if one["is_policy"]} == {
        f"a{STEP_CLOSE}</plan>5</solution>",
        f"b{STEP_CLOSE}</plan>5</solution>",
    }
    assert completions[f"b{STEP_CLOSE}</plan>5</solution>"]["completion_ids"] == [ord("b"), 2, 3, 70, 71, EOS]
    assert completions[f"c{STEP_CLOSE}</plan>6</solution>"]["completion_ids"] == [ord("c"), 2, 3, 70, 71]
    assert all(example["prompt_ids"] == [1, 2] and example["origin"] == "rollout" for example in examples)
    assert len(imitated(taught(*attempts, state="skipped", found=(ROOT,), paths=1))) == 1


def test_the_states_of_rollouts_have_the_mean_reward_of_the_first_attempts_that_passed_them() -> None:
    attempts = [
        attempt("0.0", "ab", "5", is_correct=True),
        attempt("1.0", "ab", "6", is_correct=False),
        attempt("2.0", "ac", "5", is_correct=True),
        attempt("3.0", "ab", "7", is_correct=None),  # nobody knows
        attempt("4.0", "ab", None, is_correct=False, plan=f"a{STEP_CLOSE}b{STEP_CLOSE}and so on"),  # malformed
        attempt("0.1", "ab", "5", is_correct=True),  # was told what went wrong
    ]
    examples = taught(*attempts, state="skipped", found=(ROOT,))
    targets = {}
    for example in examples:
        for position, target in zip(example["value_positions"], example["value_targets"], strict=True):
            ids = example["completion_ids"][: position + 1]
            assert ids[-1] in (2, 71), "where a step ends, or the solution"
            state = "".join(map(chr, ids[:-1:2])) if ids[-1] == 2 else example["completion"]
            assert state not in targets
            targets[state] = target
    assert targets == {
        "a": 0.0,  # right, wrong, right, malformed
        "ab": pytest.approx(-1 / 3),
        "ac": 1.0,
        f"a{STEP_CLOSE}b{STEP_CLOSE}</plan>5</solution>": 1.0,
        f"a{STEP_CLOSE}b{STEP_CLOSE}</plan>6</solution>": -1.0,
        f"a{STEP_CLOSE}c{STEP_CLOSE}</plan>5</solution>": 1.0,
    }


def test_steps_that_begin_with_the_same_words_are_two_states() -> None:
    right = attempt("0.0", "a", "5", is_correct=True, plan=f"Add the pears.{STEP_CLOSE}</plan>")
    wrong = attempt("1.0", "b", "6", is_correct=False, plan=f"Add the plums.{STEP_CLOSE}</plan>")
    examples = taught(right, wrong, state="skipped", found=(ROOT,))
    assert [example["value_targets"] for example in examples] == [[1.0, 1.0], [-1.0, -1.0]]


#   What several questions teach.

SEARCHED = (
    ROOT,
    node(1, 0, "plan", 0.5, visits=5),
    node(2, 0, "plan", -0.3),  # by V alone
    *(node(number, 1, "solution", 1.0, reward=1.0) for number in (3, 4, 5, 6)),
    node(7, 1, "solution", -1.0, reward=-1.0),
)
LATER = (
    node(0, None, "root", 0.2, visits=2) | {"text": "<0><1>", "token_ids": [1, 2, 11, 12]},
    node(1, 0, "plan", 0.5),
    node(2, 0, "plan", -0.5),
)


def test_all_questions_teach_in_their_order_and_the_seed_chooses_their_paths() -> None:
    """By turns: one that was not searched, one searched by PUCT in one tree, one step by step in two."""
    names = [f"q{number * 7 % 30:02}" for number in range(30)]
    skipped, puct, stepwise = (set(names[turn::3]) for turn in range(3))
    rows, steps = [], []
    for name in names:
        method, state = "stepwise" if name in stepwise else "puct", "skipped" if name in skipped else "budget"
        about = {"question_id": name, "method": method, "state": state, "is_held_out": False}
        found = {name: (ROOT,) if name in skipped else SEARCHED}
        if name in stepwise:
            found[f"{name}/step-1"] = LATER
        rows += [about | {"tree_id": tree_id, "steps": number} for number, tree_id in enumerate(found)]
        steps += [one | {"tree_id": tree_id} for tree_id, nodes in found.items() for one in nodes]
    attempts = [
        attempt(f"{sample}.0", "abcdef"[sample], "5", is_correct=True)
        | {"rollout_id": f"{name}/{sample}.0", "question_id": name}
        for name in skipped
        for sample in range(6)
    ]
    given = pl.DataFrame(attempts), pl.DataFrame(rows), pl.DataFrame(steps, infer_schema_length=None)
    settings = Pairs(paths=2, solution_value_scale=0.5)
    made = learnt(*given, settings, EOS)
    assert made == learnt(*given, settings, EOS)
    assert made.examples != learnt(*given, settings.model_copy(update={"seed": 43}), EOS).examples

    pairs = {
        **{name: [(f"{name}/3-7", 0.5, -0.5)] for name in puct},
        **{
            name: [(f"{name}/1-2", 0.5, -0.3), (f"{name}/3-7", 0.5, -0.5), (f"{name}/step-1/1-2", 0.5, -0.5)]
            for name in stepwise
        },
    }
    table = frame("step_pairs", made.pairs)
    assert table.select("pair_id", "chosen_value", "rejected_value").rows() == [
        pair for name in names for pair in pairs.get(name, [])
    ]
    assert table["question_id"].unique(maintain_order=True).to_list() == [name for name in names if name in pairs]
    assert made.dropped == {"pairs_without_outcomes": len(puct), "steps_without_outcome": len(puct)}

    examples = frame("sft_examples", made.examples)
    assert examples["question_id"].unique(maintain_order=True).to_list() == names
    imitated = examples.filter("is_policy")
    assert imitated["question_id"].to_list() == [name for name in names for _ in range(2)]
    assert imitated["completion_ids"].list.last().unique().to_list() == [EOS]
