"""TRL's SFTTrainer with a second term: the value, read off two words of the vocabulary (D2, methods 1.4)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.utils.rnn import pad_sequence
from trl import SFTTrainer

COLUMNS = ("is_policy", "prompt_ids", "completion_ids", "value_positions", "value_targets")
"""What is read of the table sft_examples."""

IGNORED = -100


@dataclass(frozen=True)
class ExampleCollator:
    """Rows of sft_examples -> right-padded tensors, cut at max_length tokens.

    input_ids, attention_mask, labels: [rows, length] int64; labels are IGNORED outside policy completions.
    value_targets: [rows, length] float32, NaN where no value is trained; a target stands at the position that
    *predicts* the step's last token, so one before that token.
    """

    pad: int
    max_length: int

    def __call__(self, rows: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
        ids, labels, targets = map(list, zip(*(self._row(row) for row in rows), strict=True))
        return {
            "input_ids": pad_sequence(ids, batch_first=True, padding_value=self.pad),
            "attention_mask": pad_sequence([torch.ones_like(i) for i in ids], batch_first=True),
            "labels": pad_sequence(labels, batch_first=True, padding_value=IGNORED),
            "value_targets": pad_sequence(targets, batch_first=True, padding_value=torch.nan),
        }

    def _row(self, row: dict[str, Any]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        prompt, completion = row["prompt_ids"], row["completion_ids"]
        ids = torch.tensor(prompt + completion)
        labels = ids.clone() if row["is_policy"] else torch.full_like(ids, IGNORED)
        labels[: len(prompt)] = IGNORED
        targets = torch.full(ids.shape, torch.nan)
        predicting = len(prompt) - 1 + torch.tensor(row["value_positions"], dtype=torch.long)
        targets[predicting] = torch.tensor(row["value_targets"], dtype=torch.float32)
        # The value that is predicted by the last kept token belongs to a step that was cut.
        targets[self.max_length - 1 :] = torch.nan
        return ids[: self.max_length], labels[: self.max_length], targets[: self.max_length]


class ValueSFTTrainer(SFTTrainer):
    """loss = TRL's LM loss + value_weight * mean squared error of V, both means over the whole update."""

    def __init__(self, *args: Any, words: tuple[int, int], value_weight: float, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.good, self.bad = words
        self.value_weight = value_weight
        # TRL's fused head never builds the logits; V needs only two of them, so it is read off the backbone.
        self.model.base_model.register_forward_hook(self._read_values)

    def _read_values(self, backbone: torch.nn.Module, inputs: Any, output: Any) -> None:
        head, hidden = self.model.get_output_embeddings(), output.last_hidden_state
        with torch.autocast(hidden.device.type, enabled=False):
            logits = hidden.float() @ (head.weight[self.good] - head.weight[self.bad]).float()
            if head.bias is not None:
                logits = logits + (head.bias[self.good] - head.bias[self.bad]).float()
        self.values = torch.tanh(logits / 2)

    def _get_num_items_in_batch(self, batch_samples: list[dict[str, torch.Tensor]], device: torch.device) -> Any:
        """Where the tokens of an update are counted, before its first micro-batch; the values likewise.

        Either count may be 0: an update of value-only rows has an LM loss of 0, not of 0/0.
        """
        count = sum((~batch["value_targets"].isnan()).sum() for batch in batch_samples)
        self.value_count = self.accelerator.gather(torch.as_tensor(count, device=device)).sum().clamp(min=1)
        return torch.as_tensor(super()._get_num_items_in_batch(batch_samples, device)).clamp(min=1)

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Any = None,
    ) -> torch.Tensor:
        targets = inputs.pop("value_targets")
        lm_loss = super().compute_loss(model, inputs, num_items_in_batch=num_items_in_batch)
        trained = ~targets.isnan()
        squared = (self.values[trained] - targets[trained]).square().sum()
        # The gradients of all processes are averaged, the count is over all of them.
        value_loss = squared / self.value_count * self.accelerator.num_processes
        self._note("lm_loss", lm_loss)
        self._note("value_loss", value_loss)
        return lm_loss + self.value_weight * value_loss

    def _note(self, name: str, loss: torch.Tensor) -> None:
        """TRL logs the mean over an update's micro-batches; each of them holds a share of the whole."""
        share = self.accelerator.gather(loss.detach()).mean() * self.current_gradient_accumulation_steps
        self._metrics["train"][name].append(share.item())
