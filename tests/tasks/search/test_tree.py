"""The tree and PUCT against the paper's formulas, computed the slow and obvious way."""

import math
import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.language.format import Kind, Origin
from tasks.search.method import Ask
from tasks.search.puct import Puct
from tasks.search.tree import Child, Node, Tree

C = st.just(0.0) | st.floats(1e-3, 3)


def plan(text: str, logprob: float = -1.0, value: float = 0.0, origin: Origin = Origin.POLICY) -> Child:
    return Child(Kind.PLAN, text, (1, 2), logprob=logprob, prior=math.exp(logprob / 2), value=value, origin=origin)


def solution(text: str, reward: float) -> Child:
    return Child(Kind.SOLUTION, text, (1, 3), logprob=-1.0, prior=0.6, reward=reward, answer=text)


def undecided(text: str) -> Child:
    return Child(Kind.UNDECIDED, text, (1, 4), logprob=-1.0, prior=0.6, value=0.5, answer=text)


def too_deep(times: int) -> Child:
    return Child(Kind.TOO_DEEP, "", (), logprob=0.0, prior=1.0, reward=-1.0, times=times)


def new_search(c: float = 1.5, simulations: int = 1000, seed: str = "test") -> Puct:
    tree = Tree("q", (7,))
    return Puct(tree, lambda leaf: (), simulations=simulations, c=c, seed=seed, enough_right=0, hopeless_after=0)


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
    assert (search.right, search.tree.right) == (1, 1)


def test_what_is_too_deep_counts_once_a_sample_beside_the_leafs_value() -> None:
    """The leaf's V, then -1 for each of the samples that the released code would have drawn there."""
    search = new_search()
    search.expand(take(search), [plan("a", value=0.5)])
    leaf = take(search)
    search.expand(leaf, [too_deep(3)])
    assert (leaf.visits, leaf.total, leaf.is_closed) == (4, 0.5 - 3, True)
    (child,) = leaf.children
    assert (child.visits, child.q, child.is_closed) == (3, -1.0, True)


def test_an_undecided_answer_is_closed_and_nothing_is_known_of_it() -> None:
    search = new_search()
    search.expand(take(search), [undecided("x"), plan("a", value=0.5)])
    lost, open_ = search.tree.root.children
    assert (lost.is_closed, lost.visits, lost.is_terminal) == (True, 0, True)
    assert (search.tree.root.visits, search.tree.root.total, search.tree.root.is_closed) == (1, 0.0, False)
    assert take(search) is open_
    search.expand(open_, [undecided("y")])
    assert (open_.visits, open_.q) == (1, 0.5)
    assert (search.tree.root.visits, search.tree.root.is_closed, search.tree.undecided) == (2, True, 2)


def test_a_leaf_whose_state_fills_the_context_is_closed_and_its_simulation_goes_to_another() -> None:
    search = new_search(simulations=3)
    ask = search.ask()
    assert ask is not None
    search.take(ask, [plan("only")])
    ask = search.ask()
    assert ask is not None
    search.take(ask, [plan("a", logprob=-0.1), plan("b", logprob=-5.0)])
    long = search.ask()
    assert long is not None
    assert long.node.action.text == "a"
    search.close(long)
    assert (long.node.is_closed, long.node.is_expanded, long.node.visits, long.node.pending) == (True, False, 0, 0)
    assert (search.tree.root.visits, search.tree.root.pending, search.expansions) == (2, 0, 2)
    other = search.ask()
    assert other is not None
    assert other.node.action.text == "b"
    search.take(other, [plan("c")])
    assert (search.ask(), search.state) == (None, "budget")


def test_duplicates_are_dropped_after_stripping() -> None:
    search = new_search()
    search.expand(take(search), [plan("a"), plan("a\n"), plan(" a"), plan("b")])
    assert [child.action.text for child in search.tree.root.children] == ["a", "b"]
    more = search.tree.add(search.tree.root, [plan("b "), plan("c")])
    assert [child.action.text for child in search.tree.root.children] == ["a", "b", "c"]
    assert [(node.node_id, node.depth, node.parent) for node in more] == [(3, 1, search.tree.root)]


def test_a_step_that_was_begun_for_the_policy_has_the_mean_prior_of_its_own() -> None:
    tree = Tree("q", (7,))
    begun = plan("r", logprob=-8.0, origin=Origin.READING)
    a, b, reading = tree.add(tree.root, [plan("a", logprob=-1.0), plan("b", logprob=-3.0), begun])
    assert (a.prior, b.prior) == (math.exp(-0.5), math.exp(-1.5))
    assert reading.prior == pytest.approx((math.exp(-0.5) + math.exp(-1.5)) / 2)
    (alone,) = tree.add(a, [plan("c", logprob=-8.0, origin=Origin.LIBRARY)])
    assert alone.prior == 1.0
    (later,) = tree.add(tree.root, [plan("d", logprob=-8.0, origin=Origin.HINT)])
    assert later.prior == reading.prior, "its siblings may be older"


def test_a_state_is_its_prompt_and_the_actions_down_to_it() -> None:
    tree = Tree("q", (7, 8), steps=2)
    (first,) = tree.add(tree.root, [plan("a")])
    (second,) = tree.add(first, [solution("b", 1.0)])
    assert tree.root.action == Child(Kind.ROOT, "q", (7, 8), logprob=0.0, prior=1.0)
    assert tree.state_ids(tree.root) == [7, 8]
    assert tree.state_ids(second) == [7, 8, 1, 2, 1, 3]
    assert [tree.position(node) for node in (tree.root, first, second)] == [2, 3, 4]
    assert list(second.lineage()) == [second, first, tree.root]
    assert [tree.plan(node) for node in (tree.root, first, second)] == ["", "a", "ab"]


def test_a_tree_counts_rollouts_that_are_no_nodes() -> None:
    tree = Tree("q", (7,))
    tree.add(tree.root, [solution("2", 1.0), solution("3", -1.0), undecided("x")])
    tree.right_rollouts, tree.undecided_rollouts = 3, 4
    assert (tree.right, tree.undecided) == (4, 5)


def test_the_rows_of_a_tree_say_all_of_its_nodes() -> None:
    search = new_search()
    search.expand(take(search), [plan("a", value=0.5), solution("1", 1.0), undecided("x")])
    root, step, right, lost = search.tree.rows("t")
    assert [row["node_id"] for row in (root, step, right, lost)] == [0, 1, 2, 3]
    assert root == {
        "tree_id": "t",
        "node_id": 0,
        "parent_id": None,
        "depth": 0,
        "kind": "root",
        "origin": "policy",
        "hint": None,
        "text": "q",
        "token_ids": [7],
        "logprob": 0.0,
        "prior": 1.0,
        "value": None,
        "visits": 2,
        "q": 0.5,
        "reward": None,
        "score": None,
        "answer": None,
        "is_expanded": True,
        "is_closed": False,
    }
    found = {"visits", "q", "reward", "value", "is_closed", "is_expanded", "parent_id", "depth", "answer", "kind"}
    assert {key: step[key] for key in found} == {
        "visits": 0,
        "q": None,
        "reward": None,
        "value": 0.5,
        "is_closed": False,
        "is_expanded": False,
        "parent_id": 0,
        "depth": 1,
        "answer": None,
        "kind": "plan",
    }
    assert (right["q"], right["reward"], right["answer"], right["is_closed"]) == (1.0, 1.0, "1", True)
    assert (lost["kind"], lost["visits"], lost["q"], lost["reward"], lost["is_closed"]) == (
        "undecided", 0, None, None, True
    )  # fmt: skip


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


def test_equal_leaves_are_chosen_by_the_seed_all_of_them() -> None:
    def first(seed: str) -> str:
        search = new_search(seed=seed)
        search.expand(take(search), [plan(name) for name in "abcd"])
        return take(search).action.text

    chosen = [first(str(seed)) for seed in range(60)]
    assert set(chosen) == set("abcd")
    assert chosen == [first(str(seed)) for seed in range(60)]


def out_below(node: Node, out: Sequence[Node]) -> int:
    return sum(node in leaf.lineage() for leaf in out)


def is_searchable(node: Node, out: Sequence[Node]) -> bool:
    """Whether a leaf below it can be selected: no terminal, not closed, not out."""
    if node in out or node.is_terminal:
        return False
    return any(is_searchable(child, out) for child in node.children) if node.is_expanded else not node.is_closed


def puct_by_the_book(node: Node, c: float, out: Sequence[Node] = ()) -> list[Node]:
    """All maximisers of Q + c P sqrt(N(s)) / (1 + N(s, a)) among children below which there is something to search
    (methods.md 1.3), where each leaf that is out counts as a visit of value -1 of its whole path."""

    def score(child: Node) -> float:
        prior = math.exp(child.action.logprob / len(child.action.token_ids))
        visits, total = value_by_the_book(child)
        visits, total = visits + out_below(child, out), total - out_below(child, out)
        q = total / visits if visits else 0.0
        return q + c * prior * math.sqrt(value_by_the_book(node)[0] + out_below(node, out)) / (1 + visits)

    possible = [child for child in node.children if is_searchable(child, out)]
    best = max(score(child) for child in possible)
    return [child for child in possible if math.isclose(score(child), best, abs_tol=1e-12)]


def value_by_the_book(node: Node) -> tuple[int, float]:
    """Visits and total of a node from its subtree alone: its own estimate, and each reward and V below it."""
    if node.action.reward is not None:
        return node.action.times, node.action.times * node.action.reward
    visits, total = (1, node.action.value or 0.0) if node.is_expanded else (0, 0.0)
    for child in node.children:
        below = value_by_the_book(child)
        visits, total = visits + below[0], total + below[1]
    return visits, total


def some_children(rng: random.Random, name: str) -> list[Child]:
    kinds = rng.choices(["plan", "solution", "undecided", "too_deep"], [6, 3, 1, 1], k=rng.randint(1, 4))

    def one(kind: str, text: str) -> Child:
        match kind:
            case "plan":
                return plan(text, -rng.random() * 4, rng.uniform(-1, 1))
            case "solution":
                return solution(text, rng.choice([1.0, -1.0]))
            case "undecided":
                return undecided(text)
        return too_deep(rng.randint(1, 5))

    return [one(kind, f"{name}.{place}") for place, kind in enumerate(kinds)]


@settings(max_examples=100)
@given(seed=st.integers(0, 10_000), c=C, simulations=st.integers(1, 40), leaves=st.integers(1, 5))
def test_selection_and_backup_follow_the_paper(seed: int, c: float, simulations: int, leaves: int) -> None:
    """With up to `leaves` out, that come back in any order, some of them without room for an action."""
    rng = random.Random(seed)
    search = new_search(c)
    out: list[Node] = []
    for simulation in range(simulations):
        leaf = search.select() if len(out) < leaves else None
        assert (leaf is not None) == (len(out) < leaves and is_searchable(search.tree.root, out))
        if leaf is not None:
            for child in list(leaf.lineage())[:-1]:
                assert child.parent is not None
                assert child in puct_by_the_book(child.parent, c, out)
            out.append(leaf)
        elif not out:
            assert search.tree.root.is_closed
            break
        if rng.random() < 0.7:
            back = out.pop(rng.randrange(len(out))) if out else search.tree.root
            if back.parent is not None and rng.random() < 0.1:
                search.close(Ask(search.tree, back, ()))
            elif back in search.tree.nodes and not back.is_expanded:
                search.expand(back, some_children(rng, str(simulation)))
        for node in search.tree.nodes:
            visits, total = value_by_the_book(node)
            assert (node.visits, node.pending) == (visits, out_below(node, out))
            assert node.total == pytest.approx(total)
            assert -1 <= node.q <= 1
