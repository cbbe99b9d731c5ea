"""What `make bench-options` says of two searches at equal tokens, by hand and against slow and obvious ways."""

import asyncio
import math
import random
from collections import defaultdict

import numpy as np
import pytest

from tasks.micro.habits import attempt
from tasks.micro.world import calculate, generate
from tasks.search.grow import Task, grow
from tasks.settings import Search
from tests.bench.equal_tokens import COLUMNS, at_tokens, compared
from tests.bench.options import Metered, replayed
from tests.bench.truth import Truth
from tests.tasks.search.scripted import ScriptedPolicy, is_even

NOTHING = np.zeros((2, len(COLUMNS)))


def a_table(*questions: tuple[float, float]) -> np.ndarray:
    """Questions that are solved so often, at so many tokens."""
    table = np.zeros((len(questions), len(COLUMNS)))
    table[:, 0], table[:, -1] = zip(*questions, strict=True)
    return table


def test_yields_at_some_tokens_lie_between_two_points_of_the_line() -> None:
    line = np.stack([NOTHING, a_table((0, 10), (1, 30)), a_table((1, 20), (1, 60))])
    assert at_tokens(line, 40).tolist() == line[1].tolist()
    assert at_tokens(line, 50)[:, 0].tolist() == [0.25, 1], "a quarter of the way from 40 to 80 tokens"
    assert at_tokens(line, 20)[:, -1].sum() == 20
    assert at_tokens(line, 0).tolist() == NOTHING.tolist()
    assert at_tokens(line, 120).tolist() == (1.5 * line[2]).tolist(), "half as many questions more"


def test_an_option_that_gives_what_plain_search_gives_differs_by_nothing() -> None:
    rng = np.random.default_rng(1)
    line = rng.random((3, 40, len(COLUMNS))).cumsum(axis=0)
    line[0] = 0
    same = compared(line[1], line, resamples=50)["solved"]
    assert same["option"] == same["plain"] == pytest.approx(line[1, :, 0].sum() * 1e5 / line[1, :, -1].sum())
    assert (same["low"], same["high"]) == pytest.approx((0, 0), abs=1e-6)


def test_an_option_is_told_apart_by_its_own_questions() -> None:
    """40 questions, one token each; the option solves the second half, too: .5 more, give or take .155."""
    plain, option = a_table(*[(1, 1)] * 20, *[(0, 1)] * 20), a_table(*[(1, 1)] * 40)
    line = np.stack([np.zeros_like(plain), plain])
    found = compared(option, line, resamples=2000)["solved"]
    assert (found["option"], found["plain"]) == (1e5, 0.5e5)
    margin = 1.96 * math.sqrt(0.25 / 40) * 1e5
    assert found["low"] == pytest.approx(0.5e5 - margin, abs=3000)
    assert found["high"] == pytest.approx(0.5e5 + margin, abs=3000)


def test_a_replayed_tree_is_what_a_smaller_budget_would_have_grown() -> None:
    stopped = 0
    for seed in range(4):
        settings = Search(simulations=20, max_depth=4)
        long = Task("q1", "How many?", (5, 6), is_even, 20)
        metered = Metered(ScriptedPolicy(seed))
        (tree,) = asyncio.run(grow(long, metered, settings)).trees
        line = [(grown.rows("t"), grown.cost.generated_tokens) for grown in replayed(tree, long, settings, metered)]
        assert line[-1] == (tree.rows("t"), tree.cost.generated_tokens)
        for budget, (rows, tokens) in enumerate(line, 1):
            short = Task("q1", "How many?", (5, 6), is_even, budget)
            (own,) = asyncio.run(grow(short, ScriptedPolicy(seed), settings)).trees
            assert (rows, tokens) == (own.rows("t"), own.cost.generated_tokens)
        rule = settings.model_copy(update={"enough_right": 2})
        *_, early = replayed(tree, long, rule, metered)
        (own,) = asyncio.run(grow(long, ScriptedPolicy(seed), rule)).trees
        assert early.rows("t") == own.rows("t")
        stopped += len(early.nodes) < len(tree.nodes)
    assert stopped


def test_the_truth_of_a_plan_is_how_often_the_habits_go_on_to_the_answer() -> None:
    rng = random.Random(1)
    for problem in generate("train", 2, 1):
        truth = Truth(problem)
        outcomes: dict[tuple[str, ...], list[bool]] = defaultdict(list)
        for _ in range(2000):
            moves = [move for _, move in attempt(problem, rng)]
            is_right = str(calculate(problem.start, moves).result) == problem.answer
            plan = tuple(move.text for move in moves)
            for steps in range(len(plan) + 1):
                outcomes[plan[:steps]].append(is_right)
        often = {plan: found for plan, found in outcomes.items() if len(found) >= 150}
        assert len(often) > 5
        for plan, found in often.items():
            chance = truth.chance(plan)
            assert chance is not None
            assert np.mean(found) == pytest.approx(chance, abs=4 * math.sqrt(0.25 / len(found)))
    assert truth.chance(("fly to the moon",)) is None
