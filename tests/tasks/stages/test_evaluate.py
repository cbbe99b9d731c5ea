"""What an answer is, by every decoding, and what of it is kept."""

import asyncio
import hashlib
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest

from infra.engine import Completion, Reply, Usage
from infra.sandbox import Sandbox
from tasks.check import Checker, Verdict
from tasks.language.format import SOLUTIONS
from tasks.records import frame
from tasks.running.parts import Part
from tasks.running.served import ServedPolicy, Written
from tasks.scoring.accuracy import Setup, accuracies
from tasks.search.policy import ContextFull, PolicyError
from tasks.settings import Evaluation
from tasks.stages.evaluate import allowance_for
from tasks.stages.evaluate import sample as evaluated
from tests.infra.sandboxed import Unconfined, sandbox
from tests.sql.handmade import sample as answered
from tests.tasks.search.scripted import solution_text, step_text

QUESTION = {
    "benchmark": "micro/test",
    "split": "in_domain",
    "question_id": "q",
    "question": "?",
    "answer": "5",
    "kinds": ["add"],
    "cluster": "add",
    "source": "micro",
    "option": None,
    "is_exact": True,
    "specification": None,
}
TWICE = QUESTION | {
    "specification": {
        "prompt": 'def twice(n: int) -> int:\n    """Two times n."""\n',
        "test": "assert twice(4) == 8\n",
        "entry_point": "twice",
    }
}


class Exact:
    """Compares texts; of the answer "?" nobody knows."""

    async def check(self, gold: str, answer: str, *, exact: bool) -> Verdict:
        assert exact, "micro's answers are compared by their text"
        if answer == "?":
            return Verdict.UNDECIDED
        return Verdict.RIGHT if answer == gold else Verdict.WRONG


class Algebra(Exact):
    """Knows that a sum has no order."""

    async def check(self, gold: str, answer: str, *, exact: bool = True) -> Verdict:
        return await super().check("".join(sorted(gold)), "".join(sorted(answer)), exact=exact)


def asked(
    policy: Any, settings: Evaluation, value: Any = None, question: Any = QUESTION, checker: Any = None
) -> tuple[dict[str, Any], str | None]:
    """The row of `evaluation_samples`, and why the part failed."""
    checker = checker or cast(Checker, Exact())
    part = asyncio.run(evaluated(question, 3, "base", cast(ServedPolicy, policy), checker, settings, value))
    [row] = part.rows["evaluation_samples"]
    return dict(row), part.error


def judged_by_tests(policy: "Greedy", where: Any, question: Any = None) -> dict[str, Any]:
    """The same for a question that asks for a program, which runs there."""
    where = cast(Sandbox, where)
    checker = cast(Checker, Exact())
    part = asyncio.run(
        evaluated(question or TWICE, 3, "base", cast(ServedPolicy, policy), checker, Evaluation(), sandbox=where)
    )
    [row] = part.rows["evaluation_samples"]
    return dict(row)


class Greedy:
    """Writes one text whatever it is asked, up to where it is told to stop."""

    def __init__(self, text: str, *, is_cut: bool = False) -> None:
        self.text = text
        self.is_cut = is_cut
        self.prompts = self
        self.shots = 2
        self.told: list[tuple[list[int], dict[str, Any]]] = []

    def question(self, question: str) -> list[int]:
        return [ord(letter) for letter in question]

    def asked(self, state_ids: list[int]) -> list[int]:
        return [1, *state_ids]

    async def write(self, prompt_ids: list[int], *, stop: Sequence[str], **about: Any) -> Written:
        self.told.append((prompt_ids, about))
        ends = [place + len(mark) for mark in stop if (place := self.text.find(mark)) >= 0]
        text = self.text[: min(ends, default=None)]
        return Written(text, [7] * len(text), 1, self.is_cut)


PLAN = step_text(1, "add") + step_text(2, "halve")


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (PLAN + solution_text("5"), "5"),
        (PLAN + solution_text("5") + "\n<question>\n…" + solution_text("6"), "5"),
        (step_text(1, r"get \boxed{5}") + step_text(2, "and so"), None),  # cut off in its plan
        (PLAN + solution_text("5").removesuffix("</solution>"), None),  # cut off behind its answer
        (PLAN + "</plan>\n<solution>\nno box\n<question>\nHow many?\n" + solution_text("5"), None),  # invented
        (step_text(1, "add") + step_text(3, "halve") + solution_text("5"), None),
        (solution_text("5"), "5"),
        ("The answer is \\boxed{5}.", None),
        ("", None),
    ],
)
def test_only_the_box_of_a_whole_solution_is_an_answer(text: str, answer: str | None) -> None:
    row, error = asked(Greedy(text), Evaluation(decoding="greedy"))
    assert (row["answer"], row["is_correct"], error) == (answer, answer == "5", None)


WRITTEN = [
    ("def twice(n):\n    return n + n\n", "passed", "right"),
    ("    return 2 * n\n", "passed", "right"),
    ("def twice(n):\n    return n\n", "wrong", "wrong"),
    ("def twice(n:\n", "crashed", "wrong"),
]


def solved_by(program: str) -> "Greedy":
    return Greedy(f"{PLAN}</plan>\n<solution>\nFirst\n```\nreturn 1\n```\nthen\n```python\n{program}```\n</solution>")


@pytest.mark.parametrize(("program", "answer", "outcome"), WRITTEN)
def test_a_program_is_the_last_block_of_a_whole_solution_and_judged_by_its_tests(
    program: str, answer: str, outcome: str
) -> None:
    row = judged_by_tests(policy := solved_by(program), Unconfined())
    assert (row["answer"], row["outcome"], row["metric"]) == (answer, outcome, "pass@1")
    assert (row["output"], row["error"]) == (policy.text, None)


@pytest.mark.integration
@pytest.mark.parametrize(("program", "answer", "outcome"), WRITTEN)
def test_a_program_runs_in_the_sandbox(program: str, answer: str, outcome: str) -> None:
    row = judged_by_tests(solved_by(program), sandbox())
    assert (row["answer"], row["outcome"]) == (answer, outcome)


def test_what_broken_tests_judge_is_undecided_and_says_why() -> None:
    broken = TWICE | {"specification": {"prompt": "", "test": "import nowhere", "entry_point": "twice"}}
    row = judged_by_tests(solved_by(WRITTEN[0][0]), Unconfined(), broken)
    assert (row["outcome"], row["is_correct"], row["error"]) == ("undecided", False, None)
    assert row["answer"].startswith("the tests are broken: ModuleNotFoundError: ")


def test_a_solution_without_a_block_of_code_holds_no_program() -> None:
    boxed = PLAN + solution_text("def twice(n): return 2 * n")
    for policy, outcome in ((Greedy(boxed), "unparsable"), (Greedy(PLAN, is_cut=True), "truncated")):
        assert judged_by_tests(policy, Unconfined())["outcome"] == outcome
    row, _ = asked(Greedy(f"{PLAN}</plan>\n<solution>\n```\n5\n```\n</solution>"), Evaluation())
    assert row["answer"] is None, "where an answer is asked for, code is none"


def test_without_plans_the_steps_of_the_solution_end_in_the_answer() -> None:
    """The other format is no answer: a model that learnt one of them is scored by it."""
    written = step_text(1, "5 + 3 = 8", SOLUTIONS) + solution_text("5", SOLUTIONS)
    for steps, answer in (("solution", "5"), ("plan", None)):
        assert asked(Greedy(written), Evaluation(steps=steps))[0]["answer"] == answer
        assert asked(Greedy(PLAN + solution_text("5")), Evaluation(steps=steps))[0]["answer"] != answer


def test_a_search_without_plans_reads_steps_of_the_solution_as_well() -> None:
    said = {"": [(step_text(1, "a", SOLUTIONS), 0.0)], "a": [(solution_text("5", SOLUTIONS), 0.0)]}
    row, _ = asked(Sampling(said), Evaluation(decoding="majority", steps="solution", samples=2))
    assert row["answer"] == "5"


def test_greedy_output_ends_where_a_next_question_is_invented() -> None:
    row, _ = asked(Greedy(PLAN + "<question>\nHow many?\n"), Evaluation(decoding="greedy"))
    assert row["output"] == PLAN + "<question>"
    assert row["generated_tokens"] == len(row["output"])


def test_greedy_is_one_request_at_temperature_0_in_the_questions_turn() -> None:
    policy = Greedy(PLAN + solution_text("5"))
    asked(policy, Evaluation(decoding="greedy", max_tokens=300, temperature=0.9))
    about = {"max_tokens": 300, "temperature": 0.0, "session": "q", "priority": 3}
    assert policy.told == [([ord("?")], about)]


@pytest.mark.parametrize(("max_depth", "is_correct"), [(3, True), (2, False)])
def test_a_greedy_answer_is_as_deep_as_it_may_be(max_depth: int, is_correct: bool) -> None:
    row, _ = asked(Greedy(PLAN + solution_text("5")), Evaluation(decoding="greedy", max_depth=max_depth))
    assert row["is_correct"] is is_correct


def test_an_answer_that_can_not_be_decided_is_not_solved_and_is_told_apart() -> None:
    row, error = asked(Greedy(PLAN + solution_text("?")), Evaluation(decoding="greedy"))
    assert (row["is_correct"], row["outcome"], row["error"], error) == (False, "undecided", None, None)


@pytest.mark.parametrize(
    ("text", "is_cut", "max_depth", "outcome"),
    [
        (PLAN + solution_text("5"), False, 3, "right"),
        (PLAN + solution_text("5"), False, 2, "truncated"),  # by the limit of steps
        (PLAN + solution_text("6"), False, 3, "wrong"),
        (PLAN + solution_text("6"), True, 3, "wrong"),  # an answer is one, whatever follows
        (PLAN, True, 3, "truncated"),
        (PLAN, False, 3, "unparsable"),
        (PLAN + solution_text("?"), False, 3, "undecided"),
    ],
)
def test_why_an_answer_is_not_right_is_told(text: str, is_cut: bool, max_depth: int, outcome: str) -> None:
    row, _ = asked(Greedy(text, is_cut=is_cut), Evaluation(decoding="greedy", max_depth=max_depth))
    assert (row["outcome"], row["is_correct"]) == (outcome, outcome == "right")


@pytest.mark.parametrize(
    ("said", "max_tokens", "max_depth", "outcome"),
    [
        ({"": [("no format", 0.0), (step_text(1, "a"), 0.0)], "a": [("nor here", 0.0)]}, 2, 5, "unparsable"),
        ({"": [("cut o", 0.0)]}, 1, 5, "truncated"),
        ({"": [(step_text(1, "a"), 0.0)]}, 2, 1, "truncated"),
    ],
)
def test_a_search_without_an_answer_tells_why(said: Any, max_tokens: int, max_depth: int, outcome: str) -> None:
    settings = Evaluation(decoding="majority", samples=4, max_tokens=max_tokens, max_depth=max_depth)
    row, _ = asked(Sampling(said), settings)
    assert (row["outcome"], row["is_correct"]) == (outcome, False)


def test_a_step_that_a_beam_left_was_not_cut_off() -> None:
    said = {"": [(step_text(1, "a"), 0.9), (step_text(1, "b"), 0.1)], "a": [("no format", 0.0)]}
    row, _ = asked(Sampling(said), Evaluation(decoding="beam", beams=1, samples=2))
    assert row["outcome"] == "unparsable"


def test_a_vote_for_what_can_not_be_decided_is_a_vote() -> None:
    """Nobody looks at what is right before all have voted."""
    row, _ = asked(Sampling({"": [(solution_text("?"), 0.0)]}), Evaluation(decoding="majority", samples=2))
    assert (row["answer"], row["outcome"]) == ("?", "undecided")


def test_a_sample_says_how_it_was_asked() -> None:
    row, _ = asked(Greedy(PLAN + solution_text("5")), Evaluation(decoding="greedy"))
    assert {name: row[name] for name in ("form", "metric", "shots", "cluster", "draw")} == {
        "form": "plan",
        "metric": "answer",
        "shots": 2,
        "cluster": "add",
        "draw": 0,
    }
    assert row["prompt_digest"] == hashlib.sha256(b"[1,63]").hexdigest(), "of the prompt with what stands before it"
    assert 0 <= row["seconds"] < 60


def test_a_random_decoding_may_answer_several_times() -> None:
    """Each draw is a row, and a vote of its own."""
    part = asyncio.run(
        evaluated(
            QUESTION,
            3,
            "base",
            cast(ServedPolicy, sampling := Sampling(VOTES)),
            cast(Checker, Exact()),
            Evaluation(decoding="majority", samples=6, draws=3),
        )
    )
    rows = part.rows["evaluation_samples"]
    assert [(row["draw"], row["answer"]) for row in rows] == [(0, "5"), (1, "5"), (2, "5")]
    assert sorted(sampling.drawn) == [6] * 6
    with pytest.raises(ValueError, match="greedy gives one answer"):
        Evaluation(decoding="greedy", draws=2)


def test_every_trajectory_of_a_vote_is_kept_with_what_it_votes_for() -> None:
    """BALLOTS and a seventh that has no format; 0.5 and 1/2 would be one vote."""
    said = {"": [(step_text(1, "a"), 0.0)], "a": [*VOTES["a"], ("no format", 0.3)]}
    policy, checker = cast(ServedPolicy, Sampling(said)), cast(Checker, Exact())
    settings = Evaluation(decoding="majority", samples=14, draws=2)
    part = asyncio.run(evaluated(QUESTION, 3, "base", policy, checker, settings))
    rows = frame("evaluation_trajectories", part.rows["evaluation_trajectories"])
    assert rows.select("draw", "trajectory").rows() == [(draw, place) for draw in (0, 1) for place in range(14)]
    first = rows.filter(draw=0).group_by("vote", "is_correct", maintain_order=True).len().rows()
    assert sorted(first, key=str) == [("5", True, 6), ("6", False, 2), ("7", False, 4), (None, False, 2)]
    assert rows.filter(vote="6")["value"].unique().to_list() == [0.9]
    assert set(rows["generated_tokens"]) == {2}, "a step and its end, a token each"
    assert rows.select("model", "question_id", "cluster", "split").unique().rows() == [
        ("base", "q", "add", "in_domain")
    ]


def test_a_trajectory_that_met_a_full_context_votes_for_nothing() -> None:
    class Short(Sampling):
        async def complete(self, prompt_ids: list[int], *, n: int, **about: Any) -> Reply:
            if prompt_ids:
                raise ContextFull("full")
            return await super().complete(prompt_ids, n=n, **about)

    part = asyncio.run(
        evaluated(
            QUESTION,
            3,
            "base",
            cast(ServedPolicy, Short(VOTES)),
            cast(Checker, Exact()),
            Evaluation(decoding="majority", samples=3),
        )
    )
    sampled = part.rows["evaluation_trajectories"]
    assert [row["vote"] for row in sampled] == [None] * 3
    assert all(row["generated_tokens"] > 0 for row in sampled), "what it wrote before it met the end was paid, too"
    (row,) = part.rows["evaluation_samples"]
    assert row["outcome"] == "truncated"


TWO_IN_EIGHT = {"": [*((solution_text(answer), 0.0) for answer in "65"), (step_text(1, "a"), 0.0)]}
"""In turn: 6, 5, and a step behind which nothing has room."""


def test_of_those_that_are_sampled_later_each_is_kept_too_wherever_it_ended() -> None:
    """Four that voted, of them two before it was known that they disagree; and two that met a full context."""

    class Short(Sampling):
        async def complete(self, prompt_ids: list[int], *, n: int, **about: Any) -> Reply:
            if prompt_ids:
                raise ContextFull("full")
            return await super().complete(prompt_ids, n=n, **about)

    class Judging:
        async def values(self, states: list[list[int]], *, session: str) -> list[float]:
            return [0.5] * len(states)

    policies = [short := Short(TWO_IN_EIGHT), Sampling(AGREED), Sampling(AGREED)]
    parts = together(policies, Evaluation(decoding="adaptive", samples=4), value=Judging())
    assert short.drawn == [2, 6]
    rows = parts[0].rows["evaluation_trajectories"]
    assert sorted((str(row["vote"]), row["generated_tokens"]) for row in rows) == [
        *[("5", 1)] * 3,
        *[("6", 1)] * 3,
        *[("None", 1)] * 2,
    ]
    assert {row["value"] for row in rows} == {0.5}, "of the value model, in both turns"


@pytest.mark.parametrize("decoding", ["greedy", "best_of_n", "majority", "beam", "reflection"])
def test_a_question_that_fills_the_context_is_not_solved(decoding: Any) -> None:
    class Short(Sampling):
        async def complete(self, prompt_ids: list[int], **about: Any) -> Reply:
            raise ContextFull("full")

        async def write(self, prompt_ids: list[int], **about: Any) -> Written:
            raise ContextFull("full")

    row, error = asked(Short({}), Evaluation(decoding=decoding, samples=4))
    assert (row["outcome"], row["is_correct"], row["generated_tokens"], error) == ("truncated", False, 0, None)
    assert (row["output"], row["answer"]) == ("", None)


def test_a_question_that_fills_the_context_takes_no_further_samples_and_all_its_trajectories_are_counted() -> None:
    class Short(Sampling):
        async def complete(self, prompt_ids: list[int], **about: Any) -> Reply:
            raise ContextFull("full")

    apart = {"": [(solution_text(answer), 0.0) for answer in "65"]}
    policies = [Short({}), other := Sampling(apart), Sampling(AGREED)]
    parts = together(policies, Evaluation(decoding="adaptive", samples=4))
    assert other.drawn[:2] == [2, 6], "all that the others left"
    cut = parts[0].rows["evaluation_trajectories"]
    assert [(row["vote"], row["is_correct"], row["generated_tokens"]) for row in cut] == [(None, False, 0)] * 2


def test_what_samples_no_trajectories_keeps_none() -> None:
    for policy, settings in (
        (Greedy(PLAN + solution_text("5")), Evaluation(decoding="greedy")),
        (Sampling(VOTES), Evaluation(decoding="beam", samples=6)),
    ):
        part = asyncio.run(evaluated(QUESTION, 3, "base", cast(ServedPolicy, policy), cast(Checker, Exact()), settings))
        assert part.rows.keys() == {"evaluation_samples"}


@pytest.mark.parametrize("decoding", ["greedy", "best_of_n"])
def test_a_question_whose_request_failed_is_neither_right_nor_wrong(decoding: Any) -> None:
    class Gone(Sampling):
        async def complete(self, prompt_ids: list[int], **about: Any) -> Reply:
            raise PolicyError("the engine is gone")

        async def write(self, prompt_ids: list[int], **about: Any) -> Written:
            raise PolicyError("the engine is gone")

    row, error = asked(Gone({}), Evaluation(decoding=decoding))
    assert (row["is_correct"], row["outcome"], row["error"]) == (None, "failed", "the engine is gone")
    assert (row["output"], row["answer"], row["generated_tokens"]) == ("", None, 0)
    assert 0 <= row["seconds"] < 60
    assert error == "the engine is gone"
    counted = accuracies(frame("evaluation_samples", [answered("base", "q0", ["add"], True), row]), Setup("digest"))
    assert counted.filter(kind="all").select("accuracy", "n", "lost").row(0) == (1.0, 1, 1)


class Sampling:
    """Samples by turns what is `said` at a state, named by the letters of its steps: text and V."""

    shots = 0
    engine = SimpleNamespace(has_room=False)

    def __init__(self, said: dict[str, list[tuple[str, float]]]) -> None:
        self.said = said
        self.prompts = self
        self.drawn: list[int] = []
        self.told: list[dict[str, Any]] = []

    def question(self, question: str) -> list[int]:
        assert question == "?"
        return []

    def encode(self, text: str) -> list[int]:
        return [ord(letter) for letter in text]

    def prefix_of(self, state_ids: list[int], *, reflecting: bool = False) -> list[int]:
        return []

    def asked(self, state_ids: list[int], *, reflecting: bool = False) -> list[int]:
        assert not reflecting
        return state_ids

    async def complete(self, prompt_ids: list[int], *, n: int, **about: Any) -> Reply:
        self.drawn.append(n)
        self.told.append(about)
        here = self.said["".join(map(chr, prompt_ids))]
        turns = [here[turn % len(here)] for turn in range(n)]
        return Reply(
            [
                Completion([ord(text[text.index(": ") + 2])] if ": " in text else [33], text, [-1.0], [v], "stop")
                for text, v in turns
            ],
            Usage(requests=1, generated_tokens=n),
        )


BALLOTS = [*[("5", -0.9)] * 3, *[("7", 0.2)] * 2, ("6", 0.9)]
VOTES = {"": [(step_text(1, "a"), 0.0)], "a": [(solution_text(answer), v) for answer, v in BALLOTS]}


@pytest.mark.parametrize(("decoding", "answer"), [("majority", "5"), ("majority_by_value", "7"), ("best_of_n", "6")])
def test_the_most_votes_are_one_answer_the_most_value_another_and_the_highest_a_third(
    decoding: Any, answer: str
) -> None:
    row, _ = asked(Sampling(VOTES), Evaluation(decoding=decoding, samples=6))
    assert row["answer"] == answer
    assert row["output"] == step_text(1, "a") + solution_text(answer)
    assert row["generated_tokens"] > 0
    assert {name: row[name] for name in ("benchmark", "split", "question_id", "question", "kinds")} == {
        name: QUESTION[name] for name in ("benchmark", "split", "question_id", "question", "kinds")
    }
    assert row["model"] == "base"


def together(
    policies: Sequence[Any], settings: Evaluation, kept: dict[str, int] | None = None, value: Any = None
) -> list[Any]:
    """Parts of questions that share an allowance, a policy each."""
    allowance = allowance_for(settings, len(policies) + len(kept or {}), kept or {})

    async def all_of() -> list[Any]:
        asked = (
            evaluated(
                *(QUESTION, place, "base", cast(ServedPolicy, policy), cast(Checker, Exact()), settings, value),
                allowance=allowance,
            )
            for place, policy in enumerate(policies)
        )
        return list(await asyncio.wait_for(asyncio.gather(*asked), 10))

    return asyncio.run(all_of())


AGREED = {"": [(solution_text("5"), 0.0)]}
SPLIT = {"": [(solution_text(answer), 0.0) for answer in "655"]}
"""In turn: of two samples one each, of eight more for 5."""


def test_what_agreement_leaves_goes_to_the_question_whose_first_samples_disagree() -> None:
    policies = [Sampling(AGREED), Sampling(SPLIT), Sampling(AGREED)]
    parts = together(policies, Evaluation(decoding="adaptive", samples=4))
    assert [policy.drawn for policy in policies] == [[2], [2, 6], [2]], "12 samples, as three votes of four take"
    rows = [part.rows["evaluation_samples"][0] for part in parts]
    assert [row["answer"] for row in rows] == ["5", "5", "5"], "the first two alone would have said 6"
    assert [len(part.rows["evaluation_trajectories"]) for part in parts] == [2, 8, 2]
    assert [row["generated_tokens"] for row in rows] == [2, 8, 2]


def test_what_cannot_be_divided_is_spent_too() -> None:
    policies = [Sampling(AGREED), Sampling(SPLIT), Sampling(SPLIT), Sampling(SPLIT)]
    together(policies, Evaluation(decoding="adaptive", samples=4))
    assert sorted(sum(policy.drawn) for policy in policies) == [2, 4, 5, 5], "16 in all"


def test_few_that_disagree_do_not_get_all_that_is_left() -> None:
    policies = [*(Sampling(AGREED) for _ in range(9)), Sampling(SPLIT)]
    together(policies, Evaluation(decoding="adaptive", samples=4))
    assert policies[-1].drawn == [2, 14], "four times four in all, where twenty are left"


def test_answers_that_were_kept_bear_on_what_is_left_for_the_others() -> None:
    """Killed after two that agreed and one that took its share, the fourth gets what it would have got."""
    policies = [Sampling(SPLIT)]
    settings = Evaluation(decoding="adaptive", samples=4)
    together(policies, settings, kept={"a": 2, "b": 2, "c": 6})
    assert policies[0].drawn == [2, 4]
    whole = [Sampling(AGREED), Sampling(AGREED), Sampling(SPLIT), Sampling(SPLIT)]
    together(whole, settings)
    assert [policy.drawn for policy in whole] == [[2], [2], [2, 4], [2, 4]]


def test_a_question_that_fails_keeps_no_other_waiting() -> None:
    class Gone(Sampling):
        async def complete(self, prompt_ids: list[int], **about: Any) -> Reply:
            raise PolicyError("the engine is gone")

    split = Sampling(SPLIT)
    gone, _ = together([Gone({}), split], Evaluation(decoding="adaptive", samples=4))
    assert gone.error == "the engine is gone"
    assert split.drawn == [2, 2], "the other half is kept for when the one that failed is tried again"


def test_what_is_compared_is_two_samples_or_more() -> None:
    with pytest.raises(ValueError, match="samples: adaptive compares half of them, so it needs 4 or more"):
        Evaluation(decoding="adaptive", samples=3)


def test_so_many_samples_are_drawn_and_so_many_beams_kept() -> None:
    """SBS(B1, B2): the first step draws B1 * B2, each of the B1 paths that are kept draws B2."""
    steps = [(step_text(1, letter), v) for letter, v in zip("abcdef", (0.1, 0.2, 0.3, 0.4, 0.5, 0.6), strict=True)]
    beam = Sampling({"": steps, "f": [(solution_text("5"), 0.9)], "e": [(solution_text("6"), 0.1)]})
    row, _ = asked(beam, Evaluation(decoding="beam", beams=2, samples=4))
    assert beam.drawn == [8, 4, 4]
    assert row["answer"] == "5"
    sampling = Sampling(VOTES)
    asked(sampling, Evaluation(decoding="majority", beams=2, samples=4))
    assert sampling.drawn == [4, 4]


MISLED = {
    "": [(step_text(1, "a"), 0.9), (step_text(1, "b"), 0.8)],
    "a": [(solution_text("6"), 0.1)],
    "b": [(solution_text("5"), 0.9)],
}
"""V prefers a step that leads to a wrong answer: one beam keeps it alone."""


def beams_of(policy: Any, **settings: Any) -> Part:
    asked = Evaluation(decoding="beam", samples=2, narrower_beams=True, **settings)
    return asyncio.run(
        evaluated(QUESTION, 3, "base", cast(ServedPolicy, policy), cast(Checker, Exact()), asked),
    )


def test_narrower_beams_are_searches_of_their_own_and_stand_beside_the_answer() -> None:
    part = beams_of(beam := Sampling(MISLED), beams=4, draws=2)
    rows = frame("evaluation_beams", part.rows["evaluation_beams"])
    told = rows.select("draw", "beams", "answer", "is_correct", "generated_tokens").rows()
    each = [(1, "6", False, 2 + 2), (2, "5", True, 4 + 2 + 2), (4, "5", True, 8 + 2 + 2)]
    assert told == [(draw, *one) for draw in (0, 1) for one in each]
    assert rows.select("model", "benchmark", "question_id", "cluster").unique().rows() == [
        ("base", "micro/test", "q", "add")
    ]
    assert sum(beam.drawn) == 2 * (4 + 8 + 12)
    assert [row["generated_tokens"] for row in part.rows["evaluation_samples"]] == [12, 12], "of the widest alone"


def test_a_question_that_fails_with_fewer_beams_is_scored_and_has_no_point_of_these() -> None:
    class Gone(Sampling):
        async def complete(self, prompt_ids: list[int], *, n: int, **about: Any) -> Reply:
            if (n, prompt_ids) == (2, []):
                raise PolicyError("the engine is gone")
            return await super().complete(prompt_ids, n=n, **about)

    part = beams_of(Gone(MISLED), beams=2)
    assert [(row["beams"], row["answer"]) for row in part.rows["evaluation_beams"]] == [(2, "5")]
    assert (part.error, part.rows["evaluation_samples"][0]["outcome"]) == (None, "right")


@pytest.mark.parametrize(("beams", "widths"), [(1, (1,)), (2, (1, 2)), (3, (1, 2, 3)), (8, (1, 2, 4, 8))])
def test_beams_are_doubled_up_to_those_of_the_evaluation(beams: int, widths: tuple[int, ...]) -> None:
    assert Evaluation(beams=beams).widths == widths


@pytest.mark.parametrize("changes", [{"decoding": "greedy", "beams": 4}, {"decoding": "beam", "beams": 1}])
def test_what_has_no_narrower_beams_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="narrower_beams: only decoding"):
        Evaluation(narrower_beams=True, **changes)


def test_the_requests_of_a_search_are_the_evaluations_own() -> None:
    sampling = Sampling(VOTES)
    asked(sampling, Evaluation(decoding="best_of_n", samples=6, max_tokens=300, temperature=0.9))
    about = {"max_tokens": 300, "temperature": 0.9, "session": "q", "priority": 3}
    assert [{name: told[name] for name in about} for told in sampling.told] == [about, about]


def test_a_value_model_judges_in_the_place_of_the_policys_own_v() -> None:
    class Judging:
        """Of the solutions, which are sampled in the order of BALLOTS, it prefers the first 7."""

        async def values(self, states: list[list[int]], *, session: str) -> list[float]:
            assert session == "q"
            return [0.1] * 3 + [0.9] + [0.2] * 2

    row, _ = asked(Sampling(VOTES), Evaluation(decoding="best_of_n", samples=6), Judging())
    assert row["answer"] == "7"


class Reflecting(Sampling):
    """Says one thing after the other, and notes where it reflects."""

    def __init__(self, *texts: str) -> None:
        super().__init__({})
        self.texts = list(texts)
        self.reflected: list[bool] = []
        self.seen: list[str] = []

    def asked(self, state_ids: list[int], *, reflecting: bool = False) -> list[int]:
        self.reflected.append(reflecting)
        return state_ids

    async def complete(self, prompt_ids: list[int], *, n: int, **about: Any) -> Reply:
        text = self.texts.pop(0)
        self.seen.append("".join(map(chr, prompt_ids)))
        return Reply([Completion([33], text, [-1.0], [0.0], "stop")] * n, Usage(requests=1, generated_tokens=n))


TRIED = [step_text(1, "add"), solution_text("6")]
AGAIN = ["Too much.\n</reflection>\n", step_text(1, "halve"), "</plan>\n"]


def after_plan(answer: str) -> str:
    return solution_text(answer).removeprefix("</plan>\n")


@pytest.mark.parametrize(
    ("trials", "texts", "answer", "reflected"),
    [
        (3, [step_text(1, "add"), solution_text("5")], "5", 0),
        (3, [*TRIED, *AGAIN, after_plan("5")], "5", 3),
        (3, [*TRIED, *AGAIN, after_plan("7"), *AGAIN, after_plan("8")], "8", 6),
        (3, ["no format at all", *AGAIN, after_plan("5")], "5", 3),
        (1, TRIED, "6", 0),
    ],
)
def test_who_is_told_that_it_was_wrong_reflects_and_plans_again(
    trials: int, texts: list[str], answer: str, reflected: int
) -> None:
    policy = Reflecting(*texts)
    row, error = asked(policy, Evaluation(decoding="reflection", samples=trials))
    assert (row["answer"], row["is_correct"], error) == (answer, answer == "5", None)
    assert row["output"] == (texts[-3] if reflected else texts[0]) + solution_text(answer)
    assert (sum(policy.reflected), policy.texts) == (reflected, [])
    assert row["generated_tokens"] == len(texts)


def test_who_reflects_is_told_the_right_answer() -> None:
    policy = Reflecting(*TRIED, *AGAIN, after_plan("5"))
    asked(policy, Evaluation(decoding="reflection", samples=2))
    assert "The desired correct final answer is 5." in policy.seen[2]


@pytest.mark.parametrize(("gold", "stated"), [("5", "It is 5."), ("x+1", "It is $1+x$.")])
def test_a_plan_that_states_the_answer_which_it_was_told_gets_no_solution(gold: str, stated: str) -> None:
    policy = Reflecting(*TRIED, AGAIN[0], step_text(1, stated), "</plan>\n", "what nobody asks for")
    row, _ = asked(
        *(policy, Evaluation(decoding="reflection", samples=2), None, QUESTION | {"answer": gold}), checker=Algebra()
    )
    assert (row["answer"], policy.texts) == ("6", ["what nobody asks for"])


def test_where_the_last_plan_comes_to_nothing_the_last_solution_is_the_answer() -> None:
    row, _ = asked(Reflecting(*TRIED, AGAIN[0], "no plan"), Evaluation(decoding="reflection", samples=2))
    assert (row["answer"], row["output"]) == ("6", "".join(TRIED))


@pytest.mark.parametrize("texts", [[step_text(1, "add"), solution_text("?")], [*TRIED, *AGAIN, after_plan("?")]])
def test_who_reflects_may_come_to_an_answer_that_nobody_can_decide(texts: list[str]) -> None:
    row, _ = asked(Reflecting(*texts), Evaluation(decoding="reflection", samples=2))
    assert (row["answer"], row["outcome"]) == ("?", "undecided")


@pytest.mark.parametrize(("decoding", "tried"), [("beam", 4), ("best_of_n", 4), ("majority", 4)])
def test_a_search_that_finds_no_solution_has_no_answer(decoding: Any, tried: int) -> None:
    row, error = asked(Sampling({"": [("no format at all", 0.0)]}), Evaluation(decoding=decoding, samples=4))
    assert (row["answer"], row["output"], row["is_correct"], error) == (None, "", False, None)
    assert row["generated_tokens"] == tried


def test_reflections_that_find_no_solution_have_no_answer() -> None:
    row, error = asked(
        Reflecting("no format at all", AGAIN[0], "nor here"), Evaluation(decoding="reflection", samples=2)
    )
    assert (row["answer"], row["output"], row["is_correct"], error) == (None, "", False, None)
    assert row["generated_tokens"] == 3


@pytest.mark.parametrize("decoding", ["beam", "best_of_n", "majority"])
def test_a_searched_answer_is_as_deep_as_it_may_be(decoding: Any) -> None:
    said = {"": [(step_text(1, "a"), 0.0)], "a": [(solution_text("5"), 0.0)]}
    for max_depth, is_correct in ((2, True), (1, False)):
        row, _ = asked(Sampling(said), Evaluation(decoding=decoding, max_depth=max_depth))
        assert row["is_correct"] is is_correct
