"""The two rows of the head: how V is read off them, and that they alone move at their own rate."""

from collections.abc import Iterator
from typing import cast

import pytest
import torch
from torch.distributed import destroy_process_group, init_process_group
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor, Shard
from torch.testing._internal.distributed.fake_pg import FakeStore

from trainers.value_rows import hasten, read_values, spare_others


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


def test_other_rows_are_spared_in_weight_and_bias_and_what_has_no_gradient_is_left_alone() -> None:
    head = torch.nn.Linear(2, 4)
    head.weight.grad, head.bias.grad = torch.ones(4, 2), torch.ones(4)
    spare_others(head, (0, 2))
    assert head.weight.grad.tolist() == [[1.0, 1.0], [0.0, 0.0], [1.0, 1.0], [0.0, 0.0]]
    assert head.bias.grad.tolist() == [1.0, 0.0, 1.0, 0.0]
    head.bias.grad = None
    spare_others(head, (2,))
    assert head.weight.grad.tolist() == [[0.0, 0.0], [0.0, 0.0], [1.0, 1.0], [0.0, 0.0]]


@pytest.fixture
def second_of_three() -> Iterator[None]:
    """This process as one of three, of which the others are never asked."""
    init_process_group("fake", rank=1, world_size=3, store=FakeStore())
    yield
    destroy_process_group()


@pytest.mark.usefixtures("second_of_three")
def test_of_a_head_in_shards_a_process_hastens_the_rows_that_it_holds() -> None:
    """Of rows 0 to 4 it holds 2 and 3; of those that are hastened 1 and 4 lie with its neighbours."""
    mesh, held = init_device_mesh("cpu", (3,)), slice(2, 4)

    def sharded(whole: torch.Tensor) -> DTensor:
        return DTensor.from_local(whole[held], mesh, [Shard(0)], shape=whole.shape, stride=whole.stride())

    head = torch.nn.Linear(4, 5)
    head.weight, head.bias = (torch.nn.Parameter(sharded(torch.zeros(shape))) for shape in ((5, 4), (5,)))
    optimizer = torch.optim.SGD(head.parameters(), lr=1.0)
    hasten(optimizer, head, (1, 2, 4), 7.0)
    for weight in head.parameters():
        weight.grad = sharded(-torch.ones(weight.shape))
    optimizer.step()
    bias, weights = (cast(DTensor, parameter).to_local().tolist() for parameter in (head.bias, head.weight))
    assert bias == [7.0, 1.0]
    assert weights == [[7.0] * 4, [1.0] * 4]
