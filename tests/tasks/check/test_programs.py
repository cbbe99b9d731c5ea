"""A program that a model wrote is judged by tests that it cannot reach: verdicts, tricks, and what crosses."""

import asyncio
import socket
import sys
import textwrap
import threading
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple
from decimal import Decimal
from fractions import Fraction
from typing import Any, cast

import pytest

from infra.sandbox import Ended, Limits, Sandbox
from tasks.check.programs import Judgement, Program, ProgramVerdict, judge, judgement, written
from tasks.check.programs_inside import LONGEST, Known, Line, NotPlain, made_anew, packed, parts, run_tests, told
from tests.infra.sandboxed import Unconfined, answering, bare, sandbox

PASSED, WRONG, CRASHED, TIMED_OUT, REFUSED = ProgramVerdict
PROMPT = '''
from typing import List

def twice(x):
    return 2 * x

def doubled(numbers: List[int]) -> List[int]:
    """ Give each number twice as large; the test calls `twice`, as HumanEval/32, /38 and /50 do.
    >>> doubled([1, 2])
    [2, 4]
    """
'''
TEST = """
METADATA = {"author": "nobody"}

def check(candidate):
    numbers = [1, 2.5, -3]
    assert candidate(numbers) == [twice(number) for number in numbers], "first"
    assert candidate([]) == []
    assert numbers == [1, 2.5, -3], "the argument is changed"
    print("twelve of twelve")

check(doubled)
"""
RIGHT = "    return [2 * number for number in numbers]\n"
LIMITS = Limits(work=1, clock=10, output=1 << 16)


ORDINARY = {
    RIGHT: (PASSED, ""),
    "    print('thinking')\n" + RIGHT + "\nif __name__ == '__main__':\n    input()\n": (PASSED, ""),
    "    return numbers\n": (WRONG, "AssertionError: first"),
    "    return None\n": (WRONG, "AssertionError: first"),
    "    return (2 * number for number in numbers)\n": (WRONG, "AssertionError: first"),
    "    for i, n in enumerate(numbers): numbers[i] = 2 * n\n    return numbers\n": (WRONG, "AssertionError: first"),
    RIGHT.replace("return", "twice =") + "    numbers.pop()\n    return twice\n": (WRONG, "AssertionError: first"),
    RIGHT.replace("return", "twice =") + "    numbers.append(1)\n    return twice\n": (WRONG, "AssertionError: first"),
    "    return 1 / 0\n": (CRASHED, "ZeroDivisionError: division by zero"),
    "    assert numbers == 5, 'first'\n": (CRASHED, "AssertionError: first"),
    "    return [\n": (CRASHED, "SyntaxError: '[' was never closed (program, line 12)"),
    RIGHT + "del doubled\n": (CRASHED, "KeyError: 'doubled'"),
    RIGHT + "def helper(x: Undefined): pass\n": (CRASHED, "NameError: name 'Undefined' is not defined"),
    "    return import_it\n": (CRASHED, "NameError: name 'import_it' is not defined"),
    "    return doubled(numbers)\n": (CRASHED, "RecursionError: maximum recursion depth exceeded"),
    "    raise type('Own', (Exception,), {})('problem')\n": (CRASHED, "Own: problem"),
    "    import sys; sys.exit(0)\n": (CRASHED, "SystemExit: 0"),
    RIGHT + "raise SystemExit(0)\n": (CRASHED, "SystemExit: 0"),
    "    return open('/etc/none').read()\n": (REFUSED, "FileNotFoundError: "),
    "    return [0] * (1 << 48)\n": (REFUSED, "MemoryError: "),
    "    return 'x' * (1 << 21)\n": (REFUSED, f"its answer is longer than {LONGEST} bytes"),
    "    return object()\n": (REFUSED, "NotPlain: object is no type of plain values"),
}
"""Completions, each with its verdict and the beginning of why."""
CONFINED = {
    RIGHT + "import numpy\n": (CRASHED, "ModuleNotFoundError: No module named 'numpy'"),
    "    import ctypes; ctypes.string_at(0)\n": (CRASHED, "its process ended"),
    "    import os; os._exit(0)\n": (CRASHED, "its process ended"),
    "    while True: pass\n": (TIMED_OUT, "it takes too long"),
    "    while True: print('again')\n": (REFUSED, "it prints more than"),
    "    import subprocess; return subprocess.run(['ls'])\n": (REFUSED, "PermissionError: "),
}
"""Those that the test's own process does not bear."""


EQUAL = """
class Equal(list):
    def __eq__(self, other): return True
    def __ne__(self, other): return False
"""
TRICKS = {
    "ends before the tests": "    pass\nimport sys\nprint('passed', flush=True)\nsys.exit(0)\n",
    "ends in the test": "    import os\n    print('passed', flush=True)\n    os._exit(0)\n",
    "is equal to all": f"    return Equal()\n{EQUAL}",
    "is equal to all, without a type of Python's": f"    return Equal()\n{EQUAL.replace('(list)', '')}",
    "patches what a test may use": """    return numbers
import builtins, json, os
builtins.AssertionError = type("Silent", (Exception,), {})
builtins.print = builtins.open = builtins.exit = lambda *_, **__: None
json.dumps = lambda said: '{"verdict": "passed", "why": ""}'
twice = lambda number: number
def die(): os._exit(0)
sorted = len = list = isinstance = die
""",
    "swallows the assertion": """    return numbers
import sys
sys.excepthook = lambda *_: __import__("os")._exit(0)
""",
    "changes the tests that it finds in a frame": """    import sys
    frame = sys._getframe(1)
    while frame:
        if "check" in frame.f_globals:
            frame.f_globals["twice"] = lambda number: number
        frame = frame.f_back
    return numbers
""",
}
"""Each gets past tests that run in its process."""
FORGERIES = {
    "says the verdict": """    return numbers
import os, sys
packed = sys._getframe(1).f_globals["packed"]
verdict = packed({"verdict": "passed", "why": "", "value": True, "changes": ()})
for descriptor in range(64):
    for said in (verdict, len(verdict).to_bytes(8, "big") + verdict, b"\\n" + verdict.hex().encode() + b"\\n"):
        try: os.write(descriptor, said)
        except OSError: pass
""",
    "answers what is none": "    import os\n    os.write(3, b'list 99:' * 100_000)\n    os._exit(0)\n",
    "answers with a type of no kind": """    import os
    for descriptor in range(3, 64):
        try: os.write(descriptor, (6).to_bytes(8, "big") + b"eval 0:")
        except OSError: pass
    os._exit(0)
""",
    "answers in a depth without end": """    deep = []
    for _ in range(100_000): deep = [deep]
    return deep
""",
    "raises what ends the tests": "    raise KeyboardInterrupt\n",
    "goes on when the tests have ended": """    return None
import os, threading, time
threading.Thread(target=time.sleep, args=(600,)).start()
""",
}
"""Aimed at how this judge works."""


@pytest.fixture(scope="module")
def judgements() -> dict[str, Judgement]:
    """By completion; all are judged at once."""

    async def all_of_them() -> list[Judgement]:
        inside = sandbox(LIMITS)
        return await asyncio.gather(*(judge(Program(PROMPT, one, TEST, "doubled"), inside) for one in completions))

    completions = [*list(ORDINARY)[::4], *CONFINED, *TRICKS.values(), *FORGERIES.values()]
    return dict(zip(completions, asyncio.run(all_of_them()), strict=True))


@pytest.mark.integration
@pytest.mark.parametrize("completion", [*list(ORDINARY)[::4], *CONFINED])
def test_each_verdict_says_in_which_way_a_program_is_not_right(
    completion: str, judgements: dict[str, Judgement]
) -> None:
    verdict, why = (ORDINARY | CONFINED)[completion]
    found = judgements[completion]
    assert (found.verdict, found.why[: len(why)]) == (verdict, why)


@pytest.mark.integration
@pytest.mark.parametrize("name", [*TRICKS, *FORGERIES])
def test_no_trick_passes(name: str, judgements: dict[str, Judgement]) -> None:
    found = judgements[(TRICKS | FORGERIES)[name]]
    assert found.verdict != PASSED
    assert "SyntaxError" not in found.why


@pytest.mark.integration
@pytest.mark.parametrize("name", TRICKS)
def test_in_one_process_each_trick_passes(name: str) -> None:
    """Program and tests after one another, and the exit status for a verdict."""
    assert bare(f"{PROMPT}{TRICKS[name]}{TEST}").returncode == 0


@pytest.mark.integration
@pytest.mark.parametrize("test", ["doubled(print)", "doubled(", "checked = True", "1 / 0"])
def test_tests_that_are_broken_are_an_error_and_no_verdict(test: str) -> None:
    with pytest.raises(ValueError, match="the tests are broken"):
        asyncio.run(judge(Program(PROMPT, RIGHT, test, "doubled"), sandbox(LIMITS)))


TWICE_BEGUN = 'def twice(n):\n    """Two times n."""\n'
TABBED = 'def twice(n):\n\t"""Two times n."""\n'
SHOWN = "text = '''a\n   \n  b'''\n"


@pytest.mark.parametrize(
    ("start", "program"),
    [
        (TWICE_BEGUN, "return 2 * n\n"),
        (TWICE_BEGUN, "  found = 2 * n\n  return found\n"),
        (TWICE_BEGUN, "if n:\n    n += n\nreturn n\n"),
        (TWICE_BEGUN, "found = 2 * n\n    return found\n"),
        (TWICE_BEGUN, "    return 2 * n\n\nprint(twice(3))\n"),
        (TWICE_BEGUN, "    found = 2 * n\n# Twice.\n    return found\n\nif __name__ == '__main__':\n    input()\n"),
        (TABBED, "return 2 * n\n"),
        (TABBED, "    return 2 * n\n"),
        (TWICE_BEGUN, "import math\ndef twice(n):\n    return 2 * n\n"),
        (TWICE_BEGUN, "  import math\n  def  twice(n):\n    return 2 * n\n"),
        (TWICE_BEGUN, "twice = lambda n: 2 * n\n"),
        (TWICE_BEGUN, "import functools\ntwice = functools.partial(lambda m, n: m * n, 2)\n"),
        (TWICE_BEGUN, "if True:\n    def twice(n):\n        return 2 * n\n"),
        (TWICE_BEGUN, f"{SHOWN}def twice(n):\n    return n + n * (text == 'a\\n   \\n  b')\n"),
        (TWICE_BEGUN, "    text = '\u2028'\n    return n + n * len(text)\n"),
    ],
)
def test_a_function_is_there_anew_or_its_body_alone_whatever_its_indent(start: str, program: str) -> None:
    asked = {"prompt": start, "test": "assert twice(2) == 4\nassert twice(1) == 2", "entry_point": "twice"}
    found = asyncio.run(judge(written(program, asked), cast(Sandbox, Unconfined())))
    assert found == Judgement(PASSED, "")
    wrong = asyncio.run(
        judge(written(program.replace("2", "3").replace("n + n", "n"), asked), cast(Sandbox, Unconfined()))
    )
    assert wrong.verdict == WRONG or program.startswith("if n")


DEEPER = "class A:\n  def one(self):\n    return 1\n\ndef twice(n):\n   pass\n"
COMMENTED = "\n \n  a = 1\n\n# A.\n  return a\n#B\nb = 2\n  c = 3"
ANEW = "\ndef twice(n):\n    '''\n  \n'''"


@pytest.mark.parametrize(
    ("start", "program", "readings"),
    [
        ("def twice(n):", "return 1\n", ["    return 1\n", "return 1\n"]),
        (
            'def f(x):\n    """Double it.\n\n        >>> f(1)\n        2"""\n',
            "return 1\n",
            ["    return 1\n", "return 1\n"],
        ),
        ("def f(x): ...\n", "return 1\n", ["    return 1\n", "return 1\n"]),
        ("def f(x):\n  'Double it.'\n", "return 1\n", ["  return 1\n", "return 1\n"]),
        (DEEPER, "return 1\n", ["   return 1\n", "return 1\n"]),
        (DEEPER, " \nreturn 1", [" \n   return 1", "   return 1", " \nreturn 1", "\nreturn 1"]),
        (
            DEEPER,
            "\na = 1\n    return a",
            ["\n   a = 1\n       return a", "   a = 1\n    return a", "\na = 1\n    return a"],
        ),
        (
            DEEPER,
            COMMENTED,
            [COMMENTED.replace("  a", "   a").replace("  r", "   r"), COMMENTED.replace(" \n", "\n"), COMMENTED],
        ),
        (DEEPER, "\t# B\n\treturn 1", ["   # B\n   return 1", "# B\nreturn 1", "\t# B\n\treturn 1"]),
        (
            DEEPER,
            ANEW,
            [ANEW, ANEW.replace("  \n", "\n"), textwrap.indent(ANEW, "   "), "   " + ANEW.removeprefix("\n")],
        ),
    ],
)
def test_the_ways_to_read_what_was_written(start: str, program: str, readings: list[str]) -> None:
    """As the body below the last indent of the start, four blanks where it has none, whatever its own; and as it is."""
    found = written(program, {"prompt": start, "test": "", "entry_point": "twice"})
    assert [found.completion, *found.readings] == readings
    assert found.prompt == start.rstrip() + "\n"


def test_of_what_is_no_python_in_any_way_the_first_reading_says_why() -> None:
    asked = {"prompt": TWICE_BEGUN, "test": "assert twice(2) == 4", "entry_point": "twice"}
    found = asyncio.run(judge(written("    return [\n", asked), cast(Sandbox, Unconfined())))
    assert found == Judgement(CRASHED, "SyntaxError: '[' was never closed (program, line 3)")


def test_the_ends_of_both_processes_make_the_judgement() -> None:
    passed = Ended(0, b"printed by a test\n" + packed({"verdict": "passed", "why": ""}).hex().encode())
    ended = Ended(0, packed({"verdict": "crashed", "why": "its process ended"}).hex().encode() + b"\n")
    killed = Ended(137, b"Killed")
    assert judgement(passed, Ended(0, packed({"verdict": "wrong"}))) == Judgement(PASSED, "")
    assert judgement(ended, killed) == Judgement(CRASHED, "its process ended")
    for late in ((ended, Ended(152, b"", is_out_of_time=True)), (Ended(137, b"", is_out_of_time=True), killed)):
        assert judgement(*late) == Judgement(TIMED_OUT, "it takes too long")
    assert judgement(ended, Ended(137, b"x" * 9, is_flooding=True)) == Judgement(REFUSED, "it prints more than 9 bytes")
    lost = judgement(Ended(1, b"Traceback\nMemoryError\n"), killed)
    assert lost == Judgement(REFUSED, "the tests cannot read its answers: Traceback\nMemoryError")
    lost = judgement(Ended(1, b"\xff" + b"x" * 299), killed)
    assert lost.why == f"the tests cannot read its answers: \N{REPLACEMENT CHARACTER}{'x' * 299}"
    assert judgement(Ended(1, b"ab" + b"x" * 299), killed).why.endswith(f": b{'x' * 299}"), "the last 300 characters"
    for early in (b"", b"printed by a test\n"):
        with pytest.raises(ValueError, match="the tests are broken: they end their process"):
            judgement(Ended(0, early), killed)
    with pytest.raises(ValueError, match=r"^the tests are broken: no check$"):
        judgement(Ended(0, packed({"broken": "no check"}).hex().encode()), killed)


Point = namedtuple("Point", "x y")


class Sly(int):
    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return 0


@pytest.mark.parametrize(
    "value",
    [
        *(None, True, False, 0, -(10**100), 1.5, -0.0, float("inf"), "", "é\ud800\n", b"\x00\xff", 1 - 2j),
        *([], [1, [2, ()]], (1,), {1, 2}, frozenset({"a"}), {}, {1: [2], (3, "x"): {4}}, range(2, 9, 3)),
        *(Fraction(1, 3), Decimal("0.10"), [True, 1, 1.0], bytearray(b"a"), Counter("aab"), {2: 1, 1: 1}.keys()),
        *({2: [1], 1: 1}.items(), deque([1, [2]], 2), deque("ab"), defaultdict(int, a=1), defaultdict(list)),
        OrderedDict(b=1, a=2),
    ],
)
def test_a_plain_value_crosses_as_it_is(value: Any) -> None:
    (crossed,) = parts(packed(value))
    assert crossed == value
    assert repr(crossed) == repr(value)


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        *((type("Own", (dict,), {})(a=1), {"a": 1}), (Point(1, 2), (1, 2)), (Sly(3), 3), ([Sly(3)], [3])),
        (defaultdict(lambda: 0, a=1), {"a": 1}),
    ],
)
def test_what_derives_from_a_type_of_pythons_is_taken_for_one(value: Any, plain: Any) -> None:
    (crossed,) = parts(packed(value))
    assert repr(crossed) == repr(plain)


def test_other_values_do_not_cross() -> None:
    assert [repr(value) for value in parts(packed(float("nan")) + packed(1))] == ["nan", "1"]
    assert [list(value) for value in parts(packed((n for n in (1, 2)), Known(lambda: iter(()))))] == [[1, 2]]
    assert [[*value] for value in parts(packed({1: 2, 3: 2}.values()))] == [[2, 2]]
    for value in (object(), print, [object()], {1: print}, type("Decimal", (), {})()):
        with pytest.raises(NotPlain, match="is no type of plain values"):
            packed(value)
    for forged in (
        b"eval 1:1",
        b"1",
        b":",
        b"list 9",
        b"int 1:x",
        b"set 7:list 0:",
        b"range 6:str 0:",
        b"dict 7:int 1:1",
        b"defaultdict 7:int 1:9",
        b"known 1:0",
        b"reached 0:",
    ):
        with pytest.raises((LookupError, TypeError, ValueError)):
            list(parts(forged))


@pytest.mark.parametrize("completion", ORDINARY)
def test_what_two_processes_say_to_each_other(completion: str) -> None:
    verdict, why = ORDINARY[completion]
    with answering(PROMPT + completion, "doubled") as line:
        found = run_tests(line, PROMPT, TEST, "doubled")
    assert (found["verdict"], found["why"][: len(why)]) == (verdict, why)
    assert bool(found["why"]) is (verdict != PASSED)


CAUGHT = "try: candidate({})\n    except"
DEEP = "deep = []\n    for _ in range(numbers): deep = [deep]\n    return deep"
NEW = "__import__('collections')"
OWN_ITERATOR = (
    "{'n': 0, '__next__': lambda its: [setattr(its, 'n', its.n - 1), its.n + 1][1] if its.n else next(iter(()))}"
)
DEEPEST = "__import__('functools').reduce(lambda its, _: [its], range(2000), [])"
OWN = "type('Own', (Exception,), {})"
OWN_TEXT = "Own = type('Own', (UnicodeDecodeError,), {'__init__': lambda _: None, '__str__': lambda _: 'own'})"


@pytest.mark.parametrize(
    ("body", "test", "verdict"),
    [
        ("return numbers['a']", f"{CAUGHT} KeyError as problem: assert 'a' in str(problem)", PASSED),
        ("return numbers['a']", f"{CAUGHT} IndexError: pass", CRASHED),
        ("raise SystemExit(0)", f"{CAUGHT} BaseException: pass", CRASHED),
        ("raise SystemExit(0)", f"{CAUGHT} Exception: pass", CRASHED),
        ("raise SystemExit(0)", f"{CAUGHT} BaseException: candidate({{}})", CRASHED),
        ("numbers['b'] = [1]", "given = {}; candidate(given); assert given == {'b': [1]}", PASSED),
        ("numbers.add(1)", "given = {2}; candidate(given); assert given == {1, 2}", PASSED),
        ("numbers[0].append(1)", "given = ([],); candidate(given); assert given == ([],)", WRONG),
        ("numbers['a'].append(1)", "a = []; candidate({'a': a}); assert a == [1]", PASSED),
        ("numbers.append(1)", "given = []; candidate(numbers=given); assert given == [1]", PASSED),
        ("numbers.append(1)", "given = bytearray(); candidate(given); assert given == b'\\1'", PASSED),
        ("numbers.reverse()", "a, b = [1], [2]; it = [a, b]; candidate(it); assert it[0] is b and a == [1]", PASSED),
        ("numbers[0].append(1)", "a = []; candidate([a, a]); assert a == [1]", PASSED),
        ("numbers.append(numbers)", "a = []; candidate(a); assert a[0] is a", PASSED),
        (
            "numbers.append(1); 1 / 0",
            "a = []\n    try: candidate(a)\n    except ArithmeticError: assert a == [1]",
            PASSED,
        ),
        ("return numbers[0]", "a = []; assert candidate((a,)) is a", PASSED),
        ("return numbers[0] is numbers[1]", "a = []; assert candidate([a, a])", PASSED),
        (
            "def bad():\n        yield 1\n        raise ValueError(numbers)\n    return bad()",
            "a = []\n    try: candidate(a)\n    except ValueError as why: assert why.args[0] is a",
            PASSED,
        ),
        (
            "from dataclasses import dataclass\n    @dataclass\n    class Pair:\n        one: 'int'\n"
            "    return Pair(numbers).one",
            "assert candidate(2) == 2",
            PASSED,
        ),
        (
            "return sum(numbers)",
            "assert candidate(iter([1, 2])) == candidate(number for number in (1, 2)) == 3",
            PASSED,
        ),
        (
            "return numbers if isinstance(numbers, int) else sum(numbers)",
            "a = [1]; assert candidate(candidate(n) for n in (2, 3)) == candidate(map(candidate, a)) + 4 == 5\n"
            "    assert candidate(numbers=(candidate(n) for n in (2, 3))) == 5",
            PASSED,
        ),
        (
            "yield from (number for number in numbers)",
            "assert [*candidate(map(int, candidate([1, 2])))] == [1, 2]; it = candidate([3]); assert iter(it) is it",
            PASSED,
        ),
        (f"return type('Own', (), {OWN_ITERATOR})()", "assert [*candidate(0)] == []", CRASHED),
        (
            f"return type('Own', (), {OWN_ITERATOR} | {{'__iter__': lambda its: [setattr(its, 'n', 2), its][1]}})()",
            "it = candidate(0); assert [*it] == [*it] == [2, 1] and next(it, 5) == 5",
            PASSED,
        ),
        (
            "try: yield from list(numbers)\n    finally: numbers.clear()",
            "a = [1, 2]; it = candidate(a); next(it); del it; next(candidate([3])); assert a == []",
            PASSED,
        ),
        ("return next(iter(numbers))", "assert [*map(candidate, [[]])] == []", CRASHED),
        ("return list(numbers)", "import math; assert candidate([1, math.nan]) == [1, math.nan]", PASSED),
        ("return 10**numbers", "assert candidate(2) == 100; assert candidate(5000) == 1, candidate(5000)", WRONG),
        ("raise ValueError(10**5000)", f"{CAUGHT} ValueError as why: assert why.args == (10**5000,)", PASSED),
        (
            "raise type('Own', (ValueError,), {'__str__': lambda its: 1})",
            f"{CAUGHT} ValueError as why: assert str(why) == ''",
            PASSED,
        ),
        (f"raise ValueError({DEEPEST})", f"{CAUGHT} ValueError as why: assert type(why.args[0]) is str", PASSED),
        (
            "from fractions import Fraction\n    return Fraction(1, 10**numbers)",
            "assert candidate(5000).denominator == 10**5000",
            PASSED,
        ),
        (
            "if len(numbers) < 4: numbers.append(numbers[-1] + 1)",
            "seen = []; a = [1, 2]\n    for n in a: candidate(a); seen.append(n)\n    assert seen == a == [1, 2, 3, 4]",
            PASSED,
        ),
        ("numbers[1] = 7", "a = bytearray(2); seen = memoryview(a); candidate(a); assert seen[1] == 7", PASSED),
        ("return ONE", "c = candidate(1); c['a'] = 2; assert candidate(1) == {}", WRONG),
        ("return ONE", "c = candidate(1); assert candidate(1) is c", PASSED),
        ("return dict(ONE)", "c = candidate(1); c['a'] = 2; del c; assert candidate(1) == {}", PASSED),
        ("return ONE", "c = candidate(1); c['a'] = 2; del c; assert candidate(1) == {}", WRONG),
        ("ONE[len(ONE)] = numbers; return [*ONE.values()]", "a = candidate(1); candidate(2); assert a == [1]", PASSED),
        ("LIST.append(numbers); return LIST", "a = candidate(1); candidate(2); assert a == [1]", WRONG),
        (
            "LIST.append(numbers); return list(LIST)",
            "a = [1]; candidate(a); a.append(2); assert candidate([3]) == [[1, 2], [3]]",
            PASSED,
        ),
        (
            "return sum(map(len, LIST)) if LIST else LIST",
            "a = candidate(1); a.append([[]]); a[0].append(1)\n    assert candidate(1) == 2",
            PASSED,
        ),
        ("numbers.sort(); yield from numbers", "a = [3, 1]; assert list(candidate(a)) == [1, 3] == a[::1]", PASSED),
        (
            "numbers.sort(); yield from numbers",
            "a = [3, 1]; assert list(candidate(a)) == [1, 3]; assert a == [3, 1]",
            WRONG,
        ),
        (
            "while numbers: yield numbers.pop(0)",
            "a = [1, 2]; it = candidate(a); assert next(it) == 1; assert a == [2]",
            PASSED,
        ),
        ("for n in range(3): LIST.append(n); yield LIST", "assert [len(p) for p in candidate(1)] == [1, 2, 3]", PASSED),
        ("row = [0]\n    for n in range(2): yield row; row[0] = 9", "assert list(candidate(1)) == [[0], [0]]", WRONG),
        (
            "yield numbers\n    while True: yield 7",
            "it = candidate(1); assert (next(it), next(it), next(it)) == (1, 7, 7)",
            PASSED,
        ),
        (
            "LIST.append(1); return LIST",
            "a = candidate(1); a.append(5)\n    try: candidate([[], print])\n    except TypeError: pass\n"
            "    assert candidate([]) == [1, 5, 1] and a == [1, 5, 1]",
            PASSED,
        ),
        ("yield numbers; 1 / 0", "assert next(candidate(1)) == 1", PASSED),
        ("yield numbers", "it = candidate(1); assert [*it] == [1] and next(it, 5) == 5", PASSED),
        ("yield numbers; raise StopIteration", "try: [*candidate(1)]\n    except RuntimeError: pass", PASSED),
        (
            "return iter([1, 2]) if numbers is None else next(numbers)",
            "it = candidate(None); assert candidate(it) == 1 and [*it] == [2]",
            PASSED,
        ),
        ("return {1: 0}.keys()", "assert candidate(1) == {1} and sorted(candidate(1)) == [1]", PASSED),
        ("return __import__('collections').Counter('ab')", "assert candidate(1)['c'] == 0", PASSED),
        ("numbers['b'] += 1", f"given = {NEW}.Counter('a'); candidate(given); assert given['b'] == 1", PASSED),
        ("return dict(numbers)", f"given = {NEW}.OrderedDict(b=1); assert candidate(given) == given", PASSED),
        (
            f"return {NEW}.OrderedDict(b=1, a=2)",
            f"assert candidate(1) == {NEW}.OrderedDict(a=2, b=1), 'the order'",
            WRONG,
        ),
        ("numbers['a'] = 0", f"given = {NEW}.OrderedDict(); candidate(given); assert [*given] == ['a']", PASSED),
        ("return numbers.pop()", f"given = {NEW}.deque([1]); assert candidate(given) == 1 and not given", PASSED),
        ("raise StopIteration", "for one, other in zip(map(candidate, [1]), [1]): assert one == other", CRASHED),
        ("raise type('Own', (StopIteration,), {})", "assert all(map(candidate, [1]))", CRASHED),
        ("raise StopAsyncIteration", f"{CAUGHT} StopAsyncIteration: pass", CRASHED),
        (
            "class Own(ValueError): pass\n    raise Own('bad')",
            f"{CAUGHT} ValueError as why: assert str(why) == 'bad'",
            PASSED,
        ),
        ("__import__('json').loads('{')", f"{CAUGHT} ValueError as why: assert 'line 1 column 2' in str(why)", PASSED),
        (
            "b'\\xff'.decode()",
            f"{CAUGHT} UnicodeDecodeError as why: assert why.start == 0 and 'byte 0xff' in str(why)",
            PASSED,
        ),
        (
            "raise OSError(2, 'no', 'x')",
            f"{CAUGHT} FileNotFoundError as why: assert (why.errno, why.filename) == (2, 'x')",
            PASSED,
        ),
        ("raise KeyError(1, 2)", f"{CAUGHT} LookupError as why: assert why.args == (1, 2)", PASSED),
        ("raise ValueError(print)", f"{CAUGHT} ValueError as why: assert 'built-in' in str(why)", PASSED),
        ("raise ValueError('x' * (1 << 20))", f"{CAUGHT} ValueError as why: assert str(why) == 'x' * 300", PASSED),
        (
            "raise ExceptionGroup('both', [ValueError()])",
            f"{CAUGHT} Exception as why: assert 'both' in str(why)",
            PASSED,
        ),
        (f"{OWN_TEXT}; raise Own", f"{CAUGHT} UnicodeDecodeError: pass", PASSED),
        (
            "class Own(ValueError): __str__ = lambda _: 'own'\n    raise Own(1)",
            f"{CAUGHT} ValueError as why: assert str(why) == 'own'",
            PASSED,
        ),
        (f"class ValueError({OWN}): pass\n    raise ValueError", f"{CAUGHT} ValueError: pass", CRASHED),
        pytest.param(DEEP, "whole = candidate(500)\n    while whole: (whole,) = whole", PASSED, id="deep"),
        ("return numbers", "assert candidate(numbers=(1,)) == (1,) and doubled(2) == 2", PASSED),
        ("return len(numbers)", "assert candidate('x' * (1 << 22)) == 1 << 22", PASSED),
        ("return numbers is None", "assert candidate(None) is True", PASSED),
        ("return None", "assert abs(candidate(1)) < 1", WRONG),
        ("return None", "assert candidate(1), 'x' * 400", WRONG),
    ],
)
def test_what_a_test_may_do(body: str, test: str, verdict: ProgramVerdict) -> None:
    """Catch what the function raises, see what it did to its arguments, call it by its name."""
    prompt = "ONE, LIST = {}, []\ndef doubled(numbers):\n    'Any.'\n"
    with answering(f"{prompt}    {body}\n", "doubled") as line:
        found = run_tests(line, prompt, f"def check(candidate):\n    {test}\ncheck(doubled)\n", "doubled")
    assert found["verdict"] == verdict, found
    assert len(found["why"]) <= 300


BEGUN = "def doubled(n):\n    'Any.'\n"
CALLING_CHECK = "def check(candidate):\n    assert abs(candidate(2)) == 4\n\ncheck(doubled)"


@pytest.mark.parametrize(
    ("body", "verdict", "why"),
    [
        ("return 2 * n", PASSED, ""),
        ("return n", WRONG, "AssertionError: "),
        ("return None", WRONG, "TypeError: "),
        ("return 1 / 0", CRASHED, "ZeroDivisionError: "),
        ("return [", CRASHED, "SyntaxError: "),
        ("raise SystemExit", CRASHED, "SystemExit: "),
    ],
)
def test_tests_may_call_check_themselves(body: str, verdict: ProgramVerdict, why: str) -> None:
    with answering(f"{BEGUN}    {body}\n", "doubled") as line:
        found = run_tests(line, BEGUN, CALLING_CHECK, "doubled")
    assert (found["verdict"], found["why"][: len(why)]) == (verdict, why)


FUTURE = "from __future__ import annotations\n"
DOUBLED = "def doubled(n: Unknown):\n    return 2 * n\n"


@pytest.mark.parametrize(
    ("completion", "verdict"),
    [
        (FUTURE + DOUBLED, PASSED),
        (f'\n# Ours.\n"""What\nit is."""\n{FUTURE}from __future__ import (\n  division,\n)\n{DOUBLED}', PASSED),
        (f"r'''What it's.'''\n{FUTURE}{DOUBLED}", PASSED),
        (f'"""Say "hi" \\"""."""\n{FUTURE}{DOUBLED}', PASSED),
        (DOUBLED, CRASHED),
        (f"import math\n{FUTURE}{DOUBLED}", CRASHED),
        ("\n    # Twice.\n    return 2 * n\n", PASSED),
    ],
)
def test_what_a_program_imports_from_the_future_stands_before_its_start(
    completion: str, verdict: ProgramVerdict
) -> None:
    program = Program(BEGUN, completion, "assert doubled(2) == 4", "doubled")
    assert asyncio.run(judge(program, cast(Sandbox, Unconfined()))).verdict == verdict


def test_imports_from_the_future_stand_below_the_starts_own_docstring() -> None:
    start = f'"""Of two."""\n{FUTURE}\ndef doubled(n: Unknown):\n    "Any."\n'
    for completion in (FUTURE + DOUBLED, f'"""Of two."""\n{FUTURE}{DOUBLED}', "    return 2 * n\n", DOUBLED):
        program = Program(start, completion, "assert doubled(2) == 4", "doubled")
        assert asyncio.run(judge(program, cast(Sandbox, Unconfined()))) == Judgement(PASSED, "")


def test_calls_of_several_threads_get_their_own_answers() -> None:
    test = "from concurrent.futures import ThreadPoolExecutor\nwith ThreadPoolExecutor(8) as pool:\n"
    test += "    assert [*pool.map(doubled, range(300))] == [2 * n for n in range(300)]"
    with answering(BEGUN + "    return 2 * n\n", "doubled") as line:
        assert run_tests(line, BEGUN, test, "doubled")["verdict"] == PASSED


def test_what_an_exception_in_an_answer_holds_has_its_place_in_both_processes() -> None:
    """The answer was to be of a type whose parts the model's code gives: there it raises, and a test may go on."""
    program = BEGUN + "    if n: return kept\n    return Own()\nkept = [1]\nclass Own(list):\n"
    program += "    def __iter__(self): raise ValueError([2])"
    test = "try: doubled(0)\nexcept ValueError as raised: why = raised\n"
    test += "kept = doubled(1)\nkept.append(3)\nassert doubled(2) == [1, 3] and doubled(3) is kept"
    with answering(program, "doubled") as line:
        assert run_tests(line, BEGUN, test, "doubled")["verdict"] == PASSED


def test_what_the_tests_hold_no_more_is_forgotten_in_both_processes() -> None:
    """Else each of many calls would look through what all before it answered."""
    known = Known()
    first, second = [1], [[2]]
    packed((first, second), known)
    assert (len(known.values), known.unheld()) == (3, ())
    del first
    assert known.unheld() == (1,)
    known.forget(known.unheld())
    del second
    assert known.unheld() == (2,), "which holds the third"
    known.forget(known.unheld())
    known.forget(known.unheld())
    assert (known.values, known.places, known.count) == ({}, {}, 3)


@pytest.mark.parametrize(
    ("prompt", "test", "broken"),
    [
        (BEGUN, "assert (", "SyntaxError: '(' was never closed (test, line 1)"),
        ("def doubled(", "doubled(2)", "SyntaxError: '(' was never closed (prompt, line 1)"),
        (BEGUN, "checked = True", "they never call doubled"),
        (BEGUN, "def check(candidate):\n    assert candidate(2) == 5", "they never call doubled"),
        (BEGUN, "from math import *\ndef doubled(n): return 4\nassert doubled(2) == 4", "they never call doubled"),
        (BEGUN, "raise SystemExit(0)", "SystemExit: 0"),
        (BEGUN, "doubled(2)\nraise SystemExit(0)", "SystemExit: 0"),
        (BEGUN, f"import nowhere\n{CALLING_CHECK}", "ModuleNotFoundError: "),
        (BEGUN, "raise ValueError('x' * 400)", "ValueError: " + "x" * 288),
        (BEGUN, "doubled(print)", "builtin_function_or_method is no type of plain values"),
    ],
)
def test_what_is_broken_about_the_tests_is_told(prompt: str, test: str, broken: str) -> None:
    with answering(f"{BEGUN}    return n\n", "doubled") as line:
        found = run_tests(line, prompt, test, "doubled")
    assert found.keys() == {"broken"}
    assert found["broken"].startswith(broken)
    assert len(found["broken"]) <= 300


def test_what_an_exception_is_made_of_crosses_where_it_is_shorter_than_half_an_answer() -> None:
    """A tuple of one text of so many letters is 24 bytes longer than these."""
    most = LONGEST // 2 - 25
    assert told(ValueError("x" * most))["made_of"] == ("x" * most,)
    longer = told(ValueError("x" * (most + 1)))
    assert (longer["made_of"], longer["why"]) == (("x" * 300,), "ValueError: " + "x" * 288)


@pytest.mark.parametrize("name", ["Nobody", "print", "SystemExit", "ExceptionGroup"])
def test_what_names_no_exception_or_cannot_be_made_of_this_is_an_exception_and_no_more(name: str) -> None:
    made = made_anew(name, ("no", 1))
    assert (type(made), made.args) == (Exception, ("no", 1))


def test_where_nothing_has_imported_collections_no_value_is_of_its_types(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "collections")
    assert packed({"a": 1}) == b"dict 14:str 1:aint 1:1"
    with pytest.raises(NotPlain, match="object is no type of plain values"):
        packed(object())


WHOLE = {"value": 2, "changes": ()}


RAISED = {"raised": "KeyError", "made_of": (), "why": "no", "is_refused": False, "is_ordinary": True, "changes": ()}


@pytest.mark.parametrize(
    ("forged", "verdict", "why"),
    [
        (packed(WHOLE), PASSED, ""),
        (packed(WHOLE | {"changes": ((9, ()),)}), REFUSED, "its answer is no plain value: KeyError(9)"),
        (packed(WHOLE | {"changes": ((2, 1),)}), REFUSED, "its answer is no plain value: TypeError"),
        (packed({"value": 2}), REFUSED, "its answer is no plain value: KeyError('changes')"),
        (packed({"changes": ()}), REFUSED, "its answer is no plain value: KeyError('value')"),
        (packed(2), REFUSED, "its answer is no plain value: "),
        (packed(WHOLE) * 2, REFUSED, "its answer is no plain value: "),
        (packed(RAISED | {"made_of": 1}), REFUSED, "its answer is no plain value: TypeError"),
        (
            packed(RAISED | {"raised": "SystemExit", "why": "x" * 400}),
            CRASHED,
            "x" * 300,
        ),
        (packed(RAISED | {"raised": "print", "is_refused": True}), REFUSED, "no"),
        (packed(RAISED | {"raised": "Nobody"}), CRASHED, "no"),
        (b"str 400:" + b"\xff" * 400, REFUSED, "its answer is no plain value: UnicodeDecodeError("),
        (packed(RAISED | {"is_ordinary": 1}), CRASHED, "no"),
        (b"", CRASHED, "its process ended"),
        (b"x" * LONGEST, REFUSED, "its answer is no plain value: "),
        (b"x" * (LONGEST + 1), REFUSED, f"its answer is longer than {LONGEST} bytes"),
    ],
)
def test_whatever_is_answered_makes_a_verdict(forged: bytes, verdict: ProgramVerdict, why: str) -> None:
    """Where the model's code has written it itself."""
    here, there = socket.socketpair()
    line, its = Line(here.detach()), Line(there.detach())

    def write() -> None:
        its.say(packed({"value": None, "changes": ()}))
        its.hear()
        its.say(forged)
        its.close()

    writing = threading.Thread(target=write)
    writing.start()
    test = "try: assert doubled(1) == 2\nexcept KeyError: raise ValueError from None\n"
    found = run_tests(line, "def doubled(n):\n    'Any.'\n", test, "doubled")
    line.close()
    writing.join(10)
    assert (found["verdict"], found["why"][: len(why)]) == (verdict, why)
    assert len(found["why"]) <= 300
