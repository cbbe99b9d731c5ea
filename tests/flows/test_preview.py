"""How much of a round its preview tries."""

import pytest

from flows.preview import usual_handful


@pytest.mark.parametrize(("questions", "tried"), [(5000, 32), (64, 32), (63, 31), (10, 5), (3, 2), (1, 2)])
def test_a_small_round_is_tried_by_half(questions: int, tried: int) -> None:
    assert usual_handful(questions) == tried
