"""A model folder as an engine sees it: what it proves, and what must be the same for a swap of weights."""

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from infra.contract.model_folder import Probe, ValueWords, text_of

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


@dataclass(frozen=True)
class ModelFolder:
    """A checkpoint on this machine, read once. `path` is absolute."""

    path: Path
    config: dict[str, Any]
    words: ValueWords
    probe: Probe

    @classmethod
    def read(cls, path: Path) -> "ModelFolder":
        """Raises ValueError naming the file (and field) that is missing or wrong."""
        path = path.absolute()
        config = json.loads(text_of(path / "config.json"))
        if "vocab_size" not in config:
            raise ValueError(f"{path / 'config.json'}: vocab_size is missing, as in a model for more than text")
        return cls(path, config, ValueWords.read(path), Probe.read(path))

    @property
    def vocabulary(self) -> int:
        """Rows of the output head."""
        return int(self.config["vocab_size"])

    @property
    def context(self) -> int | None:
        """Tokens of a prompt and its completion at most; None where the config does not say it plainly: positions that
        are scaled may reach further."""
        rope = self.config.get("rope_parameters") or self.config.get("rope_scaling") or {}
        told = [self.config[name] for name in ("max_position_embeddings", "n_positions") if name in self.config]
        return min(told) if told and "factor" not in rope else None

    @property
    def is_tied(self) -> bool:
        """Input embedding and output head are one tensor (the default of transformers, when not stated)."""
        return bool(self.config.get("tie_word_embeddings", True))

    @cached_property
    def signature(self) -> str:
        """Digest of all that an engine keeps when its weights are swapped: the architecture and the tokenizer.

        The tokenizer counts although token ids go in and out: the engine decodes text to find stop strings.
        """
        tokenizer = json.loads(text_of(self.path / "tokenizer.json"))
        kept = [
            {key: value for key, value in self.config.items() if key not in _NO_SHAPE},
            {key: value for key, value in tokenizer.items() if key not in _NO_TEXT},
        ]
        return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()
