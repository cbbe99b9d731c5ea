"""The separate value model: the value loss alone, over all rows with targets, on weights that are all trained."""

import dataclasses
import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch

from tests.trainers.conftest import SFT_TYPES
from tests.trainers.test_sft import by_hand
from trainers.config import ConfigError
from trainers.model_folder import Policy, load_model
from trainers.progress import lines
from trainers.sft import SFT
from trainers.sft import train as train_sft
from trainers.value import Value, train, trainer


@pytest.fixture
def config(settings: dict[str, Any], examples: Path) -> Value:
    """One update over all 24 rows."""
    return Value(**settings | {"batch_size": 24, "micro_batch_size": 8}, examples=examples, epochs=1, value_rate=10.0)


def values(folder: Path, examples: Path) -> list[tuple[float, float]]:
    """(V, target) of all steps, one row at a time from plain logits."""
    model, policy = load_model(folder), Policy.read(folder)
    found = []
    for row in pl.read_parquet(examples).iter_rows(named=True):
        with torch.no_grad():
            logits = model(torch.tensor([row["prompt_ids"] + row["completion_ids"]])).logits[0]
        for position, target in zip(row["value_positions"], row["value_targets"], strict=True):
            z = logits[len(row["prompt_ids"]) + position - 1]
            found.append((torch.tanh((z[policy.good] - z[policy.bad]) / 2).item(), target))
    return found


def test_its_loss_is_the_value_loss_alone_and_it_tells_how_v_spreads(config: Value) -> None:
    train(config)
    _, value_loss = by_hand(config.model, config.examples)
    (line,) = lines(config.output / "progress.jsonl")
    assert line["loss"] == pytest.approx(value_loss, rel=1e-5)
    assert line["value_loss"] == pytest.approx(value_loss, rel=1e-5)
    assert "lm_loss" not in line
    of_start = torch.tensor([v for v, _ in values(config.model, config.examples)])
    assert line["value_deviation"] == pytest.approx(of_start.std(correction=0).item(), rel=1e-4)


def test_padding_is_masked_and_neither_all_logits_nor_a_cache_are_made(config: Value) -> None:
    """The logits of every position over a whole vocabulary would fill the memory of a GPU."""
    training = trainer(config)
    asked: list[dict[str, Any]] = []
    training.model.register_forward_pre_hook(lambda _, __, given: asked.append(given), with_kwargs=True)
    training.train()
    lengths = [length for given in asked for length in given["attention_mask"].sum(dim=1).tolist()]
    rows = pl.read_parquet(config.examples).select(pl.col("prompt_ids", "completion_ids").list.len())
    assert sorted(lengths) == sorted(rows.sum_horizontal())
    assert {(given["use_cache"], given["logits_to_keep"]) for given in asked} == {(False, 1)}


def test_an_update_counts_its_values_and_tokens_where_its_loss_is_and_never_none(config: Value) -> None:
    training = trainer(config)

    def counted(*targets: float, imitated: int, device: str = "cpu") -> list[torch.Tensor]:
        labels = torch.tensor([[-100, *range(imitated), -100]])
        batch = {"labels": labels, "value_targets": torch.tensor([[math.nan, *targets]])}
        tokens = training._get_num_items_in_batch([batch, batch], torch.device(device))
        return [training.value_count, tokens]

    assert [int(count) for count in counted(0.5, 0.0, -1.0, imitated=2)] == [6, 4]
    assert [int(count) for count in counted(imitated=0)] == [1, 1]
    one = {"labels": torch.tensor([[-100, 7]]), "value_targets": torch.tensor([[0.5]])}
    assert (training._get_num_items_in_batch([one], torch.device("cpu")), training.value_count) == (1, 1)
    assert [count.device.type for count in counted(0.5, imitated=1, device="meta")] == ["meta", "meta"]


def test_the_optimiser_is_that_of_the_model_that_it_is_made_for_and_its_rows_are_hastened_once(config: Value) -> None:
    """A model in shards is another one than that which was loaded."""
    training = trainer(config)
    other = load_model(config.model)
    made = training.create_optimizer(other)
    assert training.create_optimizer(other) is made
    held = {id(weight) for group in made.param_groups for weight in group["params"]}
    assert held == {id(weight) for weight in other.parameters()}
    assert len(made._optimizer_step_post_hooks) == 1


def test_it_learns_the_targets_and_is_a_model_folder_that_needs_no_examples(config: Value, tmp_path: Path) -> None:
    foreign = shutil.copytree(config.model, tmp_path / "foreign")
    words = json.loads((foreign / "policy.json").read_text())
    (foreign / "policy.json").write_text(json.dumps(words | {"knows_format": False}))
    train(dataclasses.replace(config, model=foreign, epochs=80, learning_rate=3e-3))
    pairs = values(config.output / "model", config.examples)
    assert sum((v - target) ** 2 for v, target in pairs) / len(pairs) < 0.02
    summary = json.loads((config.output / "summary.json").read_text())
    assert (summary["examples"], summary["updates"], summary["rows_seen"]) == (24, 80, 24 * 80)
    assert summary["value_deviation"] > 0.3
    assert Policy.read(config.output / "model").knows_format


def test_rows_without_a_target_are_left_out(config: Value, tmp_path: Path, encode: Callable[[str], list[int]]) -> None:
    rows = pl.read_parquet(config.examples)
    untargeted: dict[str, Any] = {"value_positions": [[]], "value_targets": [[]]}
    empty = rows.head(1).with_columns(
        **{name: pl.Series(values, dtype=SFT_TYPES[name]) for name, values in untargeted.items()}
    )
    pl.concat([rows, empty]).write_parquet(tmp_path / "rows.parquet")
    train(dataclasses.replace(config, examples=tmp_path / "rows.parquet"))
    assert json.loads((config.output / "summary.json").read_text())["examples"] == 24
    empty.write_parquet(tmp_path / "empty.parquet")
    with pytest.raises(ConfigError, match="has no row to train on"):
        train(dataclasses.replace(config, examples=tmp_path / "empty.parquet", output=tmp_path / "none"))


def test_micro_batches_change_nothing(config: Value, tmp_path: Path) -> None:
    whole = dataclasses.replace(config, epochs=3)
    parts = dataclasses.replace(whole, micro_batch_size=3, output=tmp_path / "parts")
    train(whole)
    train(parts)
    for a, b in zip(lines(whole.output / "progress.jsonl"), lines(parts.output / "progress.jsonl"), strict=True):
        for name in ("loss", "value_deviation", "grad_norm"):
            assert a[name] == pytest.approx(b[name], rel=1e-4), name


def test_rows_that_start_at_0_only_learn_at_a_rate_of_their_own(
    settings: dict[str, Any], examples: Path, base: Path, tmp_path: Path
) -> None:
    """At the rate of an LM, V stays a constant whatever its loss weighs: Adam does not know a loss's scale."""
    from trainers.prepare import Prepare, prepare

    prepare(Prepare(model=str(base), output=tmp_path / "fresh", knows_format=True))
    fresh = settings | {"model": tmp_path / "fresh" / "model", "learning_rate": 1e-4}

    def deviation(name: str, weight: float, rate: float) -> float:
        config = SFT(
            **fresh | {"output": tmp_path / name}, examples=examples, epochs=10, value_weight=weight, value_rate=rate
        )
        train_sft(config)
        found: float = lines(config.output / "progress.jsonl")[-1]["value_deviation"]
        return found

    slow, heavy, fast = deviation("slow", 0.1, 1.0), deviation("heavy", 10.0, 1.0), deviation("fast", 0.1, 100.0)
    assert heavy < 3 * slow
    assert fast > 20 * slow
