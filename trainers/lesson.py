"""What a trainer reads of a lesson, and how rows of it become one batch: both tables, one shape.

A row of imitations is one sequence, a row of preferences two: the chosen step's before the rejected one's. Of a
sequence, the tokens after its prompt are learnt, and V at the ends of steps: V of a step stands at the position that
*predicts* its last token (design D2).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.utils.data import Sampler

from infra.contract.training import Loss
from trainers.forest import plant

Row = Mapping[str, Any]

COLUMNS = {
    "imitations": ("question_id", "weight", "prompt_ids", "completion_ids", "value_positions", "value_targets"),
    "preferences": (
        *("question_id", "prompt_ids", "chosen_ids", "rejected_ids"),
        *("chosen_q", "rejected_q", "chosen_value", "rejected_value"),
    ),
}
"""What is read of either table."""

UNKNOWN = float("nan")


@dataclass(frozen=True)
class Path:
    """One sequence and what is learnt of it.

    `learnt`: the tokens from `start` on are; `weight`: of their log-prob in nll. `places`: of the tokens that end a
    step; `targets`: what V should be there. `advantage`: V of a preference's step in the loss (methods.md 1.7).
    """

    ids: Sequence[int]
    start: int
    learnt: bool
    weight: float
    places: Sequence[int]
    targets: Sequence[float]
    advantage: float = 0.0


def paths(row: Row) -> list[Path]:
    """The sequences of a row of either table."""
    prompt = row["prompt_ids"]
    if "completion_ids" in row:
        weight, places = row["weight"], [len(prompt) + place for place in row["value_positions"]]
        whole = [*prompt, *row["completion_ids"]]
        return [Path(whole, len(prompt), weight != 0, weight, places, row["value_targets"])]
    sides = []
    for side in ("chosen", "rejected"):
        whole = [*prompt, *row[f"{side}_ids"]]
        sides.append(Path(whole, len(prompt), True, 1.0, [len(whole) - 1], [row[f"{side}_q"]], row[f"{side}_value"]))
    return sides


def teaches(row: Row, loss: Loss) -> bool:
    """Whether any term of the loss learns from a row."""
    return any(
        (path.learnt and loss.needs_logprobs) or (len(path.targets) and loss.needs_values) for path in paths(row)
    )


@dataclass(frozen=True)
class Collator:
    """Rows of a lesson -> one batch, cut at max_length tokens; beginnings that they share are laid out once, in rows of
    row_length tokens.

    input_ids, position_ids, ends: [rows, length], a forest (`trainers.forest`); without sharing input_ids and filled.
    predicting, predicted: [U] int64: where in the flattened rows a learnt token is predicted, and its id.
    token, sequence: [T] int64: of each learnt token of each sequence, its place in U and the sequence.
    weight, advantage: [S] float32. reference: [T] float32, log pi_ref, where it is known.
    value_places: [M] int64 in the flattened rows. value_targets: [M] float32; of a preference two, of a step that was
    cut NaN. tokens, row_tokens: that are computed, and that all sequences have.
    """

    pad: int
    max_length: int
    row_length: int
    loss: Loss
    share: bool = True

    def __call__(self, rows: Sequence[Row]) -> dict[str, torch.Tensor]:
        of_row = [paths(row) for row in rows]
        all_paths = [path for one in of_row for path in one]
        sequences = [path.ids[: self.max_length] for path in all_paths]
        forest = plant(sequences, self.row_length, pad=self.pad, share=self.share)
        predicting: list[np.ndarray] = []
        token_ids: list[np.ndarray] = []
        learnt: list[np.ndarray] = []
        places: list[int] = []
        targets: list[float] = []
        for path, ids, where in zip(all_paths, sequences, forest.places, strict=True):
            start = path.start if path.learnt and self.loss.needs_logprobs else len(ids)
            learnt.append(where[start:])
            predicting.append(where[start - 1 : -1] if start < len(ids) else where[:0])
            token_ids.append(np.asarray(ids[start:], dtype=np.int64))
            if self.loss.needs_values:
                kept = [(p, t) for p, t in zip(path.places, path.targets, strict=True) if p < len(ids)]
                if path.places and not kept and self.loss.learns_from == "preferences":
                    kept = [(len(ids) - 1, UNKNOWN)]  # a pair has two values, whatever was cut
                places += [where[p - 1] for p, _ in kept]
                targets += [t for _, t in kept]
        flat = np.concatenate(learnt)
        _, first, token = np.unique(flat, return_index=True, return_inverse=True)
        batch = {
            "input_ids": forest.input_ids,
            **({"position_ids": forest.position_ids, "ends": forest.ends} if self.share else {"filled": forest.filled}),
            "predicting": torch.from_numpy(np.concatenate(predicting)[first].astype(np.int64)),
            "predicted": torch.from_numpy(np.concatenate(token_ids)[first]),
            "token": torch.from_numpy(token.astype(np.int64)),
            "sequence": torch.repeat_interleave(torch.tensor([len(one) for one in learnt])),
            "weight": torch.tensor([path.weight for path in all_paths], dtype=torch.float32),
            "advantage": torch.tensor([path.advantage for path in all_paths], dtype=torch.float32),
            "value_places": torch.tensor(places, dtype=torch.int64),
            "value_targets": torch.tensor(targets, dtype=torch.float32),
            "tokens": torch.tensor(forest.tokens),
            "row_tokens": torch.tensor(sum(map(len, sequences))),
        }
        if all("reference" in row for row in rows):
            known = [number for row in rows for side in row["reference"] for number in side]
            batch["reference"] = torch.tensor(known, dtype=torch.float32)
        return batch


class Together(Sampler[int]):
    """Rows of one question stand together, in the order in which one walks its tree, so that a batch holds what shares
    a beginning; the questions are shuffled anew in every epoch, and the same in every process."""

    def __init__(self, rows: Iterable[Row], seed: int) -> None:
        groups: dict[str, list[tuple[bytes, int]]] = {}
        for number, row in enumerate(rows):
            first = np.asarray(paths(row)[0].ids, dtype=">u4").tobytes()
            groups.setdefault(row["question_id"], []).append((first, number))
        self.groups = [[number for _, number in sorted(group)] for group in groups.values()]
        self.count, self.seed, self.epoch = sum(map(len, self.groups)), seed, 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self.seed + self.epoch)
        for place in torch.randperm(len(self.groups), generator=generator).tolist():
            yield from self.groups[place]
