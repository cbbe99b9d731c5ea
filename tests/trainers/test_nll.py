"""Imitation, with the value beside it: what is summed, where the value is read, that micro-batches change nothing."""

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch

from infra.contract.model_folder import Probe, Turn, ValueWords
from infra.contract.training import Loss
from tests.trainers.conftest import changed, learn
from trainers.config import ConfigError
from trainers.learn import Learn, train, trainer
from trainers.lesson import Collator, Together
from trainers.model_folder import load_model
from trainers.progress import lines


@pytest.fixture
def config(settings: dict[str, Any], imitations: Path) -> Learn:
    """One update over all 24 rows, of which 16 are imitated."""
    whole = {"batch_size": 16, "micro_batch_size": 8}
    return Learn(**settings | whole, lesson=imitations, loss=Loss(nll=1.0, value=0.5), value_rate=1.0)


STEPS = {"question_id": "a", "weight": 1.0, "prompt_ids": [1, 2], "completion_ids": [3, 4, 5, 6, 9]}
"""Steps [3, 4] and [5, 6], then EOS."""


def test_rows_of_a_question_stand_together_in_the_order_of_its_tree() -> None:
    """A step before what follows it, and token 300 behind token 9, not before; so that a batch shares beginnings."""
    told = [("a", [300, 1]), ("b", [5]), ("a", [9, 2]), ("a", [300]), ("b", [4]), ("a", [9])]
    unvalued = STEPS | {"value_positions": [], "value_targets": []}
    rows = [unvalued | {"question_id": question, "completion_ids": ids} for question, ids in told]
    order = Together(rows, seed=1)
    assert sorted(order.groups) == [[4, 1], [5, 2, 3, 0]]
    assert sorted(order) == list(range(len(order)))


def test_whole_numbers_of_a_lesson_are_taken_as_floats() -> None:
    batch = collated(STEPS | {"weight": 1, "value_positions": [1], "value_targets": [1], "reference": [[-1] * 5]})
    assert {batch[name].dtype for name in ("weight", "value_targets", "reference")} == {torch.float32}
    pair = {"prompt_ids": [1], "chosen_ids": [2], "rejected_ids": [3]}
    sides = {f"{side}_{of}": 1 for side in ("chosen", "rejected") for of in ("q", "value")}
    assert collated(pair | sides)["advantage"].dtype == torch.float32


def collated(*rows: dict[str, Any], max_length: int = 10, share: bool = True) -> dict[str, torch.Tensor]:
    return Collator(9, max_length, 20, Loss(nll=1.0, value=1.0), share)(rows)


def test_what_is_learnt_is_the_completion_and_a_value_stands_where_its_steps_last_token_is_predicted() -> None:
    batch = collated(
        STEPS | {"value_positions": [1, 3], "value_targets": [0.5, -1.0]},
        # a step of one token: its value is read at the end of the prompt; it is not imitated
        {"weight": 0.0, "prompt_ids": [1], "completion_ids": [7], "value_positions": [0], "value_targets": [0.25]},
        {"weight": 0.5, "prompt_ids": [1], "completion_ids": [8, 9], "value_positions": [], "value_targets": []},
    )
    assert batch["input_ids"].tolist() == [[1, 2, 3, 4, 5, 6, 9, 7, 8, 9]]
    assert batch["position_ids"].tolist() == [[0, 1, 2, 3, 4, 5, 6, 1, 1, 2]]
    assert batch["predicted"].tolist() == [3, 4, 5, 6, 9, 8, 9]
    assert batch["predicting"].tolist() == [1, 2, 3, 4, 5, 0, 8]
    assert batch["token"].tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert batch["sequence"].tolist() == [0, 0, 0, 0, 0, 2, 2]
    assert batch["weight"].tolist() == [1.0, 0.0, 0.5]
    assert batch["value_places"].tolist() == [2, 4, 0]
    assert batch["value_targets"].tolist() == [0.5, -1.0, 0.25]
    assert [int(batch[name]) for name in ("tokens", "row_tokens")] == [10, 12]


def test_a_step_that_two_paths_share_is_computed_once_and_learnt_twice() -> None:
    """The first token of a branch is predicted by the last one of what it branches from."""
    values: dict[str, Any] = {"value_positions": [1], "value_targets": [0.5]}
    batch = collated(STEPS | values, STEPS | values | {"completion_ids": [3, 4, 8]})
    assert batch["input_ids"].tolist() == [[1, 2, 3, 4, 5, 6, 9, 8]]
    assert batch["predicted"].tolist() == [3, 4, 5, 6, 9, 8]
    assert batch["predicting"].tolist() == [1, 2, 3, 4, 5, 3]
    assert batch["token"].tolist() == [0, 1, 2, 3, 4, 0, 1, 5]
    assert batch["sequence"].tolist() == [0] * 5 + [1] * 3
    assert batch["value_places"].tolist() == [2, 2]


@pytest.mark.parametrize(("max_length", "kept"), [(5, [2]), (6, [2, 4])])
def test_a_step_that_is_cut_has_no_value(max_length: int, kept: list[int]) -> None:
    values: dict[str, Any] = {"value_positions": [1, 3], "value_targets": [0.5, -1.0]}
    batch = collated(STEPS | values, max_length=max_length)  # of 5 tokens 6 is cut, and with it its prediction
    assert batch["input_ids"].tolist() == [[1, 2, 3, 4, 5, 6][:max_length]]
    assert batch["value_places"].tolist() == kept


def by_hand(folder: Path, imitations: Path) -> tuple[float, float]:
    """(language-model loss, value loss) of all rows, one row at a time from plain logits."""
    model, words = load_model(folder), ValueWords.read(folder)
    nll: list[float] = []
    squared: list[float] = []
    for row in pl.read_parquet(imitations).iter_rows(named=True):
        ids = torch.tensor([row["prompt_ids"] + row["completion_ids"]])
        with torch.no_grad():
            logits = model(ids).logits[0]
        start = len(row["prompt_ids"])
        if row["weight"]:
            logprobs = row["weight"] * logits.log_softmax(-1)
            nll += [-logprobs[i - 1, ids[0, i]].item() for i in range(start, ids.shape[1])]
        for position, target in zip(row["value_positions"], row["value_targets"], strict=True):
            z = logits[start + position - 1]
            squared.append((math.tanh((z[words.good] - z[words.bad]).item() / 2) - target) ** 2)
    return sum(nll) / len(nll), sum(squared) / len(squared)


def test_the_loss_is_the_one_computed_by_hand(config: Learn) -> None:
    train(changed(config, loss=Loss(nll=2.0, value=0.5)))
    nll_loss, value_loss = by_hand(config.model, config.lesson)
    (line,) = lines(config.output / "progress.jsonl")
    assert line["nll_loss"] == pytest.approx(nll_loss, rel=1e-5)
    assert line["value_loss"] == pytest.approx(value_loss, rel=1e-5)
    assert line["loss"] == pytest.approx(2.0 * nll_loss + 0.5 * value_loss, rel=1e-5)


def test_a_weight_scales_the_losses_of_a_rows_tokens_and_not_their_number(config: Learn, tmp_path: Path) -> None:
    """Each row counts w times, also below 0; the mean is over the tokens of all rows whose weight is not 0."""
    rows = pl.read_parquet(config.lesson)
    weights = [[2.0, -0.5, 0.0, 0.25][i % 4] for i in range(rows.height)]
    rows.with_columns(weight=pl.Series(weights)).write_parquet(tmp_path / "rows.parquet")
    config = changed(config, lesson=tmp_path / "rows.parquet", batch_size=18, micro_batch_size=5)
    train(config)
    (line,) = lines(config.output / "progress.jsonl")
    assert line["nll_loss"] == pytest.approx(by_hand(config.model, config.lesson)[0], rel=1e-5)


def test_micro_batches_change_nothing(config: Learn, tmp_path: Path) -> None:
    """Twelve micro-batches with different numbers of tokens and values, or three: the same model."""
    whole = changed(config, epochs=4)
    parts = changed(whole, micro_batch_size=2, output=tmp_path / "parts")
    train(whole)
    train(parts)
    for a, b in zip(lines(whole.output / "progress.jsonl"), lines(parts.output / "progress.jsonl"), strict=True):
        for name in ("loss", "nll_loss", "value_loss", "grad_norm"):
            assert a[name] == pytest.approx(b[name], rel=1e-4), name
    in_parts = dict(load_model(parts.output / "model").named_parameters())
    for name, weight in load_model(whole.output / "model").named_parameters():
        torch.testing.assert_close(weight, in_parts[name], atol=1e-4, rtol=1e-3)


def test_value_only_rows_come_on_top_of_the_batch(config: Learn, tmp_path: Path) -> None:
    """However many of them the search left, an epoch has as many updates as its imitated paths fill."""
    rows = pl.read_parquet(config.lesson)
    many = pl.concat([rows, *[rows.filter(pl.col("weight") == 0)] * 3])
    many.write_parquet(tmp_path / "many.parquet")
    for lesson in (config.lesson, tmp_path / "many.parquet"):
        output = tmp_path / f"run-{lesson.stem}"
        train(changed(config, lesson=lesson, output=output, epochs=5, batch_size=8))
        assert len(lines(output / "progress.jsonl")) == 10


@pytest.mark.parametrize(("batch_size", "micro_batch_size"), [(8, 8), (8, 3), (2, 4), (16, 24)])
def test_an_update_holds_as_many_imitated_rows_as_it_is_asked_for(
    config: Learn, batch_size: int, micro_batch_size: int
) -> None:
    """Two of three rows are imitated, so that an update of 8 imitated ones has 12."""
    args = trainer(changed(config, batch_size=batch_size, micro_batch_size=micro_batch_size)).args
    assert args.per_device_train_batch_size * args.gradient_accumulation_steps == batch_size * 3 / 2
    assert args.per_device_train_batch_size <= micro_batch_size


def test_the_optimiser_is_the_papers_and_the_seed_is_ones_own(config: Learn) -> None:
    """AdamW without weight decay, gradients clipped at norm 1 (methods.md 1.8)."""
    args = trainer(changed(config, seed=7, learning_rate=3e-5, warmup_ratio=0.25)).args
    assert (args.seed, args.learning_rate, args.warmup_steps) == (7, 3e-5, 0.25)
    assert (args.weight_decay, args.max_grad_norm) == (0.0, 1.0)
    assert args.optim.value.startswith("adamw_torch")
    assert (args.adam_beta1, args.adam_beta2, args.adam_epsilon) == (0.9, 0.999, 1e-8)


def test_training_changes_every_parameter_and_writes_a_whole_model_folder(config: Learn) -> None:
    config = changed(config, epochs=3)
    summary = learn(config)
    before = dict(load_model(config.model).named_parameters())
    for name, weight in load_model(config.output / "model").named_parameters():
        assert not torch.equal(weight, before[name]), name
    for name in ("tokenizer.json", "tokenizer_config.json"):
        assert (config.output / "model" / name).read_bytes() == (config.model / name).read_bytes()
    known = {"knows_format": True}
    assert ValueWords.read(config.output / "model") == ValueWords.read(config.model).model_copy(update=known)
    assert sorted(path.name for path in config.output.iterdir()) == [
        "config.json",
        "model",
        "progress.jsonl",
        "summary.json",
    ]
    assert summary["updates"] == 3
    assert summary["examples"] == 24
    assert summary["nll_loss"] > 0


def test_what_learns_in_a_chat_is_asked_in_it_for_good(config: Learn, tmp_path: Path) -> None:
    foreign = shutil.copytree(config.model, tmp_path / "foreign")
    words = ValueWords.read(foreign).model_copy(update={"knows_format": False, "turn": Turn(before=[1], after=[2])})
    words.write(foreign)
    train(changed(config, model=foreign, in_chat=True))
    assert ValueWords.read(config.output / "model") == words


def test_the_probe_is_the_trained_models_own(config: Learn) -> None:
    train(config)
    probe = Probe.read(config.output / "model")
    model = load_model(config.output / "model")
    for sequence in probe.sequences:
        with torch.no_grad():
            logprobs = model(torch.tensor([sequence.prompt])).logits[0, -1].log_softmax(-1)
        torch.testing.assert_close(logprobs[sequence.token_ids], torch.tensor(sequence.logprobs), atol=1e-4, rtol=0)


def test_the_value_is_learnt(config: Learn) -> None:
    train(changed(config, epochs=60, loss=Loss(nll=1.0, value=1.0)))
    first, *_, last = lines(config.output / "progress.jsonl")
    assert last["value_loss"] < 0.2 * first["value_loss"]


def test_without_a_value_it_is_plain_sft_on_the_imitated_rows(config: Learn) -> None:
    train(changed(config, loss=Loss(nll=1.0), value_rate=10.0, batch_size=16, micro_batch_size=16))
    nll_loss, _ = by_hand(config.model, config.lesson)
    (line,) = lines(config.output / "progress.jsonl")
    assert line["loss"] == line["nll_loss"] == pytest.approx(nll_loss, rel=1e-5)
    assert json.loads((config.output / "summary.json").read_text())["examples"] == 16


def test_without_a_right_path_the_value_is_learnt_and_the_format_is_not(config: Learn, tmp_path: Path) -> None:
    foreign = shutil.copytree(config.model, tmp_path / "foreign")
    ValueWords.read(foreign).model_copy(update={"knows_format": False}).write(foreign)
    rows = pl.read_parquet(config.lesson).filter(pl.col("weight") == 0)
    rows.write_parquet(tmp_path / "values.parquet")
    given: dict[str, Any] = {
        "model": foreign,
        "lesson": tmp_path / "values.parquet",
        "epochs": 60,
        "loss": Loss(nll=1.0, value=1.0),
    }
    train(changed(config, **given, batch_size=rows.height, micro_batch_size=rows.height))
    first, *_, last = lines(config.output / "progress.jsonl")
    assert first["nll_loss"] == last["nll_loss"] == 0
    assert last["value_loss"] < 0.2 * first["value_loss"]
    assert not ValueWords.read(config.output / "model").knows_format


def test_an_update_without_a_value_target_has_a_value_loss_of_0(config: Learn, tmp_path: Path) -> None:
    rows = pl.read_parquet(config.lesson).filter(pl.col("weight") != 0)
    nothing: dict[str, Any] = {"value_positions": [[]] * rows.height, "value_targets": [[]] * rows.height}
    untargeted = rows.with_columns(**{name: pl.Series(v, dtype=rows.schema[name]) for name, v in nothing.items()})
    untargeted.write_parquet(tmp_path / "rows.parquet")
    train(changed(config, lesson=tmp_path / "rows.parquet"))
    (line,) = lines(config.output / "progress.jsonl")
    assert line["value_loss"] == line["value_deviation"] == 0
    assert line["loss"] == pytest.approx(line["nll_loss"])


def test_rows_whose_prompt_fills_max_length_are_left_out(
    config: Learn, tmp_path: Path, encode: Callable[[str], list[int]]
) -> None:
    rows = pl.read_parquet(config.lesson)
    long = rows.head(1).with_columns(prompt_ids=pl.Series([encode("a" * 64)], dtype=pl.List(pl.Int32)))
    pl.concat([rows, long]).write_parquet(tmp_path / "rows.parquet")
    assert learn(changed(config, lesson=tmp_path / "rows.parquet"))["examples"] == 24
    with pytest.raises(ConfigError, match="has no row to train on"):
        train(changed(config, output=tmp_path / "none", max_length=2))


def test_a_finished_run_is_not_done_again_and_its_folder_takes_no_other_config(config: Learn) -> None:
    train(config)
    written = (config.output / "model" / "model.safetensors").stat().st_mtime_ns
    train(config)
    assert (config.output / "model" / "model.safetensors").stat().st_mtime_ns == written
    with pytest.raises(ConfigError, match="holds a run of another config"):
        train(changed(config, seed=2))
