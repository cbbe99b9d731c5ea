"""Benchmarks as the harness asks them: prompts in token ids, right answers scored right, and what is missing said."""

import gzip
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from tasks.harness import (
    BENCHMARKS,
    Encoding,
    Question,
    content_of,
    continuations_of,
    load,
    metrics_of,
    scores,
    texts_and_golds,
    texts_of,
)
from tasks.harness.asked import Reply, ended
from tasks.questions.places import BESIDE
from tasks.questions.values import QuestionError

MICRO = Path(__file__).parents[3] / "tasks" / "micro" / "base" / "tokenizer.json"
HERE = [name for name in BENCHMARKS if (BESIDE / name.removesuffix("_stem")).is_dir()]
ENCODING = Encoding(Tokenizer.from_file(str(MICRO)), start=[1], end=2, room=100)


@pytest.fixture
def data(monkeypatch: pytest.MonkeyPatch) -> None:
    if not HERE:
        pytest.skip("needs ../shared/data")
    monkeypatch.setenv("CPL_DATA", str(BESIDE))


@pytest.fixture
def gsm8k(data: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its first rows: examples are drawn for every row, and a thousand take seconds."""
    (tmp_path / "gsm8k").mkdir()
    for split in ("train", "test"):
        rows = gzip.decompress((BESIDE / "gsm8k" / f"{split}.jsonl.gz").read_bytes()).splitlines(keepends=True)[:40]
        (tmp_path / "gsm8k" / f"{split}.jsonl.gz").write_bytes(gzip.compress(b"".join(rows)))
    monkeypatch.setenv("CPL_DATA", str(tmp_path))


def knows(question: Question, *, is_right: bool = True) -> list[list[Reply]]:
    """What a model replies that knows the answer, or that says another."""
    if not question.is_chosen:
        doc = question.doc
        right = doc["answer"] if "answer" in doc else f"So the answer is {doc['target']}."
        return [[right if is_right else "I do not know."]]
    target, choices = question.task.doc_to_target(question.doc), question.task.doc_to_choice(question.doc)
    gold = target if isinstance(target, int) else choices.index(target)
    return [[(-1.0 if (place == gold) is is_right else -90.0, False)] for place in range(len(question.instances))]


@pytest.mark.parametrize("name", [name for name in HERE if not BENCHMARKS[name].in_sandbox])
def test_its_own_answer_is_right_by_every_metric_and_another_by_none(
    name: str, data: None, request: pytest.FixtureRequest
) -> None:
    if name == "gsm8k":
        request.getfixturevalue(name)
    for question in load(name, count=3, seed=1):
        assert question.id.startswith(name.removesuffix("_stem"))
        right, wrong = (scores(question, knows(question, is_right=is_right)) for is_right in (True, False))
        assert {score.metric: score.value for score in right} == dict.fromkeys(metrics_of(question), 1.0)
        assert {score.metric: score.value for score in wrong} == dict.fromkeys(metrics_of(question), 0.0)


@pytest.mark.parametrize("name", [name for name in HERE if not name.startswith("mmlu")])
def test_the_text_of_a_question_stands_in_its_prompt(name: str, data: None, request: pytest.FixtureRequest) -> None:
    if name == "gsm8k":
        request.getfixturevalue("gsm8k")
    (question,) = load(name, count=1, seed=1, shots=0)
    asked = {one: (text, gold) for one, text, gold in texts_and_golds(name)}
    text, gold = asked[question.id]
    prompt = str(question.instances[0].args[0])
    assert all(part.strip() in prompt for part in text.split("\n"))
    assert (gold is None) is (name not in ("gsm8k", "bbh")), "texts have one, but for programs"


def test_few_shot_prompts_are_those_of_the_whole_set_whatever_the_count(gsm8k: None) -> None:
    few, more = load("gsm8k", count=2, seed=3), load("gsm8k", count=5, seed=3)
    prompts = {question.id: question.instances[0].args[0] for question in more}
    assert [prompts[question.id] for question in few] == [question.instances[0].args[0] for question in few]
    assert all(prompt.count("Question:") == 6 for prompt in prompts.values())
    zero = load("gsm8k", count=2, seed=3, shots=0)
    assert [question.instances[0].args[0].count("Question:") for question in zero] == [1, 1]


def test_a_count_is_spread_over_the_tasks_of_a_group(data: None) -> None:
    asked = load("bbh", count=27, seed=1)
    assert len({question.task.task_name for question in asked}) == 27
    assert [one.id for one in load("bbh", count=27, seed=2)] != [one.id for one in asked]


def test_options_of_a_question_are_continuations_of_one_prompt(data: None) -> None:
    (question,) = load("arc_challenge", count=1, seed=1)
    (asked,) = continuations_of(question, Encoding(ENCODING.tokenizer, [1], 2, room=10_000))
    assert asked.places == list(range(len(question.instances)))
    for instance, continuation in zip(question.instances, asked.continuations, strict=True):
        context, text = instance.args
        assert [*asked.prompt_ids, *continuation] == ENCODING.encode(context + text)
    (cut,) = continuations_of(question, ENCODING)
    longest = max(map(len, cut.continuations))
    assert len(cut.prompt_ids) + longest == ENCODING.room - 1, "the engine samples one token after them"
    assert asked.prompt_ids[-len(cut.prompt_ids) :] == cut.prompt_ids


def test_a_prompt_leaves_room_for_its_text(gsm8k: None) -> None:
    (question,) = load("gsm8k", count=1, seed=1)
    (asked,) = texts_of(question, Encoding(ENCODING.tokenizer, [1], 2, room=300))
    assert (len(asked.prompt_ids), asked.max_tokens, asked.temperature, asked.samples) == (44, 256, 0.0, 1)
    assert asked.until == ("Question:", "</s>", "<|im_end|>")


def test_blanks_before_a_continuation_are_part_of_it() -> None:
    prompt, continuation = ENCODING.pair("What is it? ", "12")
    assert prompt == ENCODING.encode("What is it?")
    assert [*prompt, *continuation] == ENCODING.encode("What is it? 12")
    assert ENCODING.pair("", "12") == ([1], ENCODING.encode("12")[1:])
    assert Encoding(ENCODING.tokenizer, [], 2, 100).pair("", "12")[0] == [2]


def test_a_text_ends_before_the_first_of_its_ends() -> None:
    assert ended("one two three two", ["two", "three"]) == "one "
    assert ended("one", ["two", ""]) == "one"


def test_what_is_nowhere_is_said_with_the_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CPL_DATA", str(tmp_path))
    monkeypatch.setattr("tasks.harness.catalogue.hub_commit", lambda name: "")
    with pytest.raises(QuestionError, match=r"no benchmark 'gsm9k'.*there are gsm8k, math"):
        content_of("gsm9k")
    with pytest.raises(QuestionError, match=r"gpqa_diamond: its rows are nowhere.*train\.jsonl.*CPL_DATA.*HF_TOKEN"):
        content_of("gpqa_diamond")
