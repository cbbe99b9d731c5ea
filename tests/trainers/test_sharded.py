"""On several devices (FSDP2) a training is the one that a single device does."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from infra.contract.training import Loss
from tests.trainers.conftest import changed
from tests.trainers.sharded import environment
from trainers.learn import Learn, train
from trainers.model_folder import load_model
from trainers.progress import lines


def on_two(precision: str, config: Learn) -> str:
    """Trains with two processes; what they said."""
    path = config.output.with_suffix(".json")
    path.write_text(config.model_dump_json())
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    done = subprocess.run(
        [*launch, "-m", "tests.trainers.sharded", precision, str(path)],
        env=os.environ | environment(precision),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_two_devices_train_as_one_also_the_values_rows(
    settings: dict[str, Any], imitations: Path, tmp_path: Path
) -> None:
    """The rows of the value words lie on one device only, and have their own learning rate there. The KL over the whole
    vocabulary is taken with a head that is whole only while the model computes."""
    small = settings | {"learning_rate": 1e-3, "batch_size": 16, "micro_batch_size": 4}  # an update: all 24 rows
    alone = Learn(
        **small, lesson=imitations, epochs=6.0, loss=Loss(nll=1.0, value=0.5, kl=0.5), exact_kl=True, value_rate=7.0
    )
    both = changed(alone, output=tmp_path / "both")
    train(alone)
    on_two("no", both)
    one, two = (lines(config.output / "progress.jsonl") for config in (alone, both))
    assert len(one) == len(two) == 6
    assert two[-1]["kl_loss"] == pytest.approx(one[-1]["kl_loss"], rel=2e-2)
    assert one[-1]["kl_loss"] > 1e-4
    for name in ("loss", "value_loss", "value_deviation", "grad_norm"):
        told, expected = [line[name] for line in two], [line[name] for line in one]
        assert told[0] == pytest.approx(expected[0], rel=1e-4), name
        assert told == pytest.approx(expected, rel=2e-2), (
            name
        )  # Adam makes a step of every rounding of a gradient near 0
    start, weights = (dict(load_model(folder).named_parameters()) for folder in (alone.model, both.output / "model"))
    for name, weight in load_model(alone.output / "model").named_parameters():
        for rows in (slice(None, -2), slice(-2, None)) if name == "lm_head.weight" else (slice(None),):
            moved = (weight - start[name])[rows].abs().mean()
            assert (weight - weights[name])[rows].abs().mean() < 0.05 * moved, name


def test_log_probs_are_summed_in_float32(settings: dict[str, Any], preferences: Path) -> None:
    """In bfloat16, as accelerate's own policy hands them out, the sum over a step's tokens is off by .1."""
    config = Learn(**settings | {"micro_batch_size": 4}, lesson=preferences, loss=Loss(prefer=1.0))
    said = on_two("bf16", config)
    assert set(re.findall(r"torch\.\w+", said)) == {"torch.float32"}


def test_pairs_that_devices_cannot_share_evenly_are_told_of_once_each(
    settings: dict[str, Any], preferences: Path, tmp_path: Path
) -> None:
    odd = tmp_path / "odd.parquet"
    pl.read_parquet(preferences).head(9).write_parquet(odd)
    config = Learn(**settings | {"micro_batch_size": 4, "batch_size": 8}, lesson=odd, loss=Loss(prefer=1.0))
    train(changed(config, output=tmp_path / "alone"))
    on_two("no", config)
    both, alone = (pl.read_parquet(folder / "effects.parquet") for folder in (config.output, tmp_path / "alone"))
    assert both["row"].to_list() == list(range(9))
    for side in ("chosen_before", "rejected_before"):
        assert both[side].to_list() == pytest.approx(alone[side].to_list(), abs=1e-4)
    for side in ("chosen", "rejected"):
        assert all((both[f"{side}_after"] - both[f"{side}_before"]).abs() > 1e-4), "after is after"


def test_a_training_that_deepspeed_would_change_is_refused(
    settings: dict[str, Any], imitations: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACCELERATE_USE_DEEPSPEED", "true")  # as `accelerate launch --use_deepspeed` does
    with pytest.raises(ValueError, match=r"value rows at the rate of the rest.*fsdp2\.yaml"):
        Learn(**settings, lesson=imitations, loss=Loss(nll=1.0))
