"""KL over the whole vocabulary: its closed form, what it holds back, and that it is the start's that it is taken to."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch

from infra.contract.training import Loss
from tests.trainers.conftest import changed, learn
from tests.trainers.test_prefer import moved
from trainers import terms, vocabulary
from trainers.learn import Learn, train, trainer
from trainers.model_folder import load_model
from trainers.progress import lines
from trainers.trainer import LessonTrainer

P, Q = [0.5, 0.3, 0.2], [0.2, 0.2, 0.6]


def test_it_is_the_sum_of_its_definition_and_so_is_its_gradient() -> None:
    """d KL / d z_v = p_v (log p_v/q_v - KL). In float64, logits off by a constant that softmax does not see."""
    logits = (torch.tensor([P, Q], dtype=torch.float64).log() + 3.0).requires_grad_()
    reference = torch.tensor([Q, Q], dtype=torch.float64).log() - 1.0
    found = terms.divergence(logits, reference)
    by_hand = sum(p * math.log(p / q) for p, q in zip(P, Q, strict=True))
    assert found.tolist() == pytest.approx([by_hand, 0.0], abs=1e-12)
    found.sum().backward()
    assert logits.grad is not None
    expected = [p * (math.log(p / q) - by_hand) for p, q in zip(P, Q, strict=True)]
    assert logits.grad.flatten().tolist() == pytest.approx([*expected, 0.0, 0.0, 0.0], abs=1e-12)


@pytest.mark.parametrize(("logits", "at_once"), [(2, [1, 1, 1]), (6, [2, 1]), (11, [3])])
def test_off_hidden_states_it_is_it_with_a_bias_and_a_few_positions_at_once(
    logits: int, at_once: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Gradients, too, also where nobody keeps them: every position is made again for them."""
    generator = torch.Generator().manual_seed(4)
    (hidden, old), heads = torch.randn(2, 3, 2, generator=generator), torch.randn(2, 3, 3, generator=generator)
    (head, before), learnt = ((one[:, :2], one[:, 2]) for one in heads.requires_grad_()), hidden.requires_grad_()
    expected = terms.divergence(learnt @ head[0].T + head[1], old @ before[0].T + before[1])
    wanted = torch.autograd.grad(expected.sum(), (learnt, heads))
    made = []

    def divergence(now: torch.Tensor, then: torch.Tensor) -> torch.Tensor:
        made.append(len(now))
        return by_definition(now, then)

    by_definition = terms.divergence
    monkeypatch.setattr(terms, "divergence", divergence)
    monkeypatch.setattr(vocabulary, "LOGITS", logits)
    found = vocabulary.divergence(learnt, head, old, before)
    assert made == at_once
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(torch.autograd.grad(found.sum(), (learnt, heads)), wanted)
    assert made == [*at_once, *reversed(at_once)]


def test_a_position_that_one_of_both_models_lacks_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vocabulary, "LOGITS", 1)
    hidden, head = torch.ones(3, 2), (torch.ones(4, 2), None)
    assert vocabulary.divergence(hidden, head, hidden, head).tolist() == [0.0, 0.0, 0.0]
    with pytest.raises(ValueError, match="argument 2 is shorter"):
        vocabulary.divergence(hidden, head, hidden[:2], head)


def test_the_sampled_form_is_it_where_tokens_come_as_often_as_the_reference_samples_them() -> None:
    p, q = torch.tensor(P, dtype=torch.float64), torch.tensor(Q, dtype=torch.float64)
    sampled = sum(q[v] * terms.kl(p[v : v + 1].log(), q[v : v + 1].log()) for v in range(3))
    assert float(sampled) == pytest.approx(float(terms.divergence(p.log()[None], q.log()[None])), abs=1e-12)


def test_it_sees_what_moves_beside_the_lessons_token_and_the_sampled_form_does_not() -> None:
    start, now = torch.tensor([[0.5, 0.4, 0.1]]).double(), torch.tensor([[0.5, 0.1, 0.4]]).double()
    assert terms.kl(now[0, :1].log(), start[0, :1].log()).item() == pytest.approx(0.0, abs=1e-12)
    assert terms.divergence(now.log(), start.log()).item() > 0.4


def rest(q: float, weight: float, exact: bool) -> float:
    """Where gradient descent on the logits of two words ends, in log(pi / pi_ref) of the first, whose log-prob has that
    weight in nll; at most 40 below where it began."""
    start = torch.tensor([[math.log(q), math.log1p(-q)]], dtype=torch.float64)
    logits = start.clone().requires_grad_()
    for _ in range(2_000):
        now = logits.log_softmax(-1)
        brake = terms.divergence(logits, start).sum() if exact else terms.kl(now[:, 0], start[:, 0])
        loss = terms.nll(now[:, 0], torch.tensor([weight], dtype=torch.float64)) + brake
        (gradient,) = torch.autograd.grad(loss, logits)
        logits = (logits - 0.5 * gradient).detach().requires_grad_()
        fallen = float(logits.detach().log_softmax(-1)[0, 0] - start[0, 0])
        if fallen < -40 or gradient.abs().max() < 1e-10:
            break
    return fallen


def test_what_it_holds_back() -> None:
    """Of a token that the start was sure of, it outweighs any fall that the sampled form, whose pull is at most 1/e,
    lets go on for ever. Of one that was unlikely it does not: both pulls vanish with the token's probability, and a
    weight below 0 has no lower bound (methods.md 5.2)."""
    assert rest(0.99, -0.3, exact=False) > -3
    assert rest(0.99, -0.5, exact=False) < -40
    for weight in (2.0, 0.5, -0.3, -0.5, -1.0, -2.0):
        assert abs(rest(0.99, weight, exact=True)) < 3, weight
    assert rest(0.2, -0.5, exact=True) < -40


@pytest.fixture
def config(settings: dict[str, Any], imitations: Path, tmp_path: Path) -> Learn:
    """Signed weights, as scores of siblings are."""
    rows = pl.read_parquet(imitations)
    weights = pl.Series([[0.5, -0.5, 0.0][i % 3] for i in range(rows.height)])
    rows.with_columns(weight=weights).write_parquet(tmp_path / "scored.parquet")
    return Learn(**settings, lesson=tmp_path / "scored.parquet", loss=Loss(nll=1.0, kl=1.0), exact_kl=True)


def by_hand(config: Learn) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Mean over the learnt tokens of a model that has moved, one row at a time from plain logits; and its gradient."""
    model, start = load_model(config.model).double(), load_model(config.model).double()
    moved(model)
    found = []
    for row in pl.read_parquet(config.lesson).filter(pl.col("weight") != 0).iter_rows(named=True):
        ids = torch.tensor([row["prompt_ids"] + row["completion_ids"]])
        places = slice(len(row["prompt_ids"]) - 1, -1)
        with torch.no_grad():
            before = start(ids).logits[0, places].log_softmax(-1)
        now = model(ids).logits[0, places].log_softmax(-1)
        found.append((now.exp() * (now - before)).sum(-1))
    loss = torch.cat(found).mean()
    loss.backward()
    return loss, {name: weight.grad for name, weight in model.named_parameters() if weight.grad is not None}


def kl_alone(made: LessonTrainer, rows: list[dict[str, Any]]) -> torch.Tensor:
    """Of one update that holds these rows, in which nll weighs nothing."""
    made.terms = Loss.model_construct(**dict(made.terms) | {"nll": 0.0})
    batch = made.data_collator(rows)
    made.current_gradient_accumulation_steps = 1
    made._get_num_items_in_batch([batch], torch.device("cpu"))
    return made.compute_loss(made.model, batch)


@pytest.mark.parametrize("share", [True, False])
@pytest.mark.parametrize("logits", [1 << 24, 100])
def test_of_a_lesson_it_is_the_one_computed_by_hand_in_whatever_order_and_chunks(
    config: Learn, share: bool, logits: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vocabulary, "LOGITS", logits)
    expected, gradients = by_hand(config)
    made = trainer(config)
    made.data_collator = replace(made.data_collator, share=share)
    moved(made.model.train())
    rows = list(made.train_dataset)
    for given in (rows, rows[::-1]):
        made.model.zero_grad()
        loss = kl_alone(made, given)
        loss.backward()
        assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
        for name, weight in made.model.named_parameters():
            torch.testing.assert_close(weight.grad.double(), gradients[name], atol=2e-6, rtol=1e-3, msg=name)


def test_micro_batches_change_nothing(config: Learn, tmp_path: Path) -> None:
    whole = changed(config, epochs=3, batch_size=16, micro_batch_size=16, learning_rate=1e-3)
    parts = changed(whole, micro_batch_size=3, output=tmp_path / "parts")
    train(whole)
    train(parts)
    for a, b in zip(lines(whole.output / "progress.jsonl"), lines(parts.output / "progress.jsonl"), strict=True):
        for name in ("loss", "kl_loss", "nll_loss", "grad_norm"):
            assert a[name] == pytest.approx(b[name], rel=2e-4, abs=1e-6), name


@pytest.mark.parametrize("lora", [0, 4])
def test_it_begins_at_0_grows_and_its_reference_stays_what_it_was(config: Learn, lora: int) -> None:
    """A second model, or the same without its adapter."""
    config = changed(config, lora=lora, epochs=6, learning_rate=1e-2)
    made = trainer(config)
    batch = made.data_collator(list(made.train_dataset)[:4])
    before = made.hidden_before(made.model, batch).clone()
    made.train()
    torch.testing.assert_close(made.hidden_before(made.model.eval(), batch), before, atol=1e-5, rtol=1e-5)
    losses = [entry["kl_loss"] for entry in made.state.log_history if "kl_loss" in entry]
    assert losses[0] == pytest.approx(0.0, abs=1e-6)
    assert losses[-1] > 1e-4


def test_a_training_by_it_is_published_like_any_other(config: Learn) -> None:
    summary = learn(changed(config, epochs=2))
    assert summary["kl_loss"] >= 0
    assert (config.output / "references.parquet").is_file()


@pytest.mark.parametrize("lora", [0, 4])
def test_the_start_drops_nothing_out(config: Learn, lora: int) -> None:
    """What training drops at random is no part of the model that searched."""
    made = trainer(changed(config, lora=lora))
    batch = made.data_collator(list(made.train_dataset)[:4])
    whole = made.hidden_before(made.model.eval(), batch).clone()
    for module in made.model.modules():
        if hasattr(module, "attention_dropout"):
            module.attention_dropout = 0.5
    torch.testing.assert_close(made.hidden_before(made.model.train(), batch), whole, atol=1e-5, rtol=1e-5)
    assert made.model.training
