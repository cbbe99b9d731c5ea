"""The terms of a loss, each a pure function of what one forward pass gave (docs/methods.md 1.4, 1.7, 3.2, 5.2).

Each is a sum; who calls divides by what the whole update holds, so that how it is cut changes nothing. Shapes: S
sequences, of which a pair's chosen one stands before its rejected one; T tokens that they learn, in order; M values.
"""

import torch
from torch.nn.functional import logsigmoid


def per_sequence(of_tokens: torch.Tensor, sequence: torch.Tensor, count: int) -> torch.Tensor:
    """Sums over each sequence's tokens: [T], and whose they are [T] -> [S]."""
    return of_tokens.new_zeros(count).index_add(0, sequence, of_tokens)


def nll(logprobs: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """- sum w log pi: logprobs [S] of completions, weight [S]. A weight below 0 makes a completion less likely."""
    return -(weight * logprobs).sum()


def kl(logprobs: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
    """KL(pi || pi_ref) as if pi_ref had sampled the tokens, [T] and [T]: with rho = pi / pi_ref the sum of
    rho log rho - rho + 1.

    Each summand is at least 0, and 0 where both agree.
    """
    log_ratio = logprobs - reference
    ratio = log_ratio.exp()
    return (ratio * log_ratio - ratio + 1).sum()


def divergence(logits: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
    """KL(pi || pi_ref), exact: sum over the vocabulary of pi (log pi - log pi_ref). [N, vocabulary], twice -> [N]."""
    logprobs = logits.log_softmax(1)
    return (logprobs.exp() * (logprobs - reference.log_softmax(1))).sum(1)


def pair_margins(logprobs: torch.Tensor, reference: torch.Tensor, beta: float) -> torch.Tensor:
    """beta * [log pi/pi_ref (w) - log pi/pi_ref (l)]: [S], [S] -> [S / 2]."""
    ratios = logprobs - reference
    return beta * (ratios[0::2] - ratios[1::2])


def prefer(margins: torch.Tensor, gap: torch.Tensor, alpha: float) -> torch.Tensor:
    """Step-APO: - log sigmoid(margin - alpha * gap), gap = V_w - V_l. alpha = 0: DPO. Both [S / 2]."""
    return -logsigmoid(margins - alpha * gap).sum()


def match(margins: torch.Tensor, gap: torch.Tensor, alpha: float) -> torch.Tensor:
    """(margin - alpha * gap)^2: the soft optimum, beyond which Step-APO pushes (methods.md 1.7). Both [S / 2]."""
    return (margins - alpha * gap).square().sum()


def value(values: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """(V - target)^2 where there is one: [M], targets [M], NaN where none is."""
    known = ~targets.isnan()
    return (values[known] - targets[known]).square().sum()


def rank(values: torch.Tensor, targets: torch.Tensor, gamma: float) -> torch.Tensor:
    """SVPO's margin: max(0, gamma - (V_w - V_l)), pairs as in `prefer`, [S]; of a pair with a cut step nothing."""
    known = ~targets.isnan()
    whole = known[0::2] & known[1::2]
    return torch.relu(gamma - (values[0::2] - values[1::2]))[whole].sum()
