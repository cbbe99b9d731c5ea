"""How every training goes: read rows, train from the last checkpoint on, write model and summary.

Optimiser and schedule are the paper's (methods.md 1.8): AdamW without weight decay, cosine with warm-up
(trainers/schedule.py); gradients are clipped at norm 1, as its LLaMA-Factory does. CUDA: bfloat16 autocast over
float32 weights, activations re-computed. CPU: float32.
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from datasets import Dataset
from pyarrow.parquet import read_schema
from safetensors import safe_open
from transformers import PrinterCallback, TrainingArguments

from infra.contract import disk
from infra.contract.model_folder import ValueWords
from trainers import adapter, model_folder
from trainers.config import ConfigError
from trainers.device import device
from trainers.progress import Checkpoints, Progress, last_checkpoint

if TYPE_CHECKING:
    from trainers.learn import Learn
    from trainers.trainer import LessonTrainer


def begin(config: "Learn") -> bool:
    """Claims config.output for this config. False: the finished training of the very same config is there."""
    written = config.model_dump_json(indent=1) + "\n"
    path = config.output / "config.json"
    if path.is_file() and path.read_text() != written:
        raise ConfigError(f"output: {config.output} holds a run of another config; choose a new folder or delete it")
    config.output.mkdir(parents=True, exist_ok=True)
    disk.write(path, written)  # the other processes of this training are reading it
    return not (config.output / "summary.json").is_file()


def rows(
    args: TrainingArguments,
    config: "Learn",
    columns: Sequence[str],
    wanted: Callable[[dict[str, Any]], bool] = lambda row: True,
) -> Dataset:
    """The wanted rows of the lesson, memory-mapped, whose prompt leaves room for at least one token. `row`: their place
    in its file, from 0."""
    path = config.lesson
    if lacking := set(columns) - set(read_schema(path).names):
        raise ConfigError(
            f"lesson: {path} has no column {', '.join(sorted(lacking))}: this loss learns from the table "
            f"{config.loss.learns_from}"
        )
    with args.main_process_first():
        table = Dataset.from_parquet(str(path), columns=list(columns), cache_dir=f"{args.output_dir}/rows")
        table = table.add_column("row", range(len(table)))
        kept = table.filter(lambda row: len(row["prompt_ids"]) < config.max_length and wanted(row))
    if not len(kept):
        raise ConfigError(
            f"lesson: {path} has no row to train on: of {len(table)} rows none has what the loss learns from and a "
            "prompt below max_length"
        )
    return kept


def arguments(config: "Learn") -> dict[str, Any]:
    """Keyword arguments of TRL's SFTConfig."""
    on_cuda = device().type == "cuda"
    return {
        "output_dir": str(config.output / "checkpoints"),
        "learning_rate": config.learning_rate,
        "num_train_epochs": config.epochs,
        "per_device_train_batch_size": config.rows_at_once,
        "gradient_accumulation_steps": config.passes,
        # Else the micro-batches' gradients add up unsharded, on every GPU those of all parameters.
        "accelerator_config": {"gradient_accumulation_kwargs": {"sync_each_batch": True}},
        "max_length": config.max_length,
        "optim": "adamw_torch_fused",  # no copies of all parameters, and one pass over them
        "weight_decay": 0.0,
        "warmup_steps": config.warmup_ratio,  # below 1: a ratio
        "seed": config.seed,
        "use_cpu": not on_cuda,
        "bf16": on_cuda,
        "activation_checkpointing": on_cuda,
        "dataloader_pin_memory": on_cuda,
        "remove_unused_columns": False,
        "save_steps": 0.1,  # at most ten checkpoints a run, of which the newest is kept
        "save_total_limit": 1,
        "logging_steps": 1,
        "logging_nan_inf_filter": False,
        "disable_tqdm": True,
        "report_to": "none",
        "dataset_kwargs": {"skip_prepare_dataset": True},  # the rows hold the engine's own token ids
    }


def run(trainer: "LessonTrainer", config: "Learn", words: ValueWords) -> None:
    """Trains from the newest checkpoint on. Writes output/model and, last of all, output/summary.json.

    `words`: what the trained model's policy.json says.
    """
    progress = Progress(config.output)
    trainer.add_callback(progress)
    trainer.add_callback(Checkpoints())
    trainer.remove_callback(PrinterCallback)
    checkpoint = last_checkpoint(config.output / "checkpoints")
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else False)
    save_trained(trainer, config, words)
    if trainer.terms.prefer:
        trainer.tell_effects(config.output / "effects.parquet")
    if trainer.is_world_process_zero():
        start, end = (weights_digest(folder) for folder in (config.model, config.output / "model"))
        summary = {
            "updates": trainer.state.global_step,
            "examples": len(trainer.train_dataset),
            "rows_seen": round(trainer.state.epoch * len(trainer.train_dataset)),
            "unchanged": start == end,
            "reference_seconds": round(trainer.reference_seconds, 3),
            "token_ratio": trainer.seen["row_tokens"] / trainer.seen["tokens"] if trainer.seen["tokens"] else None,
            **progress.last,
        }
        disk.write(config.output / "summary.json", json.dumps(summary, indent=1) + "\n")
        shutil.rmtree(config.output / "checkpoints")


def weights_digest(folder: Path) -> str:
    """sha256 of a model folder's weights as they are served: names, types and bytes of all tensors, however divided
    into files."""
    tensors = {}
    for path in folder.glob("*.safetensors"):
        with safe_open(path, "pt") as file:
            for name in file.keys():  # noqa: SIM118
                tensor = file.get_tensor(name)
                digest = hashlib.sha256(f"{name} {tensor.dtype} {list(tensor.shape)}".encode())
                digest.update(tensor.flatten().view(torch.uint8).numpy())
                tensors[name] = digest.digest()
    return hashlib.sha256(b"".join(tensors[name] for name in sorted(tensors))).hexdigest()


def save_trained(trainer: "LessonTrainer", config: "Learn", words: ValueWords) -> None:
    """Every process takes part: a sharded model runs the probe and gathers its weights together."""
    accelerator = trainer.accelerator
    dtype = torch.bfloat16 if accelerator.device.type == "cuda" else torch.float32
    model = trainer.model_wrapped.eval()
    if config.lora:
        model.merge_adapter()
    with accelerator.autocast():
        probe = model_folder.make_probe(
            lambda ids: model(input_ids=ids).logits,
            model_folder.load_tokenizer(config.model),
            words,
            dtype,
            accelerator.device,
        )
    weights = accelerator.get_state_dict(model)
    if config.lora:
        weights = adapter.merged(weights)
    if trainer.is_world_process_zero():
        model_folder.save(
            config.output / "model",
            trainer.causal,
            weights,
            dtype,
            words,
            probe,
            model_folder.tokenizer_files(config.model),
        )
    accelerator.wait_for_everyone()
