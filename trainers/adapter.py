"""LoRA, by PEFT: an adapter on every linear layer of the body, and the head's two value rows, train alone.

What is published is the adapter merged into the weights: a model folder like any other.
"""

from collections.abc import Mapping

import torch
from peft import LoraConfig
from transformers import PreTrainedModel

SCALE = 2
"""alpha / rank, so that W becomes W + SCALE * B A: that of LLaMA-Factory, which trained CPL's models."""

NAME = "default"
"""PEFT's, for an adapter that has no name."""


def of_rank(rank: int, model: PreTrainedModel) -> LoraConfig:
    """What PEFT is told. The head is copied whole: TRL's fused head reads `weight` and `bias` off it, which PEFT's
    wrapper for single rows does not have. Its other rows get no gradient (`value_rows.spare_others`)."""
    head = next(name for name, module in model.named_modules() if module is model.get_output_embeddings())
    return LoraConfig(
        r=rank, lora_alpha=SCALE * rank, target_modules="all-linear", modules_to_save=[head], task_type="CAUSAL_LM"
    )


def merged(weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The state of a model whose adapter is merged, under the names that its base has."""
    whole = {}
    for name, tensor in weights.items():
        if ".lora_" not in name and ".original_module." not in name:
            own = name.removeprefix("base_model.model.")
            whole[own.replace(".base_layer.", ".").replace(f".modules_to_save.{NAME}.", ".")] = tensor
    return whole
