"""Token sequences laid out so that the model computes what several of them begin with once (docs/design.md D8b).

    a b c d                                         a b c d e f g
    a b c e     one row of 7 tokens instead of 12:  e sees a b c, not d;  f and g see a b, not c d e
    a b f g

A token sees itself and what comes before it in a sequence that holds it; its position is its place in that sequence. So
every token has the very log-probs and values that it has in a row of its own. Sequences without a common start stand
in one row like any other branches. The layout knows token ids alone: whichever rows of a lesson begin alike share.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

Ids = np.ndarray
"""Token ids of one sequence: [tokens] int64."""


@dataclass(frozen=True)
class Forest:
    """Rows of at most so many tokens, right-padded.

    input_ids, position_ids: [rows, length] int64. filled: [rows, length] bool, False where padded. ends: [rows, length]
    int64, of each token the first column to its right that does not see it. places: of each sequence, where its tokens
    stand in the flattened rows.
    """

    input_ids: torch.Tensor
    position_ids: torch.Tensor
    filled: torch.Tensor
    ends: torch.Tensor
    places: list[np.ndarray]

    @property
    def tokens(self) -> int:
        """That are computed, without padding."""
        return int(self.filled.sum())


def plant(sequences: Sequence[Sequence[int]], capacity: int, *, pad: int, share: bool = True) -> Forest:
    """Lays sequences out in rows of at most `capacity` tokens, or of the longest sequence.

    In lexicographic order neighbours share most, and every token's descendants stand right behind it. A sequence that
    does not fit begins the next row. `share`: without, each has a row of its own.
    """
    all_ids = [np.asarray(ids) for ids in sequences]
    order = sorted(range(len(all_ids)), key=lambda i: all_ids[i].astype(">u8").tobytes())
    rows: list[tuple[list[int], list[int], list[int]]] = []
    spots: dict[int, tuple[int, np.ndarray]] = {}
    ids: list[int] = []
    positions: list[int] = []
    ends: list[int] = []
    path: list[int] = []  # columns of the sequence before, from its start
    before = np.empty(0, dtype=np.int64)

    def begin_row() -> None:
        nonlocal ids, positions, ends, path, before
        ids, positions, ends, path, before = [], [], [], [], np.empty(0, dtype=np.int64)
        rows.append((ids, positions, ends))

    begin_row()
    for i in order:
        own = all_ids[i]
        shared = common_start(before, own)
        if ids and (not share or len(ids) + len(own) - shared > capacity):
            begin_row()
            shared = 0
        for column in path[shared:]:
            ends[column] = len(ids)
        path = path[:shared] + list(range(len(ids), len(ids) + len(own) - shared))
        ids += own[shared:].tolist()
        positions += range(shared, len(own))
        ends += [-1] * (len(own) - shared)
        for column in path:
            ends[column] = len(ids)
        spots[i], before = (len(rows) - 1, np.array(path)), own

    length = max(len(ids) for ids, _, _ in rows)
    laid_out = torch.full((3, len(rows), length), 0, dtype=torch.int64)
    laid_out[0] = pad
    laid_out[2] = torch.arange(1, length + 1)  # padding sees itself alone: a token that sees nothing is NaN
    for r, row in enumerate(rows):
        laid_out[:, r, : len(row[0])] = torch.tensor(row)
    places = [row * length + columns for row, columns in map(spots.__getitem__, range(len(all_ids)))]
    input_ids, position_ids, all_ends = laid_out
    filled = torch.arange(length) < torch.tensor([len(ids) for ids, _, _ in rows])[:, None]
    return Forest(input_ids, position_ids, filled, all_ends, places)


def common_start(one: Ids, other: Ids) -> int:
    """How many tokens both begin with."""
    shorter = min(len(one), len(other))
    differing = np.flatnonzero(one[:shorter] != other[:shorter])
    return int(differing[0]) if len(differing) else shorter


def mask(ends: torch.Tensor) -> torch.Tensor:
    """Who sees whom: ends [rows, length] -> [rows, 1, query, key] bool, as every attention of transformers takes it.

    A byte for each pair of tokens, 268 MB for a row of 16,384, and nothing beside it while it is made.
    """
    query = torch.arange(ends.shape[1], device=ends.device)[None, :, None]
    return (query < ends[:, None, :]).tril_()[:, None]
