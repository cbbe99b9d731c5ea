"""Trains a model on one lesson. The loss, a sum of named terms (trainers/terms.py), decides the table.

    nll, value, kl                the table imitations    CPL's SFT, AlphaMath, a value model, process supervision
    prefer, value, rank, kl       the table preferences   Step-APO, step-DPO, SVPO

A value model is trained on the value alone. CPL puts a linear layer on the model; here the difference of two rows of
the output head is that layer (design D2), so that any engine serves it.
Run as: python -m trainers.learn config.json
"""

import os
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Self

from pydantic import Field, field_validator, model_validator

from infra.contract.model_folder import ValueWords
from infra.contract.training import Training
from trainers.config import Config, File, main

if TYPE_CHECKING:
    from trainers.trainer import LessonTrainer


class Learn(Training, Config):
    model: Path = Field(description="Model folder to start from, made by trainers.prepare or by another training.")
    lesson: File = Field(description="Parquet file of the table that the loss learns from.")
    output: Path = Field(description="Folder for model/, progress.jsonl, summary.json; a killed training goes on here.")
    in_chat: bool = Field(
        False, description="The lesson's prompts are of the model's chat, and it stays to be asked so."
    )

    @field_validator("model")
    @classmethod
    def _is_a_model_folder(cls, model: Path) -> Path:
        ValueWords.read(model)
        return model

    @model_validator(mode="after")
    def _is_shared_out_evenly(self) -> Self:
        if self.batch_size % processes():
            raise ValueError(
                f"batch_size ({self.batch_size}) cannot be shared out evenly to {processes()} processes: take a "
                "multiple, or fewer devices"
            )
        return self

    @model_validator(mode="after")
    def _adapts_on_one_device(self) -> Self:
        if self.lora and processes() > 1:
            raise ValueError(
                f"lora trains on one device, not on {processes()}: PEFT's copy of the head is sharded apart from the "
                "pass that reads it; start one process, or set lora to 0"
            )
        return self

    @model_validator(mode="after")
    def _trains_without_deepspeed(self) -> Self:
        if os.environ.get("ACCELERATE_USE_DEEPSPEED") == "true":
            raise ValueError(
                "DeepSpeed would train the value rows at the rate of the rest (its optimiser steps copies of the "
                "weights) and reads its checkpoints by unpickling: launch with infra/accelerate/fsdp2.yaml"
            )
        return self

    @property
    def rows_at_once(self) -> int:
        """Rows of one forward pass: of a device's share of the batch the largest divisor up to micro_batch_size."""
        share = self.batch_size // processes()
        return max(n for n in range(1, min(share, self.micro_batch_size) + 1) if share % n == 0)

    @property
    def passes(self) -> int:
        """Forward passes of one device that make an update."""
        return self.batch_size // (self.rows_at_once * processes())


def processes() -> int:
    """Of this training, one a device; set by accelerate launch."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def train(config: Learn) -> None:
    from trainers import training

    if training.begin(config):
        learning = trainer(config)
        words = ValueWords.read(config.model)
        knows = words.knows_format or (not config.in_chat and _teaches_format(config, learning))
        training.run(learning, config, words.model_copy(update={"knows_format": knows}))


def _teaches_format(config: Learn, learning: "LessonTrainer") -> bool:
    """An imitated path does. A value model is asked of states in the format alone, without worked examples."""
    if config.loss.nll:
        return any(weight > 0 for weight in learning.train_dataset["weight"])
    return not config.loss.makes_policy


def trainer(config: Learn) -> "LessonTrainer":
    """Ready to train; where the loss compares with a reference, its log-probs are computed here.

    An update of a loss with nll holds `batch_size` imitated paths on average, and rows for the value alone in their
    proportion. A search leaves many times more of the latter. Counted as equals they would leave the policy a batch of
    a few.
    """
    import torch
    from transformers import set_seed
    from trl import SFTConfig

    from trainers import adapter, lesson, model_folder, training
    from trainers.trainer import LessonTrainer

    # cuDNN builds a plan for every new shape, in tenths of a second; here nearly every micro-batch has one of its own.
    torch.backends.cuda.enable_cudnn_sdp(False)
    args = SFTConfig(**training.arguments(config))
    rows = training.rows(
        args, config, lesson.COLUMNS[config.loss.learns_from], lambda row: lesson.teaches(row, config.loss)
    )
    if config.loss.nll and 0 < (imitated := sum(weight != 0 for weight in rows["weight"])) < len(rows):
        share = config.batch_size * len(rows) / imitated / processes()  # rows of an update on each device
        args.gradient_accumulation_steps = ceil(share / config.micro_batch_size)
        args.per_device_train_batch_size = round(share / args.gradient_accumulation_steps)
    model = model_folder.load_model(config.model, args.device)
    keeps_start = config.loss.kl and config.exact_kl and not config.lora
    set_seed(config.seed)
    made = LessonTrainer(
        learning=config,
        words=ValueWords.read(config.model),
        start=model_folder.load_model(config.model) if keeps_start else None,
        model=model,
        peft_config=adapter.of_rank(config.lora, model) if config.lora else None,
        args=args,
        train_dataset=rows,
        processing_class=model_folder.load_tokenizer(config.model),
    )
    made.prepare(config.output / "references.parquet")
    return made


if __name__ == "__main__":
    raise SystemExit(main(Learn, train, __doc__))
