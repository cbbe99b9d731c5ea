"""A base model enters the house: untied, with two value words that say 0, and otherwise as it was."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from transformers import AutoModelForCausalLM, AutoTokenizer, GraniteConfig, GraniteForCausalLM

from tests.trainers.conftest import character_tokenizer, save_base, write_config
from trainers.config import main
from trainers.model_folder import BAD, GOOD, Policy, load_model, load_tokenizer
from trainers.prepare import Prepare, load, prepare


@pytest.fixture(scope="module")
def prepared(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("output")
    prepare(Prepare(model=str(base), output=output, knows_format=False))
    return output / "model"


@torch.no_grad()
def logits(folder: Path, ids: list[int]) -> torch.Tensor:
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)(torch.tensor([ids])).logits[0]


def test_every_other_logit_is_what_it_was_and_the_value_is_zero(base: Path, prepared: Path) -> None:
    ids = list(range(1, 30))
    before, after = logits(base, ids), logits(prepared, ids)
    policy = Policy.read(prepared)
    assert torch.equal(after[:, : before.shape[1]], before)
    assert torch.equal(after[:, policy.good], after[:, policy.bad])
    assert torch.count_nonzero(after[:, policy.good]) == 0


def test_the_folder_says_how_it_is_to_be_served(base: Path, prepared: Path) -> None:
    tokenizer = load_tokenizer(prepared)
    policy = Policy.read(prepared)
    assert (policy.eos, policy.knows_format) == (tokenizer.eos_token_id, False)
    assert tokenizer.convert_ids_to_tokens([policy.good, policy.bad]) == [GOOD, BAD]
    assert tokenizer.decode([policy.good], skip_special_tokens=True) == ""
    text = "Plan 1: add 3.\n"
    assert tokenizer(text)["input_ids"] == AutoTokenizer.from_pretrained(base)(text)["input_ids"]
    names = {path.name for path in prepared.iterdir()}
    assert {
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "policy.json",
        "probe.json",
    } <= names
    assert {"tokenizer.json", "tokenizer_config.json"} <= names


def test_the_embeddings_are_untied_and_stay_so(prepared: Path) -> None:
    with safe_open(prepared / "model.safetensors", "pt") as file:
        assert {"lm_head.weight", "model.embed_tokens.weight"} <= set(file.keys())
    model = load_model(prepared)
    assert model.config.tie_word_embeddings is False
    assert model.lm_head.weight.data_ptr() != model.model.embed_tokens.weight.data_ptr()


def test_the_probe_reproduces_from_the_files_and_tells_another_head_apart(prepared: Path) -> None:
    probe = json.loads((prepared / "probe.json").read_text())
    model, policy = load_model(prepared), Policy.read(prepared)

    def worst() -> float:
        differences = []
        for sequence in probe["sequences"]:
            with torch.no_grad():
                logprobs = model(torch.tensor([sequence["prompt"]])).logits[0, -1].log_softmax(-1)
            assert sequence["token_ids"][:2] == [policy.good, policy.bad]
            found = logprobs[sequence["token_ids"]]
            differences.append((found - torch.tensor(sequence["logprobs"])).abs().max().item())
        return max(differences)

    assert [len(sequence["prompt"]) for sequence in probe["sequences"]] == [8, 16, 32, 64]
    assert worst() < 1e-5
    with torch.no_grad():
        model.lm_head.weight += 0.01 * torch.randn_like(model.lm_head.weight)
    assert worst() > probe["tolerance"]


def test_preparing_twice_writes_the_same_bytes(base: Path, prepared: Path, tmp_path: Path) -> None:
    prepare(Prepare(model=str(base), output=tmp_path, knows_format=False))
    for path in prepared.iterdir():
        assert path.read_bytes() == (tmp_path / "model" / path.name).read_bytes(), path.name


def test_a_prepared_model_keeps_the_value_it_has_learnt(folder: Path, tmp_path: Path) -> None:
    prepare(Prepare(model=str(folder), output=tmp_path, knows_format=True))
    before, after = load_model(folder).lm_head.weight, load_model(tmp_path / "model").lm_head.weight
    assert torch.equal(before, after)
    assert torch.count_nonzero(before[-2:]) > 0


def test_spare_rows_of_the_vocabulary_are_used(tmp_path: Path) -> None:
    base = save_base(tmp_path / "base", tied=False, spare_rows=5)
    prepare(Prepare(model=str(base), output=tmp_path, knows_format=False))
    model, policy = load_model(tmp_path / "model"), Policy.read(tmp_path / "model")
    assert model.config.vocab_size == len(character_tokenizer()) + 5
    assert torch.count_nonzero(model.lm_head.weight[[policy.good, policy.bad]]) == 0


def test_a_model_that_cannot_be_loaded_is_named_with_the_way_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fields = {"model": str(tmp_path / "nothing"), "output": str(tmp_path / "out"), "knows_format": False}
    (tmp_path / "nothing").mkdir()
    assert main(Prepare, prepare, "", [str(write_config(tmp_path / "config.json", fields))]) == 2
    message = capsys.readouterr().err
    assert message.startswith(f"error: model: {tmp_path / 'nothing'} cannot be loaded")
    assert "give a hub id that this machine can reach" in message
    assert message.count("\n") == 1


def test_weights_and_tokenizer_are_those_of_the_commit_that_is_asked_for(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def local(kind: type[Any]) -> None:
        plain = kind.from_pretrained

        def from_pretrained(name: str, **options: Any) -> Any:
            asked.append((name, options.pop("revision", None)))
            return plain(base, **options)

        monkeypatch.setattr(kind, "from_pretrained", from_pretrained)

    local(AutoTokenizer)
    local(AutoModelForCausalLM)
    load("some/model", torch.float32, "a3f1c0d")
    load("some/model", torch.float32)
    assert asked == [("some/model", "a3f1c0d")] * 2 + [("some/model", None)] * 2


def test_an_architecture_whose_logits_are_rescaled_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tokenizer = character_tokenizer()
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = GraniteConfig(vocab_size=len(tokenizer), logits_scaling=8.0, initializer_range=0.5, **sizes)
    GraniteForCausalLM(config).save_pretrained(tmp_path / "granite")
    tokenizer.save_pretrained(tmp_path / "granite")
    fields = {"model": str(tmp_path / "granite"), "output": str(tmp_path), "knows_format": False}
    assert main(Prepare, prepare, "", [str(write_config(tmp_path / "config.json", fields))]) == 2
    assert "rescales its logits" in capsys.readouterr().err
