"""Step-APO in closed form: its loss, its gradient, what its mask covers, and that alpha = 0 is TRL's DPO."""

import copy
import math
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import mean
from typing import Any

import polars as pl
import pytest
import torch
from datasets import Dataset
from transformers import BloomConfig, BloomForCausalLM, PreTrainedModel
from trl import DPOConfig, DPOTrainer

from infra.contract.model_folder import ValueWords
from infra.contract.training import Loss
from tests.trainers.conftest import EOS, PREFERENCE_TYPES, changed, learn
from trainers import model_folder, training
from trainers.learn import Learn, train, trainer
from trainers.model_folder import load_model, load_tokenizer
from trainers.progress import lines
from trainers.scheduled import ScheduledTrainer
from trainers.trainer import LessonTrainer


@pytest.fixture
def config(settings: dict[str, Any], preferences: Path) -> Learn:
    return Learn(**settings, lesson=preferences, loss=Loss(prefer=1.0))


def gap_of(row: Mapping[str, Any]) -> float:
    """V_w - V_l."""
    return float(row["chosen_value"] - row["rejected_value"])


def step_logprob(model: PreTrainedModel, prompt: list[int], step: list[int]) -> torch.Tensor:
    """log pi(step | prompt): the sum over the step's tokens, from plain logits. Shape []."""
    ids = torch.tensor([prompt + step])
    logprobs = model(ids).logits[0, len(prompt) - 1 : -1].log_softmax(-1)
    return logprobs[torch.arange(len(step)), torch.tensor(step)].sum()


def loss_by_hand(model: PreTrainedModel, reference: PreTrainedModel, config: Learn) -> torch.Tensor:
    """Mean of -log sigmoid(beta * Delta - alpha * (V_w - V_l)) over all pairs."""
    losses = []
    for row in pl.read_parquet(config.lesson).iter_rows(named=True):
        prompt, chosen, rejected = row["prompt_ids"], row["chosen_ids"], row["rejected_ids"]
        with torch.no_grad():
            of_reference = step_logprob(reference, prompt, chosen) - step_logprob(reference, prompt, rejected)
        delta = step_logprob(model, prompt, chosen) - step_logprob(model, prompt, rejected) - of_reference
        losses.append(-torch.nn.functional.logsigmoid(config.beta * delta - config.alpha * gap_of(row)))
    return torch.stack(losses).mean()


def moved(model: torch.nn.Module) -> None:
    """A policy that has left its reference, the same way in every call."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for weight in model.parameters():
            weight += 0.02 * torch.randn(weight.shape, generator=generator)


def loss_of(apo: LessonTrainer, rows: Sequence[dict[str, Any]]) -> torch.Tensor:
    """Of one update that holds these rows alone."""
    batch = apo.data_collator(rows)
    apo.current_gradient_accumulation_steps = 1
    apo._get_num_items_in_batch([batch], torch.device("cpu"))
    return apo.compute_loss(apo.model, batch)


@pytest.mark.parametrize(("alpha", "weight"), [(0.0, 1.0), (0.4, 1.0), (1.0, 0.25)])
def test_loss_and_gradient_are_those_computed_by_hand(config: Learn, alpha: float, weight: float) -> None:
    config = changed(config, alpha=alpha, loss=Loss(prefer=weight))
    apo = trainer(config)
    moved(apo.model.train())
    loss = loss_of(apo, list(apo.train_dataset))
    loss.backward()

    model = load_model(config.model)
    moved(model)
    expected = loss_by_hand(model, load_model(config.model), config) * weight
    expected.backward()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    by_hand = dict(model.named_parameters())
    for name, parameter in apo.model.named_parameters():
        torch.testing.assert_close(parameter.grad, by_hand[name].grad, atol=2e-5, rtol=1e-3, msg=name)


def test_a_wider_gap_pulls_harder_and_always_towards_the_chosen_step(config: Learn) -> None:
    """dL/dtheta = -beta * sigmoid(gap - beta * Delta) * d(log pi_w - log pi_l) (methods 1.7); Delta = 0."""
    apo = trainer(config)
    apo.model.train()
    row = dict(apo.train_dataset[0])
    direction = load_model(config.model)
    steps = [step_logprob(direction, row["prompt_ids"], row[key]) for key in ("chosen_ids", "rejected_ids")]
    (steps[0] - steps[1]).backward()
    for gap in (0.3, 2.0):
        apo.model.zero_grad()
        loss_of(apo, [{**row, "chosen_value": gap, "rejected_value": 0.0}]).backward()
        strength = -config.beta * torch.sigmoid(torch.tensor(gap))
        for weight, towards in zip(apo.model.parameters(), direction.parameters(), strict=True):
            torch.testing.assert_close(weight.grad, strength * towards.grad, atol=1e-4, rtol=1e-3)


def test_alpha_0_is_trls_dpo_on_the_same_texts(
    config: Learn, tmp_path: Path, encode: Callable[[str], list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over 50 updates. Texts that end with EOS, which is what TRL makes of any text, one token a character; in float64,
    for in float32 Adam makes whole steps of the rounding of gradients near 0."""
    texts = [
        {"prompt": f"question {i}\n", "chosen": f"answer {i}{EOS}", "rejected": f"no {i * 7}{EOS}"} for i in range(16)
    ]
    rows = [
        {"question_id": str(i)} | {f"{key}_ids": encode(text) for key, text in row.items()}
        for i, row in enumerate(texts)
    ]
    values = {name: pl.lit(0.7) for name in ("chosen_value", "rejected_value", "chosen_q", "rejected_q")}
    ours = tmp_path / "pairs.parquet"
    pl.DataFrame(rows, schema_overrides=PREFERENCE_TYPES).with_columns(**values).write_parquet(ours)

    config = changed(config, lesson=ours, alpha=0.0, epochs=25, learning_rate=1e-3)
    monkeypatch.setattr(model_folder, "load_model", lambda folder, device: load_model(folder).double())
    apo = trainer(config)
    apo.train()

    class Stock(ScheduledTrainer, DPOTrainer):
        """TRL's own, with the learning rates of ours."""

    stock = Stock(
        model=load_model(config.model).double(),
        args=DPOConfig(
            **{name: told for name, told in training.arguments(config).items() if name != "dataset_kwargs"}
            | {"output_dir": str(tmp_path / "stock"), "save_strategy": "no"},
            beta=config.beta,
            precompute_ref_log_probs=True,
        ),
        train_dataset=Dataset.from_list(texts),
        processing_class=load_tokenizer(config.model),
    )
    stock.train()
    ours_by_update, theirs = (
        [entry["loss"] for entry in one.state.log_history if "loss" in entry] for one in (apo, stock)
    )
    assert len(theirs) == 50
    assert theirs[-1] < 0.9 * theirs[0]
    assert ours_by_update == pytest.approx(theirs, abs=1e-6)
    trained = dict(stock.model.named_parameters())
    for name, weight in apo.model.named_parameters():
        torch.testing.assert_close(weight, trained[name], atol=1e-6, rtol=1e-5)


def test_what_is_learnt_is_exactly_the_step_and_no_eos_follows_it(config: Learn) -> None:
    apo = trainer(config)
    eos = load_tokenizer(config.model).eos_token_id
    rows = list(apo.train_dataset)
    batch = apo.data_collator(rows)
    for i, row in enumerate(rows):
        for s, side in ((2 * i, "chosen_ids"), (2 * i + 1, "rejected_ids")):
            assert batch["predicted"][batch["token"][batch["sequence"] == s]].tolist() == row[side]
    assert eos not in batch["predicted"]
    assert (
        batch["tokens"]
        < batch["row_tokens"]
        == sum(2 * len(row["prompt_ids"]) + len(row["chosen_ids"]) + len(row["rejected_ids"]) for row in rows)
    )


def test_the_reference_is_the_model_it_starts_from_kept_beside_the_rows(config: Learn) -> None:
    """Every token's log-prob, of the chosen and of the rejected step: an artifact of the round."""
    apo = trainer(config)
    model = load_model(config.model)
    assert 0 < apo.reference_seconds < 60
    written = pl.read_parquet(config.output / "references.parquet")
    assert written.schema["reference"] == pl.List(pl.List(pl.Float32))
    for row, at in zip(apo.train_dataset, written["row"], strict=True):
        for side, found in zip(("chosen_ids", "rejected_ids"), written["reference"][at].to_list(), strict=True):
            ids = torch.tensor([row["prompt_ids"] + row[side]])
            start = len(row["prompt_ids"])
            with torch.no_grad():
                logprobs = model(ids).logits[0, start - 1 : -1].log_softmax(-1)
            expected = logprobs.gather(1, ids[0, start:, None])[:, 0]
            torch.testing.assert_close(torch.tensor(found), expected, atol=1e-5, rtol=1e-5)


def test_a_reference_is_kept_by_the_row_of_the_lesson_also_where_rows_are_left_out(
    config: Learn, tmp_path: Path
) -> None:
    rows = pl.read_parquet(config.lesson)
    long = rows.head(1).with_columns(prompt_ids=pl.Series([[5] * 64], dtype=pl.List(pl.Int32)))
    pl.concat([long, rows.head(2), long, rows.tail(1)]).write_parquet(tmp_path / "rows.parquet")
    trainer(changed(config, lesson=tmp_path / "rows.parquet"))
    assert pl.read_parquet(config.output / "references.parquet")["row"].to_list() == [1, 2, 4]


def test_what_the_updates_did_to_each_pair_is_kept_beside_the_rows(config: Learn, tmp_path: Path) -> None:
    """The sums of log-probs of the models before and after, of the rows that are trained on."""
    rows = pl.read_parquet(config.lesson)
    long = rows.head(1).with_columns(prompt_ids=pl.Series([[5] * 64], dtype=pl.List(pl.Int32)))
    pl.concat([long, rows]).write_parquet(tmp_path / "rows.parquet")
    config = changed(config, lesson=tmp_path / "rows.parquet", learning_rate=1e-3)
    learn(config)
    told = pl.read_parquet(config.output / "effects.parquet")
    assert told["row"].to_list() == list(range(1, rows.height + 1))
    for when, folder in (("before", config.model), ("after", config.output / "model")):
        model = load_model(folder).eval()
        for side in ("chosen", "rejected"):
            with torch.no_grad():
                expected = [step_logprob(model, *ids).item() for ids in rows["prompt_ids", f"{side}_ids"].iter_rows()]
            assert told[f"{side}_{when}"].to_list() == pytest.approx(expected, abs=1e-4), (side, when)
    margin = (pl.col("chosen_after") - pl.col("chosen_before")) - (pl.col("rejected_after") - pl.col("rejected_before"))
    assert told.select(margin.min()).item() > 0


def test_a_loss_without_a_preference_tells_of_no_pairs(config: Learn) -> None:
    learn(changed(config, loss=Loss(rank=1.0)))
    assert not (config.output / "effects.parquet").exists()


def test_training_widens_the_margin_and_changes_every_parameter(config: Learn, tmp_path: Path) -> None:
    """In three and a half passes over the pairs; of the text format it teaches nothing."""
    foreign = shutil.copytree(config.model, tmp_path / "foreign")
    ValueWords.read(foreign).model_copy(update={"knows_format": False}).write(foreign)
    config = changed(config, model=foreign, epochs=3.5, micro_batch_size=4, learning_rate=1e-3)
    rows = trainer(config)
    rows._get_train_sampler()
    first = [gap_of(rows.train_dataset[row]) for row in list(rows.order)[: config.batch_size]]
    assert max(first) - min(first) > 0.3
    summary = learn(config)
    progress = lines(config.output / "progress.jsonl")
    assert [(line["update"], line["updates"]) for line in progress] == [(update, 7) for update in range(1, 8)]
    assert progress[0]["margin"] == pytest.approx(0.0, abs=1e-4)  # beta * Delta, without the gap
    assert progress[0]["loss"] == pytest.approx(mean(math.log1p(math.exp(gap)) for gap in first), abs=1e-4)
    assert progress[-1]["margin"] > 0.1
    before = dict(load_model(config.model).named_parameters())
    for name, weight in load_model(config.output / "model").named_parameters():
        assert not torch.equal(weight, before[name]), name
    assert (summary["updates"], summary["examples"], summary["rows_seen"]) == (7, 16, 56)
    assert summary["margin"] > 0.1
    assert not ValueWords.read(config.output / "model").knows_format


def gradients(config: Learn, rows: Sequence[dict[str, Any]] | None = None, *, share: bool = True) -> dict[str, Any]:
    """The loss of one update over the rows (all rows), and its gradient by parameter."""
    apo = trainer(config)
    apo.data_collator = replace(apo.data_collator, share=share)
    moved(apo.model.train())
    loss = loss_of(apo, list(apo.train_dataset) if rows is None else rows)
    loss.backward()
    return {"loss": loss} | {name: weight.grad for name, weight in apo.model.named_parameters()}


SVPO = Loss(prefer=1.0, value=0.5, rank=2.0, kl=0.1)


def test_svpos_terms_in_one_pass_are_the_sum_of_those_computed_by_hand(config: Learn) -> None:
    config = changed(config, loss=SVPO, gamma=0.8, alpha=0.0)
    found = gradients(config)
    model, reference, words = load_model(config.model), load_model(config.model), ValueWords.read(config.model)
    moved(model)
    rows = pl.read_parquet(config.lesson).to_dicts()
    squares, ranks, divergences = [], [], []
    for row in rows:
        values = []
        for side in ("chosen", "rejected"):
            prompt, step = row["prompt_ids"], row[f"{side}_ids"]
            ids = torch.tensor([prompt + step])
            logits = model(ids).logits[0]
            z = logits[len(prompt) + len(step) - 2]
            values.append(torch.tanh((z[words.good] - z[words.bad]) / 2))
            squares.append((values[-1] - row[f"{side}_q"]) ** 2)
            of_tokens = logits[len(prompt) - 1 : -1].log_softmax(-1).gather(1, torch.tensor(step)[:, None])
            with torch.no_grad():
                before = reference(ids).logits[0, len(prompt) - 1 : -1].log_softmax(-1)
            log_ratio = of_tokens - before.gather(1, torch.tensor(step)[:, None])
            divergences.append(log_ratio.exp() * log_ratio - log_ratio.exp() + 1)
        ranks.append(torch.relu(0.8 - (values[0] - values[1])))
    by_hand = (
        loss_by_hand(model, reference, config)
        + 0.5 * torch.stack(squares).mean()
        + 2.0 * torch.stack(ranks).mean()
        + 0.1 * torch.cat(divergences).mean()
    )
    by_hand.backward()
    assert found["loss"].item() == pytest.approx(by_hand.item(), rel=1e-5)
    for name, weight in model.named_parameters():
        torch.testing.assert_close(found[name], weight.grad, atol=2e-5, rtol=1e-3, msg=name)


def test_shared_beginnings_and_the_order_of_siblings_change_nothing(config: Learn) -> None:
    config = changed(config, loss=SVPO)
    rows = list(trainer(config).train_dataset)
    shared, alone = gradients(config), gradients(config, share=False)
    turned = gradients(config, rows[::-1])
    for name, gradient in shared.items():
        size = gradient.norm()
        assert (gradient - alone[name]).norm() < 1e-5 * size, name
        assert (gradient - turned[name]).norm() < 1e-5 * size, name


def test_another_branch_changes_nothing_of_a_step(config: Learn) -> None:
    """No token of one step leaks into another: what is rejected may be anything."""
    apo = trainer(config)
    row = dict(apo.train_dataset[0])
    other = row | {"rejected_ids": row["rejected_ids"][::-1]}
    with torch.no_grad():
        one, two = (apo.scores(apo.model.eval(), apo.data_collator([given]))[0] for given in (row, other))
    n = len(row["chosen_ids"])
    torch.testing.assert_close(one[:n], two[:n], atol=1e-6, rtol=1e-6)
    assert not torch.allclose(one[n:], two[n:], atol=1e-2)


def test_micro_batches_change_nothing(config: Learn, tmp_path: Path) -> None:
    whole = changed(config, loss=SVPO, epochs=3, batch_size=16, micro_batch_size=16)
    parts = changed(whole, micro_batch_size=3, output=tmp_path / "parts")
    train(whole)
    train(parts)
    for a, b in zip(lines(whole.output / "progress.jsonl"), lines(parts.output / "progress.jsonl"), strict=True):
        for name in ("loss", "margin", "preferred", "prefer_loss", "rank_loss", "value_loss", "kl_loss", "grad_norm"):
            assert a[name] == pytest.approx(b[name], rel=2e-4, abs=1e-6), name


def test_a_model_that_can_not_share_beginnings_is_trained_without(
    config: Learn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """BLOOM's positions are distances that its attention counts itself, from a mask of rows."""
    tokenizer = load_tokenizer(config.model)
    torch.manual_seed(1)
    bloom = BloomForCausalLM(BloomConfig(vocab_size=len(tokenizer), hidden_size=32, n_layer=2, n_head=2))
    for weight in bloom.parameters():
        torch.nn.init.normal_(weight, std=0.2)
    monkeypatch.setattr(model_folder, "load_model", lambda folder, device: copy.deepcopy(bloom))
    apo = trainer(config)
    assert "\nwith this model nothing is shared" in f"\n{capsys.readouterr().out}"
    batch = apo.data_collator([apo.train_dataset[0]])
    assert batch["tokens"] == batch["row_tokens"]
    row = apo.train_dataset[0]
    with torch.no_grad():
        tokens, _ = apo.scores(apo.model.eval(), batch)
        expected = step_logprob(bloom.eval(), row["prompt_ids"], row["chosen_ids"])
    assert tokens[: len(row["chosen_ids"])].sum().item() == pytest.approx(expected.item(), rel=1e-5)


def test_a_longest_row_of_which_the_cut_leaves_nothing_stops_no_training(config: Learn, tmp_path: Path) -> None:
    """Its prompt fits, and the end of its first step, where its value is, does not."""
    rows = pl.read_parquet(config.lesson).with_columns(
        pl.lit(0.0).alias("weight"),
        pl.col("chosen_ids").alias("completion_ids"),
        pl.lit([0], dtype=pl.List(pl.Int32)).alias("value_positions"),
        pl.lit([0.5], dtype=pl.List(pl.Float32)).alias("value_targets"),
    )
    long = rows.head(1).with_columns(
        pl.lit("long").alias("question_id"),
        pl.lit([5] * 60, dtype=pl.List(pl.Int32)).alias("prompt_ids"),
        pl.lit([5] * 9, dtype=pl.List(pl.Int32)).alias("completion_ids"),
        pl.lit([8], dtype=pl.List(pl.Int32)).alias("value_positions"),
    )
    pl.concat([rows, long]).write_parquet(tmp_path / "rows.parquet")
    made = trainer(changed(config, lesson=tmp_path / "rows.parquet", loss=Loss(value=1.0)))
    assert made.data_collator.share
    assert len(made.train_dataset) == 17


def test_a_resumed_epoch_has_its_own_order_however_its_rows_are_wrapped(config: Learn) -> None:
    apo = trainer(changed(config, epochs=3))
    epochs: list[int] = []
    apo._get_train_sampler()
    apo.order.set_epoch = epochs.append  # type: ignore[method-assign, assignment]
    kept = apo.order
    apo._get_train_sampler = lambda *_: kept  # type: ignore[method-assign]
    apo.train()
    assert sorted(set(epochs)) == [0, 1, 2]


def test_the_squared_form_is_the_recipes_to_choose(config: Learn) -> None:
    """(beta * Delta - alpha * gap)^2; at the start Delta = 0."""
    for squared in (True, False):
        apo = trainer(changed(config, squared=squared, output=config.output / str(squared)))
        gaps = map(gap_of, apo.train_dataset)
        expected = mean(gap**2 if squared else math.log1p(math.exp(gap)) for gap in gaps)
        with torch.no_grad():
            assert loss_of(apo, list(apo.train_dataset)).item() == pytest.approx(expected, abs=1e-4)
