"""The two rows of the head: how V is read off them, and that they alone move at their own rate."""

import pytest
import torch

from trainers.value_rows import hasten, read_values


@pytest.mark.parametrize("bias", [True, False])
def test_v_is_tanh_of_half_the_difference_of_both_words_logits(bias: bool) -> None:
    torch.manual_seed(1)
    head, hidden = torch.nn.Linear(8, 5, bias=bias), torch.randn(2, 3, 8)
    logits = head(hidden)
    expected = torch.tanh((logits[..., 4] - logits[..., 1]) / 2)
    torch.testing.assert_close(read_values(head, hidden, good=4, bad=1), expected)


@pytest.mark.parametrize("rows", [(0, 2), (3, 4)])
def test_hastened_rows_go_the_optimizers_way_so_many_times_as_far(rows: tuple[int, int]) -> None:
    def stepped(rate: float | None) -> torch.nn.Linear:
        torch.manual_seed(1)
        head, hidden = torch.nn.Linear(8, 5), torch.randn(4, 8)
        optimizer = torch.optim.AdamW(head.parameters(), lr=1e-2, weight_decay=0.0)
        if rate:
            hasten(optimizer, head, rows, rate)
        head(hidden).square().sum().backward()
        optimizer.step()
        return head

    torch.manual_seed(1)
    start, plain, fast = torch.nn.Linear(8, 5), stepped(None), stepped(7.0)
    for name, before in start.named_parameters():
        way = plain.get_parameter(name) - before
        expected = way.detach().clone()
        expected[list(rows)] *= 7.0
        torch.testing.assert_close(fast.get_parameter(name) - before, expected, atol=1e-6, rtol=1e-4)
