"""The folder that every trainer writes and every engine serves: a Hugging Face checkpoint, policy.json, probe.json.

policy.json names the two value words (design D2). probe.json holds log-probs and values of the trainer's own forward
pass, by which an engine proves which model it serves (design D1b).
"""

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError, model_validator

_NO_SHAPE = {
    "_name_or_path",
    "transformers_version",
    "dtype",
    "torch_dtype",
    "use_cache",
    "initializer_range",
}
_NO_TEXT = {"padding", "truncation"}
"""Keys of config.json and tokenizer.json that change neither the shape of the weights nor the decoded text."""

Model = TypeVar("Model", bound=BaseModel)


class PolicyWords(BaseModel):
    """Token ids of the value words and of the end of sequence.

    `knows_format`: the model was trained on the XML format and needs no few-shot prefix.
    """

    model_config = ConfigDict(frozen=True)

    good: int = Field(ge=0)
    bad: int = Field(ge=0)
    eos: int = Field(ge=0)
    knows_format: bool


class ProbeSequence(BaseModel):
    """Log-softmax of `token_ids` at the last position of `prompt`, by the trainer's forward pass. Finite."""

    prompt: list[int] = Field(min_length=1)
    token_ids: list[int] = Field(min_length=1, max_length=128)  # the engine answers at most 128
    logprobs: list[FiniteFloat]

    @model_validator(mode="after")
    def _one_logprob_each(self) -> "ProbeSequence":
        if len(self.logprobs) != len(self.token_ids):
            raise ValueError(f"{len(self.logprobs)} logprobs for {len(self.token_ids)} token_ids")
        return self


class Probe(BaseModel):
    """What an engine must reproduce before it is believed.

    `tolerance`: largest difference (absolute, natural log) where both compute in float32 (read `infra.engine.proof`).
    """

    dtype: Literal["float32", "bfloat16", "float16"]
    tolerance: float = Field(gt=0)
    sequences: list[ProbeSequence] = Field(min_length=1)


@dataclass(frozen=True)
class ModelFolder:
    """A checkpoint on this machine, read once. `path` is absolute."""

    path: Path
    config: dict[str, Any]
    words: PolicyWords
    probe: Probe

    @classmethod
    def read(cls, path: Path) -> "ModelFolder":
        """Raises ValueError naming the file (and field) that is missing or wrong."""
        path = path.absolute()
        config = json.loads(_text(path / "config.json"))
        if "vocab_size" not in config:
            raise ValueError(f"{path / 'config.json'}: vocab_size is missing, as in a model for more than text")
        return cls(
            path,
            config,
            _parsed(PolicyWords, path / "policy.json"),
            _parsed(Probe, path / "probe.json"),
        )

    @property
    def vocabulary(self) -> int:
        """Rows of the output head."""
        return int(self.config["vocab_size"])

    @property
    def is_tied(self) -> bool:
        """Input embedding and output head are one tensor (the default of transformers, when not stated)."""
        return bool(self.config.get("tie_word_embeddings", True))

    @cached_property
    def signature(self) -> str:
        """Digest of all that an engine keeps when its weights are swapped: the architecture and the tokenizer.

        The tokenizer counts although token ids go in and out: the engine decodes text to find stop strings.
        """
        tokenizer = json.loads(_text(self.path / "tokenizer.json"))
        kept = [
            {key: value for key, value in self.config.items() if key not in _NO_SHAPE},
            {key: value for key, value in tokenizer.items() if key not in _NO_TEXT},
        ]
        return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except FileNotFoundError:
        raise ValueError(
            f"{path.parent} is not a model folder of the factory: {path.name} is missing "
            "(`python -m trainers.prepare` makes one of any Hugging Face checkpoint)"
        ) from None


def _parsed(model: type[Model], path: Path) -> Model:
    try:
        return model.model_validate_json(_text(path))
    except ValidationError as problem:
        raise ValueError(f"{path}: {problem}") from None
