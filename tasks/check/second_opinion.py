"""What another checker says of answers: math-verify as it comes, which shares this one's parser and not its rules.

For reports only. A reward rests on `Checker` alone: one that mixed two would be right by neither's rules.
"""

import multiprocessing
import resource
from collections.abc import Iterable
from concurrent.futures import Future
from enum import StrEnum
from itertools import islice

from pebble import ProcessPool

from tasks.check.pool import MEMORY, Pair

TIMEOUT = 20.0
"""Seconds by the clock for one pair, after which its worker is killed: math-verify gives itself 5 to read each answer
and 5 to compare them, and C code does not listen."""
AT_ONCE = 1_000
"""Pairs that wait in the pool, which looks at all of them again and again."""


class Opinion(StrEnum):
    RIGHT = "right"
    WRONG = "wrong"
    UNREAD = "unread"
    """It finds no mathematics in the gold answer or in the other, and they are not the same text."""
    UNDECIDED = "undecided"
    """It failed, or took too long."""


def second_opinions(pairs: Iterable[Pair]) -> list[Opinion]:
    """Of (gold, answer) pairs, in their order, each in a process that can be killed: one a core.

    The gold answer is put as math-verify documents it, in dollars; the other one in the box that it stood in.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["math_verify"])
    memory = resource.RLIMIT_AS, (MEMORY, MEMORY)  # a power tower fails in its worker and not on the machine
    opinions: list[Opinion] = []
    rest = iter(pairs)
    with ProcessPool(
        multiprocessing.cpu_count(), initializer=resource.setrlimit, initargs=memory, context=context
    ) as pool:
        while some := list(islice(rest, AT_ONCE)):
            asked = [pool.schedule(opinion, pair, timeout=TIMEOUT) for pair in some]
            opinions += [_told(one) for one in asked]
    return opinions


def opinion(gold: str, answer: str) -> Opinion:
    """Of one pair, in the main thread of its process: math-verify keeps its time by a signal."""
    from math_verify import parse, verify
    from math_verify.errors import TimeoutException

    try:
        right, given = parse(f"${gold}$", raise_on_error=True), parse(rf"\boxed{{{answer}}}", raise_on_error=True)
        if verify(right, given, raise_on_error=True):
            return Opinion.RIGHT
    except (Exception, TimeoutException):
        return Opinion.UNDECIDED
    is_read = all(any(not isinstance(one, str) for one in parsed) for parsed in (right, given))
    return Opinion.WRONG if is_read else Opinion.UNREAD


def _told(asked: "Future[Opinion]") -> Opinion:
    return Opinion.UNDECIDED if asked.exception() else asked.result()
