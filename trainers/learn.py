"""Trains a model on one lesson. The loss, a sum of named terms, decides the table and the trainer.

    nll, value    the table imitations    trainers/imitation.py     CPL's SFT, AlphaMath, a value model (methods.md 1.4)
    prefer        the table preferences   trainers/preference.py    Step-APO, step-DPO (methods.md 1.7)

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
    from trainers.imitation import ImitationTrainer
    from trainers.preference import PreferenceTrainer


class Learn(Training, Config):
    model: Path = Field(description="Model folder to start from, made by trainers.prepare or by another training.")
    lesson: File = Field(description="Parquet file of the table that the loss learns from.")
    output: Path = Field(description="Folder for model/, progress.jsonl, summary.json; a killed training goes on here.")

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
        knows = words.knows_format or (not config.loss.prefer and _teaches_format(config, learning))
        training.run(learning, config, words.model_copy(update={"knows_format": knows}))


def _teaches_format(config: Learn, learning: "ImitationTrainer | PreferenceTrainer") -> bool:
    """An imitated path does. A value model is asked of states in the format alone, without worked examples."""
    return not config.loss.nll or any(weight > 0 for weight in learning.train_dataset["weight"])


def trainer(config: Learn) -> "ImitationTrainer | PreferenceTrainer":
    """Ready to train. With `prefer` the reference's log-probs are computed here."""
    return _preferring(config) if config.loss.prefer else _imitating(config)


def _imitating(config: Learn) -> "ImitationTrainer":
    """An update holds `batch_size` imitated paths on average, and rows for the value alone in their proportion.

    A search leaves many times more of the latter. Counted as equals they would leave the policy a batch of a few.
    """
    from trl import SFTConfig

    from trainers import model_folder, training
    from trainers.imitation import COLUMNS, ImitationCollator, ImitationTrainer

    words, loss = ValueWords.read(config.model), config.loss
    as_given = {"skip_prepare_dataset": True}  # the rows hold the engine's own token ids
    args = SFTConfig(**training.arguments(config), dataset_kwargs=as_given)
    rows = training.rows(
        args, config, COLUMNS, lambda row: bool((loss.nll and row["weight"]) or (loss.value and row["value_targets"]))
    )
    if loss.nll and 0 < (imitated := sum(weight != 0 for weight in rows["weight"])) < len(rows):
        share = config.batch_size * len(rows) / imitated / processes()  # rows of an update on each device
        args.gradient_accumulation_steps = ceil(share / config.micro_batch_size)
        args.per_device_train_batch_size = round(share / args.gradient_accumulation_steps)
    return ImitationTrainer(
        model=model_folder.load_model(config.model),
        args=args,
        train_dataset=rows,
        data_collator=ImitationCollator(words.eos, config.max_length),
        processing_class=model_folder.load_tokenizer(config.model),
        terms=loss,
        words=(words.good, words.bad),
        value_rate=config.value_rate,
    )


def _preferring(config: Learn) -> "PreferenceTrainer":
    from trl import DPOConfig

    from trainers import model_folder, training
    from trainers.preference import COLUMNS, PairCollator, PreferenceTrainer

    args = DPOConfig(
        **training.arguments(config),
        beta=config.beta,
        precompute_ref_log_probs=True,  # by the model before its first update: no second one in memory
    )
    return PreferenceTrainer(
        model=model_folder.load_model(config.model),
        args=args,
        train_dataset=training.rows(args, config, COLUMNS),
        data_collator=PairCollator(ValueWords.read(config.model).eos, config.max_length),
        processing_class=model_folder.load_tokenizer(config.model),
        alpha=config.alpha,
        weight=config.loss.prefer,
    )


if __name__ == "__main__":
    raise SystemExit(main(Learn, train, __doc__))
