"""SFT with the value loss in one pass (design D2; methods.md 1.4, 1.5).

    loss = CE(completion tokens of the policy rows) + value_weight * MSE(V, tree Q)
    V    = tanh((z_good - z_bad) / 2), read where the last token of a step's closing delimiter is predicted

Without value_weight it is plain imitation, the form in which it stands beside a value model (`trainers.value`).
Both terms are means over the whole update: how it is cut into micro-batches and devices changes nothing. An update
holds `batch_size` imitated paths on average, and in their proportion those that are there for the value alone: a search
leaves many times more of these, and counted as equals they would leave the policy a batch of a few.
Run as: python -m trainers.sft config.json
"""

from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from trainers.config import TrainingConfig, main, processes, require, require_file

if TYPE_CHECKING:
    from trainers.model_folder import Policy
    from trainers.value_sft import ValueSFTTrainer


@dataclass(frozen=True, kw_only=True)
class SFT(TrainingConfig):
    """Paper: learning_rate 1e-5, 5 epochs (round 2: 3), batch_size 512, warmup_ratio 0.1, max_length 1024."""

    batch_size: Annotated[int, "imitated rows of an update on average, over all devices; value-only rows come on top"]
    examples: Annotated[Path, "Parquet file of the table sft_examples"]
    epochs: Annotated[float, "passes over the examples, > 0; the last may be a part of one"]
    value_weight: Annotated[float, "weight of the value loss, >= 0; 0 is plain SFT and leaves value-only rows out"]
    value_rate: Annotated[float, "learning rate of the value words' rows, as a multiple of the others', > 0"] = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.epochs > 0, "epochs", "must be > 0")
        require(self.value_weight >= 0, "value_weight", "must be >= 0")
        require(self.value_rate > 0, "value_rate", "must be > 0")
        require_file(self.examples, "examples")


def trainer(config: SFT) -> "ValueSFTTrainer":
    """The trainer of a config, ready to train."""
    from trl import SFTConfig

    from trainers import model_folder, training
    from trainers.value_sft import COLUMNS, ExampleCollator, ValueSFTTrainer

    policy = model_folder.Policy.read(config.model)
    as_given = {"skip_prepare_dataset": True}  # the rows hold the engine's own token ids
    args = SFTConfig(**training.arguments(config), num_train_epochs=config.epochs, dataset_kwargs=as_given)
    rows = training.rows(
        args,
        config.examples,
        COLUMNS,
        config.max_length,
        wanted=lambda row: row["is_policy"] or config.value_weight > 0,
    )
    if 0 < (imitated := sum(rows["is_policy"])) < len(rows):
        share = config.batch_size * len(rows) / imitated / processes()  # rows of an update on each device
        args.gradient_accumulation_steps = ceil(share / config.micro_batch_size)
        args.per_device_train_batch_size = round(share / args.gradient_accumulation_steps)
    return ValueSFTTrainer(
        model=model_folder.load_model(config.model),
        args=args,
        train_dataset=rows,
        data_collator=ExampleCollator(policy.eos, config.max_length),
        processing_class=model_folder.load_tokenizer(config.model),
        words=(policy.good, policy.bad),
        value_rate=config.value_rate,
        value_weight=config.value_weight,
    )


def train(config: SFT) -> None:
    from trainers import training

    if training.begin(config):
        sft = trainer(config)
        training.run(sft, config, _taught(config.model, sft))


def _taught(model: Path, sft: "ValueSFTTrainer") -> "Policy":
    """Who has imitated a path knows the text format; value-only rows do not teach it."""
    from trainers.model_folder import Policy

    policy = Policy.read(model)
    return replace(policy, knows_format=policy.knows_format or any(sft.train_dataset["is_policy"]))


if __name__ == "__main__":
    raise SystemExit(main(SFT, train, __doc__))
