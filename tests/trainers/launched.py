"""A flow's process while it trains: python -m tests.trainers.launched FOLDER CONFIG"""

import json
import signal
import sys
from pathlib import Path

from tasks import train
from tests.tasks.local_stage import LocalStage, Silent

if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # an exception in the flow, as Prefect's own handler makes it
    train.Progress = Silent  # type: ignore[assignment,attr-defined]
    train.show_curve = lambda name, progress: None  # type: ignore[attr-defined]
    stage = LocalStage(Path(sys.argv[1]))
    with stage.alone():
        train.launch(stage, "sft", json.loads(Path(sys.argv[2]).read_text()))
