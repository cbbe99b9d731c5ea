"""Beam search, sampling, what a tree without rewards answers, and richer actions, against the slow and obvious way."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.language.format import Kind, Origin
from tasks.search.actions import draws, is_suspect
from tasks.search.beam import Beam, best_solution, majority_solution
from tasks.search.grow import Grown, Task, grow
from tasks.search.method import Ask, Draw
from tasks.search.policy import Expansion
from tasks.search.sampling import Sampling
from tasks.search.tree import Child, Node, Tree, back_up
from tasks.settings import Search
from tests.tasks.search.scripted import ScriptedPolicy, is_even


def grown(policy: ScriptedPolicy, simulations: int = 24, **options: Any) -> Grown:
    task = Task("q1", "How many?", (5, 6), is_even, simulations)
    return asyncio.run(grow(task, policy, Search.model_validate(options)))


class Watched(ScriptedPolicy):
    """Remembers what was asked: the length of the state, the draw, and what came of it."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.asked: list[tuple[int, Draw]] = []
        self.written: list[tuple[tuple[int, ...], list[str]]] = []

    async def sample(self, state_ids: Sequence[int], draw: Draw, *, session: str, priority: int) -> Expansion:
        self.asked.append((len(state_ids), draw))
        reply = await super().sample(state_ids, draw, session=session, priority=priority)
        self.written.append((tuple(state_ids), [sample.text.strip() for sample in reply.samples]))
        return reply


def a_child(kind: Kind, text: str, value: float | None = 0.0, reward: float | None = None) -> Child:
    answer = text if kind is Kind.SOLUTION else None
    return Child(kind, text, (1,), logprob=-1.0, prior=0.5, value=value, reward=reward, answer=answer)


def test_the_beam_keeps_the_most_valuable_paths_and_answers_with_the_best_of_the_finished() -> None:
    """Every expanded node was among the B1 best of its depth by V; the beam is one narrower for each that finished.

    What it pruned is never the answer, whatever its V.
    """
    pruned_better = 0
    for seed in range(120):
        policy = ScriptedPolicy(seed, undecided=0.1)
        (tree,) = grown(policy, method="beam", beams=1 + seed % 3, children=2 + seed % 2).trees
        width = 1 + seed % 3
        depth = 1
        finished: list[Node] = []
        while level := [node for node in tree.nodes if node.depth == depth]:
            valid = [node for node in level if node.action.kind in (Kind.PLAN, Kind.SOLUTION)]
            best = sorted(valid, key=lambda node: -(node.action.value or 0))[:width]
            assert {node for node in level if node.is_expanded} == {node for node in best if not node.is_terminal}
            finished += [node for node in best if node.is_terminal]
            width -= sum(node.is_terminal for node in best)
            depth += 1
        assert tree.kept == finished
        ranked = sorted(finished, key=lambda node: -(node.action.value or 0))
        assert best_solution(tree) == (ranked[0] if ranked else None)
        voted = majority_solution(tree)
        assert voted in finished if finished else voted is None
        solutions = [node.action.value or 0 for node in tree.nodes if node.action.kind is Kind.SOLUTION]
        pruned_better += bool(ranked) and max(solutions) > (ranked[0].action.value or 0)
        for node in tree.nodes:
            ends = [leaf for leaf in tree.nodes if leaf.action.reward is not None and node in leaf.lineage()]
            own = [leaf for leaf in tree.nodes if leaf.is_expanded and node in leaf.lineage()]
            total = sum(leaf.action.times * (leaf.action.reward or 0) for leaf in ends)
            assert node.visits == sum(leaf.action.times for leaf in ends) + len(own)
            assert node.total == pytest.approx(total + sum(leaf.action.value or 0 for leaf in own))
    assert pruned_better


def test_a_beam_of_one_does_not_answer_with_what_it_pruned() -> None:
    beam = Beam(Tree("q", (7,)), width=1, samples=2)
    first = beam.ask()
    assert first is not None
    assert (first.node, beam.ask()) == (beam.tree.root, None)
    beam.take(first, [a_child(Kind.PLAN, "a", 0.6), a_child(Kind.SOLUTION, "7", 0.5, 1.0)])
    second = beam.ask()
    assert second is not None
    assert second.node.action.text == "a"
    beam.take(second, [a_child(Kind.SOLUTION, "8", 0.3, 1.0), a_child(Kind.SOLUTION, "9", 0.2, 1.0)])
    assert beam.ask() is None
    answer = best_solution(beam.tree)
    assert answer is not None
    assert answer.action.answer == "8"


def test_a_beam_waits_for_all_of_its_paths_and_goes_on_without_one_that_fills_the_context() -> None:
    beam = Beam(Tree("q", (7,)), width=2, samples=1)
    first = beam.ask()
    assert first is not None
    beam.take(first, [a_child(Kind.PLAN, "a", 0.6), a_child(Kind.PLAN, "b", 0.5)])
    a, b = beam.ask(), beam.ask()
    assert a is not None
    assert b is not None
    assert beam.ask() is None
    beam.take(b, [a_child(Kind.PLAN, "c", -0.9)])
    assert beam.ask() is None
    beam.close(a)
    assert (a.node.is_closed, a.node.visits) == (True, 0)
    last = beam.ask()
    assert last is not None
    assert last.node.action.text == "c"


def test_the_first_step_of_a_beam_draws_for_all_of_its_paths() -> None:
    policy = Watched()
    grown(policy, method="beam", beams=3, children=4)
    assert policy.asked[0][1].n == 12
    assert {draw.n for _, draw in policy.asked[1:]} == {4}


@settings(max_examples=40)
@given(
    seed=st.integers(0, 1000), n=st.integers(1, 12), branching=st.integers(1, 4), undecided=st.sampled_from([0.0, 0.3])
)
def test_sampling_ends_every_trajectory_and_continues_a_step_as_often_as_it_was_sampled(
    seed: int, n: int, branching: int, undecided: float
) -> None:
    policy = Watched(seed=seed, branching=branching, undecided=undecided)
    (tree,) = grown(policy, method="sampling", root_children=n, max_depth=4).trees
    texts = {state: Counter(written) for state, written in policy.written}
    trajectories = {tree.root: n}
    for node in tree.nodes[1:]:
        assert node.parent is not None
        drawn = texts.get(tuple(tree.state_ids(node.parent)))
        trajectories[node] = drawn[node.action.text.strip()] if drawn else trajectories[node.parent]
    assert [draw.n for _, draw in policy.asked] == [
        trajectories[node] for node in expanded(tree) if tree.position(node) < 4
    ]
    for node in tree.nodes:
        assert node.is_terminal == (not node.children)
        ends = [leaf for leaf in below(node) if leaf.action.reward is not None]
        assert node.visits == sum(trajectories[leaf] for leaf in ends), "its trajectories, and no V"
        assert node.total == sum(trajectories[leaf] * (leaf.action.reward or 0) for leaf in ends)
        assert node.is_closed == node.is_terminal
    assert n == sum(trajectories[leaf] for leaf in tree.nodes if leaf.is_terminal)


def test_a_trajectory_that_fills_the_context_ends_there() -> None:
    sampling = Sampling(Tree("q", (7,)), n=3)
    first = sampling.ask()
    assert first is not None
    assert first.draws == (Draw(3),)
    assert sampling.ask() is None
    sampling.take(first, [a_child(Kind.PLAN, "a"), a_child(Kind.PLAN, "b"), a_child(Kind.PLAN, " a")])
    a, b = sampling.ask(), sampling.ask()
    assert a is not None
    assert b is not None
    assert [(ask.node.action.text, ask.draws[0].n) for ask in (a, b)] == [("a", 2), ("b", 1)]
    sampling.close(a)
    assert (a.node.is_closed, a.node.visits, sampling.ask(), sampling.state) == (True, 0, None, "finished")


def expanded(tree: Tree) -> list[Node]:
    """In the order of expansion, which is that of creation: a sampled tree grows breadth first."""
    return [node for node in tree.nodes if node.is_expanded]


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


def answer_of(node: Node | None) -> str | None:
    return None if node is None else node.action.answer


def test_best_of_n_takes_the_highest_value_and_a_majority_counts_votes() -> None:
    split = solved(("7", 0.0), ("7", 0.0), ("8", 0.2))
    assert answer_of(best_solution(split)) == "8"
    assert answer_of(majority_solution(split)) == "7"
    assert best_solution(solved()) is majority_solution(solved()) is majority_solution(solved(), by_value=True) is None
    tied = solved(("7", 0.0), ("8", 0.2))
    assert answer_of(majority_solution(tied)) == "7", "the first that was found"
    back_up(tied.root.children[1], -1.0)
    assert answer_of(majority_solution(tied)) == "8", "a trajectory that ends there again is one more vote"


def test_a_vote_weighs_nothing_but_itself_unless_it_is_a_vote_by_value() -> None:
    doubted = solved(("7", -0.9), ("7", -0.9), ("8", 0.2))
    assert answer_of(majority_solution(doubted)) == "7"
    assert answer_of(majority_solution(doubted, by_value=True)) == "8"
    close = solved(("7", -0.5), ("7", -0.4), ("8", 0.2))
    assert answer_of(majority_solution(close, by_value=True)) == "8", "0.25 + 0.3 is less than 0.6"
    assert answer_of(majority_solution(solved(("7", -0.3), ("7", -0.4), ("8", 0.2)), by_value=True)) == "7"
    chosen = majority_solution(doubted)
    assert chosen is doubted.root.children[0]
    best = majority_solution(solved(("7", -0.9), ("7", 0.3), ("8", 0.2)))
    assert best is not None
    assert best.action.value == 0.3, "it is stated by the best solution of the answer"


def test_the_votes_of_equal_answers_add_up() -> None:
    ballots = [r"\frac{1}{2}", "3", "0.5", "3", r"\frac{1}{2}", "3", "1/2"]
    assert answer_of(majority_solution(solved(*((answer, 0.0) for answer in ballots)))) == r"\frac{1}{2}"
    found = ("3", 0.0), ("3", 0.0), ("0.5", 0.0), ("1/2", 0.1), (r"\frac{1}{2}", 0.2)
    for by_value in (False, True):
        assert answer_of(majority_solution(solved(*found), by_value=by_value)) == r"\frac{1}{2}"
    apart = solved(("60", 0.0), (r"60\%", 0.0), ("59", 0.0), ("59", 0.0))
    assert answer_of(majority_solution(apart)) == "59"
    spaced = solved(("3", 0.0), ("4 ", 0.0), (" 4", 0.0))
    assert answer_of(majority_solution(spaced)) == "4 "


def a_leaf(value: float | None, parent_q: float, *, at_root: bool = False) -> Node:
    tree = Tree("q", (7,))
    if at_root:
        return tree.root
    (leaf,) = tree.add(tree.root, [a_child(Kind.PLAN, "a", value)])
    back_up(tree.root, parent_q)
    return leaf


def test_a_step_is_suspect_where_its_value_or_what_was_found_beside_it_is_negative() -> None:
    assert not is_suspect(a_leaf(0.5, 0.5))
    assert is_suspect(a_leaf(-0.1, 0.5))
    assert is_suspect(a_leaf(0.5, -0.1))
    assert not is_suspect(a_leaf(0.0, 0.0))
    assert not is_suspect(a_leaf(None, 0.0))
    assert not is_suspect(a_leaf(None, 0.0, at_root=True))


def test_what_is_drawn_where() -> None:
    settings = Search(root_children=5, children=3, readings=2, corrections=1, library=2)
    at = draws(settings, lambda position: [f"step for {position}", "another"])
    root, good, bad = at(a_leaf(None, 0, at_root=True)), at(a_leaf(0.5, 0.5)), at(a_leaf(-0.5, 0.5))
    reading = "<step>\nPlan 1: In other words, the question is"
    offered = [Draw(1, Origin.LIBRARY, f"<step>\nPlan 1: {body}") for body in ("step for 0", "another")]
    assert root == (Draw(5), Draw(2, Origin.READING, reading), *offered)
    offered = [Draw(1, Origin.LIBRARY, f"<step>\nPlan 2: {body}") for body in ("step for 1", "another")]
    assert good == (Draw(3), *offered)
    correction = "<step>\nPlan 2: Step 1 was a wrong turn. Instead,"
    assert bad == (Draw(3), Draw(1, Origin.CORRECTION, correction), *offered)
    assert draws(Search(), lambda position: ["never"])(a_leaf(-0.5, -0.5)) == (Draw(3),)


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


def test_an_ask_names_its_tree() -> None:
    beam = Beam(Tree("q", (7,)), width=2, samples=3)
    assert beam.ask() == Ask(beam.tree, beam.tree.root, (Draw(6),))
    assert beam.trees == [beam.tree]
