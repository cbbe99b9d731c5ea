"""What math-verify says of answers, and what it costs when it does not answer."""

import time

import pytest

from tasks.check import second_opinion
from tasks.check.second_opinion import Opinion, second_opinions

PAIRS = {
    ("5", "5.0"): Opinion.RIGHT,
    (r"\frac{1}{2}", "0.5"): Opinion.RIGHT,
    ("5", "6"): Opinion.WRONG,
    (r"\text{B,E}", "E, B"): Opinion.WRONG,  # right by the conventions of this project
    ("-37_8", "-37_{10}"): Opinion.RIGHT,  # wrong by them
    ("5", ""): Opinion.UNREAD,
}


def for_ever(gold: str, answer: str) -> Opinion:
    time.sleep(100)
    raise AssertionError


def test_a_second_opinion_follows_its_own_rules_and_one_that_hangs_costs_its_own_pair(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert second_opinions(PAIRS, workers=1) == [*PAIRS.values()]
    monkeypatch.setattr(second_opinion, "TIMEOUT", 0.2)
    monkeypatch.setattr(second_opinion, "AT_ONCE", 1)
    monkeypatch.setattr(second_opinion, "opinion", for_ever)
    assert second_opinions([("5", "5")] * 2, workers=1) == [Opinion.UNDECIDED] * 2
    assert second_opinions([]) == []
