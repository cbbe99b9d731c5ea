"""Forecasts against cases worked out by hand, and their intervals against rounds whose whole is known."""

import math
import random

import pytest

from tasks.preview.forecast import Estimate, Questions, Work, said, side_by_side, table, update_seconds, whole


def test_a_handful_stands_for_the_round() -> None:
    """Of 4 questions two took 2 and 4: variance 2, Student's t of one degree 12.706."""
    found = Questions([2.0, 4.0], count=4).all
    assert found.mean == 12.0
    assert found.error == pytest.approx(12.7062 * math.sqrt(2 / 2 * (1 - 2 / 4)) * 4, rel=1e-4)


def test_who_saw_all_questions_knows_and_who_saw_one_does_not() -> None:
    assert Questions([2.0, 4.0], count=2).all == Estimate(6.0, 0.0)
    assert Questions([5.0], count=10).all == Estimate(50.0, math.inf)
    assert Questions([], count=0).all == Estimate(0.0, 0.0)


@pytest.mark.parametrize(("handful", "count"), [(8, 20), (16, 400)])
def test_nineteen_of_twenty_intervals_hold_the_whole(handful: int, count: int) -> None:
    drawn = random.Random(7)
    hits = 0
    for _ in range(1000):
        round = [drawn.gauss(100, 30) for _ in range(count)]
        found = Questions(round[:handful], count).all
        hits += abs(found.mean - sum(round)) <= found.error
    assert 0.93 <= hits / 1000 <= 0.97


def test_seconds_are_the_start_and_units_at_their_pace() -> None:
    work = Work("trees", 10.0, [Questions([100.0, 100.0], 30), Questions([50.0, 50.0], 20)], pace=40.0, unit="tokens")
    assert work.units == Estimate(4000.0, 0.0)
    assert work.seconds == Estimate(110.0, 0.0)
    assert Work("base", 3.0).seconds == Estimate(3.0, 0.0)
    assert Work("three models", 5.0, [Questions([10.0], 1)], pace=2.0, times=3.0).seconds == Estimate(20.0, 0.0)


def fixed(stage: str, seconds: float, after: str = "") -> Work:
    return Work(stage, seconds, after=after)


def test_trainings_side_by_side_wait_for_what_they_start_from() -> None:
    works = [fixed("value", 40), fixed("sft", 20), fixed("apo", 10, "sft"), fixed("dpo", 10, "sft")]
    assert side_by_side(works, at_once=1) == 80
    assert side_by_side(works, at_once=2) == 40  # value beside all the others
    assert side_by_side(works[1:], at_once=3) == 30  # two wait for the first, whatever is free
    assert side_by_side([], at_once=2) == 0


def test_the_whole_is_what_goes_in_turn_and_what_takes_longest_beside() -> None:
    trainings = [fixed("value", 40), fixed("sft", 20)]
    assert whole([fixed("base", 5), fixed("trees", 15)], trainings, at_once=2) == Estimate(60.0, 0.0)
    assert whole([fixed("base", 5)], [], at_once=1) == Estimate(5.0, 0.0)
    unsure = Work("sft", 0.0, [Questions([1.0, 3.0], 10)])
    assert whole([], [unsure, unsure], at_once=2).error == pytest.approx(unsure.seconds.error)


def test_updates_go_at_the_pace_after_the_first() -> None:
    lines = [{"update": 1, "seconds": 9.0}, {"update": 2, "seconds": 10.0}, {"update": 5, "seconds": 13.0}]
    assert update_seconds(lines) == 5.0
    assert update_seconds(lines[:1]) == 9.0


def test_the_table_says_what_it_knows() -> None:
    lines = list(table([Work("trees", 1.0, [Questions([2.0, 4.0], 4)], pace=0.5, unit="tokens"), fixed("base", 3)]))
    assert lines[2] == "| trees | 3 tokens | 12 (0 to 47.9) | 25 (0 to 96.9) |"
    assert lines[3] == "| base |  |  | 3 |"
    assert said(Estimate(1234.0, 234.0)) == "1,234 (1,000 to 1,468)"
    assert said(Estimate(5.0, math.inf)) == "5 (too few questions for an interval)"
    assert said(Estimate(0.253, 0.1)) == "0.25 (0.15 to 0.35)"
