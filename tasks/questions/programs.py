"""Questions that ask for a Python program: the function to complete, its tests, and a program that passes them.

HumanEval (Chen et al. 2021, arXiv 2107.03374) begins the function: signature and docstring. MBPP (Austin et al. 2021,
arXiv 2108.07732) describes it: then the same is begun here, with the name and the parameters of the reference program.
So both are asked alike, and tests, which MBPP's own prompt shows, are in no prompt.

In the plan format the solution ends with the program in a block of code, where others have a box. The words that ask
for it are ours.
"""

import ast
import math
import re
from collections.abc import Iterable, Iterator
from typing import Any

from tasks.language.format import PROGRAM_ASKED
from tasks.questions.rows import Question, Specification
from tasks.questions.values import LONGEST_TEXT, QuestionError, parsed_list

_CHECK = "check"
"""What tests define, with the function under test for its argument; else they are statements that call it by name."""


class NotJudgeable(ValueError):
    """No program could be judged by this row: the message says why."""


def program_asked(where: str, described: str, reference: str, tests: str, entry_point: str = "") -> Question:
    """A question from the start of a program, or from a description of it.

    Args:
        described: the start of the program, up to the docstring of the function; or what it is to do, in words.
        reference: a program that passes: the whole of it, or what follows the start.
        tests: they define `check(candidate)`, or assert what the function answers.
        entry_point: the name of the function; "": the one that the reference program defines and the tests call.

    Raises:
        NotJudgeable: tests or program are no Python, assert nothing, or leave open which function is meant.
    """
    asserting = _parsed(tests, "tests")
    if any(isinstance(one, ast.AsyncFunctionDef) and one.name.startswith("test_") for one in ast.walk(asserting)):
        raise NotJudgeable("its tests are asynchronous")
    list(_tests(asserting.body))  # says what cannot be called, before it is missed that something asserts
    if not any(isinstance(one, ast.Assert | ast.Raise) for one in ast.walk(asserting)):
        raise NotJudgeable("its tests assert nothing")
    entry_point = entry_point or _called(_parsed(reference, "reference program"), asserting)
    if _defines(described, entry_point):
        shown = described
        whole = reference if _defines(reference, entry_point) else f"{shown.rstrip()}\n{reference}"
    else:
        shown, whole = _begun(described, _parsed(reference, "reference program"), entry_point), reference
    return Question(
        where=where,
        question=f"{PROGRAM_ASKED}\n```python\n{shown.strip()}\n```",
        answer=whole,
        specification=Specification(_with_body(shown), _checking(tests, asserting, entry_point), entry_point),
    )


def text_of_code(value: Any, where: str, what: str) -> str:
    """A text with its indents, lines ended by \\n alone; lists, such as MBPP's of tests, line by line, also where a CSV
    file holds one as text; "" for nothing (None, NaN).

    Raises:
        QuestionError: it is neither, too long, or holds a character that no file can hold.
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, str):
        if len(value) > LONGEST_TEXT or re.search("[\ud800-\udfff\0]", value):
            raise QuestionError(f"{where}: the {what} holds a broken character, or more than {LONGEST_TEXT} of them")
        members = parsed_list(value)
        if members is value:
            return re.sub("\r\n?", "\n", value)
        value = members
    if isinstance(value, list | tuple):
        return "\n".join(text_of_code(one, where, what) for one in value)
    raise QuestionError(f"{where}: the {what} is a {type(value).__name__}, expected Python as text, or a list of lines")


def _parsed(source: str, what: str) -> ast.Module:
    try:
        return ast.parse(source)
    except (SyntaxError, ValueError, MemoryError, RecursionError) as problem:
        raise NotJudgeable(f"its {what} cannot be read as Python") from problem


def _defines(text: str, name: str) -> bool:
    """Also where the text breaks off, as the start of a program may."""
    return re.search(rf"^(?:async )?def {re.escape(name)}\b", text, re.MULTILINE) is not None


def _with_body(start: str) -> str:
    """The start of a program, a program itself: below it may stand the rest, or all of it anew."""
    try:
        _parsed(start, "start")
    except NotJudgeable:
        start = f"{start.rstrip()}\n    pass\n"
        _parsed(start, "start")
    return start


def _functions(statements: Iterable[ast.stmt]) -> dict[str, ast.FunctionDef]:
    return {one.name: one for one in statements if isinstance(one, ast.FunctionDef)}


def _called(reference: ast.Module, tests: ast.Module) -> str:
    """The one function of the reference program that the tests call by its name, or the only one that there is."""
    defined = _functions(reference.body)
    named = {one.id for one in ast.walk(tests) if isinstance(one, ast.Name)}
    candidates = [name for name in defined if name in named] or list(defined)
    if len(candidates) != 1:
        found = ", ".join(candidates) or "none"
        raise NotJudgeable(f"which function is tested is not to be seen ({found}): map entry_point to its name")
    return candidates[0]


def _begun(described: str, reference: ast.Module, entry_point: str) -> str:
    """The function's signature, with the description for its docstring. Types are left out: what they name may be
    imported in the reference program alone."""
    function = _functions(reference.body).get(entry_point)
    if function is None:
        raise NotJudgeable(f"its reference program defines no function {entry_point}")
    for one in ast.walk(function.args):
        if isinstance(one, ast.arg):
            one.annotation = None
    for default in filter(None, [*function.args.defaults, *function.args.kw_defaults]):
        try:
            ast.literal_eval(default)
        except ValueError as problem:  # what it names stands in the reference program alone
            raise NotJudgeable(
                f"{entry_point} has the default {ast.unparse(default)}, which is no plain value"
            ) from problem
    docstring: list[ast.stmt] = [ast.Expr(ast.Constant(described.strip()))]
    return _written([ast.FunctionDef(entry_point, function.args, docstring, decorator_list=[])])


def _checking(tests: str, asserting: ast.Module, entry_point: str) -> str:
    """Tests that define `check`. Statements become its body, less their imports, which stand before it. It ends with
    calls of what pytest would call. The function itself they need not import.

    Raises:
        NotJudgeable: pytest would call what needs more than a call.
    """
    if _is_entry(_functions(asserting.body).get(_CHECK), asserting, entry_point):
        return tests
    imports: list[ast.stmt] = [one for one in asserting.body if isinstance(one, ast.Import | ast.ImportFrom)]
    body = [one for one in asserting.body if one not in imports]
    imports = [
        one
        for one in imports
        if not (isinstance(one, ast.ImportFrom) and entry_point in [alias.name for alias in one.names])
    ]
    body += map(_call, _tests(asserting.body))
    candidate = ast.arguments([], [ast.arg("candidate")], None, [], [], None, [])
    return _written([*imports, ast.FunctionDef(_CHECK, candidate, body, decorator_list=[])])


def _is_entry(check: ast.FunctionDef | None, tests: ast.Module, entry_point: str) -> bool:
    """Whether it is HumanEval's: of one parameter, and called, if at all, with the function. Else it is a helper."""
    calls = [
        one
        for one in ast.walk(tests)
        if isinstance(one, ast.Call) and isinstance(one.func, ast.Name) and one.func.id == _CHECK
    ]
    return (
        check is not None
        and len(check.args.args) == 1
        and all([ast.unparse(given) for given in one.args] == [entry_point] for one in calls)
    )


def _tests(statements: Iterable[ast.stmt]) -> Iterator[tuple[str, ast.FunctionDef]]:
    """What pytest would call: the expression that it calls, and what is called."""
    for one in statements:
        if isinstance(one, ast.FunctionDef) and one.name.startswith("test_"):
            yield one.name, one
        elif isinstance(one, ast.ClassDef) and one.name.startswith("Test"):
            for name, method in _functions(one.body).items():
                if name.startswith("test_"):
                    if one.bases:
                        raise NotJudgeable(f"its tests are methods of a {ast.unparse(one.bases[0])}")
                    yield f"{one.name}().{name}", method


def _call(test: tuple[str, ast.FunctionDef]) -> ast.stmt:
    named, function = test
    taken = function.args
    required = [one.arg for one in taken.args[: len(taken.args) - len(taken.defaults)] if one.arg != "self"]
    required += [one.arg for one, default in zip(taken.kwonlyargs, taken.kw_defaults, strict=True) if default is None]
    if required:
        raise NotJudgeable(f"its test {function.name} is to be given {required[0]}, by a fixture perhaps")
    return ast.parse(f"{named}()").body[0]


def _written(statements: list[ast.stmt]) -> str:
    try:
        return ast.unparse(ast.fix_missing_locations(ast.Module(statements, [])))
    except RecursionError as problem:
        raise NotJudgeable("its tests are nested too deep") from problem
