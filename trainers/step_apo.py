"""Step-APO: DPO between sibling steps with their advantage gap as the margin (methods.md 1.7, design D8).

    loss = -log sigmoid( beta * [log pi/pi_ref (w) - log pi/pi_ref (l)] - alpha * (V_w - V_l) )

w: the chosen step, l: the rejected one; pi_ref: the model it starts from; log pi: the sum over the step's
tokens. alpha = 0 is step-level DPO.
Run as: python -m trainers.step_apo config.json
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from trainers.config import TrainingConfig, main, require, require_file

if TYPE_CHECKING:
    from trainers.advantage_dpo import AdvantageDPOTrainer


@dataclass(frozen=True, kw_only=True)
class StepAPO(TrainingConfig):
    """Paper: learning_rate 1e-6, epochs 3, batch_size 64, beta 0.3, alpha 1, warm-up 0.1, max_length 1024."""

    pairs: Annotated[Path, "Parquet file of the table step_pairs"]
    epochs: Annotated[int, "passes over the pairs"]
    beta: Annotated[float, "weight of the log-ratios, > 0"]
    alpha: Annotated[float, "weight of the advantage gap, >= 0; 0 is step-level DPO"]

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.epochs >= 1, "epochs", "must be >= 1")
        require(self.beta > 0, "beta", "must be > 0")
        require(self.alpha >= 0, "alpha", "must be >= 0")
        require_file(self.pairs, "pairs")


def trainer(config: StepAPO) -> "AdvantageDPOTrainer":
    """The trainer of a config, ready to train: the reference's log-probs are computed here."""
    from trl import DPOConfig

    from trainers import model_folder, training
    from trainers.advantage_dpo import COLUMNS, AdvantageDPOTrainer, PairCollator

    args = DPOConfig(
        **training.arguments(config),
        num_train_epochs=config.epochs,
        beta=config.beta,
        precompute_ref_log_probs=True,  # by the model before its first update: no second one in memory
    )
    return AdvantageDPOTrainer(
        model=model_folder.load_model(config.model),
        args=args,
        train_dataset=training.rows(args, config.pairs, COLUMNS, config.max_length),
        data_collator=PairCollator(model_folder.Policy.read(config.model).eos, config.max_length),
        processing_class=model_folder.load_tokenizer(config.model),
        alpha=config.alpha,
    )


def train(config: StepAPO) -> None:
    from trainers import model_folder, training

    if training.begin(config):
        training.run(trainer(config), config, model_folder.Policy.read(config.model))


if __name__ == "__main__":
    raise SystemExit(main(StepAPO, train, __doc__))
