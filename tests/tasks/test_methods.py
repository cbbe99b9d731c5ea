"""The other methods of the papers, each against its formulas computed the slow and obvious way."""

import asyncio
import itertools
import math
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.format import Kind
from tasks.search.beam import best_solution, majority_solution
from tasks.search.grow import Expansion, Grown, Task, grow
from tasks.search.method import Draw
from tasks.search.tree import Child, Node, Origin, Tree, back_up
from tasks.settings import Search
from tests.tasks.scripted import ScriptedPolicy


async def is_even(answer: str) -> bool:
    return int(answer) % 2 == 0


def grown(policy: ScriptedPolicy, simulations: int = 24, **options: Any) -> Grown:
    task = Task("q1", "How many?", (5, 6), is_even, simulations)
    return asyncio.run(grow(task, policy, Search.model_validate(options)))


class Watched(ScriptedPolicy):
    """Remembers what was asked: the length of the state, and the draw."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.asked: list[tuple[int, Draw]] = []

    async def sample(self, state_ids: Sequence[int], draw: Draw, *, session: str, priority: int) -> Expansion:
        self.asked.append((len(state_ids), draw))
        return await super().sample(state_ids, draw, session=session, priority=priority)


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 1000), rollouts=st.integers(2, 40), c=st.floats(0, 3))
def test_stepwise_scores_are_the_papers_and_sum_to_zero(seed: int, rollouts: int, c: float) -> None:
    """r_k = N_k (Q_k/N_k - sum Q / sum N) with rewards 1 and 0 (2501.01478, eq. 1)."""
    for tree in grown(ScriptedPolicy(seed), rollouts, method="stepwise", c_ucb=c).trees:
        children = tree.root.children
        assert tree.root.visits == sum(child.visits for child in children) == rollouts
        wins = [(child.total + child.visits) / 2 for child in children]
        mean = sum(wins) / sum(child.visits for child in children)
        for child, won in zip(children, wins, strict=True):
            assert child.score == pytest.approx(child.visits * (won / child.visits - mean), abs=1e-9)
        assert sum(child.score or 0.0 for child in children) == pytest.approx(0, abs=1e-9)


def test_stepwise_starts_a_fresh_tree_below_the_step_with_the_highest_ucb() -> None:
    trees = grown(ScriptedPolicy(2), 30, method="stepwise", c_ucb=1.0).trees
    assert len(trees) > 1
    for number, (tree, following) in enumerate(itertools.pairwise(trees)):
        ucb = {
            child: (child.q + 1) / 2 + math.sqrt(math.log(tree.root.visits) / child.visits)
            for child in tree.root.children
        }
        best = max(ucb, key=lambda child: ucb[child])
        assert following.root.action.token_ids == tuple(tree.state_ids(best))
        assert following.root.action.text == tree.root.action.text + best.action.text
        assert following.steps == number + 1
    last = trees[-1].root.children
    assert any(child.is_terminal for child in last) or trees[-1].steps == Search().max_depth - 1


def test_stepwise_samples_one_child_at_a_time_and_plays_each_to_the_end() -> None:
    policy = Watched(seed=1)
    grown(policy, 12, method="stepwise", root_children=4, children=2)
    assert {draw.n for _, draw in policy.asked} == {1}
    ended = [later.to_the_end for (_, one), (_, later) in itertools.pairwise(policy.asked) if not one.to_the_end]
    assert any(ended)


def test_the_beam_keeps_the_most_valuable_paths_and_a_finished_one_leaves_it() -> None:
    """Every expanded node was among the B1 best of its depth by V; the beam is one narrower for each that finished."""
    for seed in range(20):
        (tree,) = grown(ScriptedPolicy(seed), method="beam", beams=3, children=4).trees
        width = 3
        depth = 1
        while level := [node for node in tree.nodes if node.depth == depth]:
            valid = [node for node in level if node.action.kind in (Kind.PLAN, Kind.SOLUTION)]
            best = sorted(valid, key=lambda node: -(node.action.value or 0))[:width]
            assert {node for node in level if node.is_expanded} == {node for node in best if not node.is_terminal}
            width -= sum(node.is_terminal for node in best)
            depth += 1


def test_the_first_step_of_a_beam_draws_for_all_of_its_paths() -> None:
    policy = Watched()
    grown(policy, method="beam", beams=3, children=4)
    assert policy.asked[0][1].n == 12
    assert {draw.n for _, draw in policy.asked[1:]} == {4}


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 1000), n=st.integers(1, 12), branching=st.integers(1, 4))
def test_sampling_ends_every_trajectory_and_continues_a_step_as_often_as_it_was_sampled(
    seed: int, n: int, branching: int
) -> None:
    policy = Watched(seed=seed, branching=branching)
    (tree,) = grown(policy, method="sampling", root_children=n).trees
    expanded = [node for node in tree.nodes if node.is_expanded]
    trajectories = {node: sum(leaf.visits for leaf in below(node) if leaf.is_terminal) for node in expanded}
    assert trajectories[tree.root] == n
    assert sorted(draw.n for _, draw in policy.asked) == sorted(trajectories.values())
    assert all(node.is_terminal for node in tree.nodes if not node.children)


def below(node: Node) -> list[Node]:
    return [node, *(deeper for child in node.children for deeper in below(child))]


def solved(*found: tuple[str, float]) -> Tree:
    """A tree with these answers and their values, each sampled once."""
    tree = Tree("q", (1,))
    children = [
        Child(Kind.SOLUTION, f"{i}", (i,), -1.0, 0.5, value=value, reward=-1.0, answer=answer)
        for i, (answer, value) in enumerate(found)
    ]
    for node in tree.add(tree.root, children):
        back_up(node, -1.0)
    return tree


def test_best_of_n_takes_the_highest_value_and_the_majority_is_weighed_by_it() -> None:
    split = solved(("7", 0.0), ("7", 0.0), ("8", 0.2))
    best, most = best_solution(split), majority_solution(split)
    assert best is not None
    assert best.action.answer == "8"
    assert most is not None
    assert most.action.answer == "7"
    doubted = majority_solution(solved(("7", -0.9), ("7", -0.9), ("8", 0.2)))
    assert doubted is not None
    assert doubted.action.answer == "8"
    assert best_solution(solved()) is majority_solution(solved()) is None
    often = solved(("7", 0.0), ("8", 0.2))
    back_up(often.root.children[0], -1.0)
    repeated = majority_solution(often)
    assert repeated is not None
    assert repeated.action.answer == "7"


def test_the_votes_of_equal_answers_add_up() -> None:
    ballots = [r"\frac{1}{2}", "3", "0.5", "3", r"\frac{1}{2}", "3", "1/2"]
    chosen = majority_solution(solved(*((answer, 0.0) for answer in ballots)))
    assert chosen is not None
    assert chosen.action.answer == r"\frac{1}{2}"
    valued = majority_solution(solved(("3", 0.0), ("3", 0.0), ("0.5", 0.0), ("1/2", 0.1), (r"\frac{1}{2}", 0.2)))
    assert valued is not None
    assert valued.action.answer == r"\frac{1}{2}"
    apart = majority_solution(solved(("60", 0.0), (r"60\%", 0.0), ("59", 0.0), ("59", 0.0)))
    assert apart is not None
    assert apart.action.answer == "59"


def test_richer_actions_begin_where_they_should_and_take_their_siblings_prior() -> None:
    policy = Watched(seed=4)
    (tree,) = grown(policy, 40, readings=2, corrections=1).trees
    origins = {node.action.origin for node in tree.nodes[1:]}
    assert origins == {Origin.POLICY, Origin.READING, Origin.CORRECTION}
    for node in tree.nodes[1:]:
        assert node.parent is not None
        if node.action.origin is Origin.POLICY:
            continue
        own = [other.action.prior for other in node.parent.children if other.action.origin is Origin.POLICY]
        assert node.prior == pytest.approx(sum(own) / len(own) if own else 1.0)
        if node.action.origin is Origin.READING:
            assert node.depth == 1
        else:
            assert node.parent.parent is not None


def test_a_library_offers_its_steps_at_their_place() -> None:
    task = Task("q1", "?", (5, 6), is_even, 20, offers=lambda position: ["halve it"] if position == 1 else [])
    (tree,) = asyncio.run(grow(task, Watched(), Search(library=1))).trees
    offered = [node for node in tree.nodes if node.action.origin is Origin.LIBRARY]
    assert offered
    assert {node.depth for node in offered} == {2}
    assert all("Plan 2: halve it" in node.action.text for node in offered)
