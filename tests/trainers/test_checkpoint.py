"""A folder that is no whole language model is refused by name, before a probe is made of random weights."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    Gemma2Config,
    Gemma2ForCausalLM,
    Gemma3Config,
    Gemma3ForConditionalGeneration,
    GraniteConfig,
    GraniteForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    LlamaForSequenceClassification,
    LlamaModel,
    MambaConfig,
    MambaForCausalLM,
    PreTrainedModel,
)

from infra.contract.model_folder import ValueWords
from tests.trainers.conftest import character_tokenizer, write_config
from trainers.config import main
from trainers.model_folder import GOOD, load_model
from trainers.prepare import Prepare, prepare

SIZES = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
LETTERS = len(character_tokenizer())


def llama(kind: type[PreTrainedModel] = LlamaForCausalLM, **more: Any) -> PreTrainedModel:
    torch.manual_seed(0)
    eos = character_tokenizer().eos_token_id
    shape = {"vocab_size": LETTERS, "tie_word_embeddings": False, "eos_token_id": eos} | SIZES | more
    return kind(LlamaConfig(**shape))


def saved(folder: Path, model: PreTrainedModel, **how: Any) -> Path:
    model.save_pretrained(folder, **how)
    character_tokenizer().save_pretrained(folder)
    return folder


def refused(folder: Path, output: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """What the command says, with exit status 2 and no model."""
    output.mkdir(exist_ok=True)
    fields = {"model": str(folder), "output": str(output), "style": "own"}
    assert main(Prepare, prepare, "", [str(write_config(output / "config.json", fields))]) == 2
    assert not (output / "model").exists()
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert line.startswith(f"error: model: {folder} cannot be loaded")
    return line


def edited(folder: Path, change: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]) -> Path:
    path = saved(folder, llama()) / "model.safetensors"
    save_file(change(load_file(path)), path, metadata={"format": "pt"})
    return folder


def without(weights: dict[str, torch.Tensor], *names: str) -> dict[str, torch.Tensor]:
    return {name: tensor for name, tensor in weights.items() if name not in names}


def with_one(weights: dict[str, torch.Tensor], name: str, value: float) -> dict[str, torch.Tensor]:
    weights[name].view(-1)[3] = value
    return weights


Change = Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]
WEIGHTS: dict[str, tuple[Change, str]] = {
    "no head": (lambda w: without(w, "lm_head.weight"), "missing: lm_head.weight"),
    "no norm": (lambda w: without(w, "model.norm.weight"), "missing: model.norm.weight"),
    "wrapped": (lambda w: {f"module.{name}": one for name, one in w.items()}, "not the model's: module.lm_head.weight"),
    "value head": (
        lambda w: w | {"v_head.summary.weight": torch.ones(1, 32)},
        "not the model's: v_head.summary.weight",
    ),
    "unmerged": (
        lambda w: w | {"model.layers.0.self_attn.q_proj.lora_A.default.weight": torch.ones(4, 32)},
        "lora_A.default.weight",
    ),
    "another shape": (
        lambda w: w | {"model.layers.1.mlp.up_proj.weight": torch.ones(60, 32)},
        "of another shape: model.layers.1.mlp.up_proj.weight [60, 32] for [64, 32]",
    ),
    "another vocabulary": (lambda w: w | {"lm_head.weight": torch.ones(7, 32)}, "lm_head.weight [7, 32]"),
    "NaN": (lambda w: with_one(w, "model.layers.0.mlp.up_proj.weight", torch.nan), "NaN or infinite: model.layers.0"),
    "NaN where no text looks": (lambda w: with_one(w, "model.embed_tokens.weight", torch.nan), "model.embed_tokens"),
    "infinity": (lambda w: with_one(w, "lm_head.weight", torch.inf), "NaN or infinite: lm_head.weight"),
    "integers": (lambda w: w | {"lm_head.weight": torch.ones(LETTERS, 32, dtype=torch.int8)}, "stored as I8"),
    "zeros": (lambda w: {name: torch.zeros_like(tensor) for name, tensor in w.items()}, "all zero"),
    "8-bit floats": (
        lambda w: w | {"lm_head.weight": torch.ones(LETTERS, 32).to(torch.float8_e4m3fn)},
        "stored as F8_E4M3",
    ),
}


@pytest.mark.parametrize("name", WEIGHTS)
def test_weights_that_are_not_the_models_are_named(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change, reason = WEIGHTS[name]
    assert reason in refused(edited(tmp_path / "base", change), tmp_path / "out", capsys)


MODELS: dict[str, tuple[Callable[[], PreTrainedModel], str]] = {
    "reward": (
        lambda: llama(LlamaForSequenceClassification, num_labels=1),
        "saved as a LlamaForSequenceClassification; missing: lm_head.weight; not the model's: score.weight",
    ),
    "tied reward": (
        lambda: llama(LlamaForSequenceClassification, num_labels=1, tie_word_embeddings=True),
        "not the model's: score.weight",
    ),
    "trunk": (lambda: llama(LlamaModel, tie_word_embeddings=True), "saved as a LlamaModel"),
    "encoder-decoder": (
        lambda: BartForConditionalGeneration(
            BartConfig(vocab_size=LETTERS, d_model=16, encoder_layers=1, decoder_layers=1, encoder_ffn_dim=16)
        ),
        "encoder-decoder model (model_type bart)",
    ),
    "recurrent": (
        lambda: MambaForCausalLM(MambaConfig(vocab_size=LETTERS, hidden_size=16, num_hidden_layers=1)),
        "recurrent state (model_type mamba)",
    ),
    "images": (
        lambda: Gemma3ForConditionalGeneration(
            Gemma3Config(
                text_config={"vocab_size": LETTERS, "head_dim": 16} | SIZES,
                vision_config={"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "image_size": 28}
                | {"num_attention_heads": 2},
            )
        ),
        "more than text (model_type gemma3, with vision_config)",
    ),
    "scaled logits": (
        lambda: GraniteForCausalLM(GraniteConfig(vocab_size=LETTERS, logits_scaling=8.0, **SIZES)),
        "rescales its logits",
    ),
    "capped logits": (
        lambda: Gemma2ForCausalLM(
            Gemma2Config(vocab_size=LETTERS, head_dim=16, num_key_value_heads=1, query_pre_attn_scalar=16, **SIZES)
        ),
        "rescales its logits",
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_models_of_other_kinds_are_named(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make, reason = MODELS[name]
    assert reason in refused(saved(tmp_path / "base", make()), tmp_path / "out", capsys)


@pytest.mark.parametrize("method", ["gptq", "awq", "bitsandbytes", "fp8", "compressed-tensors"])
def test_quantised_models_are_named(method: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = saved(tmp_path / "base", llama())
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"quantization_config": {"quant_method": method}}))
    assert f"quantised ({method})" in refused(folder, tmp_path / "out", capsys)


def test_files_that_are_not_there_or_not_whole_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sharded = saved(tmp_path / "sharded", llama(), max_shard_size="20KB")
    shards = sorted(sharded.glob("model-*.safetensors"))
    assert len(shards) > 2
    shards[1].unlink()
    assert shards[1].name in refused(sharded, tmp_path / "out", capsys)

    cut = saved(tmp_path / "cut", llama()) / "model.safetensors"
    cut.write_bytes(cut.read_bytes()[:-100])
    assert "incomplete" in refused(cut.parent, tmp_path / "out", capsys).lower()

    pointer = saved(tmp_path / "pointer", llama()) / "model.safetensors"
    pointer.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 538090408\n")
    assert "git lfs pull" in refused(pointer.parent, tmp_path / "out", capsys)

    pickled = saved(tmp_path / "pickled", llama())
    torch.save(load_file(pickled / "model.safetensors"), pickled / "pytorch_model.bin")
    (pickled / "model.safetensors").unlink()
    message = refused(pickled, tmp_path / "out", capsys)
    assert "pickled (pytorch_model.bin)" in message
    assert "save_pretrained" in message

    mute = tmp_path / "mute"
    llama().save_pretrained(mute)
    message = refused(mute, tmp_path / "out", capsys)
    assert "it has no tokenizer" in message
    assert "tokenizer.json" in message


def test_weights_that_would_be_left_out_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sharded = saved(tmp_path / "sharded", llama(), max_shard_size="20KB")
    first = sorted(sharded.glob("model-*.safetensors"))[0]
    other = sharded / "model-00001-of-00002.safetensors"
    other.write_bytes(first.read_bytes())
    message = refused(sharded, tmp_path / "out", capsys)
    assert "model.safetensors.index.json is what counts" in message
    assert other.name in message
    other.unlink()
    prepare(Prepare(model=str(sharded), output=tmp_path / "whole", style="own"))

    (sharded / "model.safetensors").write_bytes(first.read_bytes())
    message = refused(sharded, tmp_path / "out", capsys)
    assert "model.safetensors is what counts" in message


def test_an_adapter_is_not_left_out_without_a_word(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    about = {"peft_type": "LORA", "base_model_name_or_path": "meta-llama/Llama-2-7b-hf"}
    beside = saved(tmp_path / "beside", llama())
    alone = tmp_path / "alone"
    alone.mkdir()
    for folder in (beside, alone):
        (folder / "adapter_config.json").write_text(json.dumps(about))
        save_file({"base_model.model.q_proj.lora_A.weight": torch.ones(4, 32)}, folder / "adapter_model.safetensors")
        message = refused(folder, tmp_path / "out", capsys)
        assert "an adapter (LORA, for meta-llama/Llama-2-7b-hf)" in message
        assert "merge_and_unload" in message


def test_code_of_a_folder_is_neither_run_nor_asked_about(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = saved(tmp_path / "base", llama())
    config = json.loads((folder / "config.json").read_text())
    own = {"model_type": "mine", "auto_map": {"AutoConfig": "mine.Mine", "AutoModelForCausalLM": "mine.Model"}}
    (folder / "config.json").write_text(json.dumps(config | own))
    (folder / "mine.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    message = refused(folder, tmp_path / "out", capsys)
    assert "never run" in message
    assert not (tmp_path / "ran").exists()


def test_weights_count_and_not_a_gguf_beside_them(tmp_path: Path) -> None:
    folder = saved(tmp_path / "base", llama())
    (folder / "model-q4.gguf").write_bytes(b"GGUF and no more")
    (folder / "mmproj.gguf").write_bytes(b"GGUF and no more")
    prepare(Prepare(model=str(folder), output=tmp_path / "out", style="own"))
    before, after = load_file(folder / "model.safetensors"), load_file(tmp_path / "out" / "model" / "model.safetensors")
    assert torch.equal(after["model.norm.weight"], before["model.norm.weight"])


def test_a_tokenizer_of_another_model_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = saved(tmp_path / "base", llama(vocab_size=LETTERS - 10, eos_token_id=0))
    message = refused(folder, tmp_path / "out", capsys)
    assert f"ids up to {LETTERS - 1}, its weights only {LETTERS - 10} rows: 10 tokens have none" in message


def test_words_of_text_that_have_no_row_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Added to the tokenizer and never to the model: "plan" in a question would be a row of zeros."""
    folder = saved(tmp_path / "base", llama())
    tokenizer = character_tokenizer()
    tokenizer.add_tokens(["plan", "the"])
    tokenizer.save_pretrained(folder)
    assert f"its weights only {LETTERS} rows: 2 tokens have none" in refused(folder, tmp_path / "out", capsys)


def test_no_row_is_left_random(tmp_path: Path) -> None:
    """Tokens that were added to a tokenizer, and never to its model, get rows of zeros like the value words."""
    folder = saved(tmp_path / "base", llama())
    tokenizer = character_tokenizer()
    tokenizer.add_special_tokens({"pad_token": "[PAD]"})
    tokenizer.save_pretrained(folder)
    prepare(Prepare(model=str(folder), output=tmp_path / "out", style="own"))
    model, policy = load_model(tmp_path / "out" / "model"), ValueWords.read(tmp_path / "out" / "model")
    assert policy.good == LETTERS + 1
    assert torch.count_nonzero(model.lm_head.weight[LETTERS:]) == 0
    assert torch.count_nonzero(model.model.embed_tokens.weight[LETTERS:]) == 0
    assert torch.equal(model.lm_head.weight[:LETTERS], load_file(folder / "model.safetensors")["lm_head.weight"])


def test_tied_weights_may_have_one_tensor_for_two(tmp_path: Path) -> None:
    folder = saved(tmp_path / "base", llama(tie_word_embeddings=True))
    assert "lm_head.weight" not in load_file(folder / "model.safetensors")
    prepare(Prepare(model=str(folder), output=tmp_path / "out", style="own"))
    assert GOOD in character_vocabulary(tmp_path / "out" / "model")
    shutil.rmtree(tmp_path / "out")


def character_vocabulary(folder: Path) -> set[str]:
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    return {token["content"] for token in tokenizer["added_tokens"]}
