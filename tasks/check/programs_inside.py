"""Runs in two sandboxes: a model's functions in one, the benchmark's tests in the other; only plain values cross.

The process of the model's code knows no test and holds no verdict, so nothing that it does there can forge one: it
answers calls, a line of JSON each. Here, a value becomes what Python's own types make of it. A model's class with an
`__eq__` of its own never reaches a test. Standard library only; `programs.py` gives this text to the interpreter.
"""

from __future__ import annotations

import builtins
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress

TYPE_CHECKING = False  # that of `typing`, whose import takes as long as all the rest
if TYPE_CHECKING:
    from typing import Any

LONGEST = 1 << 20
"""Bytes of an answer to one call."""
FOREIGN = (OSError, MemoryError)
"""What a program gets where it asks for files, processes, a network or more memory."""
KINDS: dict[str, Callable[[list[Any]], Any]] = {
    "list": list,
    "tuple": tuple,
    "set": set,
    "frozenset": frozenset,
    "iterator": iter,
    "dict": dict,
    "bytes": bytes,
    "complex": lambda parts: complex(*parts),
    "range": lambda parts: range(*parts),
    "Fraction": lambda parts: _of("fractions").Fraction(*parts),
    "Decimal": lambda parts: _of("decimal").Decimal(*parts),
}


def _of(name: str) -> Any:
    """A module that few need and that takes long to import."""
    return __import__(name)


class NotPlain(TypeError):
    """A value that is no number, text, container of such, or iterator over such."""


class Gone(BaseException):
    """The process of the model's code gives no answer any more; no test catches it."""


def packed(value: Any) -> Any:
    """A value as JSON: numbers and text as they are, all else as [kind, part, …]. What derives from a type of Python's
    is taken for one: a Counter crosses as a dict.

    Raises:
        NotPlain: the value is of another type.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple | set | frozenset):
        kind = next(kind for kind in (list, tuple, set, frozenset) if isinstance(value, kind))
        return [kind.__name__, *map(packed, value)]
    if isinstance(value, dict):
        return ["dict", *(["tuple", packed(key), packed(part)] for key, part in value.items())]
    if isinstance(value, bytes | bytearray):
        return ["bytes", *value]
    if isinstance(value, complex):
        return ["complex", value.real, value.imag]
    if isinstance(value, range):
        return ["range", value.start, value.stop, value.step]
    if isinstance(value, Iterator):
        return ["iterator", *map(packed, value)]
    if type(value).__module__ == "fractions":
        return ["Fraction", value.numerator, value.denominator]
    if type(value).__module__ == "decimal":
        return ["Decimal", str(value)]
    raise NotPlain(f"{type(value).__name__} is no type of plain values")


def unpacked(written: Any) -> Any:
    """The value that `packed` wrote, whoever wrote it: of Python's own types and no others.

    Raises:
        ValueError, TypeError, KeyError and the like: nobody's `packed` wrote this.
    """
    if not isinstance(written, list):
        return written
    kind, *parts = written
    return KINDS[kind]([unpacked(part) for part in parts])


def put_back(given: Any, left: Any) -> None:
    """Makes an argument what the call left of it: functions may change the lists, sets and dicts that they get."""
    if type(given) is type(left) is list:
        given[:] = left
    elif type(given) is type(left) and type(given) in (dict, set):
        given.clear()
        given.update(left)


class Line:
    """JSON, line by line, to the process at the other end of a socket. Who speaks to nobody hears nothing."""

    def __init__(self, descriptor: int) -> None:
        self._incoming = open(descriptor, "rb")  # noqa: SIM115
        self._outgoing = open(os.dup(descriptor), "wb")  # noqa: SIM115

    def say(self, said: Any) -> None:
        with suppress(ConnectionError):
            self._outgoing.write(json.dumps(said).encode() + b"\n")
            self._outgoing.flush()

    def hear(self) -> bytes:
        """What came, with its newline; without one where the other end fell silent or says more than `LONGEST`."""
        with suppress(ConnectionError):
            return self._incoming.readline(LONGEST)
        return b""

    def close(self) -> None:
        with suppress(ConnectionError):
            self._outgoing.close()
        self._incoming.close()


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
        line.say({})
    except BaseException as problem:
        line.say(told(problem))
        return
    while asked := line.hear():
        arguments, named = unpacked(json.loads(asked))
        try:
            value = packed(function(*arguments, **named))
            said = {"value": value, "left": packed(arguments)}
        except BaseException as problem:
            said = told(problem)
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
        self._line.say(["tuple", asked, packed(named)])
        heard = self.heard()
        try:
            if heard["left"] != asked:
                for given, left in zip(arguments, unpacked(heard["left"]), strict=True):
                    put_back(given, left)
            return unpacked(heard["value"])
        except Exception as problem:
            raise self._gone("refused", f"its answer is no plain value: {problem!r}"[:300]) from None

    def heard(self) -> dict[str, Any]:
        """The answer to a call. Raises what the function raised."""
        if self.end is not None:
            raise Gone
        text = self._line.hear()
        if not text.endswith(b"\n"):
            if len(text) == LONGEST:
                raise self._gone("refused", f"its answer is longer than {LONGEST} bytes")
            raise self._gone("crashed", "its process ended")
        try:
            heard = json.loads(text)
            if "raised" not in heard:
                return dict(heard)
            name, why = str(heard["raised"]), str(heard["why"])
            verdict, is_ordinary = "refused" if heard["is_refused"] else "crashed", heard["is_ordinary"] is True
        except Exception as problem:
            raise self._gone("refused", f"its answer is none: {problem!r}"[:300]) from None
        if not is_ordinary:
            raise self._gone(verdict, why)
        kind = getattr(builtins, name, Exception)
        is_known = isinstance(kind, type) and issubclass(kind, Exception)
        raised = kind(why) if is_known else Exception(why)
        self.raised = raised, {"verdict": verdict, "why": why}
        raise raised

    def _gone(self, verdict: str, why: str) -> Gone:
        self.end = {"verdict": verdict, "why": why}
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
        return {"broken": repr(problem)}
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
        verdict = json.dumps(run_tests(line, *given))
        print(f"\n{verdict}", flush=True)
        os._exit(0)  # nothing is printed after the verdict


if __name__ == "__main__":
    main(*sys.argv[1:])
