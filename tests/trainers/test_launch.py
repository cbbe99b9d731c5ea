"""A trainer and the flow that launched it: ended with it, but not lost with it; on the GPUs that there are."""

import logging
import subprocess
import sys
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest

from flows.parameters import NAMES, RECIPES
from infra.contract.training import Loss
from infra.engine.server import stop_local_engines
from infra.engine.tenancy import engines_stopped
from infra.environment import Environment, gpus
from infra.store import Ref, Store
from tasks.recipe import Recipe
from tasks.running import trainer as train
from tasks.running.trainer import TrainingFailed, python, reason, shared_out
from tests.tasks.running.local_stage import Silent
from tests.trainers.conftest import write_config
from tests.trainers.launched import workplace
from trainers.learn import Learn
from trainers.progress import lines

UPDATES = 200
BASE = Ref(uri="s3://cpl/base/manifest.json", sha256="0" * 64, rows=0)


@pytest.fixture
def config(settings: dict[str, Any], imitations: Path, tmp_path: Path) -> Path:
    fields = {name: value for name, value in settings.items() if name != "output"}
    loss = {"nll": 1.0, "value": 0.5}
    told = fields | {"learning_rate": 1e-3, "lesson": imitations, "epochs": UPDATES / 2, "loss": loss}
    return write_config(tmp_path / "config.json", told)


def training(folder: Path, config: Path) -> subprocess.Popen[bytes]:
    """A flow's process in the middle of its training."""
    flow = subprocess.Popen([sys.executable, "-m", "tests.trainers.launched", str(config)])
    while len(lines(folder / "output" / "progress.jsonl")) < 3:
        assert flow.poll() is None, (folder / "trainer.log").read_text()
        time.sleep(0.005)
    return flow


def trainers(folder: Path) -> list[psutil.Process]:
    """The processes that train there."""
    told = str(folder / "trainer.json")
    return [one for one in psutil.process_iter(["cmdline"]) if told in (one.info["cmdline"] or ())]


def test_a_trainer_outlives_its_killed_flow_and_the_retry_waits_for_it(config: Path, store: Store) -> None:
    working = workplace()
    flow = training(working.folder, config)
    flow.kill()
    flow.wait()
    assert trainers(working.folder)
    with working.alone():
        assert trainers(working.folder) == []
    assert len(lines(working.folder / "output" / "progress.jsonl")) == UPDATES
    assert (working.folder / "output" / "summary.json").exists()


def test_a_cancelled_flow_ends_its_trainer(config: Path, store: Store) -> None:
    working = workplace()
    flow = training(working.folder, config)
    processes = trainers(working.folder)
    flow.terminate()
    flow.wait()
    _, alive = psutil.wait_procs(processes, timeout=10)
    assert processes
    assert not alive
    assert not (working.folder / "output" / "summary.json").exists()


def test_a_trainer_that_is_silent_for_long_is_told_of(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(train, "SILENT_SECONDS", 0.2)
    monkeypatch.setattr(train, "POLL_SECONDS", 0.05)
    monkeypatch.setattr(train, "Progress", Silent)
    working = workplace()
    with working.alone(), subprocess.Popen(["sleep", "0.7"]) as hung, caplog.at_level(logging.WARNING):
        train._follow(working, "sft", hung, working.folder / "progress.jsonl")
    told = [record.getMessage() for record in caplog.records if "may hang" in record.getMessage()]
    assert 2 <= len(told) <= 3
    assert f"process {hung.pid}" in told[0]


@pytest.mark.parametrize(
    ("device", "cores", "mebibytes", "expected"),
    [("cpu", 2, 3, 2), ("cpu", 8, 130, 4), ("cpu", 2, 540, 1), ("cpu", 1, 3, 1), ("cuda", 8, 3, 1)],
)
def test_small_models_are_trained_side_by_side_on_the_cores_that_they_leave(
    device: str, cores: int, mebibytes: int, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train, "device", lambda: device)
    monkeypatch.setattr(train, "cores", lambda: cores)
    monkeypatch.setattr("infra.environment.cores", lambda: cores)
    monkeypatch.setattr(train, "_weights", lambda model: mebibytes << 20)
    running: list[int] = []
    most: list[int] = []
    lock = threading.Lock()

    def run(number: int, after: Future[int] | None) -> int:
        assert after is None or after.result() == number - 1
        with lock:
            running.append(number)
            most.append(len(running))
        time.sleep(0.05)
        with lock:
            running.remove(number)
        return number

    with train.side_by_side(train.at_once(BASE)) as begin:
        futures = [begin(run, number, None) for number in range(8)]
        last = begin(run, 8, futures[-1])
    assert [one.result() for one in (*futures, last)] == list(range(9))
    assert max(most) == expected


def test_when_one_training_fails_the_others_are_finished(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train, "_weights", lambda model: 0)
    monkeypatch.setattr(train, "cores", lambda: 2)
    finished: list[str] = []

    def fail() -> None:
        raise TrainingFailed("loss nan")

    def slow() -> None:
        time.sleep(0.3)
        finished.append("slow")

    def both() -> None:
        with train.side_by_side(train.at_once(BASE)) as begin:
            begin(slow)
            begin(fail).result()

    with pytest.raises(TrainingFailed):
        both()
    assert finished == ["slow"]


class Signal(BaseException):
    """As Prefect raises in the main thread where a run is cancelled."""


def test_a_cancel_ends_the_trainers_that_run_and_those_that_begin_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also while a failed training waits for the others to end."""
    monkeypatch.setattr(train, "_weights", lambda model: 0)
    monkeypatch.setattr(train, "cores", lambda: 3)
    ended: list[int] = []
    monkeypatch.setattr(train, "_end", lambda process: ended.append(process))
    monkeypatch.setattr(train, "_running", {1: 1})

    def late() -> None:
        time.sleep(0.5)
        if train._cancelled.is_set():
            train._end(2)  # type: ignore[arg-type]

    def cancelled() -> None:
        with train.side_by_side(train.at_once(BASE)) as begin:
            begin(late)
            shutdown = ThreadPoolExecutor.shutdown

            def interrupted(pool: ThreadPoolExecutor, wait: bool = True, **options: Any) -> None:
                monkeypatch.setattr(ThreadPoolExecutor, "shutdown", shutdown)
                raise Signal

            monkeypatch.setattr(ThreadPoolExecutor, "shutdown", interrupted)
            raise TrainingFailed("loss nan")

    with pytest.raises(Signal):
        cancelled()
    assert ended == [1, 2]
    assert not train._cancelled.is_set()  # the next flow of this process is another


@pytest.mark.parametrize(
    ("status", "how"),
    [(-9, "signal SIGKILL and said nothing"), (1, "status 1, and its log is empty, as when the disk")],
)
def test_a_trainer_that_said_nothing_is_told_by_how_it_ended(status: int, how: str) -> None:
    assert train.ended(status).startswith(f"it ended by {how}")


@pytest.mark.parametrize(
    ("visible", "processes"), [("", None), ("3", None), ("0, 2,5", "3"), ("GPU-8f3a,GPU-77b0", "2")]
)
def test_the_gpus_that_are_visible_are_trained_on(
    visible: str, processes: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    words = python(gpus())
    assert ("accelerate.commands.launch" in words) is (processes is not None)
    assert processes is None or words[words.index("--num_processes") + 1] == processes


ARMS = [
    (recipe, name)
    for recipe in NAMES
    for name, arm in Recipe.read(RECIPES / f"{recipe}.toml").arms.items()
    if not arm.lora  # an adapter trains on one device (test_device.py)
]


@pytest.mark.parametrize(("recipe", "arm"), ARMS)
@pytest.mark.parametrize("visible", range(1, 9))
def test_every_recipe_trains_on_any_number_of_gpus(
    recipe: str,
    arm: str,
    visible: int,
    settings: dict[str, Any],
    imitations: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On as many as share its batch evenly, with the same batch, and never more rows at once than memory holds."""
    told = Recipe.read(RECIPES / f"{recipe}.toml").arms[arm].training
    used = len(shared_out([str(n) for n in range(visible)], told.batch_size))
    monkeypatch.setenv("WORLD_SIZE", str(used))
    config = Learn(**settings | told.model_dump() | {"lesson": imitations})
    assert config.rows_at_once * config.passes * used == told.batch_size
    assert 1 <= config.rows_at_once <= told.micro_batch_size
    assert used >= min(visible, told.batch_size) / 2  # a batch has no parts for more GPUs than it has rows
    assert not any(told.batch_size % more == 0 for more in range(used + 1, visible + 1))


@pytest.mark.parametrize(
    ("batch", "devices", "micro", "rows"), [(16, 2, 16, 8), (12, 3, 3, 2), (7, 7, 4, 1), (64, 4, 5, 4), (8, 1, 100, 8)]
)
def test_a_micro_batch_is_the_largest_that_divides_a_devices_share(
    batch: int,
    devices: int,
    micro: int,
    rows: int,
    settings: dict[str, Any],
    imitations: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("WORLD_SIZE", str(devices))
    told = settings | {"batch_size": batch, "micro_batch_size": micro, "lesson": imitations}
    assert Learn(**told, loss=Loss(nll=1.0)).rows_at_once == rows


def test_a_batch_that_the_processes_cannot_share_evenly_is_refused(
    settings: dict[str, Any], imitations: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "3")
    with pytest.raises(ValueError, match=r"batch_size \(8\) cannot be shared out evenly to 3 processes"):
        Learn(**settings, lesson=imitations, loss=Loss(nll=1.0))


RANKS = (
    """
[rank1]: Traceback (most recent call last):
[rank1]:   File "/x/trainers/learn.py", line 3, in <module>
[rank1]:     raise torch.OutOfMemoryError
[rank1]: torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 3.6 GiB.
[rank0]: Traceback (most recent call last):
[rank0]: torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 3.6 GiB.
E1125 api.py:882] failed (exitcode: 1) local_rank: 0
Traceback (most recent call last):
  File "/x/launch.py", line 1, in main
torch.distributed.elastic.multiprocessing.errors.ChildFailedError:
============================================================
trainers.learn FAILED
"""
    + "------\n" * 40
)


def test_of_several_processes_the_real_error_is_shown_once_with_the_way_out() -> None:
    oom, advice = reason(RANKS).splitlines()
    assert oom == "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 3.6 GiB."
    assert "micro_batch_size" in advice


def test_a_process_that_the_machine_killed_is_told_of() -> None:
    said = reason("E1125 api.py:882] failed (exitcode: -9) local_rank: 1\nChildFailedError:\n  exitcode  : -9 (pid: 7)")
    assert "memory is full" in said
    assert "micro_batch_size" not in said


def test_a_trainers_own_line_comes_before_what_others_raise() -> None:
    said = (
        "error: batch_size (7) cannot be\nsubprocess.CalledProcessError: Command '…' returned non-zero exit status 2."
    )
    assert reason(said) == "error: batch_size (7) cannot be"
    assert reason("FloatingPointError: loss nan\n" + said.splitlines()[1]) == "FloatingPointError: loss nan"
    assert reason("\n".join(map(str, range(100)))) == "\n".join(map(str, range(70, 100)))


def test_training_on_gpus_has_both_engines_to_itself(tmp_path: Path) -> None:
    """While it lasts no flow gets an engine of this home, and before it whoever uses one is waited for."""
    here = Environment(home=tmp_path)
    waits = "import sys; from infra.engine.tenancy import engines_stopped; from infra.environment import Environment\n"
    waits += "with engines_stopped(Environment(home=sys.argv[1]), print): print('trains')"
    with engines_stopped(here, print):
        assert not stop_local_engines(here)
        second = subprocess.Popen([sys.executable, "-uc", waits, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        assert second.stdout is not None
        assert "another flow is using it" in second.stdout.readline()
        assert second.poll() is None
    assert second.communicate(timeout=60)[0].strip() == "trains"
    assert stop_local_engines(here)
