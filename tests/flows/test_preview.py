"""How much of a round its preview tries."""

import pytest

from flows.preview import parts, usual_handful


@pytest.mark.parametrize(("questions", "tried"), [(5000, 32), (64, 32), (63, 31), (10, 5), (3, 2), (1, 2)])
def test_a_small_round_is_tried_by_half(questions: int, tried: int) -> None:
    assert usual_handful(questions) == tried


@pytest.mark.parametrize(
    ("questions", "tried", "expected"),
    [(5000, 32, 157), (127, 32, 4), (95, 32, 3), (64, 32, 2), (60, 40, 2), (60, 60, 1), (3, 2, 2), (1, 2, 1)],
)
def test_as_many_are_tried_at_most_and_half_of_a_round(questions: int, tried: int, expected: int) -> None:
    assert parts(questions, tried) == expected
    assert -(-questions // expected) <= tried
