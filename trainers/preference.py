"""The term `prefer`, Step-APO: TRL's DPOTrainer with its reference shifted by the advantage (D8, methods.md 1.7).

-log sigmoid(beta * dlogratio - alpha * (V_w - V_l))  =  DPO's loss with each  log pi_ref + (alpha / beta) * V

w, l: the chosen and the rejected step. log pi: summed over a step's tokens. pi_ref: the model that it starts from.
"""

from dataclasses import dataclass
from typing import Any

import torch
from datasets import Dataset
from trl import DPOTrainer
from trl.trainer.dpo_trainer import DataCollatorForPreference

from trainers.scheduled import ScheduledTrainer

COLUMNS = ("prompt_ids", "chosen_ids", "rejected_ids", "chosen_value", "rejected_value")
"""What is read of the table preferences."""


@dataclass
class PairCollator(DataCollatorForPreference):
    """TRL's collator and, once the reference is known, value_gap [pairs] float32 = V_chosen - V_rejected."""

    def torch_call(self, examples: list[dict[str, Any]]) -> dict[str, Any]:
        batch = super().torch_call(examples)
        if "ref_chosen_logps" in batch:
            batch["value_gap"] = torch.tensor([row["chosen_value"] - row["rejected_value"] for row in examples])
        return batch


class PreferenceTrainer(ScheduledTrainer, DPOTrainer):
    """Two overrides make the loss; the third weighs it and logs the margin without its shift.

    As in TRL, an update's loss is the mean of its micro-batches' means. So where the last update of an epoch has
    unequal micro-batches, its pairs weigh unequally.
    """

    def __init__(self, *, alpha: float, weight: float, **kwargs: Any) -> None:
        self.alpha = alpha
        self.weight = weight
        super().__init__(**kwargs)

    def _prepare_dataset(self, dataset: Dataset, *_: Any) -> Dataset:
        """The engine's own token ids as they are: no second tokenisation, and no EOS after a plan step."""
        return dataset

    def _precompute_ref_logps(self, *given: Any) -> Dataset:
        with_reference = super()._precompute_ref_logps(*given)
        shift = self.alpha / self.beta
        return with_reference.map(
            lambda row: {
                "ref_chosen_logps": row["ref_chosen_logps"] + shift * row["chosen_value"],
                "ref_rejected_logps": row["ref_rejected_logps"] + shift * row["rejected_value"],
            }
        )

    def compute_loss(self, model: torch.nn.Module, inputs: dict[str, Any], *_: Any, **__: Any) -> torch.Tensor:
        """Logs margin = beta * dlogratio beside TRL's rewards/margins, which is alpha * value_gap less."""
        value_gap = inputs.pop("value_gap")
        loss = super().compute_loss(model, inputs)
        metrics = self._metrics["train"]
        shift = self.alpha * self.accelerator.gather(value_gap).mean().item()
        metrics["margin"].append(metrics["rewards/margins"][-1] + shift)
        return self.weight * loss
