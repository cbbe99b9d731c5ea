"""Step-APO: DPO between sibling steps that asks for a margin, their advantage gap (methods.md 1.7, design D8).

    loss = -log sigmoid( beta * [log pi/pi_ref (chosen) - log pi/pi_ref (rejected)] - alpha * (V_chosen - V_rejected) )

pi_ref is the model it starts from, log pi sums over the tokens of the one step. alpha = 0 is step-level DPO.
Run as: python -m trainers.step_apo config.json
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from trainers.config import TrainingConfig, main, require, require_file


@dataclass(frozen=True, kw_only=True)
class StepAPO(TrainingConfig):
    """Paper: learning_rate 1e-6, 3 epochs, batch_size 64, beta 0.3, alpha 1, warmup_ratio 0.1, max_length 1024."""

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


def train(config: StepAPO) -> None:
    from trl import DPOConfig

    from trainers import model_folder, training
    from trainers.advantage_dpo import COLUMNS, AdvantageDPOTrainer, PairCollator

    if not training.begin(config):
        return
    args = DPOConfig(
        **training.arguments(config),
        num_train_epochs=config.epochs,
        beta=config.beta,
        precompute_ref_log_probs=True,  # the reference is the model before its first update: no second one in memory
    )
    trainer = AdvantageDPOTrainer(
        model=model_folder.load_model(config.model),
        args=args,
        train_dataset=training.rows(args, config.pairs, COLUMNS, config.max_length),
        data_collator=PairCollator(model_folder.Policy.read(config.model).eos, config.max_length),
        processing_class=model_folder.load_tokenizer(config.model),
        alpha=config.alpha,
    )
    training.run(trainer, config)


if __name__ == "__main__":
    raise SystemExit(main(StepAPO, train, __doc__))
