"""A base model is known by what its files hold, not by where they are or what else changed beside them."""

import logging
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from huggingface_hub import HfApi
from huggingface_hub.errors import RepositoryNotFoundError
from huggingface_hub.hf_api import ModelInfo

import tasks.stages.model
from tasks.questions.places import HubUnreachable
from tasks.stages.model import BaseModelSource, ModelNotFound, locate, prepare_model

FIRST, SECOND = "a3f1c0d2e4b5968778695a4b3c2d1e0f12345678", "b7e2d1c3f5a6079889706b5c4d3e2f1023456789"


def reply(commit: str, **blobs: str) -> dict[str, Any]:
    """What the hub's API says of a model with `?blobs=true`; other blobs are given by the file's stem."""
    small = {
        ".gitattributes": "a6344aac8c09253b3b630fb776ae94478aa0275b",
        "README.md": blobs.get("README", "0d1c3e6f5a4b39281706f5e4d3c2b1a098765432"),
        "config.json": blobs.get("config", "6d8e9f0a1b2c3d4e5f60718293a4b5c6d7e8f901"),
        "generation_config.json": "1f2e3d4c5b6a79880716253443526170f8e9dacb",
        "merges.txt": "3b8a4d2e1f0c9b8a7d6e5f4c3b2a190817263544",
        "special_tokens_map.json": "9c0d1e2f3a4b5c6d7e8f9a0b1c2d3e4f5a6b7c8d",
        "tokenizer.json": "5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f7081",
        "tokenizer_config.json": "7a8b9cadbecfd0e1f2031425364758697a8b9cad",
    }
    large = {
        "model.safetensors": blobs.get("model", "5af571cbf074e6d21a03528d2330792e532ca608f24ac70a143f6b369968ab8c"),
        "onnx/model.onnx": blobs.get("onnx", "c7a3f1e9d8b6a5948372615f4e3d2c1b0a9f8e7d6c5b4a392817f6e5d4c3b2a1"),
    }
    return {
        "_id": "6725fa0d2b5ab0bf5ee5d1c6",
        "id": "some/model",
        "sha": commit,
        "lastModified": "2024-11-02T10:14:05.000Z",
        "private": False,
        "tags": ["transformers", "safetensors", "llama"],
        "siblings": [
            *({"rfilename": name, "blobId": blob, "size": 1519} for name, blob in small.items()),
            *(
                {
                    "rfilename": name,
                    "blobId": "d4c1a2b3e5f60718293a4b5c6d7e8f9012345678",
                    "size": 269060552,
                    "lfs": {"sha256": blob, "size": 269060552, "pointerSize": 134},
                }
                for name, blob in large.items()
            ),
        ],
    }


def located(monkeypatch: pytest.MonkeyPatch, answer: dict[str, Any], name: str = "some/model") -> BaseModelSource:
    def model_info(_: HfApi, hub_id: str, *, files_metadata: bool, timeout: float) -> ModelInfo:
        assert hub_id == (tasks.stages.model.SMOLLM2_HUB if name == "smollm2" else name)
        assert files_metadata
        return ModelInfo(**answer)  # type: ignore[no-untyped-call]

    monkeypatch.setattr(tasks.stages.model, "reach_hub", lambda: None)
    monkeypatch.setattr(HfApi, "model_info", model_info)
    return locate(name)


def test_a_model_of_the_hub_is_the_files_that_are_loaded_at_the_commit_that_was_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen = located(monkeypatch, reply(FIRST))
    assert (seen.name, seen.location, seen.revision, seen.style) == ("some/model", "some/model", FIRST, "own")
    edited = located(monkeypatch, reply(SECOND, README="4" * 40, onnx="5" * 64))
    assert (edited.digest, edited.revision) == (seen.digest, SECOND)
    digests = {located(monkeypatch, reply(SECOND, **{stem: "6" * 40})).digest for stem in ("config", "model")}
    assert len(digests - {seen.digest}) == 2
    small = located(monkeypatch, reply(FIRST), "smollm2")
    assert (small.name, small.location, small.revision) == ("smollm2", tasks.stages.model.SMOLLM2_HUB, FIRST)


def test_a_model_that_the_hub_does_not_have_or_tell_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable() -> None:
        raise HubUnreachable("the hub did not answer")

    def missing(*_: object, **__: object) -> None:
        raise RepositoryNotFoundError("404", response=SimpleNamespace(headers={}, request=None))  # type: ignore[arg-type]

    monkeypatch.setattr(tasks.stages.model, "reach_hub", unreachable)
    with pytest.raises(ModelNotFound, match=r"'some/model' does not load: .* hub has no such model or cannot be"):
        locate("some/model")
    monkeypatch.setattr(tasks.stages.model, "reach_hub", lambda: None)
    monkeypatch.setattr(HfApi, "model_info", missing)
    with pytest.raises(ModelNotFound, match=r"'some/model': the hub has no such model, or it needs a token"):
        locate("some/model")


def test_a_folder_is_the_same_model_by_every_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "config.json").write_text("{}")
    shutil.copytree(tmp_path / "m", tmp_path / "elsewhere")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    spelled = [locate(name) for name in ("m", "~/m", str(tmp_path / "m"), "elsewhere")]
    assert [one.name for one in spelled][:2] == ["m", "~/m"]
    assert len({one.location for one in spelled}) == 2
    assert len({prepare_model.key(*one) for one in spelled}) == 1
    styled = {prepare_model.key(*spelled[0].in_style(style)) for style in ("own", "chat", "worked examples")}
    assert len(styled) == 3, "it is told the format by other words"
    assert prepare_model.key(*spelled[0].in_style("own")) in styled & {prepare_model.key(*spelled[0])}
    (tmp_path / "m" / "config.json").write_text('{"hidden_size": 8}')
    assert prepare_model.key(*locate("m")) != prepare_model.key(*spelled[0])


def test_an_adapter_alone_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(ModelNotFound, match="an adapter alone: merge it"):
        locate(str(tmp_path))


def test_the_commit_is_loaded_and_not_in_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = (located(monkeypatch, reply(commit)) for commit in (FIRST, SECOND))
    assert prepare_model.key(*first) == prepare_model.key(*second)
    started: list[dict[str, Any]] = []
    monkeypatch.setattr(tasks.stages.model, "launch", lambda workplace, trainer, title, config: started.append(config))
    prepare_model.body(SimpleNamespace(log=logging.getLogger()), *first)  # type: ignore[arg-type]
    assert started == [{"model": "some/model", "revision": FIRST, "style": "own"}]
