"""LEPA's Algorithm 1 with a scripted policy: attempts, reflections while nothing is right, and what ends them."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.engine.usage import Usage
from tasks.language.format import PLAN_CLOSE, PLAN_OPEN, PLANS, Kind, Origin, verdict
from tasks.search.grow import Grown, Task, grow, method
from tasks.search.method import Draw
from tasks.search.policy import ContextFull, Expansion, PolicyError, Sample, Undecided
from tasks.search.reflect import Reflect
from tasks.search.tree import Child, Tree
from tasks.settings import Search
from tests.tasks.search.scripted import ScriptedPolicy, is_even, step_text

ASKED = PLANS.prompt("How many?")
COUNT = step_text(1, "Count.")
REFLECTION = "It was miscounted.\n</reflection>\n"


def solution(answer: str) -> str:
    return f"<solution>\n\\boxed{{{answer}}}\n</solution>"


class Lepa:
    """Writes one letter a token. Its first attempts all plan to count; its solutions are said in turn.

    `plan`: what it plans under a hint, actions in turn, and again at the next trial. `breaks`: by what the engine is
    asked for (reflection, hint), what it raises instead.
    """

    has_room = False

    def __init__(
        self,
        *answers: str,
        plan: Sequence[str] = (step_text(1, "Add."),),
        breaks: Mapping[str, Exception] | None = None,
    ) -> None:
        self.answers = list(answers)
        self.plan = plan
        self.breaks = breaks or {}
        self.seen: list[tuple[str, Draw]] = []
        self.whose: set[tuple[str, int]] = set()

    async def sample(self, state_ids: Sequence[int], draw: Draw, *, session: str, priority: int) -> Expansion:
        seen = "".join(map(chr, state_ids))
        self.seen.append((seen, draw))
        self.whose.add((session, priority))
        asked_for = "reflection" if draw.reflects else "hint" if draw.hint else ""
        if asked_for in self.breaks:
            raise self.breaks[asked_for]
        samples = [self._said(seen, draw) for _ in range(draw.n)]
        told = [(draw.start + text, text + PLAN_OPEN * draw.reflects) for text in samples]
        return Expansion(
            [Sample(text, tuple(map(ord, draw.start + ids)), logprob=-1.0, value=0.5, sampled=2) for text, ids in told],
            Usage(requests=1, prompt_tokens=len(seen), generated_tokens=sum(map(len, samples))),
        )

    def _said(self, seen: str, draw: Draw) -> str:
        if draw.reflects:
            return REFLECTION
        if draw.hint:
            written = seen.split(PLAN_OPEN)[-1]
            at = len(written.split("</step>\n")) - 1
            return self.plan[at] if at < len(self.plan) else PLAN_CLOSE
        if draw.start:
            return solution(self.answers.pop(0))
        return COUNT if seen == ASKED else PLAN_CLOSE + solution(self.answers.pop(0))


async def is_seven(answer: str) -> bool:
    """Of the answer "?" nobody knows."""
    if answer == "?":
        raise Undecided("is it?")
    return answer == "7"


async def says_seven(plan: str) -> bool:
    return "7" in plan


def tried(policy: Any, n: int = 1, trials: int = 4, **settings: Any) -> Grown:
    task = Task("q", "How many?", tuple(map(ord, ASKED)), is_seven, 1, priority=3, gold="7", leaks=says_seven)
    task = replace(task, told_ids=tuple(map(ord, TOLD)))
    return asyncio.run(grow(task, policy, Search(method="reflect", root_children=n, trials=trials, **settings)))


def ends(grown: Grown) -> list[tuple[str, str, str | None, float | None]]:
    rows = [row for row in grown.node_rows if row["kind"] not in ("root", "plan")]
    return [(row["kind"], row["origin"], row["answer"], row["reward"]) for row in rows]


def reflected_on(policy: Lepa) -> list[str]:
    """The solutions that it was asked to reflect on."""
    return [seen.split("\\boxed{")[-1].split("}")[0] for seen, draw in policy.seen if draw.reflects]


def test_what_the_engine_sees_and_what_the_tree_holds() -> None:
    policy = Lepa("5", "7")
    found = tried(policy)
    failed = ASKED + COUNT + PLAN_CLOSE + solution("5")
    hint = failed + verdict("7") + REFLECTION + PLAN_OPEN
    add = step_text(1, "Add.")
    assert [seen for seen, _ in policy.seen] == [ASKED, ASKED + COUNT, failed, hint, hint + add, ASKED + add]
    assert policy.seen[2][1] == Draw(1, start=verdict("7"), reflects=True)
    assert policy.seen[5][1] == Draw(1, Origin.HINT, start=PLAN_CLOSE)
    assert {(draw.n, draw.origin, draw.start) for _, draw in policy.seen[3:5]} == {(1, Origin.HINT, "")}
    assert policy.whose == {("q", 3)}
    columns = ("node_id", "parent_id", "kind", "origin", "text", "hint", "value", "visits", "q")
    assert [tuple(row[name] for name in columns) for row in found.node_rows] == [
        (0, None, "root", "policy", ASKED, None, None, 2, 0.0),
        (1, 0, "plan", "policy", COUNT, None, 0.5, 1, -1.0),
        (2, 1, "solution", "policy", PLAN_CLOSE + solution("5"), None, 0.5, 1, -1.0),
        (3, 0, "plan", "hint", add, "It was miscounted.\n", None, 1, 1.0),
        (4, 3, "solution", "hint", PLAN_CLOSE + solution("7"), None, 0.5, 1, 1.0),
    ]
    for row in found.node_rows:
        assert "".join(map(chr, row["token_ids"])) == row["text"]
    (tree,) = found.tree_rows
    assert (tree["method"], tree["state"], tree["is_solved"], tree["expansions"]) == ("reflect", "finished", True, 3)
    assert tree["requests"] == 6
    assert tree["prompt_tokens"] == sum(len(seen) for seen, _ in policy.seen)
    said = [COUNT, PLAN_CLOSE + solution("5"), REFLECTION, add, PLAN_CLOSE, solution("7")]
    assert tree["generated_tokens"] == sum(map(len, said)), "the reflection is paid for, though no node holds it"


def test_a_reflection_that_was_cut_off_is_a_hint_as_far_as_it_goes() -> None:
    class BreaksOff(Lepa):
        def _said(self, seen: str, draw: Draw) -> str:
            return "It was misc" if draw.reflects else super()._said(seen, draw)

    hints = [row["hint"] for row in tried(BreaksOff("5", "7")).node_rows if row["origin"] == "hint"]
    assert hints == ["It was misc", None]


TOLD = verdict("7", then=PLAN_OPEN)


def test_under_the_answer_alone_no_reflection_is_asked_for() -> None:
    """STaR (methods.md 4.4): the next plan follows the failed attempt and its verdict; the solution sees neither."""
    policy = Lepa("5", "6", "7")
    found = tried(policy, hint="answer")
    add = step_text(1, "Add.")
    first = ASKED + COUNT + PLAN_CLOSE + solution("5") + TOLD
    second = ASKED + add + PLAN_CLOSE + solution("6") + TOLD
    assert [seen for seen, _ in policy.seen[2:]] == [first, first + add, ASKED + add, second, second + add, ASKED + add]
    assert reflected_on(policy) == []
    assert [answer for _, _, answer, _ in ends(found)] == ["5", "6", "7"]
    (hint,) = {row["hint"] for row in found.node_rows if row["origin"] == "hint" and row["kind"] == "plan"}
    assert hint == "The answer is wrong. The desired correct final answer is 7."


def test_a_plan_that_states_the_answer_which_it_was_shown_is_dropped_too() -> None:
    policy = Lepa("5", plan=[step_text(1, "It is 7.")])
    assert ends(tried(policy, trials=3, hint="answer"))[1:] == [("leaked", "hint", None, None)]


def test_a_right_first_attempt_asks_for_no_reflection() -> None:
    policy = Lepa("6", "7")
    assert ends(tried(policy, n=2)) == [("solution", "policy", "6", -1.0), ("solution", "policy", "7", 1.0)]
    assert reflected_on(policy) == []


def test_it_reflects_on_the_first_failure_and_then_on_the_last_until_one_is_right() -> None:
    policy = Lepa("5", "6", "4", "3", "7", "7")
    assert [answer for _, _, answer, _ in ends(tried(policy, n=2, trials=5))] == ["5", "6", "4", "3", "7"]
    assert reflected_on(policy) == ["5", "4", "3"]
    assert policy.answers == ["7"]


@pytest.mark.parametrize("trials", [1, 2, 4])
def test_at_most_so_many_trials(trials: int) -> None:
    policy = Lepa(*"012345689")
    assert [origin for _, origin, _, _ in ends(tried(policy, n=2, trials=trials))] == ["policy"] * 2 + ["hint"] * (
        trials - 1
    )
    assert len(reflected_on(policy)) == trials - 1


def test_a_plan_that_states_the_answer_ends_there_without_a_reward() -> None:
    """No solution is asked for, and the next trial reflects on what failed before."""
    policy = Lepa("5", plan=[step_text(1, "It is 7."), step_text(2, "Add.")])
    found = tried(policy, trials=3)
    assert ends(found) == [("solution", "policy", "5", -1.0), ("leaked", "hint", None, None)]
    assert reflected_on(policy) == ["5", "5"]
    leaked = found.node_rows[-1]
    assert (leaked["text"], leaked["hint"], leaked["visits"], leaked["is_closed"]) == (
        PLAN_CLOSE,
        "It was miscounted.\n",
        0,
        True,
    )
    assert [row["visits"] for row in found.node_rows if row["origin"] == "hint"] == [0, 0, 0]
    assert (found.tree_rows[0]["visits"], found.tree_rows[0]["is_solved"]) == (1, False)


def test_an_attempt_that_breaks_off_behind_its_plan_is_malformed() -> None:
    """Only a plan under a hint is asked for without its solution."""

    class BreaksOff(Lepa):
        def _said(self, seen: str, draw: Draw) -> str:
            return PLAN_CLOSE if seen == ASKED + COUNT else super()._said(seen, draw)

    policy = BreaksOff()
    assert ends(tried(policy, trials=1)) == [("malformed", "policy", None, -1.0)]
    assert len(policy.seen) == 2


def test_who_answers_in_no_format_is_wrong_and_reflects_on_what_was_said() -> None:
    """Algorithm 1 asks whether the answer is right, and no answer is not. Such questions once were lost."""

    class Rambles(Lepa):
        def _said(self, seen: str, draw: Draw) -> str:
            return "seven, say I" if seen == ASKED else super()._said(seen, draw)

    policy = Rambles("7")
    assert ends(tried(policy)) == [("malformed", "policy", None, -1.0), ("solution", "hint", "7", 1.0)]
    asked = next(seen for seen, draw in policy.seen if draw.reflects)
    assert asked == ASKED + "seven, say I"


def test_of_several_first_attempts_a_wrong_answer_is_reflected_on_before_what_has_none() -> None:
    """What breaks off at its first step is the older node, and says less of what went wrong."""

    class Varies(Lepa):
        begins = iter(["seven, say I", COUNT, "or so"])

        def _said(self, seen: str, draw: Draw) -> str:
            return next(self.begins) if seen == ASKED else super()._said(seen, draw)

    policy = Varies("5", "7")
    assert [kind for kind, *_ in ends(tried(policy, n=3))] == ["malformed", "malformed", "solution", "solution"]
    assert reflected_on(policy) == ["5"]


def test_a_plan_under_a_hint_that_has_no_answer_is_reflected_on_next() -> None:
    class Wanders(Lepa):
        def _said(self, seen: str, draw: Draw) -> str:
            self.plan = [f"so on, {len(reflected_on(self))}"]
            return super()._said(seen, draw)

    policy = Wanders("5")
    assert [kind for kind, *_ in ends(tried(policy, trials=3))] == ["solution", "malformed", "malformed"]
    first, second = (seen for seen, draw in policy.seen if draw.reflects)
    assert first.endswith(solution("5"))
    assert second.endswith("so on, 1")


def test_of_steps_that_are_too_deep_nobody_can_be_shown_anything() -> None:
    policy = Lepa("7")
    assert ends(tried(policy, max_depth=1)) == [("too_deep", "policy", None, -1.0)]
    assert reflected_on(policy) == []


def test_a_leak_of_one_trial_does_not_end_the_next() -> None:
    class Learns(Lepa):
        def _said(self, seen: str, draw: Draw) -> str:
            self.plan = [step_text(1, "It is 7.")] if len(reflected_on(self)) < 2 else [step_text(1, "Add.")]
            return super()._said(seen, draw)

    assert [(kind, reward) for kind, _, _, reward in ends(tried(Learns("5", "7")))] == [
        ("solution", -1.0),
        ("leaked", None),
        ("solution", 1.0),
    ]


@pytest.mark.parametrize("where", ["reflection", "hint"])
def test_a_full_context_ends_the_trials_and_loses_nothing(where: str) -> None:
    policy = Lepa("5", "6", breaks={where: ContextFull("too long")})
    found = tried(policy, n=2)
    assert found.error is None
    assert [answer for _, _, answer, _ in ends(found)] == ["5", "6"]
    assert len(reflected_on(policy)) == 1
    assert not found.trees[0].root.is_closed
    assert found.tree_rows[0]["state"] == "finished"


def test_a_plan_that_no_first_attempt_has_room_for_is_closed() -> None:
    found = tried(ScriptedPolicy(3, context=len(ASKED) + 4), n=8)
    assert found.error is None
    full = [node for node in found.trees[0].nodes if node.depth == 2 and node.action.kind is Kind.PLAN]
    assert full
    assert all(node.is_closed for node in full)


def test_a_policy_that_fails_fails_the_tree_and_what_was_found_stays() -> None:
    lost = PolicyError("the engine is gone", Usage(requests=2, failed_requests=2))
    found = tried(Lepa("5", breaks={"reflection": lost}))
    assert (str(found.error), found.tree_rows[0]["state"]) == ("the engine is gone", "failed")
    assert (found.tree_rows[0]["requests"], found.tree_rows[0]["failed_requests"]) == (4, 2)
    assert ends(found) == [("solution", "policy", "5", -1.0)]


def test_an_answer_that_can_not_be_decided_is_neither_right_nor_wrong() -> None:
    """Nobody is told that it was wrong."""
    policy = Lepa("?", "6", "?", "4", "7")
    found = tried(policy, n=2)
    assert reflected_on(policy) == ["6", "6", "4"]
    assert ends(found)[0] == ("undecided", "policy", "?", None)
    assert found.tree_rows[0]["undecided"] == 2
    alone = Lepa("?")
    assert ends(tried(alone)) == [("undecided", "policy", "?", None)]
    assert reflected_on(alone) == []


@pytest.mark.parametrize(
    ("plan", "kind"),
    [
        ([step_text(1, "count the <solution> first")], "malformed"),
        ([step_text(1, "Add."), step_text(3, "skips one")], "malformed"),
        (["and so on"], "malformed"),
        ([step_text(number, "add") for number in range(1, 10)], "too_deep"),
    ],
)
def test_a_plan_that_the_search_would_not_take_gets_no_solution(plan: list[str], kind: str) -> None:
    policy = Lepa("5", plan=plan)
    found = tried(policy, trials=2, max_depth=4)
    assert ends(found)[1:] == [(kind, "hint", None, -1.0)]
    assert found.tree_rows[0]["visits"] == 2


def test_a_plan_may_be_as_deep_as_the_search_allows() -> None:
    plan = [step_text(1, "Add."), step_text(2, "Halve.")]
    for max_depth, end in ((3, ("solution", "hint", "7", 1.0)), (2, ("too_deep", "hint", None, -1.0))):
        assert ends(tried(Lepa("5", "7", plan=plan), trials=2, max_depth=max_depth))[-1] == end


def test_at_the_deepest_end_there_is_still_something_to_reflect_on() -> None:
    policy = Lepa("5", "7", plan=[step_text(1, "Add.")])
    assert ends(tried(policy, max_depth=2))[-1] == ("solution", "hint", "7", 1.0)


def test_a_step_that_was_planned_before_is_the_same_node_and_its_mean_is_of_both_trajectories() -> None:
    found = tried(Lepa("5", "7", plan=[COUNT]))
    step = found.node_rows[1]
    assert (step["origin"], step["hint"], step["visits"], step["q"]) == ("policy", None, 2, 0.0)
    assert [(row["origin"], row["parent_id"], row["reward"]) for row in found.node_rows[2:]] == [
        ("policy", 1, -1.0),
        ("hint", 1, 1.0),
    ]
    assert found.tree_rows[0]["visits"] == 2


def test_the_same_trajectory_again_counts_once_more() -> None:
    policy = Lepa("5", "5", "7", plan=[COUNT])
    found = tried(policy)
    assert [(row["visits"], row["reward"]) for row in found.node_rows[2:]] == [(2, -1.0), (1, 1.0)]
    assert reflected_on(policy) == ["5", "5"]


def test_a_hinted_step_has_no_probability_of_its_own() -> None:
    """That under the hint is not the policy's: it has its siblings'."""
    count, add = (row for row in tried(Lepa("5", "7")).node_rows if row["parent_id"] == 0)
    assert (add["prior"], add["logprob"]) == (count["prior"], -1.0)


@given(seed=st.integers(0, 500), n=st.integers(1, 6))
def test_its_first_trial_is_plain_sampling(seed: int, n: int) -> None:
    def grown(name: str) -> Grown:
        settings = Search.model_validate({"method": name, "root_children": n, "trials": 3})
        task = Task("q", "How many?", (5, 6), is_even, 1, gold="4")
        return asyncio.run(grow(task, ScriptedPolicy(seed, branching=3), settings))

    sampled, reflecting = grown("sampling"), grown("reflect")
    first = len(sampled.node_rows)
    learnt = ("visits", "q", "is_closed")
    for one, other in zip(sampled.node_rows, reflecting.node_rows[:first], strict=True):
        assert {k: v for k, v in one.items() if k not in learnt} == {k: v for k, v in other.items() if k not in learnt}
    if any(row["reward"] == 1.0 for row in sampled.node_rows):
        assert reflecting.node_rows == sampled.node_rows
    assert {row["origin"] for row in reflecting.node_rows[first:]} <= {"hint"}


def test_nobody_reflects_while_a_trajectory_is_out() -> None:
    reflect = Reflect(Tree("q", (7,)), n=2, trials=2, gold="7")
    first = reflect.ask()
    assert first is not None
    wrong = Child(Kind.SOLUTION, "5", (1,), logprob=-1.0, prior=0.5, reward=-1.0, answer="5")
    steps = [Child(Kind.PLAN, text, (2,), logprob=-1.0, prior=0.5) for text in "ab"]
    reflect.take(first, steps)
    a, b = reflect.ask(), reflect.ask()
    assert a is not None
    assert b is not None
    assert reflect.ask() is None
    reflect.take(b, [wrong])
    assert reflect.ask() is None, "the other one may be right"
    reflect.close(a)
    assert (a.node.is_closed, a.node.visits) == (True, 0)
    asked = reflect.ask()
    assert asked is not None
    assert asked.draws == (Draw(1, start=verdict("7"), reflects=True),)
    assert asked.node.action.answer == "5"
    assert reflect.ask() is None


def test_the_settings_reach_it() -> None:
    task = Task("q", "How many?", (5, 6), is_even, 1, gold="42")
    made = method(task, Search(method="reflect", root_children=3, trials=2))
    assert isinstance(made, Reflect)
    assert (made.trials_left, made.verdict, made.to_ask) == (1, verdict("42"), [(made.tree.root, Draw(3))])
