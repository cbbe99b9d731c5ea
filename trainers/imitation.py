"""The terms `nll` and `value`, each alone or both in one pass: TRL's SFTTrainer with weights and V (methods.md 1.4).

Every mean is taken over the whole update: how it is cut into micro-batches and devices changes nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.utils.rnn import pad_sequence
from trl import SFTTrainer

from infra.contract.training import Loss
from trainers.scheduled import ScheduledTrainer
from trainers.value_rows import hasten, read_values

COLUMNS = ("weight", "prompt_ids", "completion_ids", "value_positions", "value_targets")
"""What is read of the table imitations."""

IGNORED = -100


@dataclass(frozen=True)
class ImitationCollator:
    """Rows of imitations -> right-padded tensors, cut at max_length tokens.

    input_ids, attention_mask, labels: [rows, length] int64. Labels are IGNORED outside what is imitated.
    weight: [rows, 1] float32, of the row's tokens.
    value_targets: [rows, length] float32, NaN where no value is trained; a target stands at the position that
    *predicts* the step's last token, so one before that token.
    """

    pad: int
    max_length: int

    def __call__(self, rows: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
        padding = {"input_ids": self.pad, "attention_mask": 0, "labels": IGNORED, "value_targets": torch.nan}
        made = [self._row(row) for row in rows]
        weight = torch.tensor([[row["weight"]] for row in rows], dtype=torch.float32)
        return {"weight": weight} | {
            name: pad_sequence([row[name] for row in made], batch_first=True, padding_value=value)
            for name, value in padding.items()
        }

    def _row(self, row: dict[str, Any]) -> dict[str, torch.Tensor]:
        prompt, completion = row["prompt_ids"], row["completion_ids"]
        ids = torch.tensor(prompt + completion)
        labels = ids.clone() if row["weight"] else torch.full_like(ids, IGNORED)
        labels[: len(prompt)] = IGNORED
        targets = torch.full(ids.shape, torch.nan)
        predicting = len(prompt) - 1 + torch.tensor(row["value_positions"], dtype=torch.long)
        targets[predicting] = torch.tensor(row["value_targets"])
        # The value that is predicted by the last kept token belongs to a step that was cut.
        targets[self.max_length - 1 :] = torch.nan
        whole = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": labels, "value_targets": targets}
        return {name: tensor[: self.max_length] for name, tensor in whole.items()}


class ImitationTrainer(ScheduledTrainer, SFTTrainer):
    """loss = terms.nll * CE + terms.value * MSE

    CE: the sum over rows of weight * -log pi(completion), divided by the number of tokens in completions whose weight
    is not 0. A weight scales its row's losses and not their number; one below 0 makes the completion less likely.
    MSE: the mean of (V - target)^2 over the values.
    `words`: ids of the two value words. `value_rate`: learning rate of their rows, as a multiple of the others'.
    """

    def __init__(self, *, terms: Loss, words: tuple[int, int], value_rate: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.terms = terms
        self.words = words
        self.value_rate = value_rate
        # TRL's fused head never builds the logits; V needs only two of them, so it is read off the backbone.
        self.model.base_model.register_forward_hook(self._read_values)

    def create_optimizer(self, model: torch.nn.Module | None = None) -> torch.optim.Optimizer:
        is_new = self.optimizer is None
        optimizer = super().create_optimizer(model)
        if is_new and self.terms.value:
            hasten(optimizer, self.model.get_output_embeddings(), self.words, self.value_rate)
        return optimizer

    def compute_loss(
        self, model: torch.nn.Module, inputs: dict[str, Any], *_: Any, num_items_in_batch: Any = None, **__: Any
    ) -> torch.Tensor:
        weight, targets = inputs.pop("weight"), inputs.pop("value_targets")
        if not self.terms.nll:
            inputs.pop("labels")
            model(**inputs, use_cache=False, logits_to_keep=1)
            return self.terms.value * self.value_loss(targets)

        def weighed(**given: Any) -> Any:
            output = model(**given)
            output.log_probs = output.log_probs * weight
            return output

        nll_loss = super().compute_loss(weighed, inputs, num_items_in_batch=num_items_in_batch)
        self._note("nll_loss", nll_loss)
        return self.terms.nll * nll_loss + self.terms.value * self.value_loss(targets)

    def value_loss(self, targets: torch.Tensor) -> torch.Tensor:
        """Of the micro-batch whose forward pass was the last: its share of the update's mean."""
        trained = ~targets.isnan()
        values = self.values[trained]
        # The gradients of all processes are averaged, the count is over all of them.
        share = self.accelerator.num_processes / self.value_count
        loss = (values - targets[trained]).square().sum() * share
        self._note("value_loss", loss)
        self._note("value_mean", values.sum() * share)
        self._note("value_square", values.square().sum() * share)
        return loss

    def log(self, logs: dict[str, float], *_: Any, **__: Any) -> None:
        """Logs `value_deviation` of V over an update's targets: near 0, V says the same of every step."""
        metrics = self._metrics["train"]
        squares, means = metrics.pop("value_square", None), metrics.pop("value_mean", None)
        if squares:
            mean = sum(means) / len(means)
            metrics["value_deviation"] = [max(sum(squares) / len(squares) - mean * mean, 0.0) ** 0.5]
        super().log(logs)

    def _read_values(self, backbone: torch.nn.Module, inputs: Any, output: Any) -> None:
        self.values = read_values(self.model.get_output_embeddings(), output.last_hidden_state, *self.words)

    def _get_num_items_in_batch(self, batch_samples: list[dict[str, torch.Tensor]], device: torch.device) -> Any:
        """Trainer counts the tokens of an update here, before its first micro-batch; this counts the values, too.

        Either count may be 0: an update without an imitated row has a CE of 0, not of 0/0.
        """
        count = sum((~batch["value_targets"].isnan()).sum() for batch in batch_samples)
        self.value_count = self.accelerator.gather(torch.as_tensor(count, device=device)).sum().clamp(min=1)
        return torch.as_tensor(super()._get_num_items_in_batch(batch_samples, device)).clamp(min=1)

    def _note(self, name: str, loss: torch.Tensor) -> None:
        """TRL logs the mean over an update's micro-batches; each of them holds a share of the whole."""
        share = self.accelerator.gather(loss.detach()).mean() * self.current_gradient_accumulation_steps
        self._metrics["train"][name].append(share.item())
