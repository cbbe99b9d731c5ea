r"""The one text format: how a question, its plan and its solution are written, and how a step is read back.

    <question>
    {question}
    </question>
    <plan>
    <step>
    Plan 1: …
    </step>
    </plan>
    <solution>
    1. …
    The final answer is \boxed{…}.
    </solution>

This is the XML format of CPL's second round and of all its training data (methods.md 1.2), used here from
round 1 on, without the released code's mismatches (methods.md 1.10). One action of the search is one plan
step, or the plan's end with the whole solution. Search, training and evaluation all speak it.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

from tasks.check import extract_answer

QUESTION_OPEN = "<question>"
STEP_OPEN, STEP_CLOSE = "<step>\n", "</step>\n"
PLAN_OPEN, PLAN_CLOSE = "<plan>\n", "</plan>\n"
SOLUTION_OPEN, SOLUTION_CLOSE = "<solution>\n", "</solution>"
REFLECTION_OPEN, REFLECTION_CLOSE = "<reflection>\n", "</reflection>\n"

_SOLUTION_START = PLAN_CLOSE + SOLUTION_OPEN

ACTION_STOP = (STEP_CLOSE, SOLUTION_CLOSE)
"""An action is complete at the first of these; the model's own end of sequence ends it unfinished."""

_PLAN_STEP = re.compile(r"<step>\nPlan (\d{1,6}): *(\S.*?)\n?</step>\n", re.DOTALL)
_TAG = re.compile(r"</?(?:question|plan|step|solution|verdict|reflection)>")
_BACK_REFERENCE = re.compile(r"Plan (\d+)")


class Kind(StrEnum):
    """What a node of the tree holds."""

    ROOT = "root"
    PLAN = "plan"
    SOLUTION = "solution"
    MALFORMED = "malformed"
    TOO_DEEP = "too_deep"
    UNDECIDED = "undecided"
    """A solution whose answer the check cannot decide: closed, without a reward and without a visit."""
    LEAKED = "leaked"
    """The end of a plan that states the answer which its hint gave away: the same, and no solution is asked for."""
    REFLECTION = "reflection"
    """Why an attempt failed: no node, for no state holds it."""


class Origin(StrEnum):
    """Who began an action: the policy alone, or words that the factory wrote and the policy continued."""

    POLICY = "policy"
    READING = "reading"
    CORRECTION = "correction"
    LIBRARY = "library"
    HINT = "hint"
    """Written under a reflection on an attempt that failed; a solution: of a plan that was."""


@dataclass(frozen=True, slots=True)
class Action:
    """One parsed action: `answer` is the content of the solution's last \\boxed{}, None for a plan step."""

    kind: Kind
    answer: str | None = None


def question_prompt(question: str) -> str:
    """The text of the root state: everything up to where the first plan step begins.

    Tags of the format in the question are taken apart ("< step>"): a question cannot end itself and begin a plan.
    """
    return f"{QUESTION_OPEN}\n{_tagless(question.strip())}\n</question>\n{PLAN_OPEN}"


def parse_action(text: str, position: int) -> Action:
    """Reads the action that follows `position` earlier plan steps.

    A plan step is "Plan k: …" between step tags; k must be the next number, and it may refer back to earlier
    steps only (CPL's `step_unwrap`, methods.md 1.2). It holds no tag of the format; other uses of "<" are
    mathematics. A solution without a boxed answer is malformed. Never raises: any text is an action.
    """
    if match := _PLAN_STEP.fullmatch(text):
        number, body = int(match[1]), match[2]
        refers_back = all(_is_earlier(k, number) for k in _BACK_REFERENCE.findall(body))
        well_formed = number == position + 1 and refers_back and not _TAG.search(body)
        return Action(Kind.PLAN if well_formed else Kind.MALFORMED)
    if text.startswith(_SOLUTION_START) and text.endswith(SOLUTION_CLOSE):
        answer = extract_answer(text[len(_SOLUTION_START) : -len(SOLUTION_CLOSE)])
        return Action(Kind.SOLUTION, answer) if answer else Action(Kind.MALFORMED)
    return Action(Kind.MALFORMED)


def _is_earlier(digits: str, number: int) -> bool:
    """Whether a step's number is below `number`. Python refuses to read more than 4,300 digits."""
    digits = digits.lstrip("0")
    return len(digits) <= len(str(number)) and int(digits or "0") < number


def parse_ending(text: str, position: int, max_depth: int) -> Action:
    """Reads the rest of a trajectory that follows `position` plan steps: further steps, if any, and the solution.

    Malformed or too deep where one of its actions is, or where it does not end in a solution.
    """
    *steps, last = text.split(STEP_CLOSE)
    for text_of_step in steps:
        if position >= max_depth:
            return Action(Kind.TOO_DEEP)
        if parse_action(text_of_step + STEP_CLOSE, position).kind is not Kind.PLAN:
            return Action(Kind.MALFORMED)
        position += 1
    return Action(Kind.TOO_DEEP) if position >= max_depth else parse_action(last, position)


def reading_start(position: int) -> str:
    """The beginning of a step that says in other words what is asked."""
    return f"{STEP_OPEN}Plan {position + 1}: In other words, the question is"


def correction_start(position: int) -> str:
    """The beginning of a step that takes back the one before it."""
    return f"{STEP_OPEN}Plan {position + 1}: Step {position} was a wrong turn. Instead,"


def offered_step(position: int, body: str) -> str:
    """A whole plan step but for its end, which the policy writes (or goes on before it).

    The line's end is left to the policy: it may be one token with the closing tag.
    """
    return f"{STEP_OPEN}Plan {position + 1}: {body}"


def step_body(text: str) -> str:
    """The words of a well-formed plan step, without its number."""
    match = _PLAN_STEP.fullmatch(text)
    assert match is not None, f"not a plan step: {text!r}"
    return match[2]


def verdict(gold: str) -> str:
    """What follows a failed attempt to ask for LEPA's self-reflection, which is shown the desired answer (4.2)."""
    desired = f"The answer is wrong. The desired correct final answer is {_tagless(gold)}."
    return f"\n<verdict>\n{desired}\n</verdict>\n{REFLECTION_OPEN}"


def _tagless(text: str) -> str:
    return _TAG.sub(lambda tag: f"< {tag[0][1:]}", text)
