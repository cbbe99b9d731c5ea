"""SFT with the value loss: what is summed, where the value is read, and that micro-batches change nothing."""

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

from trainers.config import ConfigError
from trainers.model_folder import Policy, load_model
from trainers.progress import lines
from trainers.sft import SFT, train, trainer
from trainers.value_sft import ExampleCollator


@pytest.fixture
def config(settings: dict[str, Any], examples: Path) -> SFT:
    """One update over all 24 rows, of which 16 are imitated."""
    whole = {"batch_size": 16, "micro_batch_size": 8}
    return SFT(**{**settings, **whole}, examples=examples, epochs=1, value_weight=0.5, value_rate=1.0)


def test_a_value_stands_where_the_last_token_of_its_step_is_predicted() -> None:
    rows = [
        {
            "is_policy": True,
            "prompt_ids": [1, 2],
            "completion_ids": [3, 4, 5, 6, 9],  # steps [3, 4] and [5, 6], then EOS
            "value_positions": [1, 3],
            "value_targets": [0.5, -1.0],
        },
        {
            "is_policy": False,
            "prompt_ids": [1],
            "completion_ids": [7],  # a step of one token: its value is read at the end of the prompt
            "value_positions": [0],
            "value_targets": [0.25],
        },
        {"is_policy": True, "prompt_ids": [1], "completion_ids": [8, 9], "value_positions": [], "value_targets": []},
    ]
    batch = ExampleCollator(pad=9, max_length=10)(rows)
    nan = math.nan
    assert batch["input_ids"].tolist() == [[1, 2, 3, 4, 5, 6, 9], [1, 7, 9, 9, 9, 9, 9], [1, 8, 9, 9, 9, 9, 9]]
    assert batch["attention_mask"].tolist() == [[1] * 7, [1, 1, 0, 0, 0, 0, 0], [1, 1, 1, 0, 0, 0, 0]]
    assert batch["labels"].tolist() == [[-100, -100, 3, 4, 5, 6, 9], [-100] * 7, [-100, 8, 9, *[-100] * 4]]
    expected = torch.tensor([[nan, nan, 0.5, nan, -1.0, nan, nan], [0.25] + [nan] * 6, [nan] * 7])
    torch.testing.assert_close(batch["value_targets"], expected, equal_nan=True)


@pytest.mark.parametrize(("max_length", "trained"), [(5, [[0, 2]]), (6, [[0, 2], [0, 4]])])
def test_a_step_that_is_cut_has_no_value(max_length: int, trained: list[list[int]]) -> None:
    row = {
        "is_policy": True,
        "prompt_ids": [1, 2],
        "completion_ids": [3, 4, 5, 6],
        "value_positions": [1, 3],
        "value_targets": [0.5, -1.0],
    }
    batch = ExampleCollator(pad=9, max_length=max_length)([row])  # of 5 tokens 6 is cut, and with it its prediction
    assert batch["input_ids"].tolist() == [[1, 2, 3, 4, 5, 6][:max_length]]
    assert (~batch["value_targets"].isnan()).nonzero().tolist() == trained


def by_hand(folder: Path, examples: Path) -> tuple[float, float]:
    """(language-model loss, value loss) of all rows, one row at a time from plain logits."""
    model, policy = load_model(folder), Policy.read(folder)
    nll: list[float] = []
    squared: list[float] = []
    for row in pl.read_parquet(examples).iter_rows(named=True):
        ids = torch.tensor([row["prompt_ids"] + row["completion_ids"]])
        with torch.no_grad():
            logits = model(ids).logits[0]
        start = len(row["prompt_ids"])
        if row["is_policy"]:
            logprobs = logits.log_softmax(-1)
            nll += [-logprobs[i - 1, ids[0, i]].item() for i in range(start, ids.shape[1])]
        for position, target in zip(row["value_positions"], row["value_targets"], strict=True):
            z = logits[start + position - 1]
            squared.append((math.tanh((z[policy.good] - z[policy.bad]).item() / 2) - target) ** 2)
    return sum(nll) / len(nll), sum(squared) / len(squared)


def test_the_loss_is_the_one_computed_by_hand(config: SFT) -> None:
    train(config)
    lm_loss, value_loss = by_hand(config.model, config.examples)
    (line,) = lines(config.output / "progress.jsonl")
    assert line["lm_loss"] == pytest.approx(lm_loss, rel=1e-5)
    assert line["value_loss"] == pytest.approx(value_loss, rel=1e-5)
    assert line["loss"] == pytest.approx(lm_loss + 0.5 * value_loss, rel=1e-5)


def test_micro_batches_change_nothing(config: SFT, tmp_path: Path) -> None:
    """Twelve micro-batches with different numbers of tokens and values, or three: the same model."""
    whole = dataclasses.replace(config, epochs=4)
    parts = dataclasses.replace(whole, micro_batch_size=2, output=tmp_path / "parts")
    train(whole)
    train(parts)
    for a, b in zip(lines(whole.output / "progress.jsonl"), lines(parts.output / "progress.jsonl"), strict=True):
        for name in ("loss", "lm_loss", "value_loss", "grad_norm"):
            assert a[name] == pytest.approx(b[name], rel=1e-4), name
    in_parts = dict(load_model(parts.output / "model").named_parameters())
    for name, weight in load_model(whole.output / "model").named_parameters():
        torch.testing.assert_close(weight, in_parts[name], atol=1e-4, rtol=1e-3)


def test_value_only_rows_come_on_top_of_the_batch(config: SFT, tmp_path: Path) -> None:
    """However many of them the search left, an epoch has as many updates as its imitated paths fill."""
    rows = pl.read_parquet(config.examples)
    many = pl.concat([rows, *[rows.filter(~pl.col("is_policy"))] * 3])
    many.write_parquet(tmp_path / "many.parquet")
    for examples in (config.examples, tmp_path / "many.parquet"):
        output = tmp_path / f"run-{examples.stem}"
        train(dataclasses.replace(config, examples=examples, output=output, epochs=5, batch_size=8))
        assert len(lines(output / "progress.jsonl")) == 10


@pytest.mark.parametrize(("batch_size", "micro_batch_size"), [(8, 8), (8, 3), (2, 4), (16, 24)])
def test_an_update_holds_as_many_imitated_rows_as_it_is_asked_for(
    config: SFT, batch_size: int, micro_batch_size: int
) -> None:
    """Two of three rows are imitated, so that an update of 8 imitated ones has 12."""
    args = trainer(dataclasses.replace(config, batch_size=batch_size, micro_batch_size=micro_batch_size)).args
    assert args.per_device_train_batch_size * args.gradient_accumulation_steps == batch_size * 3 / 2
    assert args.per_device_train_batch_size <= micro_batch_size


def test_the_optimiser_is_the_papers_and_the_seed_is_ones_own(config: SFT) -> None:
    """AdamW without weight decay, gradients clipped at norm 1 (methods.md 1.8)."""
    args = trainer(dataclasses.replace(config, seed=7, learning_rate=3e-5, warmup_ratio=0.25)).args
    assert (args.seed, args.learning_rate, args.warmup_steps) == (7, 3e-5, 0.25)
    assert (args.weight_decay, args.max_grad_norm) == (0.0, 1.0)
    assert args.optim.value.startswith("adamw_torch")
    assert (args.adam_beta1, args.adam_beta2, args.adam_epsilon) == (0.9, 0.999, 1e-8)


def test_training_changes_every_parameter_and_writes_a_whole_model_folder(config: SFT) -> None:
    config = dataclasses.replace(config, epochs=3)
    train(config)
    before = dict(load_model(config.model).named_parameters())
    for name, weight in load_model(config.output / "model").named_parameters():
        assert not torch.equal(weight, before[name]), name
    for name in ("tokenizer.json", "tokenizer_config.json"):
        assert (config.output / "model" / name).read_bytes() == (config.model / name).read_bytes()
    assert Policy.read(config.output / "model") == dataclasses.replace(Policy.read(config.model), knows_format=True)
    assert sorted(path.name for path in config.output.iterdir()) == [
        "config.json",
        "model",
        "progress.jsonl",
        "summary.json",
    ]
    summary = json.loads((config.output / "summary.json").read_text())
    assert summary["updates"] == 3
    assert summary["examples"] == 24
    assert summary["lm_loss"] > 0


def test_the_probe_is_the_trained_models_own(config: SFT) -> None:
    train(config)
    probe = json.loads((config.output / "model" / "probe.json").read_text())
    model = load_model(config.output / "model")
    for sequence in probe["sequences"]:
        with torch.no_grad():
            logprobs = model(torch.tensor([sequence["prompt"]])).logits[0, -1].log_softmax(-1)
        torch.testing.assert_close(
            logprobs[sequence["token_ids"]], torch.tensor(sequence["logprobs"]), atol=1e-4, rtol=0
        )


def test_the_value_is_learnt(config: SFT) -> None:
    train(dataclasses.replace(config, epochs=60, value_weight=1.0))
    first, *_, last = lines(config.output / "progress.jsonl")
    assert last["value_loss"] < 0.2 * first["value_loss"]


def test_value_weight_0_is_plain_sft_on_the_policy_rows(config: SFT) -> None:
    train(dataclasses.replace(config, value_weight=0.0, batch_size=16, micro_batch_size=16))
    lm_loss, _ = by_hand(config.model, config.examples)
    (line,) = lines(config.output / "progress.jsonl")
    assert line["loss"] == line["lm_loss"] == pytest.approx(lm_loss, rel=1e-5)
    assert json.loads((config.output / "summary.json").read_text())["examples"] == 16


def test_without_a_right_path_the_value_is_learnt_and_the_format_is_not(config: SFT, tmp_path: Path) -> None:
    foreign = shutil.copytree(config.model, tmp_path / "foreign")
    words = json.loads((foreign / "policy.json").read_text())
    (foreign / "policy.json").write_text(json.dumps(words | {"knows_format": False}))
    rows = pl.read_parquet(config.examples).filter(~pl.col("is_policy"))
    rows.write_parquet(tmp_path / "values.parquet")
    given: dict[str, Any] = {
        "model": foreign,
        "examples": tmp_path / "values.parquet",
        "epochs": 60,
        "value_weight": 1.0,
    }
    train(dataclasses.replace(config, **given, batch_size=rows.height, micro_batch_size=rows.height))
    first, *_, last = lines(config.output / "progress.jsonl")
    assert first["lm_loss"] == last["lm_loss"] == 0
    assert last["value_loss"] < 0.2 * first["value_loss"]
    assert not Policy.read(config.output / "model").knows_format


def test_an_update_without_a_value_target_has_a_value_loss_of_0(config: SFT, tmp_path: Path) -> None:
    rows = pl.read_parquet(config.examples).filter("is_policy")
    nothing: dict[str, Any] = {"value_positions": [[]] * rows.height, "value_targets": [[]] * rows.height}
    untargeted = rows.with_columns(**{name: pl.Series(v, dtype=rows.schema[name]) for name, v in nothing.items()})
    untargeted.write_parquet(tmp_path / "rows.parquet")
    train(dataclasses.replace(config, examples=tmp_path / "rows.parquet"))
    (line,) = lines(config.output / "progress.jsonl")
    assert line["value_loss"] == line["value_deviation"] == 0
    assert line["loss"] == pytest.approx(line["lm_loss"])


def test_rows_whose_prompt_fills_max_length_are_left_out(
    config: SFT, tmp_path: Path, encode: Callable[[str], list[int]]
) -> None:
    rows = pl.read_parquet(config.examples)
    long = rows.head(1).with_columns(prompt_ids=pl.Series([encode("a" * 64)], dtype=pl.List(pl.Int32)))
    pl.concat([rows, long]).write_parquet(tmp_path / "rows.parquet")
    train(dataclasses.replace(config, examples=tmp_path / "rows.parquet"))
    assert json.loads((config.output / "summary.json").read_text())["examples"] == 24
    with pytest.raises(ConfigError, match="has no row to train on"):
        train(dataclasses.replace(config, output=tmp_path / "none", max_length=2))


def test_a_finished_run_is_not_done_again_and_its_folder_takes_no_other_config(config: SFT) -> None:
    train(config)
    written = (config.output / "model" / "model.safetensors").stat().st_mtime_ns
    train(config)
    assert (config.output / "model" / "model.safetensors").stat().st_mtime_ns == written
    with pytest.raises(ConfigError, match="holds a run of another config"):
        train(dataclasses.replace(config, seed=2))
