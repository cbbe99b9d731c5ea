"""A model without the value words: the base's own vocabulary, and the log-probs over it that the model had."""

from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM, AutoTokenizer

from infra.contract.model_folder import ValueWords
from tests.trainers.conftest import save_base
from trainers.config import ConfigError
from trainers.model_folder import load_model
from trainers.prepare import Prepare, prepare
from trainers.without_value import WithoutValue, strip, without

TEXT = "Plan 1: add 3.\n"


@torch.no_grad()
def logprobs(folder: Path, ids: list[int], but: tuple[int, ...] = ()) -> torch.Tensor:
    """Over the words that are not left out."""
    logits = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)(torch.tensor([ids])).logits[0]
    kept = [word for word in range(logits.shape[1]) if word not in but]
    return logits[:, kept].log_softmax(-1)


def test_vocabulary_and_log_probs_are_those_of_the_rest(base: Path, folder: Path, tmp_path: Path) -> None:
    strip(WithoutValue(model=folder, output=tmp_path))
    words = ValueWords.read(folder)
    ids = list(range(1, 40))
    assert torch.equal(logprobs(tmp_path, ids), logprobs(folder, ids, (words.good, words.bad)))
    assert load_model(tmp_path).config.vocab_size == load_model(base).config.vocab_size
    ours, bases = AutoTokenizer.from_pretrained(tmp_path), AutoTokenizer.from_pretrained(base)
    assert ours.get_vocab() == bases.get_vocab()
    assert ours(TEXT)["input_ids"] == bases(TEXT)["input_ids"]
    assert Tokenizer.from_file(str(tmp_path / "tokenizer.json")).encode(TEXT).ids == bases(TEXT)["input_ids"]
    assert not {"policy.json", "probe.json"} & {path.name for path in tmp_path.iterdir()}


def test_spare_rows_stay_and_say_nothing_again(tmp_path: Path) -> None:
    base = save_base(tmp_path / "base", tied=False, spare_rows=5)
    prepare(Prepare(model=str(base), output=tmp_path, style="own"))
    words = ValueWords.read(tmp_path / "model")
    strip(WithoutValue(model=tmp_path / "model", output=tmp_path / "out"))
    model = load_model(tmp_path / "out")
    assert model.config.vocab_size == load_model(base).config.vocab_size
    assert torch.count_nonzero(model.lm_head.weight[[words.good, words.bad]]) == 0
    assert torch.equal(logprobs(tmp_path / "out", [1, 2, 3]), logprobs(tmp_path / "model", [1, 2, 3]))


def test_words_that_the_base_had_itself_are_not_taken_from_it() -> None:
    words = ValueWords(good=2, bad=3, eos=0, knows_format=True)
    with pytest.raises(ConfigError, match="base's own"):
        without('{"added_tokens": [{"id": 0}, {"id": 2}]}', words)
