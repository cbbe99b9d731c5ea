"""Judges a Python program that a model wrote by the tests of a benchmark like HumanEval (Chen et al. 2021, 2.2).

The model's code and the tests run in sandboxes of their own (`infra/sandbox`), as `programs_inside.py` says. Only the
standard library is there.
"""

import ast
import re
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.check import programs_inside
from tasks.check.programs_inside import parts

if TYPE_CHECKING:
    from infra.sandbox import Ended, Sandbox

_FROM_THE_FUTURE = r"from __future__ import (?:\([^)]*\))?[^\n]*\n"
_HEAD = re.compile(
    rf"(?:{_FROM_THE_FUTURE}|[ \t]*(?:#[^\n]*)?\n"
    r"|[rRuU]?(?:\"{3}(?:[^\"\\]|\\[\s\S]|\"(?!\"\"))*+\"{3}|'{3}(?:[^'\\]|\\[\s\S]|'(?!''))*+'{3})[ \t]*\n)*+"
)
"""The head of a program, with what may stand between its imports from the future: comments, a docstring."""
INSIDE = compile(Path(programs_inside.__file__).read_text(), "programs_inside.py", "exec")


class ProgramVerdict(StrEnum):
    """Only PASSED is right; the others say in which way it is not."""

    PASSED = "passed"
    WRONG = "wrong"
    """The program's answers are not what the tests demand."""
    CRASHED = "crashed"
    """It raises, is no Python, lacks the function, or ends by itself."""
    TIMED_OUT = "timed out"
    REFUSED = "refused"
    """It asks for what the sandbox does not give (files, processes, network, more memory, more output), or answers with
    what is no plain value."""


@dataclass(frozen=True, slots=True)
class Program:
    """A task of HumanEval and what a model wrote for it."""

    prompt: str
    """The start of the program, up to the docstring of the function."""
    completion: str
    """What the model wrote: the program is `prompt + completion`."""
    test: str
    """What calls the function by its name, and raises where an answer is wrong."""
    entry_point: str
    """The name of the function."""

    readings: tuple[str, ...] = ()
    """Other ways to read what the model wrote, for where the program is no Python."""


def written(program: str, asked: Mapping[str, str]) -> Program:
    """A program for a question that asks for one, by the columns `prompt`, `test` and `entry_point` of the question.

    It stands below the function that was begun: it may hold all of it anew, or its body alone, whatever its indent.
    """
    start, name = asked["prompt"].rstrip() + "\n", re.escape(asked["entry_point"])
    whole, body = [textwrap.dedent(program), program], _as_body(program, _indent_of(start))
    if re.match(r"\s*^\S", program, re.MULTILINE):
        whole.reverse()
    is_whole = re.search(rf"^[ \t]*(?:async[ \t]+)?def[ \t]+{name}\b|^{name}[ \t]*=(?!=)", program, re.MULTILINE)
    first, *others = dict.fromkeys(whole + body if is_whole else body + whole)
    return Program(start, first, asked["test"], asked["entry_point"], tuple(others))


def _indent_of(start: str) -> str:
    """That of the body of the function that stands last; four blanks where it has none yet."""
    try:
        first: ast.stmt = ast.parse(start).body[-1].body[0]  # type: ignore[attr-defined]
    except (SyntaxError, ValueError, MemoryError, RecursionError, LookupError, AttributeError):
        return " " * 4
    return re.sub(r"\S.*", "", start.split("\n")[first.lineno - 1]) or " " * 4


def _as_body(program: str, indent: str) -> list[str]:
    """The ways to read a program as the body of a function whose lines begin so."""
    lines = program.split("\n")
    margin = re.sub(r"(?s)(?:\s*\n)?([ \t]*).*", r"\1", program)
    if not margin:  # the first line may have lost its own alone
        return [textwrap.indent(program, indent), indent + program.lstrip()]
    body = takewhile(lambda line: line.startswith((margin, "#")) or not line.strip(), lines)
    moved = [indent + line.removeprefix(margin) if line.startswith(margin) else line for line in body]
    return ["\n".join(moved + lines[len(moved) :])]


@dataclass(frozen=True, slots=True)
class Judgement:
    verdict: ProgramVerdict
    why: str
    """For people, 300 characters at most: the exception, say. A model may have written it. Empty where it passed."""


async def judge(program: Program, sandbox: "Sandbox") -> Judgement:
    """The verdict on one program. Call it for all programs at once: the sandbox runs as many as it has places.

        sandbox = Sandbox()  # raises NoSandbox where the machine allows none: before anything runs
        judgements = await asyncio.gather(*(judge(program, sandbox) for program in programs))

    The same program gets the same verdict unless it draws at random or the clock decides (`Limits.clock`).

    Raises:
        ValueError: the tests are broken: they do not run, never call the function, or with what is no plain value.
        NoSandbox: the machine does not start a sandbox any more. No verdict is made of it.
    """
    called = [
        "program",
        program.entry_point,
        *(_whole(program.prompt, one) for one in (program.completion, *program.readings)),
    ]
    tests = ["tests", program.prompt, program.test, program.entry_point]
    return judgement(*await sandbox.run_pair(INSIDE, tests, called))


def _whole(start: str, completion: str) -> str:
    """The program, below the start. Its imports from the future stand before this: nowhere else they may."""
    head, before = _HEAD.match(completion), _HEAD.match(start)
    assert head is not None, "it matches nothing, too"
    assert before is not None
    imports = "".join(re.findall(f"^{_FROM_THE_FUTURE}", head[0], re.MULTILINE))
    if not imports:
        return start + completion
    return before[0] + imports + start[before.end() :] + completion[head.end() :]


def judgement(tests: "Ended", called: "Ended") -> Judgement:
    """What the ends of both processes say. That it passed, the tests' process alone can say; of the other counts only
    why it was stopped.

    Raises:
        ValueError: the tests are broken.
    """
    if called.is_flooding:
        return Judgement(ProgramVerdict.REFUSED, f"it prints more than {len(called.output)} bytes")
    if called.is_out_of_time or tests.is_out_of_time:
        return Judgement(ProgramVerdict.TIMED_OUT, "it takes too long")
    if tests.status:
        why = tests.output.decode(errors="replace").strip()[-300:]
        return Judgement(ProgramVerdict.REFUSED, f"the tests cannot read its answers: {why}")
    try:
        (told,) = parts(bytes.fromhex(tests.output.split()[-1].decode()))
    except (IndexError, ValueError) as problem:
        raise ValueError("the tests are broken: they end their process before there is a verdict") from problem
    if "broken" in told:
        raise ValueError(f"the tests are broken: {told['broken']}")
    return Judgement(ProgramVerdict(told["verdict"]), told["why"])
