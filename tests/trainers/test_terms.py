"""Each term and its gradient against its closed form, in float64 on literal tensors."""

from collections.abc import Callable
from math import exp, log, log1p

import pytest
import torch

from trainers import terms

W, L = [-1.0, -2.5], [-1.5, -0.5]
"""log pi of the chosen and the rejected steps of two pairs."""
REFERENCE = [-1.2, -1.4, -2.0, -1.0]
GAP = [0.6, 2.0]


def double(*numbers: float) -> torch.Tensor:
    return torch.tensor(numbers, dtype=torch.float64, requires_grad=True)


def chosen_before_rejected() -> torch.Tensor:
    return double(W[0], L[0], W[1], L[1])


def margins_by_hand(beta: float) -> list[float]:
    return [beta * ((W[i] - REFERENCE[2 * i]) - (L[i] - REFERENCE[2 * i + 1])) for i in (0, 1)]


def test_tokens_are_summed_for_the_sequence_that_they_belong_to() -> None:
    tokens, whose = double(1.0, 2.0, 4.0, 8.0), torch.tensor([2, 0, 2, 0])
    assert terms.per_sequence(tokens, whose, 4).tolist() == [10.0, 0.0, 5.0, 0.0]


def test_nll_is_weighed_and_a_weight_below_0_turns_it_round() -> None:
    logprobs = double(-1.0, -2.0, -4.0)
    loss = terms.nll(logprobs, torch.tensor([1.0, 0.0, -0.5], dtype=torch.float64))
    assert loss.item() == pytest.approx(1.0 - 0.5 * 4.0, abs=1e-12)
    loss.backward()
    assert logprobs.grad is not None
    assert logprobs.grad.tolist() == [-1.0, 0.0, 0.5]


@pytest.mark.parametrize("alpha", [0.0, 1.0, 3.0])
def test_step_apo_and_its_gradient(alpha: float) -> None:
    """dL/d log pi(w) = -beta * sigmoid(alpha * gap - margin), and as much the other way for l (methods.md 1.7)."""
    beta, logprobs = 0.3, chosen_before_rejected()
    margins = terms.pair_margins(logprobs, torch.tensor(REFERENCE, dtype=torch.float64), beta)
    by_hand = margins_by_hand(beta)
    assert margins.tolist() == pytest.approx(by_hand, abs=1e-12)
    loss = terms.prefer(margins, torch.tensor(GAP, dtype=torch.float64), alpha)
    x = [alpha * gap - margin for gap, margin in zip(GAP, by_hand, strict=True)]
    assert loss.item() == pytest.approx(sum(log1p(exp(one)) for one in x), abs=1e-12)
    loss.backward()
    pulls = [beta / (1 + exp(-one)) for one in x]
    assert logprobs.grad is not None
    assert logprobs.grad.tolist() == pytest.approx([-pulls[0], pulls[0], -pulls[1], pulls[1]], abs=1e-12)


def test_the_squared_form_and_its_gradient() -> None:
    beta, alpha, logprobs = 0.3, 0.5, chosen_before_rejected()
    margins = terms.pair_margins(logprobs, torch.tensor(REFERENCE, dtype=torch.float64), beta)
    loss = terms.match(margins, torch.tensor(GAP, dtype=torch.float64), alpha)
    off = [margin - alpha * gap for gap, margin in zip(GAP, margins_by_hand(beta), strict=True)]
    assert loss.item() == pytest.approx(off[0] ** 2 + off[1] ** 2, abs=1e-12)
    loss.backward()
    assert logprobs.grad is not None
    expected = [2 * beta * one * sign for one in off for sign in (1, -1)]
    assert logprobs.grad.tolist() == pytest.approx(expected, abs=1e-12)


def test_kl_is_that_of_the_distributions_when_every_token_counts_as_often_as_the_reference_samples_it() -> None:
    p, q = [0.5, 0.3, 0.2], [0.2, 0.2, 0.6]
    logprobs = double(*map(log, p))
    counted = [terms.kl(logprobs[i : i + 1], torch.tensor([log(q[i])], dtype=torch.float64)) for i in range(3)]
    mean = torch.stack([q[i] * counted[i] for i in range(3)]).sum()
    assert mean.item() == pytest.approx(sum(a * log(a / b) for a, b in zip(p, q, strict=True)), abs=1e-12)
    assert min(one.item() for one in counted) > 0
    mean.backward()  # d/d log p of sum p log p/q - p: p * log p/q
    assert logprobs.grad is not None
    assert logprobs.grad.tolist() == pytest.approx([a * log(a / b) for a, b in zip(p, q, strict=True)], abs=1e-12)


NAN = float("nan")


def test_the_value_is_pulled_to_its_target_where_there_is_one() -> None:
    values = double(0.5, -0.25, 0.9)
    loss = terms.value(values, torch.tensor([1.0, NAN, 0.0], dtype=torch.float64))
    assert loss.item() == pytest.approx(0.25 + 0.81, abs=1e-12)
    loss.backward()
    assert values.grad is not None
    assert values.grad.tolist() == pytest.approx([-1.0, 0.0, 1.8], abs=1e-12)


def test_the_rank_asks_for_a_margin_of_gamma_between_both_values_and_no_more() -> None:
    values = double(0.5, 0.4, 0.9, -0.9, 0.0, 0.0)
    loss = terms.rank(values, torch.tensor([1.0, -1.0, 1.0, -1.0, NAN, -1.0], dtype=torch.float64), 0.5)
    assert loss.item() == pytest.approx(0.5 - 0.1, abs=1e-12)
    loss.backward()
    assert values.grad is not None
    assert values.grad.tolist() == [-1.0, 1.0, 0.0, 0.0, 0.0, 0.0]


SUMS: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "nll": terms.nll,
    "kl": terms.kl,
    "value": terms.value,
    "rank": lambda one, other: terms.rank(one, other, 0.5),
    "prefer": lambda one, other: terms.prefer(terms.pair_margins(one, other, 0.3), other[0::2], 1.0),
    "match": lambda one, other: terms.match(terms.pair_margins(one, other, 0.3), other[0::2], 1.0),
}


@pytest.mark.parametrize("name", SUMS)
def test_a_term_of_all_is_the_sum_of_that_of_parts_in_any_order(name: str) -> None:
    generator = torch.Generator().manual_seed(4)
    one, other = torch.randn(2, 12, dtype=torch.float64, generator=generator).tanh()
    whole = SUMS[name](one, other)
    pairs = [SUMS[name](one[i : i + 2], other[i : i + 2]) for i in (6, 0, 10, 4, 2, 8)]
    torch.testing.assert_close(whole, torch.stack(pairs).sum(), atol=1e-12, rtol=1e-12)
