"""A base model enters the house once: any causal language model becomes a model folder (design D2, D11).

Adds the two value words, unties the embeddings and zeroes both words' rows of the output head, so that V = 0
in round 1, which is the paper's stated intent (methods.md 1.4 b). Every other logit stays what it was.
`model` is a hub id or a folder: config.json with *.safetensors, or exactly one *.gguf, which is de-quantised. What is
no whole language model is refused (trainers/checkpoint.py), and the tokenizer made exact (trainers/plain_text.py).
Run as: python -m trainers.prepare config.json
"""

import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from infra.contract import disk
from infra.contract.model_folder import Style, ValueWords
from trainers import checkpoint
from trainers.config import Config, ConfigError, main

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


class Prepare(Config):
    model: str = Field(description="Hub id, or folder of a model.")
    output: Path = Field(description="Folder for model/ and summary.json.")
    style: Style = Field(description="How it is told the text format. own: in its chat template, if it has one.")
    revision: str | None = Field(None, description="Commit of the hub's model; null: the newest, or a folder.")


def prepare(config: Prepare) -> None:
    import torch

    from trainers import model_folder
    from trainers.chat import turn_of
    from trainers.device import device as own_device

    started = time.monotonic()
    device = own_device()
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    model, tokenizer = load(config.model, dtype, config.revision)
    untie(model)
    good, bad = add_value_words(model, tokenizer)
    drop_sampling_defaults(model, tokenizer)
    model.to(device).eval()
    turn = turn_of(tokenizer) if config.style in ("own", "chat") else None
    if config.style == "chat" and turn is None:
        raise ConfigError(f"prompt.style: {config.model} has no chat template; choose own or worked examples")
    knows_format = config.style == "trained"
    words = ValueWords(
        good=good,
        bad=bad,
        eos=tokenizer.eos_token_id,
        knows_format=knows_format,
        turn=turn,
        sees_options=True if config.style == "worked options" else None,
    )
    probe = model_folder.make_probe(lambda ids: model(input_ids=ids).logits, tokenizer, words, dtype, device)
    with _refusing(config.model):
        checkpoint.refuse_rescaled_logits(model, probe.sequences[0].prompt)

    tokenizer_folder = config.output / "tokenizer"
    tokenizer.save_pretrained(tokenizer_folder)
    files = model_folder.tokenizer_files(tokenizer_folder)
    model_folder.save(config.output / "model", model, model.state_dict(), dtype, words, probe, files)
    shutil.rmtree(tokenizer_folder)
    summary = {
        "parameters": model.num_parameters(),
        "head": model.get_output_embeddings().weight.numel(),
        "vocabulary": model.get_output_embeddings().weight.shape[0],
        "seconds": round(time.monotonic() - started, 3),
    }
    disk.write(config.output / "summary.json", json.dumps(summary, indent=1) + "\n")
    print(json.dumps(summary), flush=True)


def load(
    model: str, dtype: "torch.dtype", revision: str | None = None
) -> "tuple[PreTrainedModel, PreTrainedTokenizerBase]":
    """A whole causal language model and its tokenizer; a ConfigError when the name or the files are no good."""
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, GgufConfig

    from trainers.plain_text import plain

    with _refusing(model):
        folder = checkpoint.fetched(model, revision)
        gguf = checkpoint.gguf_of(folder)
        source: dict[str, Any] = {"gguf_file": gguf} if gguf else {}
        # A folder's own code is never run, and nobody is asked whether to.
        safe: dict[str, Any] = {"trust_remote_code": False, **source}
        packing = {"quantization_config": GgufConfig(dequantize=True)} if gguf else {}  # else its weights stay packed
        checkpoint.refuse_other_kinds(AutoConfig.from_pretrained(folder, **safe))
        if not gguf:
            checkpoint.refuse_leftovers(folder)
            checkpoint.refuse_packed(folder)
            checkpoint.refuse_mute(folder)
    with _refusing(model, "its tokenizer: "):
        tokenizer = plain(AutoTokenizer.from_pretrained(folder, **safe))
    if tokenizer.eos_token_id is None:
        raise ConfigError(f"model: the tokenizer of {model} has no end-of-sequence token; set eos_token in its config")
    with _refusing(model):
        loaded, told = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=dtype,
            use_safetensors=not gguf,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # they are told by name, and refused
            **safe,
            **packing,
        )
        checkpoint.refuse_incomplete(loaded, told)
        checkpoint.refuse_not_finite(loaded.state_dict().items())
        checkpoint.refuse_blank(loaded)
        refuse_rowless_tokens(loaded, tokenizer)
    return loaded, tokenizer


@contextmanager
def _refusing(model: str, part: str = "") -> Iterator[None]:
    """One sentence for whatever the libraries below say of a wrong name or a broken file."""
    try:
        yield
    except ConfigError as error:
        raise ConfigError(f"model: {model} cannot be loaded: {str(error).removeprefix('model: ')}") from error
    except Exception as error:
        if "trust_remote_code" in str(error):
            raise ConfigError(
                f"model: {model} cannot be loaded: it needs code of its own (auto_map), which is never run; choose a "
                "model whose architecture and tokenizer transformers knows"
            ) from None
        cause = str(error).strip().partition("\n")[0] or type(error).__name__
        raise ConfigError(
            f"model: {model} cannot be loaded ({part}{cause}); give a hub id that this machine can reach, or a "
            "folder that holds config.json, a tokenizer and *.safetensors, or one *.gguf"
        ) from error


def refuse_rowless_tokens(model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerBase") -> None:
    """The tokenizer is the model's: every token that a text can become, its start and its end have a row of weights."""
    rows, vocabulary = model.get_output_embeddings().weight.shape[0], tokenizer.get_vocab()
    unread = {str(token) for token in tokenizer.added_tokens_decoder.values() if token.special}
    needed = vocabulary.keys() - unread | {tokenizer.eos_token}
    ids = {vocabulary[token] for token in needed} | set(tokenizer("")["input_ids"])
    if beyond := [number for number in ids if number >= rows]:
        raise ConfigError(
            f"its tokenizer has ids up to {max(beyond)}, its weights only {rows} rows: {len(beyond)} tokens have none; "
            "give the tokenizer that the model was trained with"
        )


def untie(model: "PreTrainedModel") -> None:
    """Give the output head its own weights: engines that swap tied ones serve a wrong model (design 4)."""
    from torch import nn

    head, embeddings = model.get_output_embeddings(), model.get_input_embeddings()
    if head.weight is embeddings.weight:
        head.weight = nn.Parameter(embeddings.weight.detach().clone())
    model.config.tie_word_embeddings = model.config.get_text_config().tie_word_embeddings = False


def add_value_words(model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerBase") -> tuple[int, int]:
    """The ids of the two words. Fresh ones take spare rows of the vocabulary, if any, and mean V = 0."""
    import torch
    from tokenizers import AddedToken

    from trainers.model_folder import BAD, GOOD

    fresh = [word for word in (GOOD, BAD) if word not in tokenizer.get_vocab()]
    tokenizer.add_tokens([AddedToken(word, special=True, normalized=False) for word in fresh], special_tokens=True)
    good, bad = (tokenizer.get_vocab()[word] for word in (GOOD, BAD))
    known = model.get_output_embeddings().weight.shape[0]
    if max(good, bad) >= known:
        model.resize_token_embeddings(max(good, bad) + 1, mean_resizing=False)
    head, embeddings = model.get_output_embeddings(), model.get_input_embeddings()
    with torch.no_grad():
        # Never read by the model, since never sampled. Other tokens that came without a row are not random either.
        for row in {*(tokenizer.get_vocab()[word] for word in fresh), *range(known, head.weight.shape[0])}:
            head.weight[row] = embeddings.weight[row] = 0
            if head.bias is not None:
                head.bias[row] = 0
    return good, bad


def drop_sampling_defaults(model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerBase") -> None:
    """A hub model's top_p or repetition penalty would change the search unseen: only token ids are kept."""
    from transformers import GenerationConfig

    given = model.generation_config
    model.generation_config = GenerationConfig(
        bos_token_id=given.bos_token_id,
        eos_token_id=given.eos_token_id or tokenizer.eos_token_id,
        pad_token_id=given.pad_token_id,
    )


if __name__ == "__main__":
    raise SystemExit(main(Prepare, prepare, __doc__))
