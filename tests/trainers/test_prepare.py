"""A base model enters the house: untied, with two value words that say 0, and otherwise as it was."""

from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import torch
from safetensors import safe_open
from transformers import AutoModelForCausalLM, AutoTokenizer

from infra.contract.model_folder import Probe, ValueWords
from tests.trainers.conftest import character_tokenizer, save_base, write_config
from trainers.config import ConfigError, main
from trainers.model_folder import (
    BAD,
    GOOD,
    load_model,
    load_tokenizer,
    make_probe,
    save,
    tokenizer_files,
)
from trainers.prepare import Prepare, load, prepare


@pytest.fixture(scope="module")
def prepared(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("output")
    prepare(Prepare(model=str(base), output=output, style="own"))
    return output / "model"


@torch.no_grad()
def logits(folder: Path, ids: list[int]) -> torch.Tensor:
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)(torch.tensor([ids])).logits[0]


def test_every_other_logit_is_what_it_was_and_the_value_is_zero(base: Path, prepared: Path) -> None:
    ids = list(range(1, 30))
    before, after = logits(base, ids), logits(prepared, ids)
    words = ValueWords.read(prepared)
    assert torch.equal(after[:, : before.shape[1]], before)
    assert torch.equal(after[:, words.good], after[:, words.bad])
    assert torch.count_nonzero(after[:, words.good]) == 0


def test_the_folder_says_how_it_is_to_be_served(base: Path, prepared: Path) -> None:
    tokenizer = load_tokenizer(prepared)
    words = ValueWords.read(prepared)
    assert (words.eos, words.knows_format) == (tokenizer.eos_token_id, False)
    assert tokenizer.convert_ids_to_tokens([words.good, words.bad]) == [GOOD, BAD]
    assert tokenizer.decode([words.good], skip_special_tokens=True) == ""
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
    probe = Probe.read(prepared)
    model, words = load_model(prepared), ValueWords.read(prepared)

    def worst() -> float:
        differences = []
        for sequence in probe.sequences:
            with torch.no_grad():
                logprobs = model(torch.tensor([sequence.prompt])).logits[0, -1].log_softmax(-1)
            assert sequence.token_ids[:2] == [words.good, words.bad]
            found = logprobs[sequence.token_ids]
            differences.append((found - torch.tensor(sequence.logprobs)).abs().max().item())
        return max(differences)

    assert [len(sequence.prompt) for sequence in probe.sequences] == list(range(8, 72))
    assert {len(sequence.token_ids) for sequence in probe.sequences} == {10}
    assert worst() < 1e-5
    with torch.no_grad():
        model.lm_head.weight += 0.01 * torch.randn_like(model.lm_head.weight)
    assert worst() > probe.tolerance


def test_preparing_twice_writes_the_same_bytes(base: Path, prepared: Path, tmp_path: Path) -> None:
    prepare(Prepare(model=str(base), output=tmp_path, style="own"))
    for path in prepared.iterdir():
        assert path.read_bytes() == (tmp_path / "model" / path.name).read_bytes(), path.name


def test_a_prepared_model_keeps_the_value_it_has_learnt(folder: Path, tmp_path: Path) -> None:
    prepare(Prepare(model=str(folder), output=tmp_path, style="trained"))
    before, after = load_model(folder).lm_head.weight, load_model(tmp_path / "model").lm_head.weight
    assert torch.equal(before, after)
    assert torch.count_nonzero(before[-2:]) > 0


def test_spare_rows_of_the_vocabulary_are_used(tmp_path: Path) -> None:
    base = save_base(tmp_path / "base", tied=False, spare_rows=5)
    prepare(Prepare(model=str(base), output=tmp_path, style="own"))
    model, words = load_model(tmp_path / "model"), ValueWords.read(tmp_path / "model")
    assert model.config.vocab_size == len(character_tokenizer()) + 5
    assert torch.count_nonzero(model.lm_head.weight[[words.good, words.bad]]) == 0


def test_a_model_that_cannot_be_loaded_is_named_with_the_way_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fields = {"model": str(tmp_path / "nothing"), "output": str(tmp_path / "out"), "style": "own"}
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

    def snapshot_download(name: str, *, revision: str | None, allow_patterns: list[str], **_: Any) -> str:
        asked.append((name, revision))
        assert not any(fnmatch("pytorch_model.bin", pattern) for pattern in allow_patterns)
        return str(base)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    load("some/model", torch.float32, "a3f1c0d")
    load("some/model", torch.float32)
    assert asked == [("some/model", "a3f1c0d"), ("some/model", None)]


def test_a_model_whose_log_probs_are_not_finite_gets_no_probe(folder: Path, tmp_path: Path) -> None:
    """Neither at the entrance nor after a training; and weights that are not finite are never saved."""
    words, model = ValueWords.read(folder), load_model(folder)
    tokenizer = load_tokenizer(folder)

    def probe(forward: Callable[[torch.Tensor], torch.Tensor]) -> Probe:
        return make_probe(forward, tokenizer, words, torch.float32, torch.device("cpu"))

    with torch.no_grad():
        sound = probe(lambda ids: model(ids).logits)
        with pytest.raises(ConfigError, match="log-probs are NaN or infinite"):
            probe(lambda ids: model(ids).logits / 0.0)
        model.lm_head.weight[5, 5] = torch.nan
    with pytest.raises(ConfigError, match=r"NaN or infinite: lm_head\.weight"):
        save(tmp_path / "model", model, model.state_dict(), torch.float32, words, sound, tokenizer_files(folder))
    assert list(tmp_path.iterdir()) == []
