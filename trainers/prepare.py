"""A base model enters the house once: any causal language model becomes a model folder (design D2, D11).

Adds the two value words, unties the embeddings and zeroes both words' rows of the output head, so that V = 0
in round 1, which is the paper's stated intent (methods.md 1.4 b). Every other logit stays what it was.
`model` is a hub id or a folder: config.json with *.safetensors, or exactly one *.gguf, which is de-quantised.
Run as: python -m trainers.prepare config.json
"""

import json
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from trainers.config import ConfigError, main

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


@dataclass(frozen=True, kw_only=True)
class Prepare:
    model: Annotated[str, "hub id, or folder of a model"]
    output: Annotated[Path, "folder for model/ and summary.json"]
    knows_format: Annotated[bool, "the model was trained on the XML format: it needs no few-shot examples"]
    revision: Annotated[str | None, "commit of the hub's model; null: the newest, or a folder"] = None


def prepare(config: Prepare) -> None:
    import torch

    from trainers import model_folder

    started = time.monotonic()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    model, tokenizer = load(config.model, dtype, config.revision)
    untie(model)
    good, bad = add_value_words(model, tokenizer)
    drop_sampling_defaults(model, tokenizer)
    model.to(device).eval()
    policy = model_folder.Policy(good, bad, tokenizer.eos_token_id, config.knows_format)
    probe = model_folder.make_probe(lambda ids: model(input_ids=ids).logits, tokenizer, policy, dtype, device)
    refuse_rescaled_logits(model, probe["sequences"][0]["prompt"])

    tokenizer_folder = config.output / "tokenizer"
    tokenizer.save_pretrained(tokenizer_folder)
    files = model_folder.tokenizer_files(tokenizer_folder)
    model_folder.save(config.output / "model", model, model.state_dict(), dtype, policy, probe, files)
    shutil.rmtree(tokenizer_folder)
    summary = {
        "parameters": model.num_parameters(),
        "vocabulary": model.get_output_embeddings().weight.shape[0],
        "seconds": round(time.monotonic() - started, 3),
    }
    (config.output / "summary.json").write_text(json.dumps(summary, indent=1) + "\n")
    print(json.dumps(summary), flush=True)


def load(
    model: str, dtype: "torch.dtype", revision: str | None = None
) -> "tuple[PreTrainedModel, PreTrainedTokenizerBase]":
    """Any causal language model and its tokenizer; a ConfigError when the name or the files are no good."""
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    gguf = sorted(path.name for path in Path(model).glob("*.gguf"))
    if len(gguf) > 1:
        raise ConfigError(f"model: {model} holds {len(gguf)} GGUF files; keep one of {', '.join(gguf)}")
    source: dict[str, Any] = {"gguf_file": gguf[0]} if gguf else {"revision": revision} if revision else {}
    packing = {"quantization_config": GgufConfig(dequantize=True)} if gguf else {}  # else its weights stay packed
    try:
        tokenizer = AutoTokenizer.from_pretrained(model, **source)
        loaded = AutoModelForCausalLM.from_pretrained(model, dtype=dtype, **source, **packing)
    except Exception as error:  # the libraries below raise every kind of error for a wrong name or a broken file
        cause = str(error).strip().partition("\n")[0] or type(error).__name__
        raise ConfigError(
            f"model: {model} cannot be loaded ({cause}); give a hub id that this machine can reach, or a "
            "folder that holds config.json, a tokenizer and *.safetensors, or one *.gguf"
        ) from error
    if tokenizer.eos_token_id is None:
        raise ConfigError(f"model: the tokenizer of {model} has no end-of-sequence token; set eos_token in its config")
    return loaded, tokenizer


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
    if max(good, bad) >= model.get_output_embeddings().weight.shape[0]:
        model.resize_token_embeddings(max(good, bad) + 1, mean_resizing=False)
    head, embeddings = model.get_output_embeddings(), model.get_input_embeddings()
    with torch.no_grad():
        for row in (tokenizer.get_vocab()[word] for word in fresh):
            head.weight[row] = embeddings.weight[row] = 0  # never read by the model: never sampled
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


def refuse_rescaled_logits(model: "PreTrainedModel", prompt: list[int]) -> None:
    """trainers.sft reads V off the last hidden state: right only where logits are the head's output."""
    import torch

    ids = torch.tensor([prompt], device=model.device)
    with torch.no_grad():
        plain = model.get_output_embeddings()(model.base_model(input_ids=ids).last_hidden_state)
        logits = model(input_ids=ids).logits
    if not torch.allclose(plain.float(), logits.float(), atol=1e-2):
        raise ConfigError(
            f"model: {type(model).__name__} rescales its logits after the output head, which the value loss "
            "does not know; choose a model that does not (Llama, Qwen, Mistral and most others)"
        )


if __name__ == "__main__":
    raise SystemExit(main(Prepare, prepare, __doc__))
