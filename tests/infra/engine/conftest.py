"""A model folder as the engine reads it, without a model in it."""

import json
from pathlib import Path

import pytest

from infra.contract.model_folder import Probe, ProbeSequence, ValueWords
from infra.engine.model_folder import ModelFolder


@pytest.fixture
def folder(tmp_path: Path) -> ModelFolder:
    (tmp_path / "tokenizer.json").write_text(json.dumps({"model": {}}))
    one = ProbeSequence(prompt=[1], token_ids=[3], logprobs=[-1.0])
    words = ValueWords(good=3, bad=4, eos=0, knows_format=True)
    return ModelFolder(tmp_path, {"vocab_size": 9}, words, Probe(dtype="float32", tolerance=1e-3, sequences=[one]))
