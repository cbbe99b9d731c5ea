"""Runs in two sandboxes: a model's functions in one, the benchmark's tests in the other; only plain values cross.

The process of the model's code knows no test and holds no verdict, so nothing that it does there can forge one: it
answers calls. What it answers becomes values of Python's own types here, so that a class with an `__eq__` of its own
never reaches a test. `programs.py` gives this text to the interpreter. It imports nothing that takes time: a program
is two interpreters' starts, of 10 ms each, and `json` takes 12 more.
"""

from __future__ import annotations

import builtins
import os
import sys

TYPE_CHECKING = False  # that of `typing`, whose import takes longer than all the rest
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

LONGEST = 1 << 20
"""Bytes of an answer to one call."""
FOREIGN = (OSError, MemoryError)
"""What a program gets where it asks for files, processes, a network or more memory."""


class NotPlain(TypeError):
    """A value that is no number, text, container of such, or iterator over such."""


class Gone(BaseException):
    """The process of the model's code gives no answer any more; no test catches it."""


def packed(value: Any) -> bytes:
    """A value as `kind length:content`, where the content of a container is its parts in the same way.

    What derives from a type of Python's is taken for one: a Counter crosses as a dict.

    Raises:
        NotPlain: the value is of another type.
    """
    kind, content = _taken_apart(value)
    return b"%s %d:%s" % (kind.encode(), len(content), content)


def _taken_apart(value: Any) -> tuple[str, bytes]:
    if value is None or value is True or value is False:
        return repr(value), b""
    if isinstance(value, int):
        return "int", int.__format__(value, "x").encode()  # in decimals, Python refuses long ones
    if isinstance(value, float):
        return "float", float.__repr__(value).encode()
    if isinstance(value, str):
        return "str", str.encode(value, "utf-8", "surrogatepass")
    if isinstance(value, bytes | bytearray):
        return "bytes", bytes(value)
    for kind in (list, tuple, set, frozenset):
        if isinstance(value, kind):
            return kind.__name__, b"".join(map(packed, value))
    if isinstance(value, dict):
        return "dict", b"".join(map(packed, dict.items(value)))
    if isinstance(value, range):
        return "range", b"".join(map(packed, (value.start, value.stop, value.step)))
    if isinstance(value, complex):
        return "complex", complex.__repr__(value).encode()
    if hasattr(type(value), "__next__"):
        return "iterator", b"".join(map(packed, value))
    if type(value).__module__ in ("decimal", "fractions"):
        return type(value).__name__, str(value).encode()
    raise NotPlain(f"{type(value).__name__} is no type of plain values")


def _of(module: str, name: str) -> Callable[[bytes], Any]:
    """A type from a module that few programs need."""
    return lambda content: getattr(__import__(module), name)(content.decode())


MADE: dict[bytes, Callable[[bytes], Any]] = {
    b"None": lambda _: None,
    b"True": lambda _: True,
    b"False": lambda _: False,
    b"int": lambda content: int(content, 16),
    b"float": float,
    b"str": lambda content: content.decode("utf-8", "surrogatepass"),
    b"bytes": bytes,
    b"list": lambda content: list(parts(content)),
    b"tuple": lambda content: tuple(parts(content)),
    b"set": lambda content: set(parts(content)),
    b"frozenset": lambda content: frozenset(parts(content)),
    b"dict": lambda content: dict(parts(content)),
    b"range": lambda content: range(*parts(content)),
    b"complex": lambda content: complex(content.decode()),
    b"iterator": lambda content: iter(list(parts(content))),
    b"Fraction": _of("fractions", "Fraction"),
    b"Decimal": _of("decimal", "Decimal"),
}


def parts(content: bytes) -> Iterator[Any]:
    """The values that stand in a row, whoever wrote them: of Python's own types and no others.

    Raises:
        ValueError, TypeError, KeyError and the like: nobody's `packed` wrote this.
    """
    start = 0
    while start < len(content):
        colon = content.index(b":", start)
        kind, length = content[start:colon].split(b" ")
        start = colon + 1 + int(length)
        yield MADE[kind](content[colon + 1 : start])


def put_back(given: Any, left: Any) -> None:
    """Makes an argument what the call left of it: functions may change the lists, sets and dicts that they get."""
    if type(given) is type(left) is list:
        given[:] = left
    elif type(given) is type(left) and type(given) in (dict, set):
        given.clear()
        given.update(left)


class Line:
    """Messages to the process at the other end of a socket: 8 bytes of length and so many bytes."""

    def __init__(self, descriptor: int) -> None:
        self._incoming = open(descriptor, "rb")  # noqa: SIM115
        self._outgoing = open(os.dup(descriptor), "wb", buffering=0)  # noqa: SIM115

    def say(self, said: bytes) -> None:
        """Says it, to nobody where the other end is gone: what is heard then says so."""
        rest = memoryview(len(said).to_bytes(8, "big") + said)
        try:
            while rest:
                rest = rest[self._outgoing.write(rest) :]
        except ConnectionError:
            pass

    def hear(self) -> bytes | None:
        """What the other end said. None where it is gone.

        Raises:
            OverflowError: it says more than `LONGEST`.
        """
        try:
            length = self._incoming.read(8)
            if int.from_bytes(length, "big") > LONGEST:
                raise OverflowError(f"its answer is longer than {LONGEST} bytes")
            said = self._incoming.read(int.from_bytes(length, "big"))
        except ConnectionError:
            return None
        return said or None

    def close(self) -> None:
        self._incoming.close()
        self._outgoing.close()


def told(problem: BaseException) -> dict[str, Any]:
    """An exception of the model's code for the tests' process. `is_ordinary`: a test may catch it."""
    name = type(problem).__name__
    return {
        "raised": name,
        "why": f"{name}: {problem}"[:300],
        "is_refused": isinstance(problem, (*FOREIGN, NotPlain)),
        "is_ordinary": isinstance(problem, Exception) and not isinstance(problem, NotPlain),
    }


def answer_calls(line: Line, program: str, entry_point: str) -> None:
    """In the process of the model's code: runs the program, then its function with what comes, until nothing comes."""
    try:
        namespace: dict[str, Any] = {"__name__": "program"}
        exec(compile(program, "program", "exec"), namespace)
        function = namespace[entry_point]
        line.say(packed({}))
    except BaseException as problem:
        line.say(packed(told(problem)))
        return
    while asked := line.hear():
        arguments, named = parts(asked)
        try:
            value = function(*arguments, **named)
            said = packed({"value": value, "left": arguments})
        except BaseException as problem:
            said = packed(told(problem))
        line.say(said)


class Called:
    """In the tests' process: the function of the model, as the tests call it."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self.end: dict[str, str] | None = None
        """The verdict, once the model's code gives no answer any more."""
        self.raised: tuple[Exception | None, dict[str, str]] = None, {}
        """What the function raised last, and the verdict where no test catches it."""

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        asked = packed(arguments)
        self._line.say(asked + packed(named))
        answer = self.heard()
        try:
            value, left = answer["value"], answer["left"]
            if packed(left) != asked:
                for given, found in zip(arguments, left, strict=True):
                    put_back(given, found)
        except Exception as problem:
            raise self._gone("refused", f"it answers another question: {problem!r}") from None
        return value

    def heard(self) -> dict[str, Any]:
        """The answer to a call. Raises what the function raised."""
        if self.end is not None:
            raise Gone
        try:
            said = self._line.hear()
            if said is None:
                raise self._gone("crashed", "its process ended")
            (answer,) = parts(said)
            if "raised" not in answer:
                return dict(answer)
            name, why = str(answer["raised"]), str(answer["why"])
            verdict, is_ordinary = "refused" if answer["is_refused"] else "crashed", answer["is_ordinary"] is True
        except OverflowError as problem:
            raise self._gone("refused", str(problem)) from None
        except Exception as problem:
            raise self._gone("refused", f"its answer is no plain value: {problem!r}") from None
        if not is_ordinary:
            raise self._gone(verdict, why)
        kind = getattr(builtins, name, Exception)
        is_known = isinstance(kind, type) and issubclass(kind, Exception)
        raised = kind(why) if is_known else Exception(why)
        self.raised = raised, {"verdict": verdict, "why": why[:300]}
        raise raised

    def _gone(self, verdict: str, why: str) -> Gone:
        self.end = {"verdict": verdict, "why": why[:300]}
        return Gone()


def run_tests(line: Line, prompt: str, test: str, entry_point: str) -> dict[str, str]:
    """In the tests' process: the verdict on the model's function and why, or what is `broken` about the tests.

    The tests find what the prompt defines beside the function (HumanEval/32, /38 and /50 call such helpers), as the
    benchmark wrote it and not as the model may have changed it.
    """
    called = Called(line)
    try:
        namespace: dict[str, Any] = {"__name__": "tests"}
        exec(compile(prompt, "prompt", "exec"), namespace)
        namespace[entry_point] = called
        exec(compile(test, "test", "exec"), namespace)
        check = namespace["check"]
    except Exception as problem:
        return {"broken": repr(problem)[:300]}
    try:
        called.heard()
        check(called)
    except NotPlain as problem:
        return {"broken": str(problem)}
    except BaseException as problem:
        raised, verdict = called.raised
        if called.end is None and problem is raised:
            return verdict
        return called.end or {"verdict": "wrong", "why": f"{type(problem).__name__}: {problem}"[:300]}
    return called.end or {"verdict": "passed", "why": ""}


def main(role: str, *texts: str) -> None:
    *given, descriptor = texts
    line = Line(int(descriptor))
    if role == "program":
        answer_calls(line, *given)
    else:
        print("\n" + packed(run_tests(line, *given)).hex(), flush=True)
    os._exit(0)  # nothing is printed after the verdict


if __name__ == "__main__":
    main(*sys.argv[1:])
