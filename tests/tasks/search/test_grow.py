"""The driver of every search, with a scripted policy: what it asks, what it makes of the replies, how a tree ends."""

import asyncio
import math
from collections.abc import Sequence
from typing import Any

import pytest

from tasks.language.format import Kind, Origin
from tasks.search.grow import Grown, Task, grow, judged, method, too_deep
from tasks.search.method import Draw
from tasks.search.policy import Expansion, Sample
from tasks.search.puct import Puct
from tasks.search.stepwise import Stepwise
from tasks.search.tree import Child
from tasks.settings import Search
from tests.tasks.search.scripted import ScriptedPolicy, is_even, solution_text, step_text

METHODS = ["puct", "stepwise", "beam", "sampling", "reflect", "pits"]


class Watched(ScriptedPolicy):
    """Remembers what was asked: the state, the draw, for whom, and how much of it at once."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.asked: list[tuple[list[int], Draw]] = []
        self.whose: set[tuple[str, int]] = set()
        self.out = self.most_out = 0

    async def sample(self, state_ids: Sequence[int], draw: Draw, *, session: str, priority: int) -> Expansion:
        self.asked.append((list(state_ids), draw))
        self.whose.add((session, priority))
        self.out += 1
        self.most_out = max(self.most_out, self.out)
        try:
            return await super().sample(state_ids, draw, session=session, priority=priority)
        finally:
            self.out -= 1


def a_task(simulations: int = 30, question_id: str = "q1", **more: Any) -> Task:
    return Task(question_id, "How many?", (5, 6), is_even, simulations, **more)


def grown(policy: ScriptedPolicy, simulations: int = 30, **options: Any) -> Grown:
    return asyncio.run(grow(a_task(simulations), policy, Search.model_validate(options)))


def row_of(grown: Grown) -> dict[str, Any]:
    (row,) = grown.tree_rows
    return row


def test_a_grown_tree_says_how_it_ended() -> None:
    assert row_of(grown(ScriptedPolicy(), simulations=3))["state"] == "budget"
    assert row_of(grown(ScriptedPolicy(branching=1), simulations=500))["state"] == "exhausted"
    assert row_of(grown(ScriptedPolicy(), simulations=0))["state"] == "skipped"
    assert row_of(grown(ScriptedPolicy(), simulations=500, enough_right=2))["state"] == "solved"
    assert row_of(grown(ScriptedPolicy(seed=8), simulations=500, hopeless_after=1))["state"] == "hopeless"


def test_an_early_stop_keeps_what_was_found_until_then() -> None:
    whole, stopped = grown(ScriptedPolicy(), 500), grown(ScriptedPolicy(), 500, enough_right=2)
    assert sum(node["reward"] == 1.0 for node in stopped.node_rows) >= 2
    assert len(stopped.node_rows) < len(whole.node_rows)
    learnt = ("visits", "q", "is_expanded", "is_closed")
    for early, late in zip(stopped.node_rows, whole.node_rows, strict=False):
        assert {k: v for k, v in early.items() if k not in learnt} == {k: v for k, v in late.items() if k not in learnt}


def test_a_tree_is_hopeless_only_while_nothing_is_right() -> None:
    for seed in range(12):
        (tree,) = grown(ScriptedPolicy(seed), 60, hopeless_after=4).trees
        stopped = sum(node.is_expanded for node in tree.nodes)
        assert (stopped == 4 and not tree.right) or stopped > 4 or tree.root.is_closed


def test_the_row_of_a_tree_tells_its_budget_its_outcome_and_its_cost() -> None:
    policy = Watched(seed=1, undecided=0.3)
    task = a_task(25, evidence="trees", is_held_out=True, pass_rate=0.25, priority=7)
    found = asyncio.run(grow(task, policy, Search()))
    (tree,) = found.trees
    asked = sum(draw.n for _, draw in policy.asked)
    assert policy.whose == {("q1", 7)}
    undecided = sum(node.action.kind is Kind.UNDECIDED for node in tree.nodes)
    assert undecided
    assert row_of(found) == {
        "tree_id": "trees/q1",
        "question_id": "q1",
        "evidence": "trees",
        "method": "puct",
        "backup": "values",
        "state": "budget",
        "steps": 0,
        "simulations": 25,
        "expansions": 25,
        "nodes": len(tree.nodes),
        "visits": tree.root.visits,
        "value": tree.root.q,
        "undecided": undecided,
        "is_solved": True,
        "is_held_out": True,
        "pass_rate": 0.25,
        "prompt_ids": [5, 6],
        "requests": len(policy.asked),
        "failed_requests": 0,
        "prompt_tokens": sum(len(state) for state, _ in policy.asked),
        "cached_tokens": 0,
        "generated_tokens": 2 * asked,
        "queue_seconds": 0.0,
        "service_seconds": 0.25 * len(policy.asked),
        "error": None,
    }
    assert found.node_rows == tree.rows("trees/q1")


def test_a_tree_is_solved_from_its_first_right_solution_on() -> None:
    right = set()
    for seed in range(12):
        found = grown(ScriptedPolicy(seed), 60, enough_right=1)
        right.add(found.trees[0].right)
        assert row_of(found)["is_solved"] == (found.trees[0].right > 0)
    assert 1 in right


def test_later_trees_of_a_stepwise_search_have_ids_of_their_own() -> None:
    rows = grown(ScriptedPolicy(2), 20, method="stepwise").tree_rows
    names = ["search/q1", *(f"search/q1/step-{number}" for number in range(1, len(rows)))]
    assert [row["tree_id"] for row in rows] == names
    assert {row["question_id"] for row in rows} == {"q1"}
    assert [row["steps"] for row in rows] == list(range(len(rows)))


def test_a_failed_request_fails_the_tree_and_invents_no_reward() -> None:
    lost = grown(ScriptedPolicy(fails_at=4))
    whole = grown(ScriptedPolicy(), simulations=3)
    row = row_of(lost)
    assert (row["state"], row["failed_requests"], row["requests"]) == ("failed", 1, 4)
    assert "the engine is gone" in row["error"]
    assert str(lost.error) == row["error"]
    assert lost.node_rows == whole.node_rows


@pytest.mark.parametrize("method", METHODS)
def test_an_undecided_answer_ends_its_branch_and_not_the_tree(method: str) -> None:
    for seed in range(8):
        found = grown(ScriptedPolicy(seed, undecided=0.4), 30, method=method, root_children=8, beams=2)
        assert found.error is None
        assert {row["state"] for row in found.tree_rows} <= {"budget", "exhausted", "finished"}
        nodes = [node for tree in found.trees for node in tree.nodes]
        lost = [node for node in nodes if node.action.kind is Kind.UNDECIDED]
        for node in lost:
            assert (node.is_closed, node.visits, node.action.reward, node.is_expanded) == (True, 0, None, False)
            assert (node.action.answer, node.action.value is None) == ("x", False)
        assert all(node.visits for node in nodes if node.action.reward is not None)
        assert sum(row["undecided"] for row in found.tree_rows) >= len(lost)


@pytest.mark.parametrize("method", METHODS)
def test_nothing_but_undecided_answers_ends_without_a_reward(method: str) -> None:
    found = grown(ScriptedPolicy(3, undecided=1.0, branching=2), 30, method=method, beams=2)
    assert found.error is None
    assert not any(row["is_solved"] for row in found.tree_rows)
    assert not any(node["reward"] == 1.0 for node in found.node_rows)


@pytest.mark.parametrize("method", METHODS)
def test_a_state_that_fills_the_context_is_a_closed_leaf_without_a_visit(method: str) -> None:
    """The question is two tokens, each step two more: the third step fills a context of eight."""
    found = grown(ScriptedPolicy(3, context=8), 80, method=method, beams=3, root_children=8)
    assert found.error is None
    full = [node for tree in found.trees for node in tree.nodes if tree.position(node) >= 3]
    steps = [node for node in full if node.action.kind is Kind.PLAN]
    assert steps
    for node in steps:
        assert (node.visits, node.is_expanded, node.children) == (0, False, ())
    if method != "puct":
        assert any(node.is_closed for node in steps)
    else:
        assert all(node.is_closed for node in steps)
        assert found.tree_rows[0]["state"] == "exhausted"
    assert all(node.pending == 0 and not node.is_busy for tree in found.trees for node in tree.nodes)


@pytest.mark.parametrize("method", METHODS)
def test_a_question_that_fills_the_context_fails(method: str) -> None:
    found = grown(ScriptedPolicy(context=2), method=method)
    assert str(found.error) == "a prompt of 2 tokens leaves no room"
    assert row_of(found)["state"] == "failed"


def test_one_draw_of_several_without_room_costs_only_itself() -> None:
    class Long(ScriptedPolicy):
        """A begun step is too long for the context."""

        async def sample(self, state_ids: Sequence[int], draw: Draw, **about: Any) -> Expansion:
            ids = [*state_ids, *[9] * 50] if draw.start else state_ids
            return await super().sample(ids, draw, **about)

    found = grown(Long(4, context=40), 40, readings=2, corrections=1)
    assert found.error is None
    assert {node["origin"] for node in found.node_rows} == {"policy"}
    assert row_of(found)["expansions"] == 40


@pytest.mark.parametrize("method", METHODS)
def test_nothing_at_the_deepest_step_is_asked_for(method: str) -> None:
    policy = Watched(seed=3)
    found = grown(policy, 200, method=method, max_depth=2, root_children=8, children=3, beams=8)
    assert max(state.count(1) for state, _ in policy.asked) < 2
    deepest = [node for tree in found.trees for node in tree.nodes if node.action.kind is Kind.TOO_DEEP]
    assert deepest or method == "stepwise"
    for node in deepest:
        assert (node.action.reward, node.action.text, node.q) == (-1.0, "", -1.0)
        assert node.visits == (3 if method in ("puct", "beam") else node.visits)
    assert not any(node.depth > 2 for tree in found.trees for node in tree.nodes if node.action.kind is Kind.SOLUTION)


def test_a_solution_after_the_most_steps_is_rewarded_and_one_step_more_is_not() -> None:
    found = [grown(ScriptedPolicy(seed), 200, max_depth=3) for seed in range(4)]
    solutions = [node for one in found for node in one.node_rows if node["kind"] == "solution"]
    assert max(node["depth"] for node in solutions) == 3
    assert {node["depth"] for one in found for node in one.node_rows if node["kind"] == "too_deep"} == {4}


def test_one_child_stands_for_all_samples_that_would_be_too_deep() -> None:
    child = Child(Kind.TOO_DEEP, "", (), logprob=0.0, prior=1.0, value=None, reward=-1.0, times=3)
    assert too_deep(3) == child


def child_of(text: str, draw: Draw, position: int = 0, max_depth: int = 6) -> Any:
    sample = Sample(text, (4, 5, 6), logprob=-2.0, value=0.5, sampled=2)
    return asyncio.run(judged(sample, draw, position, is_even, Search(max_depth=max_depth)))


def test_a_sample_becomes_a_child_with_its_prior_over_the_sampled_tokens() -> None:
    child = child_of(step_text(1, "add"), Draw(1, Origin.READING))
    assert (child.kind, child.origin, child.text) == (Kind.PLAN, Origin.READING, step_text(1, "add"))
    assert (child.token_ids, child.logprob, child.prior) == ((4, 5, 6), -2.0, math.exp(-1.0))
    assert (child.value, child.reward, child.answer, child.times) == (0.5, None, None, 1)


@pytest.mark.parametrize(
    ("text", "to_the_end", "kind", "reward", "value"),
    [
        (solution_text("4"), False, Kind.SOLUTION, 1.0, 0.5),
        (solution_text("5"), False, Kind.SOLUTION, -1.0, 0.5),
        (solution_text("x"), False, Kind.UNDECIDED, None, 0.5),
        ("Well,", False, Kind.MALFORMED, -1.0, None),
        (step_text(1, "a") + solution_text("4"), True, Kind.SOLUTION, 1.0, 0.5),
        (step_text(1, "a") + solution_text("x"), True, Kind.UNDECIDED, None, 0.5),
        (step_text(1, "a") + step_text(2, "b") + solution_text("4"), True, Kind.TOO_DEEP, -1.0, None),
    ],
)
def test_what_a_text_is_worth(text: str, to_the_end: bool, kind: Kind, reward: float | None, value: float) -> None:
    child = child_of(text, Draw(1, to_the_end=to_the_end), max_depth=2)
    assert (child.kind, child.reward, child.value) == (kind, reward, value)


def test_a_reflection_ends_nothing_and_has_no_reward() -> None:
    child = child_of("Too much.", Draw(1, reflects=True))
    assert (child.kind, child.reward) == (Kind.REFLECTION, None)


def test_the_settings_reach_the_search() -> None:
    puct = method(a_task(9), Search(c_puct=0.5, seed=3, enough_right=4, hopeless_after=5, root_children=2, children=1))
    assert isinstance(puct, Puct)
    assert (puct.c, puct.simulations, puct.enough_right, puct.hopeless_after) == (0.5, 9, 4, 5)
    assert puct.tree.root.action.text == "<question>\nHow many?\n</question>\n<plan>\n"
    same, other = method(a_task(9), Search(seed=3)), method(a_task(9, "q2"), Search(seed=3))
    assert isinstance(same, Puct)
    assert isinstance(other, Puct)
    drawn = puct.random.random()
    assert (same.random.random() == drawn, other.random.random() == drawn) == (True, False)
    stepwise = method(a_task(9), Search(method="stepwise", c_ucb=0.5, root_children=2, children=1, max_depth=4))
    assert isinstance(stepwise, Stepwise)
    assert (stepwise.c, stepwise.rollouts, stepwise.root_children, stepwise.children) == (0.5, 9, 2, 1)
    assert stepwise.max_steps == 3


@pytest.mark.parametrize("method", METHODS)
def test_many_trees_at_once_are_the_trees_of_one_after_the_other(method: str) -> None:
    tasks = [a_task(question_id=f"q{i}") for i in range(12)]
    search = Search.model_validate({"method": method, "beams": 2})

    async def together() -> list[Grown]:
        policy = ScriptedPolicy()
        return await asyncio.gather(*(grow(task, policy, search) for task in tasks))

    alone = [asyncio.run(grow(task, ScriptedPolicy(), search)) for task in tasks]
    for one, other in zip(asyncio.run(together()), alone, strict=True):
        assert (one.tree_rows, one.node_rows) == (other.tree_rows, other.node_rows)


def test_by_default_a_tree_does_not_depend_on_the_machines_load() -> None:
    for seed in range(4):
        busy, idle = (grown(ScriptedPolicy(seed, has_room=room), 40) for room in (False, True))
        assert (busy.tree_rows, busy.node_rows) == (idle.tree_rows, idle.node_rows)


def test_with_room_in_the_engine_a_tree_has_several_leaves_out_and_its_counts_hold() -> None:
    policy = Watched(seed=3, has_room=True)
    several = grown(policy, 40, leaves=4)
    assert policy.most_out == 4
    assert row_of(several)["expansions"] == 40
    assert_visits_add_up(several.node_rows)
    assert all(node.pending == 0 and not node.is_busy for node in several.trees[0].nodes)
    busy = Watched(seed=3)
    grown(busy, 40, leaves=4)
    assert busy.most_out == 1


def test_a_failure_calls_back_what_else_is_out() -> None:
    class Slow(Watched):
        """Two of its requests are never answered."""

        begun = is_open = 0

        async def sample(self, *state: Any, **about: Any) -> Expansion:
            self.begun += 1
            self.is_open += 1
            try:
                if self.begun in (6, 7):
                    await asyncio.Event().wait()
                return await super().sample(*state, **about)
            finally:
                self.is_open -= 1

    policy = Slow(seed=3, has_room=True, fails_at=9)

    async def failed() -> Grown:
        lost = await grow(a_task(40), policy, Search(leaves=4))
        assert (policy.out, policy.is_open) == (0, 0), "nobody waits for an answer any more"
        return lost

    lost = asyncio.run(failed())
    assert str(lost.error) == "the engine is gone"
    assert row_of(lost)["failed_requests"] == 1


def test_a_reply_is_taken_in_as_it_comes_and_does_not_wait_for_the_others() -> None:
    class Stuck(ScriptedPolicy):
        """Its second reply comes after ten others."""

        async def sample(self, state_ids: Sequence[int], draw: Draw, *, session: str, priority: int) -> Expansion:
            is_second = self.requests == 1
            reply = await super().sample(state_ids, draw, session=session, priority=priority)
            while is_second and self.requests < 12:
                await asyncio.sleep(0)
            return reply

    search = grow(a_task(20), Stuck(has_room=True), Search(leaves=2))
    found = asyncio.run(asyncio.wait_for(search, timeout=20))
    assert row_of(found)["expansions"] == 20


def test_visits_are_those_of_the_children_and_the_nodes_own() -> None:
    assert_visits_add_up(grown(ScriptedPolicy(seed=3), simulations=60).node_rows)


def assert_visits_add_up(nodes: list[dict[str, Any]]) -> None:
    for node in nodes:
        below = sum(child["visits"] for child in nodes if child["parent_id"] == node["node_id"])
        own = 3 if node["kind"] == "too_deep" else int(node["is_expanded"] or node["reward"] is not None)
        assert node["visits"] == below + own
