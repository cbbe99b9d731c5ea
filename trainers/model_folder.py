"""A model folder as trainers read and write it (infra/contract/model_folder.py says what is in it)."""

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from infra.contract.model_folder import TOLERANCE, Probe, ProbeSequence, ValueWords
from trainers.checkpoint import refuse_not_finite
from trainers.config import ConfigError

GOOD, BAD = "<|good|>", "<|bad|>"
"""The two words of the vocabulary that hold the value: V(s) = tanh((z_good - z_bad) / 2)."""

PROBE_TEXT = """<question>
Natalia sold clips to 48 of her friends in April, and then she sold half as many clips in May.
How many clips did Natalia sell altogether in April and May?
</question>
<plan>
<step>
Plan 1: Find the number of clips sold in May by taking half of the number sold in April.
</step>
"""
PROBE_LENGTHS = range(8, 72)
"""Tokens of the probe's prompts: 64 positions, if the text has as many."""
PROBE_LIKELY = 8

Forward = Callable[[torch.Tensor], torch.Tensor]
"""Token ids [1, length] int64 -> logits [1, length, vocabulary]."""


CPU = torch.device("cpu")


def load_model(folder: Path, device: torch.device = CPU) -> PreTrainedModel:
    """The folder's model in float32, whatever precision it was saved in: the master weights of training.

    A GPU gets its weights one by one: the machine's own memory never holds the model, however many processes load it.
    """
    return AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, device_map=device, use_safetensors=True, trust_remote_code=False
    )


def load_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(folder, trust_remote_code=False)


def save(
    folder: Path,
    model: PreTrainedModel,
    weights: Mapping[str, torch.Tensor],
    dtype: torch.dtype,
    words: ValueWords,
    probe: Probe,
    tokenizer_files: Sequence[Path],
) -> None:
    """Writes the whole model folder beside its place, then moves it there: a folder that exists is complete.

    Raises ConfigError for weights that are NaN or infinite.
    """
    refuse_not_finite(weights.items())
    unfinished = folder.with_name(folder.name + ".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    model.config.dtype = dtype
    model.save_pretrained(unfinished, state_dict={name: tensor.to(dtype) for name, tensor in weights.items()})
    for path in tokenizer_files:
        shutil.copy(path, unfinished / path.name)
    words.write(unfinished)
    probe.write(unfinished)
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(unfinished, folder)


def tokenizer_files(folder: Path) -> list[Path]:
    """What `save` hands on from the folder that a model was loaded from."""
    names = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")
    return [folder / name for name in names if (folder / name).is_file()]


@torch.no_grad()
def make_probe(
    forward: Forward,
    tokenizer: PreTrainedTokenizerBase,
    words: ValueWords,
    dtype: torch.dtype,
    device: torch.device,
) -> Probe:
    """The probe of a model (design D1b): log-probs, by its own forward, of the token after each of a few prompts.

    Each sequence asks for the two value words, so that V is proven too, and for the likeliest others, where
    a head that does not belong to the body differs most. Raises ConfigError where a log-prob is not finite.
    """
    ids = tokenizer(PROBE_TEXT, add_special_tokens=False)["input_ids"][: PROBE_LENGTHS[-1]]
    positions = forward(torch.tensor([ids], device=device))[0].float().log_softmax(-1).cpu()
    if not positions.isfinite().all():
        raise ConfigError(
            "model: its log-probs are NaN or infinite: the weights are broken, or too large to compute with"
        )
    sequences = []
    for length in PROBE_LENGTHS:
        if length > len(ids):
            break
        logprobs = positions[length - 1]
        likely = [n for n in logprobs.topk(PROBE_LIKELY + 2).indices.tolist() if n not in (words.good, words.bad)]
        asked = [words.good, words.bad, *likely[:PROBE_LIKELY]]
        sequences.append(ProbeSequence(prompt=ids[:length], token_ids=asked, logprobs=logprobs[asked].tolist()))
    name: Any = str(dtype).removeprefix("torch.")
    return Probe(dtype=name, tolerance=TOLERANCE[name], sequences=sequences)
