"""The learning rate of every training: a linear rise to its peak, then a cosine (methods.md 1.8), and no update at 0.

The usual schedule (`transformers.get_cosine_schedule_with_warmup`) begins at 0. Its first update moves nothing, so a
training of one update returns the model that it was given.
"""

import math


def share_of_peak(update: int, warmup: int, updates: int) -> float:
    """Share of the peak rate, in (0, 1], of an update counted from 1.

    It is update / warmup in the warm-up, then falls from 1 by a half cosine that would reach 0 one update after the
    last.
    """
    warmup = max(warmup, 1)
    if update < warmup:
        return update / warmup
    return 0.5 * (1.0 + math.cos(math.pi * (update - warmup) / (updates + 1 - warmup)))
