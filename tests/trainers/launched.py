"""A flow's process while it trains: python -m tests.trainers.launched CONFIG

The stage is a real one, in the store and the home that the environment leads to.
"""

import json
import logging
import signal
import sys
from pathlib import Path

from infra.settings import settings
from infra.store import Store
from tasks import train
from tasks.step import Stage
from tests.tasks.local_stage import Silent


def stage() -> Stage:
    return Stage("sft", "key", Store.open(settings()), logging.getLogger("stage"))


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # an exception in the flow, as Prefect's own handler makes it
    train.Progress = Silent  # type: ignore[assignment,attr-defined]
    train.show_curve = lambda name, progress: None  # type: ignore[attr-defined]
    working = stage()
    with working.alone():
        train.launch(working, "sft", json.loads(Path(sys.argv[1]).read_text()))
