"""The search for the fatal step of a wrong answer, against the slow and obvious way: a list of trajectories."""

import asyncio
import random
from collections import Counter
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.language.format import FORMATS, STEPS, Kind
from tasks.search.grow import Grown, Task, grow, method
from tasks.search.method import Draw
from tasks.search.pits import Pits
from tasks.search.policy import Undecided
from tasks.search.tree import Child, Node, Tree
from tasks.settings import Search, Steps
from tests.tasks.search.scripted import ScriptedPolicy, is_even

DEPTH = 4

Path = tuple[str, ...]
"""Texts of a trajectory's actions."""


def grown(policy: ScriptedPolicy, n: int, k: int, wrong: int, **options: Any) -> Grown:
    task = Task("q1", "How many?", (5, 6), is_even, 1)
    asked = Search(method="pits", root_children=n, children=k, wrong=wrong, max_depth=DEPTH, **options)
    return asyncio.run(grow(task, policy, asked))


async def slowly(policy: ScriptedPolicy, n: int, k: int, wrong: int) -> tuple[Counter[Path], dict[Path, float | None]]:
    """All trajectories with their number, and their rewards, None where nobody can say."""
    times: Counter[Path] = Counter()
    rewards: dict[Path, float | None] = {}
    ids: dict[Path, tuple[int, ...]] = {(): (5, 6)}

    async def go_on(state: Path, count: int) -> None:
        if len(state) >= DEPTH:
            end((*state, ""), count, -1.0)
            return
        reply = await policy.sample(ids[state], Draw(count), session="q1", priority=0)
        said = Counter(sample.text for sample in reply.samples)
        for sample in reply.samples:
            ids.setdefault((*state, sample.text), (*ids[state], *sample.token_ids))
        for text, so_often in said.items():
            action = policy.format.parse_action(text, len(state))
            if action.kind in STEPS:
                waiting.append(((*state, text), so_often))
            elif action.answer is None:
                end((*state, text), so_often, -1.0)
            else:
                try:
                    end((*state, text), so_often, 1.0 if await is_even(action.answer) else -1.0)
                except Undecided:
                    end((*state, text), so_often, None)

    def end(path: Path, count: int, reward: float | None) -> None:
        times[path] += count
        rewards.setdefault(path, reward)

    waiting: list[tuple[Path, int]] = [((), n)]

    async def to_the_end() -> None:
        while waiting:
            await go_on(*waiting.pop(0))

    def below(state: Path, reward: float | None = None) -> int:
        decided = [path for path in times if path[: len(state)] == state and rewards[path] is not None]
        return sum(times[path] for path in decided if reward is None or rewards[path] == reward)

    await to_the_end()
    if not below((), 1.0):
        return times, rewards
    wrongly = [path for path in rewards if rewards[path] == -1.0]
    after_steps = (path for path in wrongly if len(path) > 1)
    answers = [path for path in after_steps if policy.format.parse_action(path[-1], len(path) - 1).answer]
    tried: set[Path] = set()
    for answer in random.Random("1234/q1").sample(answers, min(wrong, len(answers))):
        for depth in range(1, len(answer)):
            state = answer[:depth]
            if state not in tried and (missing := k - (below(state) - 1)) > 0:
                waiting.append((state, missing))
                await to_the_end()
            tried.add(state)
            if not below(state, 1.0):
                break
    return times, rewards


@settings(max_examples=60)
@given(
    seed=st.integers(0, 2000),
    n=st.integers(1, 10),
    k=st.integers(1, 4),
    wrong=st.integers(1, 4),
    branching=st.integers(2, 4),
    undecided=st.sampled_from([0.0, 0.3]),
    steps=st.sampled_from([*FORMATS]),
)
def test_it_samples_what_the_slow_and_obvious_way_samples(
    seed: int, n: int, k: int, wrong: int, branching: int, undecided: float, steps: Steps
) -> None:
    options: dict[str, Any] = {"seed": seed, "branching": branching, "undecided": undecided, "format": FORMATS[steps]}
    (tree,) = grown(ScriptedPolicy(**options), n, k, wrong, steps=steps).trees
    times, rewards = asyncio.run(slowly(ScriptedPolicy(**options), n, k, wrong))
    found = {path_of(node): node for node in tree.nodes if node.is_terminal}
    assert found.keys() == times.keys()
    for path, node in found.items():
        assert node.action.reward == rewards[path]
        assert node.visits == (times[path] if rewards[path] is not None else 0)
    for node in tree.nodes:
        ends = [leaf for leaf in found.values() if leaf.action.reward is not None and node in leaf.lineage()]
        assert node.visits == sum(leaf.visits for leaf in ends)
        assert node.total == sum(leaf.visits * (leaf.action.reward or 0) for leaf in ends)


def path_of(node: Node) -> Path:
    return tuple(above.action.text for above in [*node.lineage()][-2::-1])


def test_the_scripted_worlds_have_pits_to_find() -> None:
    more = 0
    for seed in range(40):
        (plain,) = asyncio.run(
            grow(
                Task("q1", "How many?", (5, 6), is_even, 1),
                ScriptedPolicy(seed),
                Search(method="sampling", root_children=6, max_depth=DEPTH),
            )
        ).trees
        (tree,) = grown(ScriptedPolicy(seed), 6, 4, 8).trees
        more += len(tree.nodes) > len(plain.nodes)
        assert tree.right or len(tree.nodes) == len(plain.nodes), "nothing is right: nothing more is asked"
    assert more > 10


def test_what_fills_the_context_is_closed_and_the_search_goes_on() -> None:
    found = grown(ScriptedPolicy(3, context=8), 12, 4, 8)
    assert found.error is None
    assert found.tree_rows[0]["state"] == "finished"
    assert any(node.is_closed and not node.is_terminal for node in found.trees[0].nodes)


def child(kind: Kind, text: str, reward: float | None = None) -> Child:
    answer = text if kind is Kind.SOLUTION else None
    return Child(kind, text, (1,), logprob=-1.0, prior=0.5, reward=reward, answer=answer)


def test_nothing_is_asked_further_while_a_trajectory_is_out() -> None:
    pits = Pits(Tree("q", (7,)), n=3, k=4, wrong=1, seed="")
    first = pits.ask()
    assert first is not None
    pits.take(first, [child(Kind.PLAN, "a"), child(Kind.PLAN, "b"), child(Kind.PLAN, "b")])
    a, b = pits.ask(), pits.ask()
    assert a is not None
    assert b is not None
    pits.take(a, [child(Kind.SOLUTION, "5", -1.0)])
    assert pits.ask() is None
    pits.take(b, [child(Kind.SOLUTION, "6", 1.0), child(Kind.SOLUTION, "6", 1.0)])
    asked = pits.ask()
    assert asked is not None
    assert (asked.node.action.text, asked.draws) == ("a", (Draw(4),)), "k beside the wrong one"


def test_a_wrong_answer_without_steps_takes_no_others_place() -> None:
    pits = Pits(Tree("q", (7,)), n=3, k=4, wrong=1, seed="")
    first = pits.ask()
    assert first is not None
    pits.take(first, [child(Kind.SOLUTION, "5", -1.0), child(Kind.PLAN, "a"), child(Kind.PLAN, "a")])
    a = pits.ask()
    assert a is not None
    pits.take(a, [child(Kind.SOLUTION, "7", -1.0), child(Kind.SOLUTION, "6", 1.0)])
    asked = pits.ask()
    assert asked is not None
    assert (asked.node.action.text, asked.draws) == ("a", (Draw(3),))


def test_a_step_that_has_its_trajectories_needs_no_more() -> None:
    pits = Pits(Tree("q", (7,)), n=3, k=1, wrong=1, seed="")
    first = pits.ask()
    assert first is not None
    pits.take(first, [child(Kind.SOLUTION, "5", 1.0), child(Kind.PLAN, "a"), child(Kind.PLAN, "a")])
    a = pits.ask()
    assert a is not None
    pits.take(a, [child(Kind.SOLUTION, "7", -1.0), child(Kind.SOLUTION, "6", 1.0)])
    assert pits.ask() is None


def test_behind_a_wrong_answer_whose_step_is_found_the_others_are_looked_into() -> None:
    pits = Pits(Tree("q", (7,)), n=3, k=2, wrong=2, seed="")
    ends = {"a": -1.0, "b": -1.0, "c": 1.0}
    first = pits.ask()
    assert first is not None
    pits.take(first, [child(Kind.PLAN, text) for text in ends])
    for _ in ends:
        asked = pits.ask()
        assert asked is not None
        pits.take(asked, [child(Kind.SOLUTION, "5", ends[asked.node.action.text])])
    looked_into = []
    while (asked := pits.ask()) is not None:
        looked_into.append((asked.node.action.text, asked.draws))
        pits.take(asked, [child(Kind.SOLUTION, "7", -1.0)] * 2)
    assert sorted(looked_into) == [("a", (Draw(2),)), ("b", (Draw(2),))]


def test_the_wrong_answers_that_are_looked_into_are_not_the_shortest_ones() -> None:
    def looked_into(seed: str) -> str:
        pits = Pits(Tree("q", (7,)), n=3, k=4, wrong=1, seed=seed)
        replies = {
            "q": [child(Kind.PLAN, "a"), child(Kind.PLAN, "b"), child(Kind.PLAN, "c")],
            "a": [child(Kind.SOLUTION, "5", -1.0)],
            "b": [child(Kind.PLAN, "longer")],
            "c": [child(Kind.SOLUTION, "6", 1.0)],
            "longer": [child(Kind.SOLUTION, "7", -1.0)],
        }
        while (asked := pits.ask()) is not None and asked.draws[0].n != 4:
            pits.take(asked, replies[asked.node.action.text])
        assert asked is not None
        return asked.node.action.text

    assert {looked_into(str(seed)) for seed in range(20)} == {"a", "b"}


def test_the_settings_reach_it() -> None:
    made = method(Task("q", "?", (5,), is_even, 1), Search(method="pits", root_children=9, children=3, wrong=2))
    assert isinstance(made, Pits)
    assert (made.to_ask, made.k, made.most) == ([(made.tree.root, Draw(9))], 3, 2)


def test_where_a_branch_fills_the_context_the_others_are_looked_into() -> None:
    """Three steps: one whose state is too long, one with a wrong end, one with a right end."""

    def ended(reward: float) -> list[Child]:
        return [Child(Kind.SOLUTION, "end", (9,), logprob=0.0, prior=1.0, reward=reward)]

    search = Pits(Tree("How many?", (5, 6)), n=3, k=2, wrong=1, seed="1")
    first = search.ask()
    assert first is not None
    search.take(first, [Child(Kind.PLAN, text, (n,), logprob=0.0, prior=0.3) for n, text in enumerate("abc", 1)])
    long, wrong, right = search.ask(), search.ask(), search.ask()
    assert long is not None
    assert wrong is not None
    assert right is not None
    search.close(long)
    search.take(wrong, ended(-1.0))
    search.take(right, ended(1.0))
    further = search.ask()
    assert further is not None
    assert (further.node.action.text, further.draws[0].n) == ("b", 2)
