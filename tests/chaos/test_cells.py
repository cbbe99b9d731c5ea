"""Which faults hit which stages, and what is found where a round differs."""

from itertools import islice
from typing import Any

from tests.chaos.cells import ALONE, FAULTS, ROWS, SHARDED, SLOTS, TWO_RUNS, Cell, Pace, is_there, rounds
from tests.chaos.published import differences
from tests.chaos.report import report
from tests.chaos.table import table

PACES = dict.fromkeys((*SLOTS, *SHARDED), Pace(calls=8, seconds=5.0))


def planned(seed: int, count: int, only: tuple[str, str] = ("", "")) -> list[list[Cell]]:
    return list(islice(rounds(seed, PACES, only, real_engine=False), count))


def test_every_stage_meets_every_fault_that_it_can_meet_before_long() -> None:
    met = {(cell.slot.row, cell.fault) for cells in planned(1, 200) for cell in cells}
    slots = {slot.row: slot for slot in (*SLOTS, *SHARDED)}
    assert slots.keys() == set(ROWS)
    can = {(row, one) for row, slot in slots.items() for one in FAULTS.keys() - ALONE if is_there(slot, one, False)}
    assert met == can
    assert ("publish", "kill trainer") not in can
    assert ("SFT", "kill trainer") in can
    assert not any(fault == TWO_RUNS for _, fault in can), "it is of a whole round"


def test_a_round_is_hit_once_in_every_stage_and_another_seed_hits_it_otherwise() -> None:
    first, *_, fifth = planned(1, 5)
    assert [cell.slot for cell in first] == list(SLOTS)
    assert [cell.slot for cell in fifth] == list(SHARDED)
    assert planned(1, 5) == planned(1, 5) != planned(2, 5)


def test_every_eighth_round_is_started_twice_and_bears_no_fault() -> None:
    assert [number for number, cells in enumerate(planned(1, 40), 1) if not cells] == [8, 16, 24, 32, 40]
    assert all(planned(1, 16, ("SFT", ""))), "but not where one stage is asked for"


def test_one_cell_can_be_asked_for() -> None:
    (cells,) = planned(1, 1, ("search", "kill flow"))
    assert [(cell.slot.row, cell.fault, cell.victim) for cell in cells] == [("search", "kill flow", "flow")]
    assert {cell.fault for cells in planned(1, 3, ("", "clock")) for cell in cells} == {"clock"}


def test_moments_lie_within_the_stage() -> None:
    moments = [cell.moment for cells in planned(3, 60) for cell in cells]
    assert {moment.is_after for moment in moments if moment.call} == {True, False}
    assert all(1 <= moment.call <= 8 if moment.call else 0 <= moment.seconds <= 4.5 for moment in moments)
    assert {moment.call is None for moment in moments} == {True, False}


def test_what_was_lost_doubled_or_changed_is_told_by_table() -> None:
    whole = {"trees": ["a", "b"], "pairs": ["c"]}
    assert differences(whole, whole) == []
    assert differences(whole, {"trees": ["a", "a", "b"], "pairs": ["d"]}) == [
        "pairs: 1 rows for 1, 0 doubled, 1 missing, 1 new",
        "trees: 3 rows for 2, 1 doubled, 0 missing, 0 new",
    ]
    assert differences(whole, {"trees": ["a", "b"]}) == ["pairs: 0 rows for 1, 0 doubled, 1 missing, 0 new"]


def test_the_table_counts_what_hit_and_names_what_a_round_did_not_bear() -> None:
    def cell(stage: str, fault: str, hit: bool = True, lost: bool = False) -> dict[str, Any]:
        about = {"hit": hit, "recovered": not lost, "differences": [], "retries": 1, "recovery_seconds": 3.0}
        return {"stage": stage, "fault": fault} | about

    cells = [cell("SFT", "kill flow"), cell("SFT", "kill flow", lost=True), cell("publish", "kill flow", hit=False)]
    _, _, *lines = table(cells).splitlines()
    assert lines == ["| SIGKILL of the flow | 0 | 0 | 0 | 2 / 1 | 0 | 0 | 0 | 0 | 0 | · | 2 | 3 |"]


def test_a_round_is_counted_once_however_many_faults_hit_it() -> None:
    def outcome(round: str, hit: bool, *said: str) -> dict[str, Any]:
        return {"round": round, "hit": hit, "recovered": True, "retries": 1, "differences": list(said)}

    told = ["orphan: a trainer (7)", "nodes: 9 rows for 8, 1 doubled, 0 missing, 0 new"]
    of_one = [outcome("chaos-1", True, *told) for _ in range(3)]
    others = [
        outcome("chaos-2", True, "lost: the round ended FAILED"),
        outcome("chaos-3", False, "doubled: 2 publications"),
    ]
    found = report([*of_one, *others, outcome("chaos-4", True, "orphan: a flow (8)")], {})
    counts = {name: found[name] for name in ("faults", "missed", "recovered", "lost", "doubled", "changed", "orphans")}
    assert counts == {"faults": 5, "missed": 1, "recovered": 5, "lost": 1, "doubled": 1, "changed": 1, "orphans": 2}
