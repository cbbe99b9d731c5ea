"""The matrix as a table of a document, of one run or several: `python -m tests.chaos.table build/chaos.json`."""

import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from statistics import median
from typing import Any

from tests.chaos.cells import FAULTS, ROWS, SHARDED, SLOTS, TWO_RUNS, is_there

NOBODY = "·"
"""Where a stage has no such victim."""


def table(cells: Iterable[Mapping[str, Any]]) -> str:
    """Markdown: a row a fault, a column a stage. Faults that hit; behind a slash those of them of which the round lost,
    doubled or changed something or did not end. Last: Retry pressed, and the median of the seconds until the stage was
    over, downtime and what an operator waits among them."""
    hit = [one for one in cells if one["hit"]]
    slots = {slot.row: slot for slot in (*SLOTS, *SHARDED)}
    columns = [*ROWS, "whole round"]
    lines = [f"| fault | {' | '.join(columns)} | retries | seconds |", "| --- |" + " --- |" * (len(columns) + 2)]
    for fault in FAULTS:
        of_fault = [one for one in hit if one["fault"] == fault]
        if not of_fault:
            continue
        told = []
        for row in columns:
            here = [one for one in of_fault if one["stage"] == row]
            bad = sum(not one["recovered"] or bool(one["differences"]) for one in here)
            is_met = fault == TWO_RUNS if row not in slots else is_there(slots[row], fault, False)
            told.append((f"{len(here)}" + (f" / {bad}" if bad else "")) if is_met else NOBODY)
        seconds = median(one["recovery_seconds"] for one in of_fault)
        told += [str(sum(one["retries"] for one in of_fault)), f"{seconds:.0f}"]
        lines.append(f"| {FAULTS[fault]} | {' | '.join(told)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table(one for path in sys.argv[1:] for one in json.loads(Path(path).read_text())["cells"]))
