"""Teaches another model the format and the words of the micro world by written plans: a base for rounds on it.

A few hundred right attempts are imitated, on questions of the split `pretrain`, which no other split shares. What comes
out is a model folder. A killed warm-up goes on where it was; another model or other settings need another folder:

    python -m flows.warm_up smollm2 build/smollm2-micro [--count N] [--epochs N] [--learning-rate R]
    cpl round --model build/smollm2-micro/model --questions micro
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
from tokenizers import Tokenizer

from infra.contract.model_folder import ValueWords
from infra.contract.training import Loss, Training
from infra.digest import digest
from infra.environment import ROOT
from tasks.language.format import PLANS
from tasks.micro.corpus import render_attempt
from tasks.micro.world import calculate, generate
from tasks.stages.model import locate

MAX_LENGTH = 640


def written(count: int, seed: int) -> Iterator[tuple[str, str]]:
    """A question's prompt and its right attempt, `count` of them."""
    for problem in generate("pretrain", count, seed):
        moves = [step.right for step in problem.steps]
        lines, result, _ = calculate(problem.start, moves)
        prompt = PLANS.prompt(problem.question)
        yield prompt, render_attempt(problem.question, moves, lines, result).removeprefix(prompt)


def lesson(attempts: Iterator[tuple[str, str]], model: Path) -> pl.DataFrame:
    """What `trainers.learn` reads of imitations, in the model's tokens."""
    tokenizer, words = Tokenizer.from_file(str(model / "tokenizer.json")), ValueWords.read(model)
    rows = [
        {
            "question_id": str(number),
            "weight": 1.0,
            "prompt_ids": tokenizer.encode(prompt, add_special_tokens=False).ids,
            "completion_ids": [*tokenizer.encode(attempt, add_special_tokens=False).ids, words.eos],
            "value_positions": [],
            "value_targets": [],
        }
        for number, (prompt, attempt) in enumerate(attempts)
    ]
    lists = {"value_positions": pl.List(pl.Int32), "value_targets": pl.List(pl.Float32)}
    return pl.DataFrame(rows, schema_overrides=lists)


def run(trainer: str, folder: Path, config: dict[str, Any]) -> None:
    """A trainer, in a process of its own; ends this one with its status when it refuses, for it said why."""
    folder.mkdir(parents=True, exist_ok=True)
    told = folder / "trainer.json"
    told.write_text(json.dumps(config | {"output": str(folder)}, indent=1))
    if status := subprocess.run([sys.executable, "-m", f"trainers.{trainer}", str(told)], cwd=ROOT).returncode:
        sys.exit(status)


def main() -> None:
    parser = argparse.ArgumentParser(description="Teach a model the micro world's format by written plans.")
    parser.add_argument("model", help="smollm2, the path of a model folder, or a hub id")
    parser.add_argument("output", type=Path, help="folder; the model will be in its folder model/")
    parser.add_argument("--count", type=int, default=400, help="written plans")
    parser.add_argument("--epochs", type=float, default=2.0, help="passes over them")
    parser.add_argument("--learning-rate", type=float, default=5e-5, help="peak")
    parser.add_argument("--seed", type=int, default=0, help="draws the questions, and their order")
    options = parser.parse_args()
    output = options.output.absolute()
    try:
        training = Training(
            loss=Loss(nll=1.0),
            learning_rate=options.learning_rate,
            epochs=options.epochs,
            batch_size=16,
            micro_batch_size=4,
            max_length=MAX_LENGTH,
            seed=options.seed,
        )
        source = locate(options.model)
    except ValueError as problem:
        parser.error(str(problem))
    # By these names the trainer knows what it was given: in the folder of another warm-up it refuses to go on.
    base = output / f"base-{source.digest[:12]}"
    run("prepare", base, {"model": source.location, "revision": source.revision, "style": "trained"})
    model, rows = base / "model", output / "written.parquet"
    lesson(written(options.count, options.seed), model).write_parquet(rows)
    rows = rows.rename(output / f"written-{digest(rows)[:12]}.parquet")
    run("learn", output, training.model_dump() | {"model": str(model), "lesson": str(rows)})


if __name__ == "__main__":
    main()
