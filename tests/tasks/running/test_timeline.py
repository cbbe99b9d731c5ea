"""How a stage's work went on: a few points, evenly spread, whose first and last are those of the work."""

import pytest

from tasks.running.timeline import MOST, Timeline


class Clock:
    now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("tasks.running.timeline.time", clock)
    return clock


def test_few_points_are_all_kept_each_series_by_itself(clock: Clock) -> None:
    timeline = Timeline()
    for done in range(3):
        timeline.add("parts", done=done)
        clock.now += 0.25
    timeline.add("engine", tokens=7.0, requests=2.0)
    assert timeline.series == {
        "parts": {"at": [0.0, 0.25, 0.5], "done": [0, 1, 2]},
        "engine": {"at": [0.75], "tokens": [7.0], "requests": [2.0]},
    }
    assert timeline.seconds == 0.75


@pytest.mark.parametrize("count", [MOST, MOST + 1, 3 * MOST, 20_000])
def test_however_many_there_were_some_hundreds_are_left_from_the_first_to_the_newest(clock: Clock, count: int) -> None:
    timeline = Timeline()
    for number in range(count):
        clock.now = 100.0 + 2.0 * number
        timeline.add("parts", done=number)
        points = timeline.series["parts"]
        assert len(points["at"]) == len(points["done"]) <= MOST
        assert points["done"][-1] == number
    assert points["at"] == [2.0 * done for done in points["done"]]
    assert points["at"][0] == 0.0
    assert len(points["at"]) > MOST / 3
    steps = [after - before for before, after in zip(points["at"], points["at"][1:-1], strict=False)]
    assert max(steps) <= 4 * min(steps)
