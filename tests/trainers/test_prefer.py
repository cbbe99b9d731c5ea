"""Step-APO in closed form: its loss, its gradient, what its mask covers, and that alpha = 0 is TRL's DPO."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
from datasets import Dataset
from transformers import PreTrainedModel
from trl import DPOConfig, DPOTrainer

from infra.contract.model_folder import ValueWords
from infra.contract.training import Loss
from tests.trainers.conftest import EOS, PREFERENCE_TYPES, changed, learn
from trainers import training
from trainers.learn import Learn, train, trainer
from trainers.model_folder import load_model, load_tokenizer
from trainers.preference import PreferenceTrainer
from trainers.progress import lines
from trainers.scheduled import ScheduledTrainer


@pytest.fixture
def config(settings: dict[str, Any], preferences: Path) -> Learn:
    return Learn(**settings, lesson=preferences, loss=Loss(prefer=1.0))


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
        gap = row["chosen_value"] - row["rejected_value"]
        losses.append(-torch.nn.functional.logsigmoid(config.beta * delta - config.alpha * gap))
    return torch.stack(losses).mean()


def moved(model: torch.nn.Module) -> None:
    """A policy that has left its reference, the same way in every call."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for weight in model.parameters():
            weight += 0.02 * torch.randn(weight.shape, generator=generator)


def whole_batch(apo: DPOTrainer) -> dict[str, Any]:
    return apo.data_collator([apo.train_dataset[i] for i in range(len(apo.train_dataset))])


@pytest.mark.parametrize(("alpha", "weight"), [(0.0, 1.0), (0.4, 1.0), (1.0, 0.25)])
def test_loss_and_gradient_are_those_computed_by_hand(config: Learn, alpha: float, weight: float) -> None:
    config = changed(config, alpha=alpha, loss=Loss(prefer=weight))
    apo = trainer(config)
    moved(apo.model.train())
    loss = apo.compute_loss(apo.model, whole_batch(apo))
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
        shifted = {
            **row,
            "chosen_value": gap,
            "rejected_value": 0.0,
            "ref_chosen_logps": steps[0].item() + gap * config.alpha / config.beta,
            "ref_rejected_logps": steps[1].item(),
        }
        apo.model.zero_grad()
        apo.compute_loss(apo.model, apo.data_collator([shifted])).backward()
        strength = -config.beta * torch.sigmoid(torch.tensor(gap))
        for weight, towards in zip(apo.model.parameters(), direction.parameters(), strict=True):
            torch.testing.assert_close(weight.grad, strength * towards.grad, atol=1e-4, rtol=1e-3)


def test_alpha_0_is_trls_dpo_on_the_same_texts(
    config: Learn, tmp_path: Path, encode: Callable[[str], list[int]]
) -> None:
    """Texts that end with EOS, which is what TRL makes of any text, one token a character."""
    texts = [
        {"prompt": f"question {i}\n", "chosen": f"answer {i}{EOS}", "rejected": f"no {i * 7}{EOS}"} for i in range(16)
    ]
    rows = [{f"{key}_ids": encode(text) for key, text in row.items()} for row in texts]
    values = {"chosen_value": pl.lit(0.7), "rejected_value": pl.lit(-0.2)}
    ours = tmp_path / "pairs.parquet"
    pl.DataFrame(rows, schema_overrides=PREFERENCE_TYPES).with_columns(**values).write_parquet(ours)

    config = changed(config, lesson=ours, alpha=0.0, epochs=2)
    train(config)

    class Stock(ScheduledTrainer, DPOTrainer):
        """TRL's own, with the learning rates of ours."""

    stock = Stock(
        model=load_model(config.model),
        args=DPOConfig(
            **{**training.arguments(config), "output_dir": str(tmp_path / "stock"), "save_strategy": "no"},
            beta=config.beta,
            precompute_ref_log_probs=True,
        ),
        train_dataset=Dataset.from_list(texts),
        processing_class=load_tokenizer(config.model),
    )
    stock.train()
    losses = [entry["loss"] for entry in stock.state.log_history if "loss" in entry]
    assert [line["loss"] for line in lines(config.output / "progress.jsonl")] == pytest.approx(losses, rel=1e-5)
    trained = dict(stock.model.named_parameters())
    for name, weight in load_model(config.output / "model").named_parameters():
        torch.testing.assert_close(weight, trained[name], atol=1e-5, rtol=1e-4)


def test_the_mask_covers_exactly_the_step_and_no_eos_follows_it(config: Learn) -> None:
    apo = trainer(config)
    tokenizer = load_tokenizer(config.model)
    batch = whole_batch(apo)
    rows = pl.read_parquet(config.lesson).to_dicts()
    halves = [(row, "chosen_ids") for row in rows] + [(row, "rejected_ids") for row in rows]
    for i, (row, step) in enumerate(halves):
        real = batch["attention_mask"][i].bool()
        assert batch["input_ids"][i][real].tolist() == row["prompt_ids"] + row[step]
        assert batch["input_ids"][i][batch["completion_mask"][i].bool()].tolist() == row[step]
        assert tokenizer.eos_token_id not in batch["input_ids"][i][real]


def test_the_reference_is_the_model_it_starts_from_and_none_is_kept_in_memory(config: Learn) -> None:
    apo = trainer(config)
    assert isinstance(apo, PreferenceTrainer)
    assert apo.ref_model is None
    row = apo.train_dataset[3]
    expected = step_logprob(load_model(config.model), row["prompt_ids"], row["chosen_ids"]).item()
    shift = config.alpha / config.beta * row["chosen_value"]
    assert row["ref_chosen_logps"] == pytest.approx(expected + shift, abs=1e-4)


def test_training_widens_the_margin_and_changes_every_parameter(config: Learn, tmp_path: Path) -> None:
    """In three and a half passes over the pairs; of the text format it teaches nothing."""
    foreign = shutil.copytree(config.model, tmp_path / "foreign")
    ValueWords.read(foreign).model_copy(update={"knows_format": False}).write(foreign)
    config = changed(config, model=foreign, epochs=3.5, micro_batch_size=4, learning_rate=1e-3)
    summary = learn(config)
    progress = lines(config.output / "progress.jsonl")
    assert [(line["update"], line["updates"]) for line in progress] == [(update, 7) for update in range(1, 8)]
    assert progress[0]["margin"] == pytest.approx(0.0, abs=1e-4)  # beta * Delta, without TRL's shift
    assert progress[0]["rewards/margins"] == pytest.approx(-0.5, abs=1e-4)  # every gap is 0.5
    assert progress[-1]["margin"] > 0.1
    before = dict(load_model(config.model).named_parameters())
    for name, weight in load_model(config.output / "model").named_parameters():
        assert not torch.equal(weight, before[name]), name
    assert (summary["updates"], summary["examples"], summary["rows_seen"]) == (7, 16, 56)
    assert summary["margin"] > 0.1
    assert not ValueWords.read(config.output / "model").knows_format
