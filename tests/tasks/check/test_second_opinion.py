"""What math-verify says of answers, and what it costs when it does not answer."""

import multiprocessing
import os
import resource
import time
from collections.abc import Iterator

import pytest

from tasks.check import second_opinion
from tasks.check.pool import MEMORY, Pair
from tasks.check.second_opinion import Opinion, opinion, second_opinions

LONG = "1" * 5_000
"""Digits that sympy's parser refuses."""
PAIRS = {
    ("5", "5.0"): Opinion.RIGHT,
    (r"\frac{1}{2}", "0.5"): Opinion.RIGHT,
    ("5", "6"): Opinion.WRONG,
    (r"\text{B,E}", "E, B"): Opinion.WRONG,  # right by the conventions of this project
    ("-37_8", "-37_{10}"): Opinion.RIGHT,  # wrong by them
    ("5", ""): Opinion.UNREAD,
    ("5", LONG): Opinion.UNREAD,
    ("5", f"x = {LONG}"): Opinion.UNDECIDED,
    (LONG, "5"): Opinion.UNDECIDED,
    (r"\frac{1}{0}", "5"): Opinion.UNDECIDED,
}


def test_a_second_opinion_follows_its_own_rules() -> None:
    assert {pair: opinion(*pair) for pair in PAIRS} == PAIRS


def test_it_is_asked_in_a_process_a_core_of_limited_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(multiprocessing, "cpu_count", lambda: 1)
    assert second_opinions([("5", "5.0"), ("5", "6")]) == [Opinion.RIGHT, Opinion.WRONG]
    monkeypatch.setattr(second_opinion, "opinion", where)
    first, second = map(str, second_opinions([("5", "5")] * 2))
    memory, process, parent = first.split()
    assert int(memory) == MEMORY
    assert str(os.getpid()) not in (process, parent), "a fork of this one would lack its threads"
    assert second == first


def where(gold: str, answer: str) -> str:
    """What memory an opinion may take, its process, which so is busy for a while, and that one's parent."""
    time.sleep(0.2)
    return f"{resource.getrlimit(resource.RLIMIT_AS)[0]} {os.getpid()} {os.getppid()}"


def test_one_that_hangs_costs_its_own_pair(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(second_opinion, "TIMEOUT", 0.2)
    monkeypatch.setattr(second_opinion, "AT_ONCE", 1)
    monkeypatch.setattr(second_opinion, "opinion", for_ever)
    taken = []

    def pairs() -> Iterator[Pair]:
        for _ in range(2):
            taken.append(time.monotonic())
            yield "5", "5"

    assert second_opinions(pairs()) == [Opinion.UNDECIDED] * 2
    assert taken[1] - taken[0] >= 0.2, "no more of them wait than may be asked at once"
    assert second_opinions([]) == []


def for_ever(gold: str, answer: str) -> Opinion:
    time.sleep(100)
    raise AssertionError
