"""What `make bench-training` compares: this project's preference training and TRL's own.

Run as a program it is one of them, and writes what it found beside its config.

The stock trainer gets the very token ids, so that it tokenises nothing. Both save no checkpoints.
"""

import importlib
import json
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil

from infra.contract.training import Loss

MEBIBYTE = 1 << 20

Told = dict[str, Any]
"""Fields of `trainers.learn.Learn` but for output and loss."""


def ours(told: Told, output: Path) -> dict[str, Any]:
    from trainers.learn import Learn, trainer

    def run() -> dict[str, Any]:
        made = trainer(Learn(**told, output=output, loss=Loss(prefer=1.0)))
        made.args.save_strategy = "no"
        made.train()
        return {
            "updates": made.state.global_step,
            "loss": made.state.log_history[0]["loss"],
            "token_ratio": made.seen["row_tokens"] / made.seen["tokens"],
        }

    return _measured(run)


def stock(told: Told, output: Path, precompute: bool) -> dict[str, Any]:
    """`precompute`: log-probs of the reference before the first update; TRL's default is a second model."""
    from datasets import Dataset
    from trl import DPOConfig, DPOTrainer

    from trainers import training
    from trainers.learn import Learn
    from trainers.model_folder import load_model, load_tokenizer

    class OfIds(DPOTrainer):
        def _prepare_dataset(self, dataset: Dataset, *_: Any) -> Dataset:
            return dataset

    def run() -> dict[str, Any]:
        config = Learn(**told, output=output, loss=Loss(prefer=1.0))
        arguments = {name: one for name, one in training.arguments(config).items() if name != "dataset_kwargs"}
        made = OfIds(
            model=load_model(config.model),
            args=DPOConfig(
                **arguments | {"save_strategy": "no", "dataloader_num_workers": 0},
                beta=config.beta,
                precompute_ref_log_probs=precompute,
            ),
            train_dataset=Dataset.from_parquet(
                str(config.lesson), columns=["prompt_ids", "chosen_ids", "rejected_ids"]
            ),
            processing_class=load_tokenizer(config.model),
        )
        made.train()
        return {"updates": made.state.global_step, "loss": made.state.log_history[0]["loss"]}

    return _measured(run)


def difference(told: Told, output: Path) -> dict[str, Any]:
    """Largest relative difference, in float32, of the packed forward from a row for each sequence: of the log-probs of
    the learnt tokens and of each parameter's gradient, L2 norms. Of one update's pairs.

    `float32`: by how much that row for each sequence is off itself, from the same with float64 weights (in which
    transformers still normalises in float32).
    """
    import torch

    from trainers.learn import Learn, trainer

    made = trainer(Learn(**told, output=output, loss=Loss(prefer=1.0)))
    order = list(made._get_train_sampler())[: made.learning.batch_size]
    rows = [made.train_dataset[row] for row in order]

    def computed(share: bool) -> list[torch.Tensor]:
        collator = replace(made.data_collator, share=share)
        made.model.train().zero_grad()
        size = made.args.per_device_train_batch_size
        batches = [collator(rows[first : first + size]) for first in range(0, len(rows), size)]
        made.current_gradient_accumulation_steps = len(batches)
        made._get_num_items_in_batch(batches, made.accelerator.device)
        logprobs = []
        for batch in map(made._prepare_inputs, batches):
            with torch.no_grad():
                logprobs.append(made.scores(made.model, batch)[0])
            loss: Any = made.compute_loss(made.model, batch)
            loss.backward()
        return [torch.cat(logprobs), *(weight.grad.clone() for weight in made.model.parameters())]

    def off(found: list[torch.Tensor], expected: list[torch.Tensor]) -> dict[str, float]:
        both = [(one, other) for one, other in zip(found, expected, strict=True) if other.any()]
        parts = [float((one.double() - other.double()).norm() / other.double().norm()) for one, other in both]
        return {"logprobs": parts[0], "gradient": max(parts[1:])}

    shared, alone = computed(True), computed(False)
    made.model.double()
    return {**off(shared, alone), "float32": off(alone, computed(False)), "pairs": len(rows)}


def _measured(run: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Seconds from the model's folder to the last update; memory: the GPU's peak, or on a CPU that of the process less
    what it held before, when both rivals' libraries were loaded."""
    import torch

    from trainers.device import device

    for library in ("transformers.models.llama.modeling_llama", "trl.trainer.dpo_trainer", "trainers.trainer"):
        importlib.import_module(library)

    before = psutil.Process().memory_info().rss
    used, started = psutil.Process().cpu_times(), time.perf_counter()
    found = run()
    seconds, now = time.perf_counter() - started, psutil.Process().cpu_times()
    cpu = now.user + now.system - used.user - used.system
    peak = torch.cuda.max_memory_allocated() if device().type == "cuda" else _peak() - before
    return found | {"seconds": seconds, "cpu_seconds": cpu, "peak_mib": peak / MEBIBYTE}


def _peak() -> int:
    """Bytes. Linux counts it for this program; getrusage's would be that of the parent, where it was larger."""
    (line,) = [one for one in Path("/proc/self/status").read_text().splitlines() if one.startswith("VmHWM")]
    return int(line.split()[1]) << 10


RIVALS: dict[str, Callable[[Told, Path], dict[str, Any]]] = {
    "ours": ours,
    "dpo": lambda told, output: stock(told, output, precompute=False),
    "dpo_precomputed": lambda told, output: stock(told, output, precompute=True),
    "difference": difference,
}


if __name__ == "__main__":
    name, config = sys.argv[1], Path(sys.argv[2])
    told = json.loads(config.read_text())
    paths = {field: Path(told[field]) for field in ("model", "lesson")}
    config.with_name("found.json").write_text(json.dumps(RIVALS[name](told | paths, config.parent / "run")))
