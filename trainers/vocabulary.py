"""KL(pi || pi_ref) over the whole vocabulary, off hidden states: never the logits of more than a few positions."""

import torch
from torch.nn.functional import linear
from torch.utils.checkpoint import checkpoint

from trainers import terms

LOGITS = 1 << 24
"""Of a model at once, in float32: 64 MiB. They are made again for the gradient."""

Head = tuple[torch.Tensor, torch.Tensor | None]
"""Weight [vocabulary, width] and bias [vocabulary] of an output head."""


def divergence(hidden: torch.Tensor, head: Head, reference_hidden: torch.Tensor, reference_head: Head) -> torch.Tensor:
    """Of every position, in float32: last hidden states [N, width] of both models -> [N]."""
    at_once = max(LOGITS // len(head[0]), 1)
    parts = zip(hidden.split(at_once), reference_hidden.split(at_once), strict=True)
    return torch.cat([checkpoint(_of_some, *part, head, reference_head, use_reentrant=False) for part in parts])


def _of_some(hidden: torch.Tensor, reference_hidden: torch.Tensor, head: Head, reference_head: Head) -> torch.Tensor:
    return terms.divergence(_logits(hidden, *head), _logits(reference_hidden, *reference_head))


def _logits(hidden: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    with torch.autocast(hidden.device.type, enabled=False):
        return linear(hidden.float(), weight.float(), None if bias is None else bias.float())
