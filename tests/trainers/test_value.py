"""The separate value model: the value loss alone, over all rows with targets, on weights that are all trained."""

import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch

from infra.contract.model_folder import ValueWords
from infra.contract.training import Loss
from tests.trainers.conftest import IMITATION_TYPES, changed, learn
from tests.trainers.test_nll import by_hand
from trainers.config import ConfigError
from trainers.learn import Learn, train, trainer
from trainers.model_folder import load_model
from trainers.progress import lines


@pytest.fixture
def config(settings: dict[str, Any], imitations: Path) -> Learn:
    """One update over all 24 rows."""
    return Learn(**settings | {"batch_size": 24, "micro_batch_size": 8}, lesson=imitations, loss=Loss(value=1.0))


def values(folder: Path, imitations: Path) -> list[tuple[float, float]]:
    """(V, target) of all steps, one row at a time from plain logits."""
    model, words = load_model(folder), ValueWords.read(folder)
    found = []
    for row in pl.read_parquet(imitations).iter_rows(named=True):
        with torch.no_grad():
            logits = model(torch.tensor([row["prompt_ids"] + row["completion_ids"]])).logits[0]
        for position, target in zip(row["value_positions"], row["value_targets"], strict=True):
            z = logits[len(row["prompt_ids"]) + position - 1]
            found.append((torch.tanh((z[words.good] - z[words.bad]) / 2).item(), target))
    return found


def test_its_loss_is_the_value_loss_alone_and_it_tells_how_v_spreads(config: Learn) -> None:
    train(changed(config, loss=Loss(value=2.0)))
    _, value_loss = by_hand(config.model, config.lesson)
    (line,) = lines(config.output / "progress.jsonl")
    assert line["loss"] == pytest.approx(2.0 * value_loss, rel=1e-5)
    assert line["value_loss"] == pytest.approx(value_loss, rel=1e-5)
    assert "nll_loss" not in line
    of_start = torch.tensor([v for v, _ in values(config.model, config.lesson)])
    assert line["value_deviation"] == pytest.approx(of_start.std(correction=0).item(), rel=1e-4)


def test_neither_all_logits_nor_a_cache_are_made(config: Learn) -> None:
    """The logits of every position over a whole vocabulary would fill the memory of a GPU."""
    training = trainer(config)
    asked: list[dict[str, Any]] = []
    training.model.register_forward_pre_hook(lambda _, __, given: asked.append(given), with_kwargs=True)
    training.train()
    assert {(given["use_cache"], given["logits_to_keep"]) for given in asked} == {(False, 1)}


def test_an_update_counts_what_it_holds_where_its_loss_is_and_never_none(config: Learn) -> None:
    training = trainer(config)

    def counted(*targets: float, tokens: int, device: str = "cpu") -> list[torch.Tensor]:
        batch = {"sequence": torch.zeros(tokens), "value_targets": torch.tensor(targets), "weight": torch.ones(4)}
        training._get_num_items_in_batch([batch, batch], torch.device(device))
        return list(training.update_holds.values())

    assert [int(count) for count in counted(0.5, 0.0, math.nan, -1.0, tokens=2)] == [4, 6, 4]
    assert [int(count) for count in counted(tokens=0)] == [1, 1, 4]
    assert {count.device.type for count in counted(0.5, tokens=1, device="meta")} == {"meta"}


def test_the_optimiser_is_that_of_the_model_that_it_is_made_for_and_its_rows_are_hastened_once(config: Learn) -> None:
    """A model in shards is another one than that which was loaded."""
    training = trainer(config)
    other = load_model(config.model)
    made = training.create_optimizer(other)
    assert training.create_optimizer(other) is made
    held = {id(weight) for group in made.param_groups for weight in group["params"]}
    assert held == {id(weight) for weight in other.parameters()}
    assert len(made._optimizer_step_post_hooks) == 1
    imitating = trainer(changed(config, loss=Loss(nll=1.0), output=config.output / "imitating"))
    assert len(imitating.create_optimizer()._optimizer_step_post_hooks) == 0, "no value, no rate of its own"


def test_it_learns_the_targets_and_is_a_model_folder_that_needs_no_examples(config: Learn, tmp_path: Path) -> None:
    foreign = shutil.copytree(config.model, tmp_path / "foreign")
    ValueWords.read(foreign).model_copy(update={"knows_format": False}).write(foreign)
    summary = learn(changed(config, model=foreign, epochs=80, learning_rate=3e-3))
    pairs = values(config.output / "model", config.lesson)
    assert sum((v - target) ** 2 for v, target in pairs) / len(pairs) < 0.02
    assert (summary["examples"], summary["updates"], summary["rows_seen"]) == (24, 80, 24 * 80)
    assert summary["value_deviation"] > 0.3
    assert ValueWords.read(config.output / "model").knows_format


def test_rows_without_a_target_are_left_out(config: Learn, tmp_path: Path, encode: Callable[[str], list[int]]) -> None:
    rows = pl.read_parquet(config.lesson)
    untargeted: dict[str, Any] = {"value_positions": [[]], "value_targets": [[]]}
    empty = rows.head(1).with_columns(
        **{name: pl.Series(values, dtype=IMITATION_TYPES[name]) for name, values in untargeted.items()}
    )
    pl.concat([rows, empty]).write_parquet(tmp_path / "rows.parquet")
    assert learn(changed(config, lesson=tmp_path / "rows.parquet"))["examples"] == 24
    empty.write_parquet(tmp_path / "empty.parquet")
    with pytest.raises(ConfigError, match="has no row to train on"):
        train(changed(config, lesson=tmp_path / "empty.parquet", output=tmp_path / "none"))


def test_micro_batches_change_nothing(config: Learn, tmp_path: Path) -> None:
    whole = changed(config, epochs=3)
    parts = changed(whole, micro_batch_size=3, output=tmp_path / "parts")
    train(whole)
    train(parts)
    for a, b in zip(lines(whole.output / "progress.jsonl"), lines(parts.output / "progress.jsonl"), strict=True):
        for name in ("loss", "value_deviation", "grad_norm"):
            assert a[name] == pytest.approx(b[name], rel=1e-4), name


def test_rows_that_start_at_0_only_learn_at_a_rate_of_their_own(
    settings: dict[str, Any], imitations: Path, base: Path, tmp_path: Path
) -> None:
    """At the rate of an LM, V stays a constant whatever its loss weighs: Adam does not know a loss's scale."""
    from trainers.prepare import Prepare, prepare

    prepare(Prepare(model=str(base), output=tmp_path / "fresh", style="trained"))
    fresh = settings | {"model": tmp_path / "fresh" / "model", "learning_rate": 1e-4}

    def deviation(name: str, weight: float, rate: float) -> float:
        told = fresh | {"output": tmp_path / name, "epochs": 10, "value_rate": rate}
        found: float = learn(Learn(**told, lesson=imitations, loss=Loss(nll=1.0, value=weight)))["value_deviation"]
        return found

    slow, heavy, fast = deviation("slow", 0.1, 1.0), deviation("heavy", 10.0, 1.0), deviation("fast", 0.1, 100.0)
    assert heavy < 3 * slow
    assert fast > 20 * slow
