"""How long is left, as `cpl round` says it."""

from infra.follow import remaining


def test_what_is_left_goes_by_the_pace_since_the_bar_was_first_seen() -> None:
    assert remaining(0, 20, 10, 40) == ", about 30 s left"
    assert remaining(0, 0, 100, 10) == ", about 15 minutes left"
    assert remaining(0, 0, 10, 100) == ", about 0 s left"


def test_without_a_pace_nothing_is_promised() -> None:
    assert remaining(0, 20, 0, 20) == ""
    assert remaining(0, 20, 10, 20) == ""
