"""The stack left to itself for a minute, before any other test has touched it: nothing goes wrong in silence."""

import re
import time

import pytest

from infra.stack.local import Stack

# SQLite refuses at once who read before another wrote, however long it may wait; the next heartbeat repeats it.
LOST_A_TURN = "database is locked"


@pytest.mark.integration
def test_no_part_logs_an_error_in_its_first_minutes(stack: Stack) -> None:
    """A dependency that Prefect never met shows here first: its services fail again and again, and all else works."""
    logs = [stack.home / "logs" / f"{part.name}.log" for part in stack.parts.values()]
    time.sleep(65)
    assert all(part.state == "running" for part in stack.status())
    told = [entry for log in logs for entry in entries(log.read_text()) if "ERROR" in entry or "Traceback" in entry]
    assert [entry for entry in told if LOST_A_TURN not in entry] == []


def entries(log: str) -> list[str]:
    """A log line with what follows it: a traceback belongs to the line that told of the error."""
    return re.split(r"\n(?=\d\d:\d\d:\d\d\.\d{3} \|)", log)
