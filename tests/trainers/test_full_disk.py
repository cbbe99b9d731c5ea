"""A trainer whose disk is full says so in one line, and a retry after room was made ends like a run that had room."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.servers import small_disk
from tests.trainers.conftest import write_config
from trainers import sft
from trainers.config import main
from trainers.model_folder import load_model

FULL = Path("/dev/full")
ROOM = (16, 40, 80, 150, 250, 400, 500, 600, 20_000)
"""KiB that the disk has, attempt by attempt: the rows, the progress, checkpoints and the model each find it full."""

GROWING = """
import subprocess, sys
from trainers.config import main
from trainers.sft import SFT, train

config, output, result, *room = sys.argv[1:]
for kib in room:
    subprocess.run(["mount", "-o", f"remount,size={kib}k", output], check=True)
    print(kib, main(SFT, train, "", [config]), flush=True)
subprocess.run(["cp", "-r", output, result], check=True)
"""


@pytest.fixture
def config(settings: dict[str, Any], examples: Path) -> sft.SFT:
    settings["output"].mkdir()
    return sft.SFT(**settings, examples=examples, epochs=4, value_weight=0.1, value_rate=2.0)


def run(config: sft.SFT) -> int:
    given = {name: value for name, value in vars(config).items() if value is not None}
    return main(sft.SFT, sft.train, "", [str(write_config(config.output.with_suffix(".json"), given))])


@pytest.mark.parametrize(
    "name", ["progress.jsonl", f"config.{os.getpid()}", f"summary.{os.getpid()}"], ids=["progress", "config", "summary"]
)
def test_no_room_for_a_file_is_one_line_and_a_retry_completes(
    config: sft.SFT, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (config.output / name).symlink_to(FULL)
    assert run(config) == 2
    (said,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert f"the disk of {config.output} is full" in said
    assert "make room" in said
    assert not (config.output / "summary.json").exists()
    (config.output / name).unlink()
    assert run(config) == 0
    assert (config.output / "summary.json").exists()


def test_a_disk_that_is_full_time_and_again_only_delays_a_run(config: sft.SFT, tmp_path: Path) -> None:
    given = {name: value for name, value in vars(config).items() if value is not None}
    path = write_config(tmp_path / "config.json", given)
    command = [sys.executable, "-c", GROWING, str(path), str(config.output), str(tmp_path / "result")]
    done = subprocess.run(
        [*small_disk(config.output, mib=1), *command, *map(str, ROOM)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    ended = [line.split() for line in done.stdout.splitlines() if not line.startswith("{")]
    assert ended == [[str(kib), "2"] for kib in ROOM[:-1]] + [[str(ROOM[-1]), "0"]], done.stderr
    told = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(told) == len(ROOM) - 1
    assert all(f"the disk of {config.output} is full" in line for line in told)

    assert run(config) == 0
    weights = dict(load_model(config.output / "model").named_parameters())
    for name, weight in load_model(tmp_path / "result" / "model").named_parameters():
        assert torch.equal(weight, weights[name]), name
