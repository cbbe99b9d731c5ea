"""The tree against the paper's formulas, computed the slow and obvious way."""

import asyncio
import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.format import Kind
from tasks.search.grow import GrownTree, Task, grow
from tasks.search.tree import Child, Node, Tree
from tasks.settings import Search
from tests.tasks.scripted import ScriptedPolicy


def plan(text: str, logprob: float = -1.0, value: float = 0.0) -> Child:
    return Child(Kind.PLAN, text, (1, 2), logprob=logprob, value=value)


def solution(text: str, reward: float) -> Child:
    return Child(Kind.SOLUTION, text, (1, 3), logprob=-1.0, reward=reward, answer=text)


def new_tree(c_puct: float = 1.5) -> Tree:
    return Tree("q", (7,), c_puct=c_puct, seed="test")


def take(tree: Tree) -> Node:
    leaf = tree.select()
    assert leaf is not None
    return leaf


def test_the_first_simulation_expands_the_root() -> None:
    tree = new_tree()
    root = take(tree)
    assert root is tree.root
    tree.expand(root, [plan("a", value=0.5), plan("b")])
    assert (tree.root.visits, tree.root.q) == (1, 0.0)
    assert [child.visits for child in tree.root.children] == [0, 0]


def test_a_leafs_value_is_backed_up_when_it_is_selected_and_not_before() -> None:
    tree = new_tree()
    tree.expand(take(tree), [plan("a", logprob=-0.1, value=0.5), plan("b", logprob=-9.0, value=-0.5)])
    leaf = take(tree)
    assert leaf.action.text == "a"
    tree.expand(leaf, [plan("c")])
    assert (leaf.visits, leaf.q) == (1, 0.5)
    assert (tree.root.visits, tree.root.q) == (2, 0.25)


def test_every_terminal_child_backs_up_at_once() -> None:
    tree = new_tree()
    tree.expand(take(tree), [solution("1", 1.0), solution("2", -1.0), solution("3", -1.0)])
    assert tree.root.visits == 4
    assert tree.root.q == pytest.approx(-0.25)
    assert tree.is_exhausted
    assert tree.select() is None


def test_duplicates_are_dropped_after_stripping() -> None:
    tree = new_tree()
    tree.expand(take(tree), [plan("a"), plan("a\n"), plan(" a"), plan("b")])
    assert [child.action.text for child in tree.root.children] == ["a", "b"]


def test_a_closed_branch_goes_back_to_the_root() -> None:
    """The released code drops the whole tree here (methods.md 1.3)."""
    tree = new_tree()
    tree.expand(take(tree), [plan("a", logprob=-0.1), plan("b", logprob=-5.0)])
    first = take(tree)
    tree.expand(first, [solution("1", -1.0)])
    assert first.is_closed
    assert not tree.is_exhausted
    second = take(tree)
    assert second.action.text == "b"
    tree.expand(second, [solution("2", 1.0)])
    assert tree.is_exhausted


def test_a_released_leaf_leaves_no_trace() -> None:
    tree = new_tree()
    tree.expand(take(tree), [plan("a"), plan("b")])
    before = [(node.visits, node.total, node.pending, node.is_busy) for node in tree.nodes]
    tree.release(take(tree))
    assert [(node.visits, node.total, node.pending, node.is_busy) for node in tree.nodes] == before


def test_virtual_loss_sends_leaves_to_different_branches() -> None:
    tree = new_tree()
    tree.expand(take(tree), [plan("a", logprob=-0.2), plan("b", logprob=-0.4), plan("c", logprob=-0.6)])
    out = [take(tree) for _ in range(3)]
    assert {node.action.text for node in out} == {"a", "b", "c"}
    assert tree.select() is None
    for leaf in out:
        tree.expand(leaf, [solution(leaf.action.text, 1.0)])
    assert tree.is_exhausted
    assert all(node.pending == 0 and not node.is_busy for node in tree.nodes)


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
@given(seed=st.integers(0, 10_000), c=st.floats(0, 3), simulations=st.integers(1, 40))
def test_selection_and_backup_follow_the_paper(seed: int, c: float, simulations: int) -> None:
    rng = random.Random(seed)
    tree = new_tree(c_puct=c)
    for simulation in range(simulations):
        leaf = tree.select()
        if leaf is None:
            assert tree.is_exhausted
            break
        for child in list(leaf.lineage())[:-1]:
            assert child.parent is not None
            assert child in puct_by_the_book(child.parent, c)
        tree.expand(
            leaf,
            [
                plan(f"{simulation}.{i}", -rng.random() * 4, rng.uniform(-1, 1))
                if rng.random() < 0.6
                else solution(f"{simulation}.{i}", rng.choice([1.0, -1.0]))
                for i in range(rng.randint(1, 4))
            ],
        )
        for node in tree.nodes:
            visits, total = value_by_the_book(node)
            assert node.visits == visits
            assert node.total == pytest.approx(total)
            assert -1 <= node.q <= 1


async def is_even(answer: str) -> bool:
    return int(answer) % 2 == 0


def a_task(simulations: int = 30, tree_id: str = "q1") -> Task:
    return Task(tree_id, tree_id, "How many?", (5, 6), is_even, simulations, is_held_out=False, pass_rate=None)


def grown(policy: ScriptedPolicy, simulations: int = 30, **options: int) -> GrownTree:
    return asyncio.run(grow(a_task(simulations), policy, Search.model_validate(options)))


def test_a_grown_tree_says_how_it_ended() -> None:
    assert grown(ScriptedPolicy(), simulations=3).tree["state"] == "budget"
    assert grown(ScriptedPolicy(branching=1), simulations=500).tree["state"] == "exhausted"
    assert grown(ScriptedPolicy(), simulations=0).tree["state"] == "skipped"


def test_a_failed_request_fails_the_tree_and_invents_no_reward() -> None:
    lost = grown(ScriptedPolicy(fails_at=4))
    whole = grown(ScriptedPolicy(), simulations=3)
    assert lost.tree["state"] == "failed"
    assert "the engine is gone" in lost.tree["error"]
    assert lost.nodes == whole.nodes


def test_nothing_deeper_than_the_limit_is_rewarded() -> None:
    nodes = grown(ScriptedPolicy(), simulations=200, max_depth=2).nodes
    deepest = [node for node in nodes if node["depth"] == 3]
    assert deepest
    assert {node["kind"] for node in deepest} == {"too_deep"}
    assert {node["reward"] for node in deepest} == {-1.0}


def test_many_trees_at_once_are_the_trees_of_one_after_the_other() -> None:
    tasks = [a_task(tree_id=f"q{i}") for i in range(12)]
    search = Search()

    async def together() -> list[GrownTree]:
        policy = ScriptedPolicy()
        return await asyncio.gather(*(grow(task, policy, search) for task in tasks))

    alone = [asyncio.run(grow(task, ScriptedPolicy(), search)) for task in tasks]
    assert [tree.nodes for tree in asyncio.run(together())] == [tree.nodes for tree in alone]


def test_visits_are_those_of_the_children_and_the_nodes_own() -> None:
    nodes = grown(ScriptedPolicy(seed=3), simulations=60).nodes
    for node in nodes:
        below = sum(child["visits"] for child in nodes if child["parent_id"] == node["node_id"])
        own = int(node["is_expanded"] or node["reward"] is not None)
        assert node["visits"] == below + own
