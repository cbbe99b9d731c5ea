"""Every update moves the weights, the first and the last too; and a training that moved none says so."""

from pathlib import Path
from typing import Any

import pytest
import torch

from infra.contract.training import Loss
from tests.trainers.conftest import changed, learn
from trainers.learn import Learn
from trainers.model_folder import load_model
from trainers.progress import lines
from trainers.schedule import share_of_peak
from trainers.training import weights_digest


@pytest.fixture(params=["nll", "value", "prefer"])
def config(request: pytest.FixtureRequest, settings: dict[str, Any], imitations: Path, preferences: Path) -> Learn:
    """One update of everything there is, at a known rate."""
    whole = settings | {"micro_batch_size": 24, "learning_rate": 1e-3, "value_rate": 3.0}
    match request.param:
        case "nll":
            return Learn(**whole | {"batch_size": 16}, lesson=imitations, loss=Loss(nll=1.0, value=0.5))
        case "value":
            return Learn(**whole | {"batch_size": 24}, lesson=imitations, loss=Loss(value=1.0))
        case _:
            return Learn(**whole | {"batch_size": 24, "value_rate": 10.0}, lesson=preferences, loss=Loss(prefer=1.0))


def moves(config: Learn) -> dict[str, torch.Tensor]:
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


def test_one_update_moves_every_weight_by_its_learning_rate(config: Learn) -> None:
    """Adam's first step is the rate, by the gradient's sign; the value's rows have a rate of their own."""
    summary = learn(config)
    assert (summary["updates"], summary["learning_rate"], summary["unchanged"]) == (1, 1e-3, False)
    moved = moves(config)
    rows = moved["lm_head.weight"][-2:]
    if config.loss.prefer:
        assert rows.max().item() == pytest.approx(1e-3, rel=1e-2)
    else:
        assert rows.median().item() == pytest.approx(3e-3, rel=1e-2)
        assert rows.max().item() == pytest.approx(3e-3, rel=1e-2)
    for name, distance in moved.items():
        others = distance[:-2] if name == "lm_head.weight" else distance
        assert others.max().item() <= 1.01e-3, name
    assert moved["model.layers.0.mlp.up_proj.weight"].median().item() == pytest.approx(1e-3, rel=1e-2)


def test_the_rates_of_a_training_are_those_of_the_schedule(config: Learn) -> None:
    learn(changed(config, epochs=12, warmup_ratio=0.25))
    rates = [line["learning_rate"] for line in lines(config.output / "progress.jsonl")]
    assert rates == pytest.approx([1e-3 * share_of_peak(update, 3, 12) for update in range(1, 13)])


def test_a_training_that_moved_nothing_says_so(config: Learn) -> None:
    """A rate below what float32 can add to a weight."""
    still = changed(config, learning_rate=1e-30)
    assert learn(still)["unchanged"]
    assert weights_digest(still.output / "model") == weights_digest(still.model)
