"""A few random crashes of a round, their seed printed; `make chaos` plays hundreds, and those that need the stack."""

import random
from pathlib import Path

import pytest

from tests.chaos.crashes import FAULTS, Place, compared, drawn, play
from tests.chaos.published import rows

CRASHES = 2


@pytest.mark.integration
@pytest.mark.timeout(300)
def test_a_round_that_crashes_at_random_publishes_what_another_does(weed: dict[str, str], tmp_path: Path) -> None:
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")
    with Place(tmp_path, weed).open() as place:
        play(place, 0, [])
        reference = rows(place.store, "crash-0")
        assert all(reference[table] for table in ("trees", "nodes", "preferences", "imitations", "evaluation_samples"))
        faults = {kind: often for kind, often in FAULTS.items() if kind != "kill store"}  # other tests use it, too
        planned = drawn(random.Random(seed), place.watched.calls, CRASHES, faults)
        crashes = play(place, 1, planned)
        assert crashes or {fault.kind for fault in planned} == {"kill engine"}, "one that does not run yet dies of none"
        assert compared(place, 1, reference) == []
