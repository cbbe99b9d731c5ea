"""Benchmarks as the harness asks them: prompts in token ids, right answers scored right, and what is missing said."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer

from tasks.harness import (
    BENCHMARKS,
    Encoding,
    Question,
    content_of,
    continuations_of,
    load,
    loses_beginning,
    metrics_of,
    refuse_wrong_rows,
    scores,
    texts_and_golds,
    texts_of,
)
from tasks.harness.asked import Reply, ended
from tasks.harness.catalogue import _by_part
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


def test_a_prompt_that_is_too_long_is_cut_for_each_continuation_by_itself(data: None) -> None:
    (question,) = load("arc_challenge", count=1, seed=1)
    (whole,) = continuations_of(question, Encoding(ENCODING.tokenizer, [1], 2, room=10_000))
    lengths = list(map(len, whole.continuations))
    longest = len(whole.prompt_ids) + max(lengths)
    cut = continuations_of(question, Encoding(ENCODING.tokenizer, [1], 2, room=longest))  # one is sampled after them
    of_place = {place: one for one in cut for place in one.places}
    for place, length in enumerate(lengths):
        lost = length == max(lengths)
        assert of_place[place].prompt_ids == whole.prompt_ids[lost:]
        assert of_place[place].is_cut is lost
    rooms = (longest, longest + 1)
    assert [loses_beginning(question, Encoding(ENCODING.tokenizer, [1], 2, room)) for room in rooms] == [True, False]
    with pytest.raises(QuestionError, match=rf"arc_challenge: a continuation of {max(lengths)} tokens.*context of"):
        continuations_of(question, Encoding(ENCODING.tokenizer, [1], 2, room=max(lengths) + 1))


def test_a_prompt_leaves_room_for_its_text(gsm8k: None) -> None:
    (question,) = load("gsm8k", count=1, seed=1)
    (asked,) = texts_of(question, Encoding(ENCODING.tokenizer, [1], 2, room=300))
    assert (len(asked.prompt_ids), asked.max_tokens, asked.temperature, asked.samples) == (44, 256, 0.0, 1)
    assert asked.until == ("Question:", "</s>", "<|im_end|>")
    assert asked.is_cut
    with pytest.raises(QuestionError, match=r"gsm8k: a text of 256 tokens.* leaves no room .* context of 256"):
        texts_of(question, Encoding(ENCODING.tokenizer, [1], 2, room=256))


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


Rows = dict[str, list[dict[str, Any]]]
STEM = ("abstract_algebra", "anatomy")
PROBLEM = {"problem": "2 + 2?", "level": "Level 1", "solution": r"It is $\boxed{4}$."}
GPQA = {"Question": "Why?", "Correct Answer": "a", **{f"Incorrect Answer {n}": f"no {n}" for n in (1, 2, 3)}}


def sum_of(number: int, **changes: Any) -> dict[str, Any]:
    return {"id": f"s{number}", "question": f"{number} + 1?", "solution": "Add.", "answer": f"{number + 1}"} | changes


def option(**changes: Any) -> dict[str, Any]:
    return {"id": "o", "question": "Which?", "choices": ["w", "x", "y", "z"], "answer": "B"} | changes


def put(folder: Path, benchmark: str, **splits: list[dict[str, Any]]) -> None:
    (folder / benchmark).mkdir(exist_ok=True)
    for split, rows in splits.items():
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / benchmark / f"{split}.jsonl.gz").write_bytes(gzip.compress(lines.encode()))


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CPL_DATA", str(tmp_path))
    monkeypatch.setattr("tasks.harness.catalogue.hub_commit", lambda name: "")
    return tmp_path


def prompt_of(question: Question) -> str:
    return str(question.instances[0].args[0])


def test_a_context_of_hellaswag_ends_as_the_harness_writes_it(mine: Path) -> None:
    own = {"activity_label": "Roof", "ctx_a": "A man sits on a roof.", "ctx_b": "he", "label": "1"}
    joined = [
        "Roof: A man sits on a roof. he",
        "Roof: A man sits on a roof.",
        "Jump: Some run. A boy jumps. the e.g. boy",
        'Sign: "Go!" a man in the Hat',
    ]
    rows = [option(id=f"h{number}", question=one) for number, one in enumerate(joined)]
    put(mine, "hellaswag", validation=[*rows, own | {"endings": ["w", "x", "y", "z"]}])
    ends = {question.id: prompt_of(question) for question in load("hellaswag", count=0, seed=1)}
    assert list(ends.values()) == [
        "Roof: A man sits on a roof. He",
        "Roof: A man sits on a roof.",
        "Jump: Some run. A boy jumps. the e.g. Boy",
        'Sign: "Go!" A man in the hat',
        "Roof: A man sits on a roof. He",
    ]


def test_what_a_file_lacks_stands_beside_the_version_of_the_task(mine: Path) -> None:
    def row(name: str, **meta: str) -> dict[str, Any]:
        return {"id": name, "question": "is it", "answer": "yes", "meta": {"passage": "It is."} | meta}

    put(mine, "boolq", validation=[row("bare"), row("titled", title="It")])
    bare, titled = load("boolq", count=0, seed=1)
    assert (prompt_of(titled), titled.version) == ("It -- It is.\nQuestion: is it?\nAnswer:", "2.0")
    assert (prompt_of(bare), bare.version) == (
        "It is.\nQuestion: is it?\nAnswer:",
        "2.0 (passages without their titles)",
    )


def test_rows_in_their_authors_own_columns_need_no_ids(mine: Path) -> None:
    types = [
        "Algebra",
        "Counting & Probability",
        "Geometry",
        "Intermediate Algebra",
        "Number Theory",
        "Prealgebra",
        "Precalculus",
    ]
    put(mine, "math", test=[PROBLEM | {"type": one} for one in types])
    assert [one.id for one in load("math", count=0, seed=1)][:2] == [
        "hendrycks_math_algebra/0",
        "hendrycks_math_counting_and_prob/0",
    ]
    put(mine, "gpqa_diamond", train=[GPQA, GPQA])
    assert [one.id for one in load("gpqa_diamond", count=0, seed=1)] == [f"gpqa_diamond_zeroshot/{n}" for n in (0, 1)]
    put(mine, "gsm8k", train=[sum_of(n) for n in range(5)], test=[{"question": "1?", "answer": "It is 1.\n#### 1"}])
    (question,) = load("gsm8k", count=0, seed=1)
    assert question.task.doc_to_target(question.doc) == "It is 1.\n#### 1"


def test_questions_whose_names_differ_by_a_sign_or_are_numbers_are_all_asked(mine: Path) -> None:
    put(mine, "arc_challenge", test=[option(id=one) for one in ("a/b", "a:b", 0, "x" * 300)])
    asked = load("arc_challenge", count=0, seed=1)
    assert [one.id for one in asked] == ["a/b", "a:b", "0", "x" * 300]
    assert [one.key for one in asked] == [f"arc_challenge:arc_challenge:{number}" for number in range(4)]


WRONG: list[tuple[str, Rows, int | None, str]] = [
    *(
        ("arc_challenge", {"test": [option(id="a"), option(**change)]}, None, f"line 2: {message}")
        for change, message in (
            ({"answer": ""}, "answer is '', expected a letter from A to D"),
            ({"answer": "AB"}, "answer is 'AB', expected a letter"),
            ({"answer": None}, "answer is None"),
            ({"answer": "C", "choices": ["x", "y"]}, "answer is 'C', expected a letter from A to B"),
            ({"choices": None}, "choices is None, expected a list"),
            ({"choices": ["x", None]}, "one of choices is None"),
            ({"question": float("nan")}, "question is nan, expected a text"),
            ({"question": " "}, "question is ' '"),
            ({"id": "a"}, "the id 'a' stands at .*test.jsonl.gz, line 1, too"),
        )
    ),
    ("gsm8k", {"train": [sum_of(1)], "test": [sum_of(2, solution=None)]}, 0, "test.*line 1: solution is None"),
    ("gsm8k", {"train": [sum_of(1)], "test": [sum_of(2, answer=None)]}, 0, "test.*line 1: answer is None"),
    ("gsm8k", {"train": [sum_of(1)], "test": [sum_of(2)]}, None, "5 examples.* gsm8k has 1 .*train.jsonl.gz"),
    ("gsm8k", {"train": [sum_of(1)]}, None, "has train.jsonl.gz and no test.jsonl.gz"),
    ("gsm8k", {"test": [sum_of(1)]}, None, "5 examples.* gsm8k has 0 .*train.jsonl.gz"),
    ("gsm8k", {"test": []}, 0, "test.jsonl.gz has no question"),
    ("arc_challenge", {"test": [option()]}, 2, "2 examples.* arc_challenge has 0 .*train.jsonl.gz"),
    ("piqa", {"validation": [option(choices=["x", "y"], answer="C")]}, None, "line 1: answer is 'C'"),
    ("piqa", {"validation": [option(choices=["x", "y"], id=str(n)) for n in range(9)]}, 2, "piqa has 0"),
    ("math500", {"test": [PROBLEM] * 9}, 2, "math500 has no examples but the questions that are scored"),
    ("math500", {"test": [PROBLEM | {"solution": "It is 4."}]}, None, "line 1: solution is 'It is 4.'.*boxed"),
    ("math", {"test": [PROBLEM | {"type": "algebra"}]}, None, "line 1: type is 'algebra', expected one of Algebra"),
    ("mmlu", {"test": [option(meta={"subject": "Anatomy"})]}, None, "line 1: 'Anatomy' is none of"),
    ("mmlu_stem", {"test": [option(meta={"subject": STEM[0]})]}, None, f"test.jsonl.gz has no question of {STEM[1]}"),
    ("humaneval", {"test": [sum_of(1, meta={"entry_point": "f"})]}, None, "line 1: meta.test is None"),
]


@pytest.mark.parametrize(("benchmark", "splits", "shots", "message"), WRONG)
def test_rows_that_cannot_be_asked_are_refused_with_file_and_line(
    benchmark: str, splits: Rows, shots: int | None, message: str, mine: Path
) -> None:
    put(mine, benchmark.removesuffix("_stem"), **splits)
    with pytest.raises(QuestionError, match=message):
        refuse_wrong_rows(benchmark, shots)


def test_a_task_that_says_itself_that_it_has_no_examples_shows_none(mine: Path) -> None:
    put(mine, "gpqa_diamond", train=[GPQA | {"Question": f"{n}?"} for n in range(5)])
    asked = load("gpqa_diamond", count=0, seed=1, shots=2)
    assert [(one.shots, prompt_of(one).count("What is the correct answer")) for one in asked] == [(0, 1)] * 5


def test_examples_are_rows_of_a_split_of_their_own(mine: Path) -> None:
    scored = [option(id=f"v{n}", question=f"scored {n}?") for n in range(4)]
    put(mine, "arc_challenge", test=scored, train=[option(question=f"shown {n}?") for n in range(3)])
    for question in load("arc_challenge", count=0, seed=1, shots=2):
        assert (prompt_of(question).count("shown"), prompt_of(question).count("scored")) == (2, 1)


def test_rows_of_the_hub_that_share_a_name_are_all_asked(mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def shared(*given: Any, **more: Any) -> Any:
        return {part: [row | {"id": "one"} for row in rows] for part, rows in _by_part(*given, **more).items()}

    put(mine, "arc_challenge", test=[option(id="a"), option(id="b", question="What?")])
    monkeypatch.setattr("tasks.harness.catalogue._by_part", shared)
    assert [one.id for one in load("arc_challenge", count=0, seed=1)] == ["arc_challenge/0", "arc_challenge/1"]
