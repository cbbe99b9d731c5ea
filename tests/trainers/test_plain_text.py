"""Whatever family a tokenizer is of: parts that are encoded alone, joined and decoded are the joined text."""

import json
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from infra.contract.model_folder import ValueWords
from tasks.language.few_shot import DEMONSTRATIONS, REFLECTION_DEMONSTRATION
from tasks.language.format import _TAG, PLANS, verdict
from tasks.running.prompts import Prompts
from tests.trainers.families import FAMILIES, save
from trainers.config import ConfigError
from trainers.model_folder import BAD, GOOD, load_tokenizer
from trainers.plain_text import TAGS
from trainers.prepare import Prepare, load, prepare

MARKUP = [
    *("<s>", "</s>", "<unk>", GOOD, BAD, "<|im_start|>", "<|end|>", "<|endoftext|>", "<|user|> ", "<think>", "<0x0A>"),
    *(
        "<question>\n",
        "\n</question>\n",
        "<plan>\n",
        "<step>\n",
        "</step>\n",
        "</plan>\n",
        "<solution>\n",
        "</solution>",
    ),
]
WORDS = [
    *(
        " ",
        "  ",
        "    ",
        "\n",
        "\n\n",
        "\t",
        " a",
        "Plan 1:",
        "Tom has 2 apples",
        "$x^2$",
        "<",
        ">",
        "</",
        "\\boxed{1}",
    ),
    *("é", "é", "½", "²", "＝", "中文", "🙂", "…", "\u00a0", "\u200b"),
]
texts = st.lists(st.sampled_from(WORDS + MARKUP) | st.characters(codec="utf-8", exclude_characters="▁"), max_size=8)


@pytest.fixture(scope="module", params=FAMILIES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def folder(name: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("family")
    base = save(FAMILIES[name], output / "base")
    prepare(Prepare(model=str(base), output=output, style="own"))
    return output / "model"


@pytest.fixture(scope="module")
def prompts(folder: Path) -> Prompts:
    return Prompts.read(folder, PLANS)


@settings(max_examples=150)
@given(parts=st.lists(texts.map("".join), min_size=1, max_size=5))
def test_joined_ids_are_the_joined_text(parts: list[str], folder: Path, prompts: Prompts) -> None:
    """For the factory's decoder, for the trainer's, and for one that decodes token by token, as the engine does."""
    ids = [number for part in parts for number in prompts.encode(part)]
    assert prompts.tokenizer.decode(ids, skip_special_tokens=False) == "".join(parts)
    assert load_tokenizer(folder).decode(ids) == "".join(parts)
    words = ValueWords.read(folder)
    assert not {words.good, words.bad, words.eos, *prompts.start} & set(ids)


@settings(max_examples=50)
@given(question=texts.map("".join), gold=texts.map("".join))
def test_what_a_user_writes_is_read_as_text(question: str, gold: str, prompts: Prompts) -> None:
    ids = prompts.question(question)
    text = PLANS.prompt(question)
    assert ids[: len(prompts.start)] == prompts.start
    assert prompts.tokenizer.decode(ids[len(prompts.start) :], skip_special_tokens=False) == text
    assert _TAG.findall(text) == ["<question>", "</question>", "<plan>"]
    assert _TAG.findall(verdict(gold)) == ["<verdict>", "</verdict>", "<reflection>"]
    special = {number for number, token in prompts.tokenizer.get_added_tokens_decoder().items() if token.special}
    assert not special & set(ids[len(prompts.start) :])


def test_a_sequence_begins_as_the_model_knows_it_and_is_never_ended(name: str, folder: Path, prompts: Prompts) -> None:
    trainers = load_tokenizer(folder)
    start = trainers("")["input_ids"]
    assert start == ([trainers.bos_token_id] if FAMILIES[name].has_bos else [])
    assert prompts.start == start == prompts.question("Q?")[: len(start)]
    for prompt in (prompts.question("Q?"), prompts.asked(prompts.question("Q?")), trainers("Q?")["input_ids"]):
        assert sum(prompt.count(number) for number in start) == len(start)
        assert trainers.eos_token_id not in prompt


def test_value_words_are_one_token_and_worked_examples_stay_as_they_are(folder: Path, prompts: Prompts) -> None:
    policy, trainers = ValueWords.read(folder), load_tokenizer(folder)
    assert [trainers.encode(word, add_special_tokens=False) for word in (GOOD, BAD)] == [[policy.good], [policy.bad]]
    for text in (*DEMONSTRATIONS.values(), REFLECTION_DEMONSTRATION):
        assert prompts.tokenizer.decode(prompts.encode(text), skip_special_tokens=False) == text


def test_ids_of_plain_words_are_those_that_the_model_was_trained_on(name: str, tmp_path: Path) -> None:
    """Of a text that goes on: within a line nothing is changed but the blank that the tokenizer would invent."""
    base = save(FAMILIES[name], tmp_path)
    before = Tokenizer.from_file(str(base / "tokenizer.json"))
    _, after = load(str(base), torch.float32)
    text = "Tom has 2 apples and buys 3 more.\nHow many does he have?"
    old, new = (one.encode(text, add_special_tokens=False) for one in (before, after.backend_tokenizer))
    shared = [-1, *range(-2, -12, -1)]
    assert [old.ids[i] for i in shared] == [new.ids[i] for i in shared]


def test_a_tokenizer_that_was_prepared_stays_as_it_is(folder: Path, tmp_path: Path) -> None:
    prepare(Prepare(model=str(folder), output=tmp_path, style="trained"))
    for file in ("tokenizer.json", "tokenizer_config.json"):
        assert json.loads((folder / file).read_text()) == json.loads((tmp_path / "model" / file).read_text())


@pytest.mark.parametrize("spoil", ["lowercase", "cut", "drop"])
def test_settings_that_lose_text_are_put_right_or_refused(spoil: str, tmp_path: Path) -> None:
    base = save(FAMILIES["llama-3"], tmp_path)
    tokenizer = json.loads((base / "tokenizer.json").read_text())
    if spoil == "lowercase":
        tokenizer["normalizer"] = {"type": "Lowercase"}
    if spoil == "cut":
        tokenizer["truncation"] = {"direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0}
        tokenizer["model"]["dropout"] = 0.5
    if spoil == "drop":
        tokenizer["pre_tokenizer"] = {"type": "WhitespaceSplit"}
    (base / "tokenizer.json").write_text(json.dumps(tokenizer))
    if spoil == "drop":
        with pytest.raises(ConfigError, match="does not give text back as it was"):
            load(str(base), torch.float32)
        return
    _, after = load(str(base), torch.float32)
    ids = {tuple(after("Tom has TWO apples and buys more.", add_special_tokens=False)["input_ids"]) for _ in range(5)}
    (only,) = ids
    assert after.decode(only) == "Tom has TWO apples and buys more."


def test_trainers_and_factory_mean_the_same_tags() -> None:
    for tag in _TAG.findall("".join([verdict("1"), *DEMONSTRATIONS.values(), REFLECTION_DEMONSTRATION])):
        assert TAGS.fullmatch(f"\n{tag}\n")
    assert not TAGS.fullmatch("<s>")
