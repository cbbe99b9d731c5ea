"""MCTS process supervision against the paper's formulas (2501.01478), by a reference that keeps a list of rollouts."""

import asyncio
import itertools
import math
import random
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.language.format import Kind
from tasks.search.grow import Grown, Task, grow
from tasks.search.method import Ask
from tasks.search.stepwise import Stepwise
from tasks.search.tree import Child, Node, Tree
from tasks.settings import Search
from tests.tasks.search.scripted import ScriptedPolicy, is_even

Path = tuple[str, ...]


def grown(policy: ScriptedPolicy, rollouts: int, **options: Any) -> Grown:
    task = Task("q1", "How many?", (5, 6), is_even, rollouts)
    return asyncio.run(grow(task, policy, Search.model_validate({"method": "stepwise"} | options)))


class Reference:
    """One tree of the search as a list of its rollouts: the path to the child that was sampled, and the reward."""

    def __init__(self, c: float, root_children: int, children: int) -> None:
        self.c, self.root_children, self.children = c, root_children, children
        self.rollouts: list[tuple[Path, float]] = []
        self.sampled: Counter[Path] = Counter()
        self.terminal: dict[Path, float] = {}
        self.found: dict[Path, None] = {}
        self.spent = 0

    def rewards(self, path: Path) -> list[float]:
        """1 and 0, of all rollouts through a node."""
        return [(reward + 1) / 2 for other, reward in self.rollouts if other[: len(path)] == path]

    def below(self, path: Path) -> list[Path]:
        """The children with a rollout that counts, in the order in which they were found."""
        return [child for child in self.found if child[:-1] == path and self.rewards(child)]

    def ucb(self, path: Path) -> float:
        wins, n = self.rewards(path), len(self.rewards(path))
        return sum(wins) / n + self.c * math.sqrt(math.log(len(self.rewards(path[:-1]))) / n)

    def select(self, rollouts: int) -> Path | None:
        """The node to sample, when its turn comes; None when the tree's rollouts are spent."""
        while self.spent < rollouts:
            path: Path = ()
            while self.sampled[path] >= (self.children if path else self.root_children) and self.below(path):
                path = self.best(path)
            if path not in self.terminal:
                return path
            self.end(path, self.terminal[path])
        return None

    def best(self, path: Path) -> Path:
        """UCB's choice; sums in another order may differ in the last digit, so near ties go to the first found."""
        scores = {child: self.ucb(child) for child in self.below(path)}
        return next(child for child in scores if scores[child] >= max(scores.values()) - 1e-9)

    def end(self, path: Path, reward: float | None) -> None:
        self.spent += 1
        if reward is not None:
            self.rollouts.append((path, reward))


def path_of(node: Node) -> Path:
    return tuple(above.action.text for above in list(node.lineage())[-2::-1])


def a_child(kind: Kind, text: str, reward: float | None = None) -> Child:
    return Child(kind, text, (1,), logprob=-1.0, prior=0.5, value=0.0, reward=reward)


@settings(max_examples=150)
@given(
    seed=st.integers(0, 100_000),
    rollouts=st.integers(1, 40),
    c=st.sampled_from([0.0, 0.5, 1.41, 3.0]),
    distinct=st.integers(1, 6),
    root_children=st.integers(1, 5),
    children=st.integers(1, 3),
)
def test_every_sample_is_asked_where_ucb_leads(
    seed: int, rollouts: int, c: float, distinct: int, root_children: int, children: int
) -> None:
    rng = random.Random(seed)
    search = Stepwise(
        Tree("q", (7,)), rollouts=rollouts, root_children=root_children, children=children, c=c, max_steps=4
    )
    reference = Reference(c, root_children, children)
    trees = 1
    while (ask := search.ask()) is not None:
        assert search.ask() is None, "one simulation at a time"
        if len(search.trees) > trees:
            assert reference.select(rollouts) is None
            assert reference.best(()) not in reference.terminal
            assert search.tree.steps == trees
            trees, reference = trees + 1, Reference(c, root_children, children)
        expected = reference.select(rollouts)
        assert expected is not None
        assert path_of(ask.node) == expected
        assert [(draw.n, draw.to_the_end) for draw in ask.draws] == [(1, False)]
        reference.sampled[expected] += 1
        if rng.random() < 0.05:
            search.close(ask)
            reference.end(expected, None)
            continue
        kind = rng.choices([Kind.PLAN, Kind.SOLUTION, Kind.UNDECIDED], [8, 2, 1])[0]
        text = f"{kind} {rng.randrange(distinct)}"
        path = (*expected, text)
        reference.found[path] = None
        terminal = {Kind.SOLUTION: 1.0 if text.endswith(("0", "2")) else -1.0, Kind.UNDECIDED: None}
        search.take(ask, [a_child(kind, text, terminal.get(kind))])
        if kind is not Kind.PLAN:
            reward = terminal[kind]
            if reward is not None:
                reference.terminal[path] = reward
            reference.end(path, reward)
        else:
            reference.end(path, play(search, rng))
        for node in search.tree.nodes:
            rewards = reference.rewards(path_of(node))
            assert (node.visits, node.total) == (len(rewards), sum(2 * reward - 1 for reward in rewards))
    assert reference.select(rollouts) is None
    known = reference.below(())
    assert not known or reference.best(()) in reference.terminal or search.tree.steps == 4
    assert search.ask() is None
    assert search.state == "finished"


def play(search: Stepwise, rng: random.Random) -> float | None:
    """The rollout that is asked for next: right, wrong, undecided, or without room."""
    ask = search.ask()
    assert ask is not None
    assert [(draw.n, draw.to_the_end) for draw in ask.draws] == [(1, True)]
    if rng.random() < 0.1:
        search.close(ask)
        assert ask.node.is_closed
        return None
    before = search.tree.right_rollouts, search.tree.undecided_rollouts
    reward = rng.choice([1.0, -1.0, None])
    search.take(ask, [a_child(Kind.UNDECIDED if reward is None else Kind.SOLUTION, "…", reward)])
    after = search.tree.right_rollouts, search.tree.undecided_rollouts
    assert after == (before[0] + (reward == 1.0), before[1] + (reward is None))
    return reward


@settings(max_examples=25)
@given(seed=st.integers(0, 1000), rollouts=st.integers(2, 40), c=st.floats(0, 3))
def test_scores_are_the_papers_and_sum_to_zero(seed: int, rollouts: int, c: float) -> None:
    """r_k = N_k (Q_k/N_k - sum Q / sum N) with rewards 1 and 0 (2501.01478, eq. 1)."""
    for tree in grown(ScriptedPolicy(seed), rollouts, c_ucb=c).trees:
        children = tree.root.children
        assert tree.root.visits == sum(child.visits for child in children) == rollouts
        wins = [(child.total + child.visits) / 2 for child in children]
        mean = sum(wins) / sum(child.visits for child in children)
        for child, won in zip(children, wins, strict=True):
            assert child.score == pytest.approx(child.visits * (won / child.visits - mean), abs=1e-9)
        assert sum(child.score or 0.0 for child in children) == pytest.approx(0, abs=1e-9)


@settings(max_examples=25)
@given(seed=st.integers(0, 1000))
def test_scores_sum_to_zero_over_what_could_be_decided(seed: int) -> None:
    trees = grown(ScriptedPolicy(seed, undecided=0.5), 30).trees
    for tree in trees:
        known = [child for child in tree.root.children if child.visits]
        assert [child for child in tree.root.children if child.score is not None] == known
        assert sum(child.score or 0.0 for child in known) == pytest.approx(0, abs=1e-9)
        assert tree.root.visits <= 30


def test_a_fresh_tree_starts_below_the_step_with_the_highest_ucb() -> None:
    trees = grown(ScriptedPolicy(2), 30, c_ucb=1.0).trees
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


@pytest.mark.parametrize("distinct", [1, 2, 3])
def test_a_policy_with_few_distinct_steps_is_searched_deeper_all_the_same(distinct: int) -> None:
    """Samples make a node full, not children: else UCB would never go down below the root (five are asked there)."""
    trees = grown(ScriptedPolicy(1, branching=distinct), 64).trees
    assert len(trees[0].root.children) <= 2 * distinct + 1
    assert max(node.depth for node in trees[0].nodes) >= 3


def test_a_right_rollout_solves_its_question_though_no_node_is_right() -> None:
    search = Stepwise(Tree("q", (7,)), rollouts=1, root_children=1, children=1, c=1.0, max_steps=3)
    ask = search.ask()
    assert ask is not None
    search.take(ask, [a_child(Kind.PLAN, "a")])
    play = search.ask()
    assert play == Ask(search.tree, search.tree.root.children[0], play.draws if play else ())
    assert play is not None
    search.take(play, [a_child(Kind.SOLUTION, "b", 1.0)])
    assert search.tree.right == 1
    assert not any(node.action.reward for node in search.tree.nodes)


def test_where_nothing_can_be_decided_the_search_ends() -> None:
    search = Stepwise(Tree("q", (7,)), rollouts=2, root_children=1, children=1, c=1.0, max_steps=3)
    for _ in range(2):
        ask = search.ask()
        assert ask is not None
        search.take(ask, [a_child(Kind.UNDECIDED, "x")])
    assert search.ask() is None
    assert len(search.trees) == 1
    trees = grown(ScriptedPolicy(1, undecided=1.0, branching=1), 20).trees
    assert all(tree.root.visits < 20 for tree in trees)
    assert sum(tree.undecided_rollouts for tree in trees) > 0
