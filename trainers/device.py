"""What a trainer computes on: decided once, by who starts it."""

import os

import torch

from trainers.config import ConfigError


def device() -> torch.device:
    """`CPL_DEVICE` where it says cpu or cuda, as the factory's own trainers are told; else a GPU where torch has one.

    Raises ConfigError where a GPU was meant and torch has none: training on the CPU would be another model.
    """
    wanted, has_gpu = os.environ.get("CPL_DEVICE", "auto"), torch.cuda.is_available()
    if wanted == "cuda" and not has_gpu:
        raise ConfigError(
            "device: a GPU is to be used, and torch has none: look at the driver (nvidia-smi), at CUDA_VISIBLE_DEVICES "
            "and whether the CUDA locks are installed (make install), or set CPL_DEVICE=cpu"
        )
    return torch.device("cuda" if has_gpu and wanted != "cpu" else "cpu")
