"""What `make bench-training` says of its turns, on numbers that are plain to see."""

from typing import Any

import pytest

from tests.bench.training import compared, is_met


def turn(**updates: int) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {
        "ours": {"seconds": 2.0, "cpu_seconds": 4.0, "peak_mib": 100.0},
        "dpo": {"seconds": 20.0, "cpu_seconds": 30.0, "peak_mib": 500.0},
        "dpo_precomputed": {"seconds": 6.0, "cpu_seconds": 8.0, "peak_mib": 400.0},
    }
    return {rival: one | {"updates": updates.get(rival, 5)} for rival, one in found.items()}


def test_ours_is_compared_with_the_faster_baseline() -> None:
    found = compared([turn(), turn()])
    assert found["baseline"] == "precompute_ref_log_probs"
    assert found["pairs_per_s_vs_dpo"] == 3.0
    assert found["cpu_vs_dpo"] == 2.0
    assert found["peak_memory_vs_dpo"] == 0.25
    assert set(found["spread"].values()) == {0.0}


def test_rivals_that_did_not_do_the_same_work_are_not_compared() -> None:
    with pytest.raises(RuntimeError, match="different numbers of updates"):
        compared([turn(), turn(ours=4)])


def test_speed_is_to_reach_its_aim_and_the_others_are_to_stay_below() -> None:
    assert is_met("pairs_per_s_vs_dpo", 4.1, 4.0)
    assert not is_met("pairs_per_s_vs_dpo", 3.9, 4.0)
    for what in ("peak_memory_vs_dpo", "max_relative_difference"):
        assert is_met(what, 0.4, 0.5)
        assert not is_met(what, 0.6, 0.5)
