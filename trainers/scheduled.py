"""What every loss changes in Hugging Face's trainer: the schedule, and the precision of shards."""

from functools import partial

import torch
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler
from transformers import Trainer

from trainers.schedule import share_of_peak


class ScheduledTrainer(Trainer):
    """A base of ours, before a trainer of TRL."""

    def create_scheduler(self, num_training_steps: int, optimizer: Optimizer | None = None) -> LRScheduler:
        self.lr_scheduler: LRScheduler | None
        if self.lr_scheduler is None:
            warmup = self.args.get_warmup_steps(num_training_steps)
            share = partial(share_of_peak, warmup=warmup, updates=num_training_steps)
            self.lr_scheduler = LambdaLR(optimizer or self.optimizer, lambda done: share(done + 1))
        return self.lr_scheduler

    def create_accelerator_and_postprocess(self) -> None:
        """Several GPUs: log-probs leave the model, and gradients are added up, in float32 as on one GPU.

        Accelerate's own policy casts outputs to bfloat16, and a log-prob of -30 is then off by .1.
        """
        super().create_accelerator_and_postprocess()
        if self.accelerator.is_fsdp2 and self.accelerator.mixed_precision == "bf16":
            from torch.distributed.fsdp import MixedPrecisionPolicy

            self.accelerator.state.fsdp_plugin.mixed_precision_policy = MixedPrecisionPolicy(
                param_dtype=torch.bfloat16, reduce_dtype=torch.float32, output_dtype=torch.float32
            )
