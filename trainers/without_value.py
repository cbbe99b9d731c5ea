"""A model folder for other houses: without the two words of the vocabulary that hold the value.

The tokenizer loses both words. Their rows go where they are the last ones; where the base had rows to spare they are 0
again, as when the base came in. Every other logit stays what it was. `policy.json` and `probe.json` are the factory's.
Run as: python -m trainers.without_value config.json
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from infra.contract.model_folder import ValueWords
from trainers.config import Config, ConfigError, main

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class WithoutValue(Config):
    model: Path = Field(description="Model folder of the factory.")
    output: Path = Field(description="Folder to fill.")


def strip(config: WithoutValue) -> None:
    from transformers import AutoModelForCausalLM

    from trainers.model_folder import tokenizer_files

    words = ValueWords.read(config.model)
    model = AutoModelForCausalLM.from_pretrained(
        config.model, dtype="auto", use_safetensors=True, trust_remote_code=False
    )
    drop_rows(model, words)
    model.save_pretrained(config.output)
    for path in tokenizer_files(config.model):
        text = path.read_text()
        (config.output / path.name).write_text(without(text, words) if path.name == "tokenizer.json" else text)


def drop_rows(model: "PreTrainedModel", words: ValueWords) -> None:
    import torch

    first, last = sorted((words.good, words.bad))
    head, embeddings = model.get_output_embeddings(), model.get_input_embeddings()
    if (first, last) == (head.weight.shape[0] - 2, head.weight.shape[0] - 1):
        model.resize_token_embeddings(first, mean_resizing=False)
        return
    with torch.no_grad():
        for row in (first, last):
            head.weight[row] = embeddings.weight[row] = 0
            if head.bias is not None:
                head.bias[row] = 0


def without(tokenizer: str, words: ValueWords) -> str:
    """The content of a tokenizer.json less the two words. Raises ConfigError where they are no added tokens of it."""
    document = json.loads(tokenizer)
    kept = [token for token in document["added_tokens"] if token["id"] not in (words.good, words.bad)]
    if len(kept) != len(document["added_tokens"]) - 2:
        raise ConfigError("model: the two words that hold the value are the base's own, and cannot be taken out of it")
    return json.dumps(document | {"added_tokens": kept}, ensure_ascii=False, indent=2)


if __name__ == "__main__":
    raise SystemExit(main(WithoutValue, strip, __doc__))
