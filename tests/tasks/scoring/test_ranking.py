"""Outcomes of steps, and how well V's ranking of them is: between siblings, on trees that nobody was trained on."""

import asyncio
import random

import numpy as np
import pytest

from tasks.language.format import Kind
from tasks.lessons.searched import SearchedTree
from tasks.records import frame
from tasks.scoring.ranking import Ranked, held_out, pooled_auc, rankings, sibling_auc, steps_of
from tasks.search.grow import Task, grow
from tasks.settings import Search
from tests.sql.handmade import NODES, ROUND
from tests.tasks.search.scripted import ScriptedPolicy


def handmade(tree_id: str) -> SearchedTree:
    [tree] = [tree for tree in ROUND["trees"] if tree["tree_id"] == tree_id]
    return SearchedTree(tree, [node for node in NODES if node["tree_id"] == tree_id])


def test_an_outcome_is_the_mean_reward_of_the_terminals_below() -> None:
    means = {step: outcome.mean for step, outcome in handmade("t1").outcomes.items()}
    assert means == {1: 0.0, 2: -1.0, 3: 1.0, 4: -1.0, 5: -1.0}, (
        "wrong and malformed ends count; the unvisited step 7 has none"
    )
    assert handmade("t2").outcomes[1].mean == 1.0, "its Q is 0.75: its own V of 0.5 is in there"


def test_a_terminal_counts_as_often_as_it_was_visited() -> None:
    tree = handmade("t1")
    tree.nodes[3] = tree.nodes[3] | {"visits": 3}
    assert tree.outcomes[1] == (0.5, 4)


def test_a_step_whose_only_visit_is_its_own_expansion_has_no_outcome() -> None:
    tree = handmade("t2")
    tree.nodes[2] = tree.nodes[2] | {"kind": "plan", "reward": None, "visits": 0, "q": None}
    tree.nodes[1] = tree.nodes[1] | {"visits": 1, "q": tree.nodes[1]["value"]}
    assert tree.outcomes == {}


def test_v_is_ranked_on_searched_trees_that_nobody_was_trained_on() -> None:
    states = {"t1": "budget", "t2": "exhausted", "t3": "skipped", "t4": "finished", "t5": "finished"}
    assert {tree["tree_id"]: tree["state"] for tree in ROUND["trees"]} == states
    nodes = frame("nodes", NODES)
    assert [tree.tree_id for tree in held_out(frame("trees", ROUND["trees"]), nodes)] == ["t2"]
    all_held_out = [tree | {"is_held_out": True} for tree in ROUND["trees"]]
    assert [tree.tree_id for tree in held_out(frame("trees", all_held_out), nodes)] == ["t1", "t2", "t4", "t5"]
    failed = [tree | {"is_held_out": True, "state": "failed"} for tree in ROUND["trees"]]
    assert held_out(frame("trees", failed), nodes) == []


def test_steps_are_ranked_with_all_the_tokens_of_their_states() -> None:
    ranked = list(steps_of(handmade("t1")))
    assert [(one.kind, one.parent_id, one.outcome) for one in ranked[:3]] == [
        ("plan", 0, 0.0),
        ("plan", 0, -1.0),
        ("solution", 1, 1.0),
    ]
    assert ranked[2].state == [1, 2, 3, 10, 11, 30, 31]
    assert {(one.question_id, one.tree_id) for one in ranked} == {("q1", "t1")}
    assert [one.prior for one in ranked] == [handmade("t1").nodes[node]["prior"] for node in handmade("t1").outcomes]


def test_a_search_guided_by_noise_gives_the_noise_no_credit() -> None:
    """The scripted policy's V is noise: it agrees with Q, of which it is a part, not with what became of the steps."""

    async def is_even(answer: str) -> bool:
        return int(answer) % 2 == 0

    settings = Search(simulations=24)
    ranked: list[Ranked] = []
    values: list[float] = []
    qs: list[float] = []
    for number in range(150):
        task = Task(f"q{number}", "?", (5, 100 + number), is_even, settings.simulations)
        grown = asyncio.run(grow(task, ScriptedPolicy(seed=1), settings))
        tree = SearchedTree(grown.tree_rows[0], grown.node_rows)
        plans = [node for node in tree.outcomes if tree.nodes[node]["kind"] == "plan"]
        ranked += [one for one in steps_of(tree) if one.kind == "plan"]
        values += [tree.nodes[node]["value"] for node in plans]
        qs += [tree.nodes[node]["q"] for node in plans]
    credited = sibling_auc([one._replace(outcome=q) for one, q in zip(ranked, qs, strict=True)], np.array(values))
    fair = sibling_auc(ranked, np.array(values))
    assert credited["sibling_auc"] is not None
    assert credited["sibling_auc_stderr"] is not None
    assert fair["sibling_auc"] is not None
    assert fair["sibling_auc_stderr"] is not None
    assert credited["sibling_auc"] > 0.5 + 4 * credited["sibling_auc_stderr"]
    assert abs(fair["sibling_auc"] - 0.5) < 3 * fair["sibling_auc_stderr"]


def forest(trees: int = 40, seed: int = 1) -> list[Ranked]:
    """Trees of hard and of easy questions: five siblings at the root each, and five below the first of them."""
    rng = random.Random(seed)
    ranked = []
    for number in range(trees):
        level = rng.uniform(-0.8, 0.8)
        for parent in (0, 1):
            for _ in range(5):
                outcome = max(-1.0, min(1.0, level + rng.uniform(-0.6, 0.6)))
                ranked.append(Ranked(f"q{number}", f"q{number}", parent, "plan", outcome, 1 - rng.random(), []))
    return ranked


def test_a_value_that_knows_only_the_question_tells_no_siblings_apart() -> None:
    """Over all trees together it seems to rank well: that measures how hard the question is."""
    ranked = forest()
    by_tree: dict[str, list[float]] = {}
    for one in ranked:
        by_tree.setdefault(one.tree_id, []).append(one.outcome)
    means = np.array([sum(by_tree[one.tree_id]) / len(by_tree[one.tree_id]) for one in ranked])
    blind = sibling_auc(ranked, means)
    assert (blind["sibling_auc"], blind["sibling_auc_stderr"]) == (0.5, 0.0)
    assert (pooled_auc(ranked, means) or 0) > 0.8


def test_a_value_that_knows_the_outcome_ranks_perfectly_and_noise_does_not() -> None:
    ranked = forest()
    exact = sibling_auc(ranked, np.array([one.outcome for one in ranked]))
    assert (exact["sibling_auc"], exact["sibling_auc_stderr"]) == (1.0, 0.0)
    rng = random.Random(2)
    noise = sibling_auc(ranked, np.array([rng.random() for _ in ranked]))
    assert noise["sibling_auc"] is not None
    assert noise["sibling_auc_stderr"] is not None
    assert 0.01 < noise["sibling_auc_stderr"] < 0.1
    assert abs(noise["sibling_auc"] - 0.5) < 4 * noise["sibling_auc_stderr"]


def test_siblings_are_compared_pair_by_pair() -> None:
    def step(question: str, parent_id: int, outcome: float) -> Ranked:
        return Ranked(question, question, parent_id, "plan", outcome, 0.5, [])

    ranked = [step("q", 0, 1.0), step("q", 0, -1.0), step("q", 0, -0.2), step("q", 0, 0.0), step("q", 1, -1.0)]
    ranked += [step("r", 0, 0.5), step("r", 0, -0.5), step("s", 0, 1.0)]
    v = np.array([0.5, 0.5, 0.4, 0.9, 0.9, -0.1, 0.3, 0.0])
    found = sibling_auc(ranked, v)
    assert found["sibling_pairs"] == 3
    assert found["sibling_auc"] == pytest.approx((0.5 + 1 + 0) / 3)
    # of two questions, one is drawn twice, or both once: 3/4, 3/4, 0, 1/2
    assert found["sibling_auc_stderr"] == pytest.approx(np.std([1.5 / 2, 0.0, 0.5, 0.5]), abs=0.02)
    # of all pairs of the three good steps and the four bad ones: two and a tie of the first, none of the others
    assert pooled_auc(ranked, v) == pytest.approx(2.5 / 12)


def test_a_figure_of_the_same_steps_is_the_same_every_time() -> None:
    """Who draws others for the bootstrap gives every round other figures, and raises the stage's version."""
    names = [f"q{number}" for number in range(9)]
    ranked = [Ranked(name, name, 0, "plan", outcome, 0.5, []) for name in names for outcome in (0.5, -0.5)]
    found = sibling_auc(ranked, np.array([place * 7 % 5 for place in range(18)]))
    assert found["sibling_pairs"] == 9
    assert found["sibling_auc"] == pytest.approx(4 / 9)
    assert found["sibling_auc_stderr"] == pytest.approx(0.1662810353469372)


def test_steps_of_two_trees_of_a_question_are_no_siblings() -> None:
    """Stepwise search grows a tree for every step."""
    ranked = [Ranked("q", tree, 0, "plan", outcome, 0.5, []) for tree, outcome in (("q", 1.0), ("q/step-1", -1.0))]
    assert sibling_auc(ranked, np.array([0.5, 0.1]))["sibling_pairs"] == 0


def test_plan_steps_and_solutions_are_ranked_apart() -> None:
    ranked = [one._replace(kind=kind) for kind in ("plan", "solution") for one in forest(seed=len(kind))]
    values = [one.outcome if one.kind == "plan" else -one.outcome for one in ranked]
    plans, solutions = rankings("sft", Kind.PLAN, 80, ranked, values)
    assert (plans["model"], plans["kind"], plans["trees"], plans["nodes"]) == ("sft", "plan", 80, 400)
    assert (plans["sibling_auc"], plans["pooled_auc"]) == (1.0, 1.0)
    assert (solutions["kind"], solutions["sibling_auc"], solutions["pooled_auc"]) == ("solution", 0.0, 0.0)
    assert plans["value_mean"] == pytest.approx(np.mean(values[:400]))
    assert plans["value_sd"] == pytest.approx(np.std(values[:400]))


def test_what_the_prior_knows_of_siblings_stands_beside_what_v_knows() -> None:
    """A policy that likes the worse step better has a prior below chance, whatever V says."""
    misled = [one._replace(prior=0.5 - one.outcome / 4) for one in forest()]
    assert rankings("value", Kind.PLAN, 40, misled, [one.outcome for one in misled])[0]["prior_auc"] == 0.0
    assert rankings("value", Kind.PLAN, 40, misled, [one.prior for one in misled])[0]["sibling_auc"] == 0.0
    assert 0.4 < rankings("value", Kind.PLAN, 40, (blind := forest()), [0.0] * len(blind))[0]["prior_auc"] < 0.6


def test_every_step_has_its_value() -> None:
    with pytest.raises(ValueError, match="shorter"):
        rankings("sft", Kind.PLAN, 40, ranked := forest(), [0.1] * (len(ranked) - 1))


def test_a_constant_value_tells_nothing_apart() -> None:
    plans, _ = rankings("sft", Kind.PLAN, 40, ranked := forest(), [0.1] * len(ranked))
    assert (plans["sibling_auc"], plans["pooled_auc"]) == (0.5, 0.5)
    assert plans["value_sd"] == pytest.approx(0.0)


def test_what_is_undefined_is_none() -> None:
    undefined = ("value_mean", "value_sd", "sibling_auc", "sibling_auc_stderr", "pooled_auc", "prior_auc")
    for row in rankings("sft", Kind.PLAN, 0, [], []):
        assert {name: row[name] for name in undefined} == dict.fromkeys(undefined)
        assert (row["nodes"], row["sibling_pairs"]) == (0, 0)
    alike = [one._replace(outcome=abs(one.outcome) + 0.1) for one in forest()]
    found = rankings("sft", Kind.PLAN, 40, alike, [0.1] * len(alike))[0]
    assert [found[name] for name in undefined[2:]] == [None] * 4
    one_question = [one._replace(outcome=place - 4.5) for place, one in enumerate(forest(trees=1))]
    one_question = [one._replace(parent_id=0) for one in one_question]
    found = rankings("sft", Kind.PLAN, 1, one_question, [one.outcome for one in one_question])[0]
    assert (found["sibling_auc"], found["sibling_auc_stderr"]) == (1.0, None)


def test_steps_of_solutions_are_ranked_as_those_of_plans_are() -> None:
    ranked = [one._replace(kind="step") for one in forest()]
    steps, solutions = rankings("sft", Kind.STEP, 40, ranked, [one.outcome for one in ranked])
    assert (steps["kind"], steps["nodes"], steps["sibling_auc"]) == ("step", 400, 1.0)
    assert (solutions["kind"], solutions["nodes"]) == ("solution", 0)
