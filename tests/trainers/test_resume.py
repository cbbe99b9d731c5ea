"""A trainer that is killed goes on from its last checkpoint and ends where it would have ended."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import TrainerControl, TrainerState, TrainingArguments

from infra.contract.training import Loss
from tests.trainers.conftest import changed
from trainers.learn import Learn, train
from trainers.model_folder import load_model
from trainers.progress import Checkpoints, Progress, last_checkpoint, lines


def killed(config: Learn) -> None:
    """Run the trainer in its own process and SIGKILL it once it is half way."""
    path, output = config.output.with_suffix(".json"), config.output
    path.write_text(config.model_dump_json())
    with open(os.devnull, "w") as nothing:
        process = subprocess.Popen([sys.executable, "-m", "trainers.learn", str(path)], stdout=nothing, stderr=nothing)
    while len(lines(output / "progress.jsonl")) < 25:
        assert process.poll() is None, "the trainer ended before it could be killed"
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL


def assert_ended_alike(a: Path, b: Path) -> None:
    logged = [[(line["update"], line["loss"]) for line in lines(run / "progress.jsonl")] for run in (a, b)]
    assert logged[0] == logged[1]
    assert len(logged[0]) == 60
    weights = dict(load_model(a / "model").named_parameters())
    for name, weight in load_model(b / "model").named_parameters():
        assert torch.equal(weight, weights[name]), name


def test_imitation_killed_half_way_ends_like_a_run_that_was_not(
    settings: dict[str, Any], imitations: Path, tmp_path: Path
) -> None:
    small = settings | {"micro_batch_size": 4, "learning_rate": 1e-3, "epochs": 30, "value_rate": 5.0}
    whole = Learn(**small, lesson=imitations, loss=Loss(nll=1.0, value=0.5))
    train(whole)
    parted = changed(whole, output=tmp_path / "killed")
    killed(parted)
    assert last_checkpoint(parted.output / "checkpoints") is not None
    train(parted)
    assert_ended_alike(whole.output, parted.output)


def test_preference_killed_half_way_keeps_its_reference(
    settings: dict[str, Any], preferences: Path, tmp_path: Path
) -> None:
    whole = Learn(**settings | {"learning_rate": 1e-3, "epochs": 30}, lesson=preferences, loss=Loss(prefer=1.0))
    train(whole)
    parted = changed(whole, output=tmp_path / "killed")
    killed(parted)
    train(parted)
    assert_ended_alike(whole.output, parted.output)


def test_a_checkpoint_that_a_kill_cut_short_is_not_used(tmp_path: Path) -> None:
    for step, state in ((3, "{}"), (6, "{}"), (9, '{"global_st'), (12, None)):
        (tmp_path / f"checkpoint-{step}").mkdir()
        if state is not None:
            (tmp_path / f"checkpoint-{step}" / "trainer_state.json").write_text(state)
    assert last_checkpoint(tmp_path) == tmp_path / "checkpoint-6"
    assert last_checkpoint(tmp_path / "nothing") is None


def test_a_checkpoint_is_put_off_until_it_is_worth_its_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Due after every second; one takes 0.25 s, so that the next is written after 2.5 s of training and no sooner."""
    checkpoints, arguments, state = Checkpoints(), TrainingArguments(str(tmp_path), use_cpu=True), TrainerState()
    now = 100.0
    monkeypatch.setattr("trainers.progress.time.monotonic", lambda: now)
    checkpoints.on_train_begin(arguments, state, TrainerControl())
    written = []
    for update in range(1, 12):
        now += 1.0
        control = TrainerControl(should_save=update != 4)
        checkpoints.on_step_end(arguments, state, control)
        if control.should_save:
            written.append(update)
            now += 0.25
            checkpoints.on_save(arguments, state, control)
    assert written == [1, 5, 8, 11]


def test_a_resumed_run_drops_the_lines_after_its_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "progress.jsonl"
    path.write_text('{"update": 1, "seconds": 2.0}\n{"update": 2, "seconds": 4.0}\n{"update": 3, "sec')
    progress = Progress(tmp_path)
    progress.on_train_begin(TrainingArguments(str(tmp_path)), TrainerState(global_step=1), TrainerControl())
    assert lines(path) == [{"update": 1, "seconds": 2.0}]


def test_a_loss_that_is_no_number_stops_the_run(tmp_path: Path) -> None:
    progress = Progress(tmp_path)
    arguments = TrainingArguments(str(tmp_path))
    progress.on_train_begin(arguments, TrainerState(), TrainerControl())
    with pytest.raises(FloatingPointError, match="at update 7: lower learning_rate"):
        progress.on_log(arguments, TrainerState(global_step=7), TrainerControl(), {"loss": float("nan")})
