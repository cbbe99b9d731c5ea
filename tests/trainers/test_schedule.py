"""Every update moves the weights, the first and the last too; and a training that moved none says so."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from trainers import sft, step_apo, value
from trainers.model_folder import load_model
from trainers.progress import lines
from trainers.schedule import share_of_peak
from trainers.training import weights_digest

Config = sft.SFT | value.Value | step_apo.StepAPO


@pytest.fixture(params=["sft", "value", "step_apo"])
def config(request: pytest.FixtureRequest, settings: dict[str, Any], examples: Path, pairs: Path) -> Config:
    """One update of everything there is, at a known rate."""
    whole = settings | {"batch_size": 24, "micro_batch_size": 24, "learning_rate": 1e-3, "epochs": 1}
    match request.param:
        case "sft":
            return sft.SFT(**whole | {"batch_size": 16}, examples=examples, value_weight=0.5, value_rate=3.0)
        case "value":
            return value.Value(**whole, examples=examples, value_rate=3.0)
        case _:
            return step_apo.StepAPO(**whole, pairs=pairs, beta=0.3, alpha=1.0)


def train(config: Config) -> dict[str, Any]:
    """Trains, and gives the summary."""
    match config:
        case sft.SFT():
            sft.train(config)
        case value.Value():
            value.train(config)
        case _:
            step_apo.train(config)
    summary: dict[str, Any] = json.loads((config.output / "summary.json").read_text())
    return summary


def moves(config: Config) -> dict[str, torch.Tensor]:
    """How far training moved every weight."""
    before = dict(load_model(config.model).named_parameters())
    return {
        name: (weight - before[name]).detach().abs()
        for name, weight in load_model(config.output / "model").named_parameters()
    }


@pytest.mark.parametrize(("updates", "warmup"), [(1, 0), (1, 1), (7, 0), (7, 1), (50, 5), (51, 6), (50, 50)])
def test_the_rate_rises_to_its_peak_falls_and_is_never_0(updates: int, warmup: int) -> None:
    shares = [share_of_peak(update, warmup, updates) for update in range(1, updates + 1)]
    peak = max(warmup, 1)
    assert shares[:peak] == pytest.approx([update / peak for update in range(1, peak + 1)])
    assert all(later < earlier for earlier, later in zip(shares[peak - 1 :], shares[peak:], strict=False))
    assert min(shares) > 0
    half_way, end = (peak + updates + 1) / 2, updates + 1
    assert share_of_peak(end, warmup, updates) == pytest.approx(0.0, abs=1e-12), "one update after the last"
    if half_way.is_integer():
        assert share_of_peak(int(half_way), warmup, updates) == pytest.approx(0.5)


def test_one_update_moves_every_weight_by_its_learning_rate(config: Config) -> None:
    """Adam's first step is the rate, by the gradient's sign; the value's rows have a rate of their own."""
    summary = train(config)
    assert (summary["updates"], summary["learning_rate"], summary["unchanged"]) == (1, 1e-3, False)
    moved = moves(config)
    rows = moved["lm_head.weight"][-2:]
    if isinstance(config, step_apo.StepAPO):
        assert rows.max().item() == pytest.approx(1e-3, rel=1e-2)
    else:
        assert rows.median().item() == pytest.approx(3e-3, rel=1e-2)
        assert rows.max().item() == pytest.approx(3e-3, rel=1e-2)
    for name, distance in moved.items():
        others = distance[:-2] if name == "lm_head.weight" else distance
        assert others.max().item() <= 1.01e-3, name
    assert moved["model.layers.0.mlp.up_proj.weight"].median().item() == pytest.approx(1e-3, rel=1e-2)


def test_the_rates_of_a_training_are_those_of_the_schedule(config: Config) -> None:
    train(dataclasses.replace(config, epochs=12, warmup_ratio=0.25))
    rates = [line["learning_rate"] for line in lines(config.output / "progress.jsonl")]
    assert rates == pytest.approx([1e-3 * share_of_peak(update, 3, 12) for update in range(1, 13)])


def test_a_training_that_moved_nothing_says_so(config: Config) -> None:
    """A rate below what float32 can add to a weight."""
    still = dataclasses.replace(config, learning_rate=1e-30)
    assert train(still)["unchanged"]
    assert weights_digest(still.output / "model") == weights_digest(still.model)
