"""A tiny Llama with one token a character, and rows of both lessons' tables, built here."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from tokenizers.trainers import BpeTrainer
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from trainers.learn import Learn, train
from trainers.model_folder import PROBE_TEXT, load_tokenizer
from trainers.prepare import Prepare, prepare

EOS = "<eos>"
IDS = pl.List(pl.Int32)
IMITATION_TYPES = {
    "prompt_ids": IDS,
    "completion_ids": IDS,
    "value_positions": IDS,
    "value_targets": pl.List(pl.Float32),
}
PREFERENCE_TYPES = {"prompt_ids": IDS, "chosen_ids": IDS, "rejected_ids": IDS}


def character_tokenizer() -> PreTrainedTokenizerFast:
    """Its vocabulary has no merges, so re-tokenising a text gives the ids that made it."""
    letters = sorted(set(PROBE_TEXT + "0123456789abcdefghijklmnopqrstuvwxyz"))
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = BpeTrainer(vocab_size=len(letters) + 1, special_tokens=[EOS], show_progress=False)
    tokenizer.train_from_iterator(letters, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=EOS)


def save_base(folder: Path, tied: bool = True, spare_rows: int = 0) -> Path:
    """A base model as a hub would hold it: no value words, embeddings tied unless told otherwise."""
    tokenizer = character_tokenizer()
    config = LlamaConfig(
        vocab_size=len(tokenizer) + spare_rows,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=128,
        initializer_range=0.2,
        tie_word_embeddings=tied,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=None,
    )
    torch.manual_seed(7)
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_base(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="session")
def folder(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The base, prepared, with value rows that are no longer zero: as after a round."""
    output = tmp_path_factory.mktemp("prepared")
    prepare(Prepare(model=str(base), output=output, style="trained"))
    from safetensors.torch import load_file, save_file

    path = output / "model" / "model.safetensors"
    weights = load_file(path)
    torch.manual_seed(3)
    weights["lm_head.weight"][-2:] = torch.randn(2, 32) * 0.2
    save_file(weights, path, metadata={"format": "pt"})
    return output / "model"


@pytest.fixture(scope="session")
def encode(folder: Path) -> Callable[[str], list[int]]:
    tokenizer = load_tokenizer(folder)
    return lambda text: tokenizer(text, add_special_tokens=False)["input_ids"]


@pytest.fixture(scope="session")
def imitations(tmp_path_factory: pytest.TempPathFactory, encode: Callable[[str], list[int]]) -> Path:
    """24 imitations: every third trains values only; lengths and numbers of values differ."""
    rows: list[dict[str, Any]] = []
    for i in range(24):
        steps = [f"{i * 7 % 10}+{k}{'x' * (i % 5)}\n" for k in range(1 + i % 3)]
        weight = float(i % 3 != 2)
        ends = [len(encode("".join(steps[: k + 1]))) - 1 for k in range(len(steps))]
        rows.append(
            {
                "question_id": str(i // 2),
                "weight": weight,
                "prompt_ids": encode(f"question {i}\n" + "a" * (i % 4)),
                "completion_ids": encode("".join(steps) + (EOS if weight else "")),
                "value_positions": ends,
                "value_targets": [((i * 5 + k * 3) % 21 - 10) / 10 for k in range(len(steps))],
            }
        )
    path = tmp_path_factory.mktemp("rows") / "imitations.parquet"
    pl.DataFrame(rows, schema_overrides=IMITATION_TYPES).write_parquet(path, compression="zstd")
    return path


@pytest.fixture(scope="session")
def preferences(tmp_path_factory: pytest.TempPathFactory, encode: Callable[[str], list[int]]) -> Path:
    """16 preferences: plan steps without EOS; values as a tree gives them, each pair by a gap of its own."""
    rows = [
        {
            "question_id": str(i // 2),
            "prompt_ids": encode(f"question {i}\n"),
            "chosen_ids": encode(f"add {i}{'y' * (i % 3)}\n"),
            "rejected_ids": encode(f"take {i * 3}\n"),
            "chosen_q": 0.1 + 0.05 * i,
            "rejected_q": -0.4 - 0.02 * i,
            "chosen_value": (0.1 + 0.05 * i) * (0.3 if i % 3 == 0 else 1.0),
            "rejected_value": -0.4 - 0.02 * i,
        }
        for i in range(16)
    ]
    path = tmp_path_factory.mktemp("rows") / "preferences.parquet"
    pl.DataFrame(rows, schema_overrides=PREFERENCE_TYPES).write_parquet(path, compression="zstd")
    return path


@pytest.fixture
def settings(folder: Path, tmp_path: Path) -> dict[str, Any]:
    """What every training is told, small."""
    return {
        "model": folder,
        "output": tmp_path / "run",
        "learning_rate": 1e-2,
        "batch_size": 8,
        "micro_batch_size": 8,
        "warmup_ratio": 0.1,
        "max_length": 64,
        "seed": 1,
    }


def learn(config: Learn) -> dict[str, Any]:
    """Trains, and gives the summary."""
    train(config)
    summary: dict[str, Any] = json.loads((config.output / "summary.json").read_text())
    return summary


def changed(config: Learn, **fields: Any) -> Learn:
    """Checked anew, as a config of its own would be."""
    return Learn.model_validate({**dict(config), **fields})


def write_config(path: Path, fields: dict[str, Any]) -> Path:
    path.write_text(json.dumps(fields, default=str))
    return path
