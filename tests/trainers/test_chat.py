"""What a chat template puts around a user's words is what transformers would put there."""

import json
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from infra.contract.model_folder import ValueWords
from tasks.language.few_shot import INSTRUCTIONS
from tasks.language.format import PLANS
from tasks.running.prompts import Prompts
from tests.trainers.families import FAMILIES, save
from trainers.chat import turn_of
from trainers.config import ConfigError
from trainers.model_folder import load_tokenizer
from trainers.plain_text import plain
from trainers.prepare import Prepare, prepare

QUESTION = "Tom has 2 apples and buys 3 more. How many does he have?"
CHATML = (
    "{% if messages[0]['role'] != 'system' %}<|im_start|>system\nYou help.<|im_end|>\n{% endif %}"
    "{% for one in messages %}<|im_start|>{{ one['role'] }}\n{{ one['content'] | trim }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{% if enable_thinking is defined and not enable_thinking %}<think>\n\n</think>\n\n{% endif %}{% endif %}"
)
INST = "{{ bos_token }}{% for one in messages %}[INST] {{ one['content'] }} [/INST]{% endfor %}"
TEMPLATES = {"qwen3": CHATML, "qwen2": CHATML, "llama-2": INST, "mistral": INST}


def chatting(folder: Path, family: str, template: str) -> Path:
    """A base model that was tuned for conversations."""
    save(FAMILIES[family], folder)
    (folder / "chat_template.jinja").write_text(template)
    return folder


@pytest.mark.parametrize("family", TEMPLATES)
def test_the_engine_is_asked_what_the_template_says(family: str, tmp_path: Path) -> None:
    """The whole text, and its special tokens as such."""
    base = chatting(tmp_path / "base", family, TEMPLATES[family])
    prepare(Prepare(model=str(base), output=tmp_path, style="own"))
    tokenizer, prompts = load_tokenizer(tmp_path / "model"), Prompts.read(tmp_path / "model", PLANS)
    said = INSTRUCTIONS[PLANS] + PLANS.prompt(QUESTION).removesuffix(PLANS.opening)
    text = tokenizer.apply_chat_template(
        [{"role": "user", "content": "SAID"}], tokenize=False, add_generation_prompt=True, enable_thinking=False
    )
    asked = prompts.asked(prompts.question(QUESTION))
    assert tokenizer.decode(asked) == text.replace("SAID", said) + PLANS.opening
    marks = [number for number in asked if number in tokenizer.all_special_ids or number in added(prompts)]
    assert marks == [number for number in tokenizer(text, add_special_tokens=False)["input_ids"] if number in marks]
    assert marks
    start = tokenizer(text.partition("SAID")[0] + INSTRUCTIONS[PLANS], add_special_tokens=False)["input_ids"]
    assert prompts.prefixes[0] == start
    assert prompts.turn is not None
    assert prompts.turn.blanks == (" " if TEMPLATES[family] == INST else "")


def added(prompts: Prompts) -> set[int]:
    return {number for number, token in prompts.tokenizer.get_added_tokens_decoder().items() if token.special}


def test_another_style_is_taken_where_it_is_asked_for(tmp_path: Path) -> None:
    base = chatting(tmp_path / "base", "qwen3", CHATML)
    told = {}
    for style in ("own", "chat", "worked examples", "worked options", "trained"):
        prepare(Prepare(model=str(base), output=tmp_path / style, style=style))
        words = ValueWords.read(tmp_path / style / "model")
        told[style] = (words.turn is not None, words.knows_format, words.sees_options)
    assert told == {
        "own": (True, False, None),
        "chat": (True, False, None),
        "worked examples": (False, False, None),
        "worked options": (False, False, True),
        "trained": (False, True, None),
    }


def test_a_model_without_a_template_cannot_chat(tmp_path: Path) -> None:
    base = save(FAMILIES["gpt-2"], tmp_path / "base")
    with pytest.raises(ConfigError, match=r"prompt\.style: .* has no chat template; choose own or worked examples"):
        prepare(Prepare(model=str(base), output=tmp_path, style="chat"))
    prepare(Prepare(model=str(base), output=tmp_path, style="own"))
    assert ValueWords.read(tmp_path / "model").turn is None


def around(folder: Path) -> tuple[str, str]:
    """What the template of a model puts before and after a user's words."""
    tokenizer = plain(AutoTokenizer.from_pretrained(folder))
    turn = turn_of(tokenizer)
    assert turn is not None
    return tokenizer.decode(turn.before) + turn.blanks, tokenizer.decode(turn.after)


@pytest.mark.parametrize(
    ("told", "day"),
    [
        ("{% if strftime_now is defined %}{{ strftime_now('%d %b %Y') }}{% endif %}", "26 Jul 2024"),
        ("{% set today = strftime_now('%Y-%m-%d') %}{{ today + '' }}", "2024-07-26"),
        ("{{ strftime_now('%A, %B %d, %Y') }}", "Friday, July 26, 2024"),
    ],
)
def test_a_template_that_tells_the_day_tells_one_day(told: str, day: str, tmp_path: Path) -> None:
    """Llama 3.2, Mistral Small, Granite: else the same model would be another on every day that it is prepared."""
    base = chatting(tmp_path, "qwen3", f"Today Date: {told}. {{{{ messages[0]['content'] }}}}<|im_end|>")
    assert around(base) == (f"Today Date: {day}. ", "<|im_end|>")


@pytest.mark.parametrize(
    ("begun", "ended"), [("<think>\n", "<think>\n\n</think>\n\n"), ("<think></think>", "<think></think>")]
)
def test_a_thought_that_the_template_begins_is_ended(begun: str, ended: str, tmp_path: Path) -> None:
    """R1's distillates, QwQ: their templates know no `enable_thinking`, and the plan would be part of the thought."""
    base = chatting(tmp_path, "qwen3", "{{ messages[0]['content'] }}<|im_end|>{{ " + json.dumps(begun) + " }}")
    assert around(base)[1] == f"<|im_end|>{ended}"


def test_of_several_templates_the_one_for_conversations_is_taken(tmp_path: Path) -> None:
    base = save(FAMILIES["qwen3"], tmp_path)
    about = json.loads((base / "tokenizer_config.json").read_text())
    named = [
        {"name": "default", "template": "User: {{ messages[0]['content'] }}!"},
        {"name": "tool_use", "template": "Tools: {{ messages[0]['content'] }}!"},
    ]
    (base / "tokenizer_config.json").write_text(json.dumps(about | {"chat_template": named}))
    assert around(base) == ("User: ", "!")


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("<|im_start|>assistant", "does not hold a user's words once"),
        ("{{ messages[0]['content'] }}{{ messages[0]['content'] }}", "does not hold a user's words once"),
        ("{{ messages[0]['content'] | upper }}!", "does not hold a user's words once"),
        ("{{ messages[0]['content'] }}", "it says nowhere that the user's words are over"),
        ("{{ raise_exception('Say who you are first') }}", "Say who you are first"),
        ("{% for", "unexpected 'end of template'"),
    ],
)
def test_a_template_that_keeps_no_words_is_refused_with_the_way_out(template: str, why: str, tmp_path: Path) -> None:
    base = chatting(tmp_path / "base", "qwen3", template)
    with pytest.raises(ConfigError, match=f"chat template cannot be used .*{why}.*; choose worked examples"):
        prepare(Prepare(model=str(base), output=tmp_path, style="own"))
