"""The tree against the paper's formulas, computed the slow and obvious way."""

import asyncio
import math
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.format import Kind
from tasks.search.grow import Grown, Task, grow
from tasks.search.puct import Puct
from tasks.search.tree import Child, Node, Tree
from tasks.settings import Search
from tests.tasks.scripted import ScriptedPolicy


def plan(text: str, logprob: float = -1.0, value: float = 0.0) -> Child:
    return Child(Kind.PLAN, text, (1, 2), logprob=logprob, prior=math.exp(logprob / 2), value=value)


def solution(text: str, reward: float) -> Child:
    return Child(Kind.SOLUTION, text, (1, 3), logprob=-1.0, prior=0.6, reward=reward, answer=text)


def new_search(c: float = 1.5) -> Puct:
    return Puct(Tree("q", (7,)), lambda leaf: (), simulations=1000, c=c, seed="test")


def take(search: Puct) -> Node:
    leaf = search.select()
    assert leaf is not None
    return leaf


def test_the_first_simulation_expands_the_root() -> None:
    search = new_search()
    root = take(search)
    assert root is search.tree.root
    search.expand(root, [plan("a", value=0.5), plan("b")])
    assert (search.tree.root.visits, search.tree.root.q) == (1, 0.0)
    assert [child.visits for child in search.tree.root.children] == [0, 0]


def test_a_leafs_value_is_backed_up_when_it_is_selected_and_not_before() -> None:
    search = new_search()
    search.expand(take(search), [plan("a", logprob=-0.1, value=0.5), plan("b", logprob=-9.0, value=-0.5)])
    leaf = take(search)
    assert leaf.action.text == "a"
    search.expand(leaf, [plan("c")])
    assert (leaf.visits, leaf.q) == (1, 0.5)
    assert (search.tree.root.visits, search.tree.root.q) == (2, 0.25)


def test_every_terminal_child_backs_up_at_once() -> None:
    search = new_search()
    search.expand(take(search), [solution("1", 1.0), solution("2", -1.0), solution("3", -1.0)])
    assert search.tree.root.visits == 4
    assert search.tree.root.q == pytest.approx(-0.25)
    assert search.tree.root.is_closed
    assert search.select() is None


def test_duplicates_are_dropped_after_stripping() -> None:
    search = new_search()
    search.expand(take(search), [plan("a"), plan("a\n"), plan(" a"), plan("b")])
    assert [child.action.text for child in search.tree.root.children] == ["a", "b"]


def test_a_closed_branch_goes_back_to_the_root() -> None:
    """The released code drops the whole tree here (methods.md 1.3)."""
    search = new_search()
    search.expand(take(search), [plan("a", logprob=-0.1), plan("b", logprob=-5.0)])
    first = take(search)
    search.expand(first, [solution("1", -1.0)])
    assert first.is_closed
    assert not search.tree.root.is_closed
    second = take(search)
    assert second.action.text == "b"
    search.expand(second, [solution("2", 1.0)])
    assert search.tree.root.is_closed


def test_virtual_loss_sends_leaves_to_different_branches() -> None:
    search = new_search()
    search.expand(take(search), [plan("a", logprob=-0.2), plan("b", logprob=-0.4), plan("c", logprob=-0.6)])
    out = [take(search) for _ in range(3)]
    assert {node.action.text for node in out} == {"a", "b", "c"}
    assert search.select() is None
    for leaf in out:
        search.expand(leaf, [solution(leaf.action.text, 1.0)])
    assert search.tree.root.is_closed
    assert all(node.pending == 0 and not node.is_busy for node in search.tree.nodes)


def puct_by_the_book(node: Node, c: float) -> list[Node]:
    """All maximisers of Q + c P sqrt(N(s)) / (1 + N(s, a)) among children that are open (methods.md 1.3)."""

    def score(child: Node) -> float:
        prior = math.exp(child.action.logprob / len(child.action.token_ids))
        q = child.total / child.visits if child.visits else 0.0
        return q + c * prior * math.sqrt(node.visits) / (1 + child.visits)

    best = max(score(child) for child in node.children if not child.is_closed)
    return [child for child in node.children if not child.is_closed and math.isclose(score(child), best)]


def value_by_the_book(node: Node) -> tuple[int, float]:
    """Visits and total of a node from its subtree alone: its own estimate, and each reward and V below it."""
    if node.action.reward is not None:
        return 1, node.action.reward
    visits, total = (1, node.action.value or 0.0) if node.is_expanded else (0, 0.0)
    for child in node.children:
        below = value_by_the_book(child)
        visits, total = visits + below[0], total + below[1]
    return visits, total


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 10_000), c=st.just(0.0) | st.floats(1e-3, 3), simulations=st.integers(1, 40))
def test_selection_and_backup_follow_the_paper(seed: int, c: float, simulations: int) -> None:
    rng = random.Random(seed)
    search = new_search(c)
    for simulation in range(simulations):
        leaf = search.select()
        if leaf is None:
            assert search.tree.root.is_closed
            break
        for child in list(leaf.lineage())[:-1]:
            assert child.parent is not None
            assert child in puct_by_the_book(child.parent, c)
        search.expand(
            leaf,
            [
                plan(f"{simulation}.{i}", -rng.random() * 4, rng.uniform(-1, 1))
                if rng.random() < 0.6
                else solution(f"{simulation}.{i}", rng.choice([1.0, -1.0]))
                for i in range(rng.randint(1, 4))
            ],
        )
        for node in search.tree.nodes:
            visits, total = value_by_the_book(node)
            assert node.visits == visits
            assert node.total == pytest.approx(total)
            assert -1 <= node.q <= 1


async def is_even(answer: str) -> bool:
    return int(answer) % 2 == 0


def a_task(simulations: int = 30, question_id: str = "q1") -> Task:
    return Task(question_id, "How many?", (5, 6), is_even, simulations)


def grown(policy: ScriptedPolicy, simulations: int = 30, **options: Any) -> Grown:
    return asyncio.run(grow(a_task(simulations), policy, Search.model_validate(options)))


def state_of(grown: Grown) -> str:
    (row,) = grown.tree_rows
    return str(row["state"])


def test_a_grown_tree_says_how_it_ended() -> None:
    assert state_of(grown(ScriptedPolicy(), simulations=3)) == "budget"
    assert state_of(grown(ScriptedPolicy(branching=1), simulations=500)) == "exhausted"
    assert state_of(grown(ScriptedPolicy(), simulations=0)) == "skipped"
    assert state_of(grown(ScriptedPolicy(), simulations=500, enough_right=2)) == "solved"
    assert state_of(grown(ScriptedPolicy(seed=8), simulations=500, hopeless_after=1)) == "hopeless"


def test_an_early_stop_keeps_what_was_found_until_then() -> None:
    whole, stopped = grown(ScriptedPolicy(), 500), grown(ScriptedPolicy(), 500, enough_right=2)
    assert sum(node["reward"] == 1.0 for node in stopped.node_rows) >= 2
    assert len(stopped.node_rows) < len(whole.node_rows)
    learnt = ("visits", "q", "is_expanded", "is_closed")
    for early, late in zip(stopped.node_rows, whole.node_rows, strict=False):
        assert {k: v for k, v in early.items() if k not in learnt} == {k: v for k, v in late.items() if k not in learnt}


def test_a_failed_request_fails_the_tree_and_invents_no_reward() -> None:
    lost = grown(ScriptedPolicy(fails_at=4))
    whole = grown(ScriptedPolicy(), simulations=3)
    (row,) = lost.tree_rows
    assert (row["state"], row["failed_requests"], row["requests"]) == ("failed", 1, 4)
    assert "the engine is gone" in row["error"]
    assert lost.node_rows == whole.node_rows


def test_nothing_deeper_than_the_limit_is_rewarded() -> None:
    nodes = grown(ScriptedPolicy(), simulations=200, max_depth=2).node_rows
    deepest = [node for node in nodes if node["depth"] == 3]
    assert deepest
    assert {node["kind"] for node in deepest} == {"too_deep"}
    assert {node["reward"] for node in deepest} == {-1.0}


@pytest.mark.parametrize("method", ["puct", "stepwise", "beam", "sampling"])
def test_many_trees_at_once_are_the_trees_of_one_after_the_other(method: str) -> None:
    tasks = [a_task(question_id=f"q{i}") for i in range(12)]
    search = Search.model_validate({"method": method, "beams": 2})

    async def together() -> list[Grown]:
        policy = ScriptedPolicy()
        return await asyncio.gather(*(grow(task, policy, search) for task in tasks))

    alone = [asyncio.run(grow(task, ScriptedPolicy(), search)) for task in tasks]
    for one, other in zip(asyncio.run(together()), alone, strict=True):
        assert (one.tree_rows, one.node_rows) == (other.tree_rows, other.node_rows)


def test_with_room_in_the_engine_a_tree_has_several_leaves_out_and_its_counts_hold() -> None:
    policy = ScriptedPolicy(seed=3, has_room=True)
    most_out = out = 0
    sample = policy.sample

    async def watched(*given: Any, **named: Any) -> Any:
        nonlocal most_out, out
        out += 1
        most_out = max(most_out, out)
        try:
            return await sample(*given, **named)
        finally:
            out -= 1

    policy.sample = watched  # type: ignore[method-assign]
    several = grown(policy, simulations=40, leaves=4)
    assert most_out == 4
    assert several.tree_rows[0]["expansions"] == 40
    assert_visits_add_up(several.node_rows)
    assert all(node.pending == 0 and not node.is_busy for node in several.trees[0].nodes)


def test_visits_are_those_of_the_children_and_the_nodes_own() -> None:
    assert_visits_add_up(grown(ScriptedPolicy(seed=3), simulations=60).node_rows)


def assert_visits_add_up(nodes: list[dict[str, Any]]) -> None:
    for node in nodes:
        below = sum(child["visits"] for child in nodes if child["parent_id"] == node["node_id"])
        own = int(node["is_expanded"] or node["reward"] is not None)
        assert node["visits"] == below + own
