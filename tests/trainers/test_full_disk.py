"""A trainer whose disk is full says so in one line, and a retry after room was made ends like a run that had room."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from infra.contract.training import Loss
from tests.servers import small_disk
from trainers.config import main
from trainers.learn import Learn, train
from trainers.model_folder import load_model

FULL = Path("/dev/full")
ROOM = (16, 40, 80, 150, 250, 400, 500, 600, 20_000)
"""KiB that the disk has, attempt by attempt: the rows, the progress, checkpoints and the model each find it full."""

GROWING = """
import subprocess, sys
from trainers.config import main
from trainers.learn import Learn, train

config, output, result, *room = sys.argv[1:]
for kib in room:
    subprocess.run(["mount", "-o", f"remount,size={kib}k", output], check=True)
    print(kib, main(Learn, train, "", [config]), flush=True)
subprocess.run(["cp", "-r", output, result], check=True)
"""


@pytest.fixture
def config(settings: dict[str, Any], imitations: Path) -> Learn:
    settings["output"].mkdir()
    return Learn(**settings, lesson=imitations, epochs=4, loss=Loss(nll=1.0, value=0.1), value_rate=2.0)


def written(config: Learn) -> Path:
    path = config.output.with_suffix(".json")
    path.write_text(config.model_dump_json())
    return path


def run(config: Learn) -> int:
    return main(Learn, train, "", [str(written(config))])


PARTS = [f"{name}.json.{os.getpid()}.part" for name in ("config", "summary")]


@pytest.mark.parametrize("name", ["progress.jsonl", *PARTS], ids=["progress", "config", "summary"])
def test_no_room_for_a_file_is_one_line_and_a_retry_completes(
    config: Learn, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (config.output / name).symlink_to(FULL)
    assert run(config) == 2
    (said,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert f"the disk of {config.output} is full" in said
    assert "make room" in said
    assert not (config.output / "summary.json").exists()
    (config.output / name).unlink(missing_ok=True)
    assert run(config) == 0
    assert (config.output / "summary.json").exists()


def test_a_disk_that_is_full_time_and_again_only_delays_a_run(config: Learn, tmp_path: Path) -> None:
    command = [sys.executable, "-c", GROWING, str(written(config)), str(config.output), str(tmp_path / "result")]
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
