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
import sys
from collections.abc import Iterable, Iterator
from typing import Any

from tasks.language.format import PROGRAM_ASKED
from tasks.questions.rows import Question, Specification
from tasks.questions.values import LONGEST_TEXT, QuestionError, parsed_list

_CHECK = "check"
"""What HumanEval's tests define, with the function under test for its argument; others call it by name."""
_PARTS = ast.stmt | ast.excepthandler | ast.match_case
_FIXTURES = {
    f"{when}{what}" for when in ("setup", "teardown") for what in ("", "_module", "_function", "_class", "_method")
} | {"setUp", "tearDown"}
"""What pytest and unittest call around tests."""


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
    if any(isinstance(one, ast.AsyncFunctionDef) and one.name.startswith("test") for one in ast.walk(asserting)):
        raise NotJudgeable("its tests are asynchronous")
    calls = [*_calls(asserting)]  # says what cannot be called, before it is missed that something asserts
    if not any(isinstance(one, ast.Assert | ast.Raise) for one in ast.walk(asserting)):
        raise NotJudgeable("its tests assert nothing")
    entry_point = entry_point or _called(_parsed(reference, "reference program"), asserting)
    if _defines(described, entry_point):
        shown = described
        whole = reference if _defines(reference, entry_point) else f"{_unended(shown).rstrip()}\n{reference}"
    else:
        shown, whole = _begun(described, _parsed(reference, "reference program"), entry_point), reference
    return Question(
        where=where,
        question=f"{PROGRAM_ASKED}\n```python\n{shown.strip()}\n```",
        answer=whole,
        specification=Specification(_with_body(shown), _script(asserting, calls, entry_point), entry_point),
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
    return _unended(start)


def _unended(start: str) -> str:
    """With a body that goes on below: its function may end with NotImplementedError, or stand with all of it on one
    line."""
    try:
        program = _parsed(start, "start")
    except NotJudgeable:
        return start
    last = program.body[-1].body[-1] if program.body and isinstance(program.body[-1], ast.FunctionDef) else None
    if last is None:
        return start
    above, line = start.split("\n")[: last.lineno - 1], start.split("\n")[last.lineno - 1]
    head = line.encode()[: last.col_offset].decode()
    if head.rstrip().endswith(":"):
        return "\n".join([*above, head.rstrip(), "    pass\n"])
    if isinstance(last, ast.Raise) and "NotImplementedError" in ast.unparse(last):
        return "\n".join([*above, f"{head}pass\n"])
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


def _script(tests: ast.Module, calls: list[str], entry_point: str) -> str:
    """Tests as a script, which ends with the calls that pytest or HumanEval would make. The function under test is
    there under its name, and need not be imported."""
    check = _functions(tests.body).get(_CHECK)
    if check is not None and len(_required(check)) == 1 and _CHECK not in _named(tests):
        calls = [f"{_CHECK}({entry_point})", *calls]
    try:
        script = _WithoutImport(entry_point).visit(tests).body
    except RecursionError as problem:
        raise NotJudgeable("its tests are nested too deep") from problem
    return _written([*script, *(ast.parse(call).body[0] for call in calls)])


class _WithoutImport(ast.NodeTransformer):
    """Leaves out the import of the function under test, from whatever file: under another name it stays that function.

    What else is imported from there is not to be had, and the tests that use it are told as broken.
    """

    def __init__(self, entry_point: str) -> None:
        self.entry_point = entry_point

    def visit_ImportFrom(self, found: ast.ImportFrom) -> list[ast.stmt]:
        names = {one.asname or one.name for one in found.names if one.name == self.entry_point}
        if not names or (
            (found.module or "").split(".")[0] in sys.stdlib_module_names and self.entry_point not in names
        ):
            return [found]
        rest = [one for one in found.names if one.name != self.entry_point]
        left: list[ast.stmt] = [ast.ImportFrom(found.module, rest, found.level)] if rest else [ast.Pass()]
        renamed = sorted(names - {self.entry_point})
        return left + [ast.parse(f"{name} = {self.entry_point}").body[0] for name in renamed]


def _named(tests: ast.AST) -> set[str]:
    """The names that tests use, as those of what they call themselves."""
    return {one.id for one in ast.walk(tests) if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Load)}


def _calls(tests: ast.Module) -> Iterator[str]:
    """What pytest would call and the tests do not call themselves.

    Raises:
        NotJudgeable: pytest would call what needs more than a call.
    """
    used = _named(tests)
    for one in _statements(tests.body):
        if isinstance(one, ast.FunctionDef) and one.name in _FIXTURES:
            raise NotJudgeable(f"its tests need {one.name}, as pytest calls it")
        if isinstance(one, ast.FunctionDef) and one.name.startswith("test") and one.name not in used:
            if required := _required(one):
                raise NotJudgeable(f"its test {one.name} is to be given {required[0]}, by a fixture perhaps")
            yield f"{one.name}()"
        elif isinstance(one, ast.ClassDef) and one.name not in used:
            yield from _methods(one)


def _methods(found: ast.ClassDef) -> Iterator[str]:
    """Calls of the tests of a class, each of an object of its own."""
    methods = _functions(found.body)
    if found.bases and found.name.startswith("Test"):
        raise NotJudgeable(f"its tests are methods of a {ast.unparse(found.bases[0])}")
    for one in ast.walk(found):
        if not isinstance(one, ast.FunctionDef) or not (one.name.startswith("test") or one.name in _FIXTURES):
            continue
        if (
            found.bases
            or one.name in _FIXTURES
            or one is not methods.get(one.name)
            or not found.name.startswith("Test")
        ):
            raise NotJudgeable(f"its tests are methods of {found.name}, which more than a call runs")
        if required := _required(one):
            raise NotJudgeable(f"its test {one.name} is to be given {required[0]}, by a fixture perhaps")
        yield f"{found.name}().{one.name}()"


def _statements(body: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """Also those that stand under a condition, or are tried."""
    for one in body:
        yield one
        if not isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield from _statements(inner for inner in ast.iter_child_nodes(one) if isinstance(inner, _PARTS))


def _required(function: ast.FunctionDef) -> list[str]:
    """The parameters that a call has to give."""
    taken = function.args
    positional = [*taken.posonlyargs, *taken.args]
    required = [one.arg for one in positional[: len(positional) - len(taken.defaults)] if one.arg != "self"]
    return required + [
        one.arg for one, default in zip(taken.kwonlyargs, taken.kw_defaults, strict=True) if default is None
    ]


def _written(statements: list[ast.stmt]) -> str:
    try:
        return ast.unparse(ast.fix_missing_locations(ast.Module(statements, [])))
    except (RecursionError, ValueError) as problem:
        raise NotJudgeable("its tests are nested too deep, or hold a number too long to be written") from problem
