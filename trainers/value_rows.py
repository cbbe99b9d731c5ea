"""The two rows of the output head that hold the value (design D2): V read off them, and how they alone are trained."""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch.distributed.tensor import DTensor
from torch.optim import Optimizer


def read_values(head: torch.nn.Linear, hidden: torch.Tensor, good: int, bad: int) -> torch.Tensor:
    """V = tanh((z_good - z_bad) / 2) at every position: hidden [rows, length, width] -> [rows, length] float32.

    Of all the logits only two are made, and these in float32 also under autocast.
    """
    with torch.autocast(hidden.device.type, enabled=False):
        logits = hidden.float() @ (head.weight[good] - head.weight[bad]).float()
        if head.bias is not None:
            logits = logits + (head.bias[good] - head.bias[bad]).float()
    return torch.tanh(logits / 2)


def hasten(optimizer: Optimizer, head: torch.nn.Linear, rows: Sequence[int], rate: float) -> None:
    """Every update moves these rows of the head `rate` times as far as it would.

    Under Adam without weight decay that is a learning rate of their own. Adam moves a weight by at most about the rate,
    whatever the loss weighs. So rows that start at 0 and share the rate of the rest stay near 0.
    """
    before: list[torch.Tensor] = []

    def remember(*_: Any) -> None:
        before[:] = [shard[mine].clone() for shard, mine in _held(_trained(head), rows)]

    @torch.no_grad()
    def stretch(*_: Any) -> None:
        for (shard, mine), start in zip(_held(_trained(head), rows), before, strict=True):
            shard[mine] = start + rate * (shard[mine] - start)

    optimizer.register_step_pre_hook(remember)
    optimizer.register_step_post_hook(stretch)


def spare_others(head: torch.nn.Module, rows: Sequence[int]) -> None:
    """No other row of the head has a gradient. Adam without weight decay then leaves it what it was, to the bit."""
    gradients = [parameter.grad for parameter in _trained(head) if parameter.grad is not None]
    for shard, mine in _held(gradients, rows):
        kept = shard[mine].clone()
        shard.zero_()
        shard[mine] = kept


def _trained(head: torch.nn.Module) -> list[torch.nn.Parameter]:
    """Weight and bias; where PEFT keeps a copy to train, its own."""
    return [parameter for parameter in head.parameters() if parameter.requires_grad]


def _held(tensors: Iterable[torch.Tensor], rows: Sequence[int]) -> list[tuple[torch.Tensor, list[int]]]:
    """Of tensors of a row for each word what this process holds, and the places of the rows in it."""
    held = []
    for tensor in tensors:
        shard, first = tensor.detach(), 0
        if isinstance(shard, DTensor):
            from torch.distributed.tensor._utils import compute_local_shape_and_global_offset

            _, (first, *_) = compute_local_shape_and_global_offset(shard.shape, shard.device_mesh, shard.placements)
            shard = shard.to_local()
        held.append((shard, [row - first for row in rows if first <= row < first + len(shard)]))
    return held
