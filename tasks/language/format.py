r"""The text formats: how a question, its plan and its solution are written, and how a step is read back.

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
step, or the plan's end with the whole solution. The same without a plan is ours (methods.md 6.5): an action is one
step of the solution, or its end with the answer.

    <solution>
    <step>
    Step 1: …
    </step>
    The final answer is \boxed{…}.
    </solution>

Search, training and evaluation of a round all speak one of the two.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial

from tasks.check import extract_answer

QUESTION_OPEN = "<question>"
STEP_OPEN, STEP_CLOSE = "<step>\n", "</step>\n"
PLAN_OPEN, PLAN_CLOSE = "<plan>\n", "</plan>\n"
SOLUTION_OPEN, SOLUTION_CLOSE = "<solution>\n", "</solution>"
REFLECTION_OPEN, REFLECTION_CLOSE = "<reflection>\n", "</reflection>\n"

ACTION_STOP = (STEP_CLOSE, SOLUTION_CLOSE)
"""An action is complete at the first of these; the model's own end of sequence ends it unfinished."""

_STEP = re.compile(r"<step>\n(Plan|Step) (\d{1,6}): *(\S.*?)\n?</step>\n", re.DOTALL)
_NUMBERED = re.compile(r"\s*(Plan|Step) \d{1,6}:")
_FENCE = re.compile(r"( *(?:(?:[-*+]|\d+[.)]) +)?)(`{3,}+(?!.*`)|~{3,}+)(.*)")
_WORD = re.compile(r"[^\s:{}.,=]+")
_PYTHON = re.compile(r"(?:i?python|py)?\d*")
"""What a block of code may say of itself that holds a program, by its first word."""
_TAG = re.compile(r"</?(?:question|plan|step|solution|verdict|reflection)>")


class Kind(StrEnum):
    """What a node of the tree holds."""

    ROOT = "root"
    PLAN = "plan"
    STEP = "step"
    """Of a solution that follows no plan."""
    SOLUTION = "solution"
    """The whole solution below a plan; the end of one that is written in steps."""
    MALFORMED = "malformed"
    TOO_DEEP = "too_deep"
    UNDECIDED = "undecided"
    """A solution whose answer the check cannot decide: closed, without a reward and without a visit."""
    LEAKED = "leaked"
    """The end of a plan that states the answer which its hint gave away: the same, and no solution is asked for."""
    REFLECTION = "reflection"
    """Why an attempt failed: no node, for no state holds it."""


STEPS = (Kind.PLAN, Kind.STEP)
"""What a trajectory goes on from."""


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
    """One parsed action: `answer` is the content of the solution's last \\boxed{} or, where a program is asked for, of
    its last block of code; None for a step."""

    kind: Kind
    answer: str | None = None


@dataclass(frozen=True, slots=True)
class Format:
    """What follows a question: the steps of a plan and then a whole solution, or the steps of a solution.

    `step`: the kind of its steps. `word`: what they are numbered by. `opening`: stands between the question and the
    first step. `closing`: between the last step and the end with the answer. `read`: takes the answer from a solution.
    """

    step: Kind
    word: str
    opening: str
    closing: str
    read: Callable[[str], str | None] = extract_answer

    def prompt(self, question: str) -> str:
        """The text of the root state: everything up to where the first step begins."""
        return asked(question) + self.opening

    def parse_action(self, text: str, position: int) -> Action:
        """Reads the action that follows `position` earlier steps.

        A step is "Plan k: …" (without a plan "Step k: …") between step tags; k must be the next number, and it may
        refer back to earlier steps only (CPL's `step_unwrap`, methods.md 1.2). It holds no tag of the format; other
        uses of "<" are mathematics. An end without an answer (a box) is malformed. Never raises: any text is an action.
        """
        if match := _STEP.fullmatch(text):
            word, number, body = match[1], int(match[2]), match[3]
            refers_back = all(_is_earlier(k, number) for k in re.findall(rf"{self.word} (\d+)", body))
            is_next = word == self.word and number == position + 1
            well_formed = is_next and refers_back and not _TAG.search(body)
            return Action(self.step if well_formed else Kind.MALFORMED)
        if text.startswith(self.closing) and text.endswith(SOLUTION_CLOSE):
            told = text[len(self.closing) : -len(SOLUTION_CLOSE)]
            # Where no tag begins the end, a step that was never closed would pass for one.
            is_end = bool(self.closing) or not _TAG.search(told)
            if is_end and (answer := self.read(told)):
                return Action(Kind.SOLUTION, answer)
        return Action(Kind.MALFORMED)

    def parse_ending(self, text: str, position: int, max_depth: int) -> Action:
        """Reads the rest of a trajectory that follows `position` steps: further steps, if any, and the end.

        Malformed or too deep where one of its actions is, or where it does not end in a solution.
        """
        *steps, last = text.split(STEP_CLOSE)
        for text_of_step in steps:
            if position >= max_depth:
                return Action(Kind.TOO_DEEP)
            if self.parse_action(text_of_step + STEP_CLOSE, position).kind is not self.step:
                return Action(Kind.MALFORMED)
            position += 1
        return Action(Kind.TOO_DEEP) if position >= max_depth else self.parse_action(last, position)

    def reading_start(self, position: int) -> str:
        """The beginning of a step that says in other words what is asked."""
        return self.offered_step(position, "In other words, the question is")

    def correction_start(self, position: int) -> str:
        """The beginning of a step that takes back the one before it."""
        return self.offered_step(position, f"Step {position} was a wrong turn. Instead,")

    def offered_step(self, position: int, body: str) -> str:
        """A whole step but for its end, which the policy writes (or goes on before it).

        The line's end is left to the policy: it may be one token with the closing tag.
        """
        return f"{STEP_OPEN}{self.word} {position + 1}: {body}"


PLANS = Format(Kind.PLAN, "Plan", opening=PLAN_OPEN, closing=PLAN_CLOSE + SOLUTION_OPEN)
"""Steps of a plan; the last action is the whole solution (CPL)."""

SOLUTIONS = Format(Kind.STEP, "Step", opening=SOLUTION_OPEN, closing="")
"""Steps of the solution, without a plan; the last action is its end with the answer."""

FORMATS: Mapping[str, Format] = {"plan": PLANS, "solution": SOLUTIONS}
"""By what the settings call them (`steps` of Search and Evaluation)."""


def last_program(text: str, entry_point: str) -> str | None:
    """What a whole block of Python (``` or ~~~) of a text holds, with its indents; None where it has none. Of several
    the last that defines the function `entry_point`, if it is named, else any function, where one does: what comes
    behind it tests it, shows its use, or what it prints.

    A fence that says something of itself opens a block, also where another was never closed; a bare one closes the
    block that is open, of whatever language. One that is set in by four more than the block began is a line of it, of a
    docstring for instance. Of a fence that is indented its block is, too.
    """
    programs: list[str] = []
    opened: tuple[int, str] | None = None  # the indent and language of the block that is open
    block: list[str] = []
    for line in re.split("\r\n?|\n", text):
        fence = _FENCE.fullmatch(line)
        if fence and (opened is None or len(fence[1]) < opened[0] + 4):
            said = fence[3].strip().lower()
            if opened is None or (said and not _is_prose(said)):
                block, opened = [], (len(fence[1]), next(iter(_WORD.findall(said)), ""))
                continue
            indent, language = opened
            if _PYTHON.fullmatch(language) and any(map(str.strip, block)):
                programs.append("".join(f"{one.removeprefix(' ' * indent)}\n" for one in block))
            opened = None
        else:
            block.append(line)
    for defined in filter(None, (re.escape(entry_point), r"\w+")):
        function = re.compile(rf"^[ \t]*(?:async )?(?:def +{defined}\b|{defined} *=(?!=).*\blambda\b)", re.MULTILINE)
        if found := next(filter(function.search, reversed(programs)), None):
            return found
    return programs[-1] if programs else None


def _is_prose(said: str) -> bool:
    """Whether what stands behind a fence is no language and its attributes, but the sentence that goes on."""
    words = said.split()
    is_long = len(words) > 3 and "=" not in said
    return (
        not re.match(r"[\w{]", said) or is_long or said.endswith(":") or (said.endswith((".", "!")) and len(words) > 1)
    )


def in_block(program: str) -> str:
    """A program as a verdict tells it."""
    return f"\n```python\n{program.strip()}\n```\n"


PROGRAM_ASKED = "Complete this Python function. The solution ends with the whole function in one ```python block."
"""What a question begins with that asks for a program. By these words it is known what shows a model the format."""


def format_of(steps: str, entry_point: str = "") -> Format:
    """How actions are read. With `entry_point`, a program is asked for that defines this function: it stands in a block
    of code of the solution."""
    format = FORMATS[steps]
    return replace(format, read=partial(last_program, entry_point=entry_point)) if entry_point else format


def asked(question: str) -> str:
    """A question as every state begins with it.

    Tags of the format in it are taken apart ("< step>"): a question cannot end itself and begin a plan.
    """
    return f"{QUESTION_OPEN}\n{_tagless(question.strip())}\n</question>\n"


def _is_earlier(digits: str, number: int) -> bool:
    """Whether a step's number is below `number`. Python refuses to read more than 4,300 digits."""
    digits = digits.lstrip("0")
    return len(digits) <= len(str(number)) and int(digits or "0") < number


def step_body(text: str) -> str:
    """The words of a well-formed step, without its number."""
    match = _STEP.fullmatch(text)
    assert match is not None, f"not a step: {text!r}"
    return match[3]


def words_learnt(text: str) -> Iterator[tuple[Kind, str]]:
    """The words of a part of a trajectory, without tags and numbers of steps: those of each step (PLAN or STEP) and of
    the end (SOLUTION), in order."""
    for part in _TAG.split(text):
        numbered = _NUMBERED.match(part)
        if words := part[numbered.end() if numbered else 0 :].strip():
            yield (Kind.SOLUTION if numbered is None else Kind.PLAN if numbered[1] == PLANS.word else Kind.STEP), words


def verdict(gold: str, then: str = REFLECTION_OPEN) -> str:
    """What follows a failed attempt: the desired answer (LEPA 4.2), and the beginning of what is asked for `then`, a
    reflection or, as STaR does (4.4), the next plan at once."""
    return f"\n<verdict>\n{desired(gold)}\n</verdict>\n{then}"


def desired(gold: str) -> str:
    """The words of a verdict."""
    return f"The answer is wrong. The desired correct final answer is {_tagless(gold)}."


def _tagless(text: str) -> str:
    return _TAG.sub(lambda tag: f"< {tag[0][1:]}", text)
