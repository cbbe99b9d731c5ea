"""The model folder: the form in which models travel between trainers, engines and the store (docs/design.md D1b, D2).

config.json, generation_config.json, *.safetensors     untied embeddings; float32 (CPU) or bfloat16 (CUDA)
tokenizer.json, tokenizer_config.json                  copied byte for byte from checkpoint to checkpoint
policy.json                                            `ValueWords`: which tokens hold the value
probe.json                                             `Probe`: what an engine must reproduce before it serves it

Trainers write it, engines serve it; the classes here are the two files that are ours.
"""

import json
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError, model_validator

from infra.contract.faults import described

Style = Literal["own", "trained", "worked examples", "worked options", "chat"]
"""How a model is told the text format: not at all, for it was trained on it, by worked examples (of multiple choice:
worked options), or in its chat template. own: as it is usual for a model of its kind."""

LOADED = ("*.safetensors", "*.json", "*.model", "*.tiktoken", "*.jinja", "merges.txt", "vocab.txt")
"""Files of a hub model's top folder that are fetched and loaded: config, tokenizer and weights, but nothing pickled."""

TOLERANCE = {"float32": 1e-3, "bfloat16": 0.15}
"""Difference of a probe's log-probs, in nats, that is rounding. In float32 the largest: vLLM against transformers 2e-5.
In bfloat16 the mean: between two ways to compute SmolLM2-135M .076, and 1.2 at a single position."""


class _File(BaseModel):
    """A JSON file of the folder."""

    model_config = ConfigDict(frozen=True)

    NAME: ClassVar[str]

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Raises ValueError naming the file, and the field of it that is missing or wrong."""
        try:
            return cls.model_validate_json(text_of(folder / cls.NAME))
        except ValidationError as problem:
            raise ValueError(f"{folder / cls.NAME}: {described(problem)}") from None

    def write(self, folder: Path) -> None:
        (folder / self.NAME).write_text(json.dumps(self.model_dump(exclude_none=True)) + "\n")


class Turn(BaseModel):
    """Token ids that a chat template puts around what a user says: from the start of the sequence, and from there to
    where the answer begins. `blanks`: right before the words, of whose first token they are a part."""

    model_config = ConfigDict(frozen=True)

    before: list[Annotated[int, Field(ge=0)]]
    blanks: Annotated[str, Field(pattern="^ *$")] = ""
    after: list[Annotated[int, Field(ge=0)]] = Field(min_length=1)


class ValueWords(_File):
    """Token ids of the two words that hold the value, V(s) = tanh((z_good - z_bad) / 2), and of the end of sequence.

    `knows_format`: the model was trained on the XML format and needs to be told nothing before a question. Another one
    is told the format in its `turn` of a chat or, without one, by worked examples. `sees_options`: by those of multiple
    choice; None, which is not written, in any other model.
    """

    NAME = "policy.json"

    good: int = Field(ge=0)
    bad: int = Field(ge=0)
    eos: int = Field(ge=0)
    knows_format: bool
    turn: Turn | None = None
    sees_options: Literal[True] | None = None


class ProbeSequence(BaseModel):
    """Log-softmax of `token_ids` at the last position of `prompt`, by the trainer's forward pass. Finite."""

    prompt: list[int] = Field(min_length=1)
    token_ids: list[int] = Field(min_length=1, max_length=128)  # the engine answers at most 128
    logprobs: list[FiniteFloat]

    @model_validator(mode="after")
    def _one_logprob_each(self) -> Self:
        if len(self.logprobs) != len(self.token_ids):
            raise ValueError(f"{len(self.logprobs)} logprobs for {len(self.token_ids)} token_ids")
        return self


class Probe(_File):
    """What an engine must reproduce before it is believed: a few prompts, each with the log-probs of what follows.

    `tolerance`: largest difference (absolute, natural log) where both compute in float32 (read `infra.engine.proof`).
    """

    NAME = "probe.json"

    dtype: Literal["float32", "bfloat16", "float16"]
    tolerance: float = Field(gt=0)
    sequences: list[ProbeSequence] = Field(min_length=1)


def text_of(path: Path) -> str:
    """Of a file that every model folder has. Raises ValueError with the way out where it is missing."""
    try:
        return path.read_text()
    except FileNotFoundError:
        raise ValueError(
            f"{path.parent} is no model folder of the factory: {path.name} is missing "
            "(`python -m trainers.prepare` makes one of any Hugging Face checkpoint)"
        ) from None
