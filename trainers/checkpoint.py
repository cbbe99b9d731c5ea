"""What a checkpoint holds, and which kinds of it are no policy: refused by name, never completed with random weights.

A folder's config.json with *.safetensors counts; without these, its only *.gguf does. Every refusal is a ConfigError
that says what the folder is and the way out.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infra.contract.model_folder import LOADED
from trainers.config import ConfigError

if TYPE_CHECKING:
    import torch
    from transformers import PretrainedConfig, PreTrainedModel

TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "spiece.model")
FLOATS = {"F64", "F32", "F16", "BF16"}
SHOWN = 4
_LFS = b"version https://git-lfs"


def fetched(model: str, revision: str | None) -> Path:
    """The folder of the model: itself or, for a hub id, a copy of its files at this commit (default: the newest)."""
    if Path(model).is_dir():
        return Path(model)
    from huggingface_hub import snapshot_download

    copies = ("*/*", "consolidated*")  # weights in other formats
    return Path(snapshot_download(model, revision=revision, allow_patterns=list(LOADED), ignore_patterns=list(copies)))


def gguf_of(folder: Path) -> str | None:
    """Name of the GGUF file that is to be loaded; None where config.json and safetensors are.

    Raises ConfigError where it is neither, or where the folder holds something else than a whole model.
    """
    adapter = folder / "adapter_config.json"
    if adapter.is_file() or list(folder.glob("adapter_model.*")):
        raise ConfigError(_adapter(adapter))
    gguf = sorted(path.name for path in folder.glob("*.gguf"))
    weights = sorted(folder.glob("*.safetensors"))
    if gguf and not ((folder / "config.json").is_file() and weights):
        if len(gguf) > 1:
            raise ConfigError(f"it holds {len(gguf)} GGUF files; keep one of {', '.join(gguf)}")
        return gguf[0]
    if not weights and (pickled := sorted(path.name for path in folder.glob("pytorch_model*.bin"))):
        raise ConfigError(
            f"its weights are pickled ({_some(pickled)}), and unpickling can run code; convert a model that you trust "
            'once: python -c "from transformers import AutoModelForCausalLM as M, AutoTokenizer as T; '
            "M.from_pretrained('OLD', dtype='auto').save_pretrained('NEW'); "
            "T.from_pretrained('OLD').save_pretrained('NEW')\""
        )
    for path in (*weights, *folder.glob("tokenizer*")):
        if path.is_file() and path.open("rb").read(len(_LFS)) == _LFS:
            raise ConfigError(f"{path.name} is only a pointer to a Git LFS file: run `git lfs pull` in the folder")
    return None


def refuse_leftovers(folder: Path) -> None:
    """Weights that would not be read: shards beside a whole model.safetensors, or such as the index doesn't know."""
    shards = {path.name for path in folder.glob("model-*-of-*.safetensors")}
    index = folder / "model.safetensors.index.json"
    is_whole = (folder / "model.safetensors").is_file()
    read = set(json.loads(index.read_text())["weight_map"].values()) if index.is_file() and not is_whole else set()
    if shards and (is_whole or read) and (left := sorted(shards - read)):
        used = "model.safetensors" if is_whole else index.name
        raise ConfigError(
            f"it holds weights twice: {used} is what counts, and {_some(left)} would be left out without a word; "
            "remove what is not the model"
        )


def refuse_mute(folder: Path) -> None:
    """Transformers would look for vocabularies of its own, and say something of torch or protobuf."""
    if not any((folder / name).is_file() for name in TOKENIZERS):
        raise ConfigError(
            f"it has no tokenizer (none of {', '.join(TOKENIZERS)}); copy the files of the tokenizer that it was "
            "trained with into the folder"
        )


def _adapter(config: Path) -> str:
    try:
        about = json.loads(config.read_text())
        kind, base = str(about["peft_type"]), str(about["base_model_name_or_path"])
    except (OSError, ValueError, KeyError, TypeError):
        kind, base = "PEFT", "a base model"
    return (
        f"it holds an adapter ({kind}, for {base}), which would be left out without a word; merge it into its base "
        "with peft: AutoPeftModelForCausalLM.from_pretrained(FOLDER).merge_and_unload().save_pretrained(NEW), save the "
        "tokenizer there too, and give NEW; or remove adapter_* from the folder to use the base alone"
    )


def refuse_other_kinds(config: "PretrainedConfig") -> None:
    """Before any weights are read: what its config says is no causal language model as the factory can use it."""
    from transformers import MODEL_FOR_CAUSAL_LM_MAPPING as causal

    parts = [name for name in config.sub_configs if name.endswith("_config") and name != "text_config"]
    if parts and config.get_text_config() is not config:
        raise ConfigError(
            f"it is a model for more than text (model_type {config.model_type}, with {', '.join(parts)}), and the "
            "factory trains and serves language models alone; save its language model as a checkpoint of its own"
        )
    if config.is_encoder_decoder:
        raise ConfigError(
            f"it is an encoder-decoder model (model_type {config.model_type}); the factory needs a decoder-only "
            "language model, such as Llama or Qwen"
        )
    packed = getattr(config, "quantization_config", None) or getattr(config, "compression_config", None)
    if packed:
        method = packed.get("quant_method") if isinstance(packed, dict) else getattr(packed, "quant_method", None)
        raise ConfigError(
            f"its weights are quantised ({getattr(method, 'value', method) or 'by an unknown method'}) and cannot be "
            "trained; give the unquantised model that it was made from"
        )
    if type(config) not in causal:
        raise ConfigError(f"model_type {config.model_type} is no causal language model known to transformers")
    if getattr(causal[type(config)], "_is_stateful", False):
        raise ConfigError(
            f"it keeps a recurrent state (model_type {config.model_type}) instead of a cache of keys and values, by "
            "which the search shares its prefixes; give a model of attention layers, such as Llama or Qwen"
        )


def refuse_packed(folder: Path) -> None:
    """Weights of integers or 8-bit floats would be read as if they were the numbers that they stand for."""
    from safetensors import safe_open

    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, "pt") as file:
            for name in file.keys():  # noqa: SIM118
                kind = file.get_slice(name).get_dtype()
                if name.endswith("weight") and kind not in FLOATS:
                    raise ConfigError(
                        f"{path.name}: {name} is stored as {kind}: its weights are quantised; give the model that "
                        "they were made from"
                    )


def refuse_incomplete(model: "PreTrainedModel", told: dict[str, Any]) -> None:
    """The checkpoint is this model: every tensor of it comes from the files, and all that is in them belongs to it.

    `told`: transformers' loading info.
    """
    kind, saved = type(model).__name__, model.config.architectures or []
    names = {
        "missing": sorted(told["missing_keys"]),
        "not the model's": sorted(told["unexpected_keys"]),
        "of another shape": [f"{name} {list(found)} for {list(own)}" for name, found, own in told["mismatched_keys"]],
        "unreadable": list(told["error_msgs"]),
    }
    faults = [f"{what}: {_some(some)}" for what, some in names.items() if some]
    if saved and kind.lower() not in [name.lower() for name in saved]:
        faults.insert(0, f"it was saved as a {' or '.join(saved)}")
    if faults:
        raise ConfigError(
            f"its weights are not those of a whole {kind}: {'; '.join(faults)}. A head or layers of random numbers "
            "predict nothing: give the language model itself, saved whole and under its class's own names"
        )


def refuse_not_finite(weights: "Iterable[tuple[str, torch.Tensor]]") -> None:
    """NaN or infinity in a weight makes every comparison with the model meaningless."""
    if broken := [name for name, tensor in weights if tensor.is_floating_point() and not tensor.isfinite().all()]:
        raise ConfigError(f"model: weights are NaN or infinite: {_some(broken)}; take a checkpoint from before that")


def refuse_blank(model: "PreTrainedModel") -> None:
    """Zeros in place of words are what a sharded training saves that did not gather its weights."""
    for part in (model.get_input_embeddings(), model.get_output_embeddings()):
        if not part.weight.any():
            raise ConfigError("its embeddings or its head are all zero: the weights were never written; save it again")


def refuse_rescaled_logits(model: "PreTrainedModel", prompt: list[int]) -> None:
    """The value loss reads V off the last hidden state: right only where logits are the head's output.

    The head is enlarged for it, since logits of a small model pass a soft cap almost unchanged.
    """
    import torch

    ids = torch.tensor([prompt], device=model.device)
    head, large = model.get_output_embeddings(), 2.0**10
    with torch.no_grad():
        head.weight.mul_(large)
        plain = head(model.base_model(input_ids=ids).last_hidden_state).float()
        logits = model(input_ids=ids).logits.float()
        head.weight.div_(large)
    if not torch.allclose(plain, logits, rtol=1e-2, atol=1e-2 * float(plain.abs().max())):
        raise ConfigError(
            f"{type(model).__name__} rescales its logits after the output head, which the value loss does not know; "
            "choose a model that does not (Llama, Qwen, Mistral and most others)"
        )


def _some(names: list[str]) -> str:
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
