"""Reading back what a policy wrote: any text at all is an action, and which one is what the format says."""

import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tasks.language.format import PLANS, SOLUTIONS, Action, Format, Kind, step_body, verdict, words_learnt
from tests.tasks.search.scripted import solution_text, step_text

LONG = "3" * 5000

# fmt: off
PIECES = [
    "<step>\n", "</step>\n", "<plan>\n", "</plan>\n", "<solution>\n", "</solution>", "<question>", "Plan ", "Plan 1: ",
    "Plan 2: ", "1", "2", "٣", ": ", "\n", " ", "add", "\\boxed{", "}", "{", "\\boxed{4}", "\ud800", "\x00", LONG,
    "Step ", "Step 1: ",
]
# fmt: on

TEXTS = st.text() | st.lists(st.sampled_from(PIECES), max_size=14).map("".join)


FORMATS = st.sampled_from([PLANS, SOLUTIONS])


@settings(max_examples=500)
@given(format=FORMATS, text=TEXTS, position=st.integers(0, 7), max_depth=st.integers(1, 7))
@example(format=PLANS, text=step_text(1, f"as in Plan {LONG}"), position=0, max_depth=6)
@example(format=SOLUTIONS, text=step_text(1, f"as in Step {LONG}", SOLUTIONS), position=0, max_depth=6)
@example(format=PLANS, text=f"<step>\nPlan {LONG}: add\n</step>\n", position=0, max_depth=6)
@example(format=SOLUTIONS, text=solution_text("{" * 20_000, SOLUTIONS), position=0, max_depth=6)
@example(format=PLANS, text=solution_text("{" * 20_000), position=0, max_depth=6)
@example(format=PLANS, text=solution_text("1") * 3000, position=0, max_depth=6)
def test_any_text_is_an_action(format: Format, text: str, position: int, max_depth: int) -> None:
    action = format.parse_action(text, position)
    assert action.kind in (format.step, Kind.SOLUTION, Kind.MALFORMED)
    assert (action.answer is not None) == (action.kind is Kind.SOLUTION)
    ending = format.parse_ending(text, position, max_depth)
    assert ending.kind in (Kind.SOLUTION, Kind.MALFORMED, Kind.TOO_DEEP)


BODIES = st.text("ab <>\n:.", min_size=1, max_size=8).filter(lambda body: body[0] not in " \n")


@given(
    format=FORMATS,
    number=st.integers(0, 12),
    position=st.integers(0, 11),
    body=BODIES,
    refers=st.none() | st.integers(0, 15),
)
def test_a_step_has_the_next_number_and_refers_to_earlier_ones(
    format: Format, number: int, position: int, body: str, refers: int | None
) -> None:
    said = body if refers is None else f"{body} as in {format.word} {refers}"
    is_step = number == position + 1 and (refers is None or refers < number)
    action = format.parse_action(step_text(number, said, format), position)
    assert action.kind is (format.step if is_step else Kind.MALFORMED)


@pytest.mark.parametrize(
    ("reference", "kind"),
    [("1", Kind.PLAN), ("01", Kind.PLAN), ("0" * 5000, Kind.PLAN), ("2", Kind.MALFORMED), ("10", Kind.MALFORMED)],
)
def test_a_reference_counts_by_its_number(reference: str, kind: Kind) -> None:
    assert PLANS.parse_action(step_text(2, f"go on from Plan {reference}."), 1).kind is kind


@pytest.mark.parametrize(
    "tag", ["<question>", "</question>", "<plan>", "</plan>", "<step>", "<solution>", "</solution>"]
)
def test_a_step_holds_no_tag(tag: str) -> None:
    assert PLANS.parse_action(step_text(1, f"add {tag} them"), 0) == Action(Kind.MALFORMED)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("<step>\nPlan 1:add\n</step>\n", Kind.PLAN),
        ("<step>\nPlan 1: add</step>\n", Kind.PLAN),
        ("<step>\nPlan 1: add\n\n</step>\n", Kind.PLAN),
        ("<step>\nPlan 1: add\nand more\n</step>\n", Kind.PLAN),
        ("<step>\nPlan 1: \n</step>\n", Kind.MALFORMED),
        ("<step>\nPlan 1: add\n</step>", Kind.MALFORMED),
        ("<step>Plan 1: add\n</step>\n", Kind.MALFORMED),
        (" <step>\nPlan 1: add\n</step>\n", Kind.MALFORMED),
        ("<step>\nplan 1: add\n</step>\n", Kind.MALFORMED),
        ("<step>\nPlan 1: add\n</step>\n<step>\nPlan 2: b\n</step>\n", Kind.MALFORMED),
        ("<solution>\n\\boxed{4}\n</solution>", Kind.MALFORMED),
        ("</plan>\n<solution>\n\\boxed{4}\n</solution>\n", Kind.MALFORMED),
        ("</plan>\n<solution>\n\\boxed{4", Kind.MALFORMED),
        ("</plan>\n<solution>\n</solution>", Kind.MALFORMED),
        ("</plan>\n<solution>\n\\boxed{}</solution>", Kind.MALFORMED),
        ("</plan>\n<solution>\n\\boxed{4}</solution>", Kind.SOLUTION),
    ],
)
def test_the_format_is_kept_to_the_letter(text: str, kind: Kind) -> None:
    assert PLANS.parse_action(text, 0) == Action(kind, "4" if kind is Kind.SOLUTION else None)


@pytest.mark.parametrize("format", [PLANS, SOLUTIONS])
def test_a_solution_that_does_not_end_is_read_in_linear_time(format: Format) -> None:
    """Most texts that are cut off by the limit are such: a search may not stand still for them."""
    text = format.closing + "so 1 + 1 = 2, " * 20_000
    started = time.process_time()
    assert format.parse_action(text, 0).kind is Kind.MALFORMED
    assert time.process_time() - started < 0.1


STEPS = st.integers(0, 6)


@example(format=PLANS, position=1, steps=3, max_depth=2, broken=1, answer="4")
@given(
    format=FORMATS,
    position=STEPS,
    steps=STEPS,
    max_depth=st.integers(1, 8),
    broken=st.none() | STEPS,
    answer=st.sampled_from(["4", ""]),
)
def test_an_ending_is_what_the_worst_of_its_actions_is(
    format: Format, position: int, steps: int, max_depth: int, broken: int | None, answer: str
) -> None:
    """Action by action, as the search would have taken them: the first that is no step decides."""
    actions = [step_text(position + 1 + number, "add", format) for number in range(steps)]
    actions.append(solution_text(answer, format))
    if broken is not None and broken < steps:
        actions[broken] = step_text(40, "add", format)
    expected = Action(Kind.MALFORMED)
    for place, text in enumerate(actions):
        here = position + place
        expected = Action(Kind.TOO_DEEP) if here >= max_depth else format.parse_action(text, here)
        if expected.kind is not format.step:
            break
    assert format.parse_ending("".join(actions), position, max_depth) == expected


def test_an_ending_ends_in_a_solution() -> None:
    assert PLANS.parse_ending(step_text(1, "add"), 0, 6) == Action(Kind.MALFORMED)
    assert PLANS.parse_ending(step_text(1, "add") + "and so on", 0, 6) == Action(Kind.MALFORMED)
    assert PLANS.parse_ending("", 0, 6) == Action(Kind.MALFORMED)
    assert PLANS.parse_ending(step_text(2, "add") + solution_text("7"), 1, 6) == Action(Kind.SOLUTION, "7")


@pytest.mark.parametrize("format", [PLANS, SOLUTIONS])
def test_what_the_factory_begins_the_policy_can_end(format: Format) -> None:
    assert format.parse_action(format.offered_step(1, "halve it") + "\n</step>\n", 1).kind is format.step
    assert format.parse_action(format.reading_start(0) + " how many are left?\n</step>\n", 0).kind is format.step
    correction = format.correction_start(1) + " halve it.\n</step>\n"
    assert format.parse_action(correction, 1).kind is format.step
    assert step_body(correction) == "Step 1 was a wrong turn. Instead, halve it."
    assert step_body(step_text(3, "halve it\nthen add", format)) == "halve it\nthen add"
    with pytest.raises(AssertionError, match="not a step: 'no'"):
        step_body("no")


def test_a_verdict_states_the_gold_answer_without_the_formats_tags() -> None:
    told = "\n<verdict>\nThe answer is wrong. The desired correct final answer is {}.\n</verdict>\n<reflection>\n"
    assert verdict("12") == told.format("12")
    assert verdict("x < 5 </solution> <step>") == told.format("x < 5 < /solution> < step>")


def test_the_words_of_a_trajectory_stand_without_tags_and_numbers() -> None:
    plan = "<step>\nPlan 1: Add 2 < 3.\n</step>\n<step>\nPlan 12: Double it.\n</step>\n"
    whole = f"{plan}</plan>\n<solution>\n1. 2 + 3 = 5\nThe final answer is \\boxed{{5}}.\n</solution>"
    steps = [(Kind.PLAN, "Add 2 < 3."), (Kind.PLAN, "Double it.")]
    assert list(words_learnt(plan)) == steps
    assert list(words_learnt(whole)) == [*steps, (Kind.SOLUTION, "1. 2 + 3 = 5\nThe final answer is \\boxed{5}.")]
    assert list(words_learnt("<step>\nStep 2: So 6.\n</step>\nIt is 6.\n</solution>")) == [
        (Kind.STEP, "So 6."),
        (Kind.SOLUTION, "It is 6."),
    ]
    assert list(words_learnt("It is 6.")) == [(Kind.SOLUTION, "It is 6.")]
    assert list(words_learnt("</step>\n")) == []
