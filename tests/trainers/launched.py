"""A flow's process while it trains: python -m tests.trainers.launched CONFIG

The stage is a real one, in the store and the home that the environment leads to.
"""

import json
import logging
import signal
import sys
from pathlib import Path

from infra.environment import environment
from infra.store import Store
from tasks.running import trainer as train
from tasks.running.workplace import Workplace
from tests.tasks.running.local_stage import Silent


def workplace() -> Workplace:
    return Workplace("sft", "key", Store.open(environment()), logging.getLogger("stage"))


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # an exception in the flow, as Prefect's own handler makes it
    train.Progress = Silent  # type: ignore[assignment,attr-defined]
    train.show_curve = lambda name, progress: None  # type: ignore[attr-defined]
    train._weights = lambda model: 0
    working = workplace()
    with working.alone(), train.side_by_side(1) as begin:
        begin(train.launch, working, "learn", "sft", json.loads(Path(sys.argv[1]).read_text())).result()
