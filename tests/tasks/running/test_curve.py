"""The picture of a training run's loss."""

import re

from tasks.running.curve import curve_svg


def test_a_curve_has_its_ends_and_no_more_points_than_pixels() -> None:
    short = curve_svg([(1, 2.0), (2, 1.0), (3, 0.5)])
    assert re.search('points="([^"]*)"', short)[1].split() == ["40.0,40.0", "320.0,146.7", "600.0,200.0"]  # type: ignore[index]
    long = re.search('points="([^"]*)"', curve_svg([(n, 1 / n) for n in range(1, 100_001)]))[1].split()  # type: ignore[index]
    assert (long[0], long[-1]) == ("40.0,40.0", "600.0,200.0")
    assert 500 <= len(long) <= 600
