"""The separate value model: a base model trained whole on the value loss alone (CPL's own layout, methods.md 1.4).

    loss = MSE(V, tree Q)     V = tanh((z_good - z_bad) / 2), where a step's closing delimiter ends

CPL puts a linear layer on the model; here the difference of two rows of the output head is that layer (design D2), so
that any engine serves it. What it writes is a model folder like any other, of which only V is asked.
Run as: python -m trainers.value config.json
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from trainers.config import TrainingConfig, main, require, require_file

if TYPE_CHECKING:
    from trainers.value_sft import ValueTrainer


@dataclass(frozen=True, kw_only=True)
class Value(TrainingConfig):
    """Paper: learning_rate 1e-5, 7 epochs, batch_size 1024, warmup_ratio 0.1, max_length 1024."""

    examples: Annotated[Path, "Parquet file of the table sft_examples, of which all rows with value targets are used"]
    epochs: Annotated[int, "passes over the examples"]
    value_rate: Annotated[float, "learning rate of the value words' rows, as a multiple of the others', > 0"]

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.epochs >= 1, "epochs", "must be >= 1")
        require(self.value_rate > 0, "value_rate", "must be > 0")
        require_file(self.examples, "examples")


def trainer(config: Value) -> "ValueTrainer":
    """The trainer of a config, ready to train."""
    from trl import SFTConfig

    from trainers import model_folder, training
    from trainers.value_sft import COLUMNS, ExampleCollator, ValueTrainer

    policy = model_folder.Policy.read(config.model)
    as_given = {"skip_prepare_dataset": True}  # the rows hold the engine's own token ids
    args = SFTConfig(**training.arguments(config), num_train_epochs=config.epochs, dataset_kwargs=as_given)
    return ValueTrainer(
        model=model_folder.load_model(config.model),
        args=args,
        train_dataset=training.rows(
            args, config.examples, COLUMNS, config.max_length, wanted=lambda row: len(row["value_targets"]) > 0
        ),
        data_collator=ExampleCollator(policy.eos, config.max_length),
        processing_class=model_folder.load_tokenizer(config.model),
        words=(policy.good, policy.bad),
        value_rate=config.value_rate,
    )


def train(config: Value) -> None:
    from trainers import model_folder, training

    if training.begin(config):
        policy = model_folder.Policy.read(config.model)
        # It is asked of states in the text format, which it was trained on, and never with worked examples before.
        training.run(trainer(config), config, replace(policy, knows_format=True))


if __name__ == "__main__":
    raise SystemExit(main(Value, train, __doc__))
