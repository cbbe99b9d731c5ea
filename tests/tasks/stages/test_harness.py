"""Answers in standard prompts become rows: right and wrong, cut off, unreadable, lost, and programs by their tests."""

import asyncio
import gzip
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import pytest
from tokenizers import Tokenizer

from infra.digest import digest_of
from infra.engine import MOST_STOPS, Completion, Likelihood, Reply, Usage
from infra.sandbox import Sandbox
from tasks.harness import Encoding, Question, content_of, load
from tasks.questions.values import QuestionError
from tasks.running.parts import Part
from tasks.running.served import ServedPolicy
from tasks.search.policy import PolicyError
from tasks.settings import Harness
from tasks.stages.harness import contents_of, list_standard_questions, notes_of, sample, sizes_of, written
from tests.infra.sandboxed import sandbox
from tests.tasks.running.local_stage import LocalStage

TOKENIZER = Tokenizer.from_file(str(Path(__file__).parents[3] / "tasks" / "micro" / "base" / "tokenizer.json"))
ENCODING = Encoding(TOKENIZER, start=[1], end=2, room=2000)
ROWS: dict[str, list[dict[str, Any]]] = {
    "gsm8k/train": [
        {
            "id": f"gsm8k/train/{n}",
            "question": f"What is {n} + 1?",
            "solution": "Add.",
            "answer": str(n + 1),
            "meta": {},
        }
        for n in range(8)
    ],
    "gsm8k/test": [{"id": "gsm8k/test/7", "question": "5 + 5?", "solution": "Add.", "answer": "10", "meta": {}}],
    **{
        f"arc_challenge/{split}": [
            {"id": f"arc/{split}/0", "question": "Which is hot?", "answer": "B", "choices": ["ice", "fire", "snow"]}
        ]
        for split in ("train", "validation", "test")
    },
    "humaneval/test": [
        {
            "id": "humaneval/test/0",
            "question": 'def twice(n: int) -> int:\n    """Two times n."""\n',
            "answer": "    return 2 * n\n",
            "meta": {
                "task_id": "HumanEval/0",
                "entry_point": "twice",
                "test": "def check(candidate):\n    assert candidate(4) == 8\n    assert candidate(0) == 0\n",
            },
        }
    ],
}


class Scripted:
    """A policy that says these words, or weighs continuations so; or whose engine is gone."""

    def __init__(self, text: str = "", finish: str = "stop", logprobs: Sequence[float] | None = None) -> None:
        self.text, self.finish, self.logprobs = text, finish, logprobs
        self.asked: list[dict[str, Any]] = []

    async def complete(self, prompt_ids: Sequence[int], **options: Any) -> Reply:
        self.asked.append({"prompt_ids": prompt_ids, **options})
        assert len(options["stop"]) <= MOST_STOPS
        if self.finish == "gone":
            raise PolicyError("the engine is gone")
        ids = TOKENIZER.encode(self.text, add_special_tokens=False).ids
        return Reply([Completion(ids, self.text, [], [], cast(Any, self.finish))], Usage(generated_tokens=len(ids)))

    async def likelihoods(self, prompt_ids: Sequence[int], continuations: Any, **options: Any) -> list[Likelihood]:
        self.asked.append({"prompt_ids": prompt_ids, **options})
        assert self.logprobs is not None
        assert len(continuations) == len(self.logprobs)
        return [Likelihood(one, False) for one in self.logprobs]


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, rows in ROWS.items():
        path = tmp_path / f"{name}.jsonl.gz"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode()))
    monkeypatch.setenv("CPL_DATA", str(tmp_path))


def answered(question: Question, policy: Scripted, sandbox: Sandbox | None = None) -> Part:
    splits = {question.benchmark: "out_of_domain"}
    return asyncio.run(sample(question, 3, "sft", splits, cast(ServedPolicy, policy), ENCODING, sandbox))


@pytest.mark.parametrize("finish", ["stop", "length"])
def test_a_text_that_more_strings_end_than_an_engine_takes_ends_at_the_first_of_all(finish: str) -> None:
    (question,) = load("humaneval", count=1, seed=1)
    policy = Scripted("    return 2 * n\nprint(twice(2))", finish)
    given = asyncio.run(written(question, 0, cast(ServedPolicy, policy), ENCODING))
    assert (given.output, given.replies, given.is_cut) == ("    return 2 * n", [["    return 2 * n"]], False)
    assert len(policy.asked[0]["stop"]) == MOST_STOPS
    unended = asyncio.run(written(question, 0, cast(ServedPolicy, Scripted("    return", finish)), ENCODING))
    assert unended.is_cut is (finish == "length")


def rows(part: Part) -> list[dict[str, Any]]:
    return [dict(row) for row in part.rows["evaluation_samples"]]


@pytest.mark.parametrize(
    ("text", "finish", "outcomes"),
    [
        ("5 and 5.\n#### 10\n\nQuestion: What is 1?\nAnswer: #### 3", "stop", ["right", "right"]),
        ("It is 10", "stop", ["unparsable", "right"]),
        ("5 and 5.\n#### 11", "stop", ["wrong", "wrong"]),
        ("five and", "length", ["truncated", "truncated"]),
        ("#### 10 and then", "length", ["right", "right"]),
        ("who knows", "stop", ["unparsable", "unparsable"]),
    ],
)
def test_a_text_is_judged_up_to_its_end_by_each_metric(text: str, finish: str, outcomes: list[str]) -> None:
    (question,) = load("gsm8k", count=1, seed=1)
    policy = Scripted(text, finish)
    found = rows(answered(question, policy))
    assert [row["metric"] for row in found] == ["exact_match,strict-match", "exact_match,flexible-extract"]
    assert [row["outcome"] for row in found] == outcomes
    assert [row["is_correct"] for row in found] == [outcome == "right" for outcome in outcomes]
    (asked,) = policy.asked
    assert asked["stop"] == ("Question:", "</s>", "<|im_end|>")
    assert (asked["temperature"], asked["n"], asked["priority"], asked["scored"]) == (0.0, 1, 3, False)
    shown = found[0]
    assert "Question:" not in shown["output"]
    assert (shown["form"], shown["shots"], shown["question_id"]) == ("standard", 5, "gsm8k/test/7")
    assert shown["prompt_digest"] == digest_of([asked["prompt_ids"]])
    assert shown["generated_tokens"] == len(TOKENIZER.encode(text, add_special_tokens=False).ids)


def test_options_are_weighed_and_their_log_probs_kept() -> None:
    (question,) = load("arc_challenge", count=1, seed=1)
    part = answered(question, Scripted(logprobs=[-5.0, -1.0, -9.0]))
    found = rows(part)
    assert {row["metric"]: row["outcome"] for row in found} == {"acc": "right", "acc_norm": "right"}
    assert [one["logprob"] for one in json.loads(found[0]["output"])] == [-5.0, -1.0, -9.0]
    assert [one["continuation"] for one in json.loads(found[0]["output"])] == [" ice", " fire", " snow"]
    by_length = rows(answered(question, Scripted(logprobs=[-1.0, -1.2, -9.0])))
    assert {row["metric"]: row["outcome"] for row in by_length} == {"acc": "wrong", "acc_norm": "right"}


def test_a_question_whose_request_failed_is_lost_and_neither_right_nor_wrong() -> None:
    (question,) = load("gsm8k", count=1, seed=1)
    part = answered(question, Scripted(finish="gone"))
    assert part.error == "the engine is gone"
    assert [(row["outcome"], row["is_correct"], row["error"]) for row in rows(part)] == [
        ("failed", None, "the engine is gone")
    ] * 2


def test_more_examples_than_there_are_are_refused_before_anything_is_spent() -> None:
    assert contents_of(Harness(benchmarks=("gsm8k",))).keys() == {"gsm8k"}
    with pytest.raises(QuestionError, match="9 examples are to be shown"):
        contents_of(Harness(benchmarks=("gsm8k",), shots=9))


def test_prompts_that_lost_their_beginning_and_examples_that_are_not_shown_are_noted() -> None:
    asked = [*load("gsm8k", count=1, seed=1), *load("humaneval", count=1, seed=1, shots=2)]
    assert list(notes_of(asked, ENCODING, shots=None)) == []
    (without,) = notes_of(asked, ENCODING, shots=2)
    assert without.startswith("humaneval is asked without examples")
    assert list(notes_of(asked[:1], Encoding(TOKENIZER, [1], 2, room=300), shots=None)) == [
        "gsm8k: 1 of 1 prompts lost their beginning, for the model's context has room for 300 tokens"
    ]
    with pytest.raises(QuestionError, match="humaneval: a text of 1024 tokens"):
        list(notes_of(asked, Encoding(TOKENIZER, [1], 2, room=1024), shots=None))


@pytest.mark.integration
@pytest.mark.parametrize(
    ("program", "verdict"),
    [
        ("    return 2 * n\n\nprint('more')", "passed"),
        ("    return n\n", "wrong"),
        ("    return later(\n", "crashed"),
        ("    import os\n    os._exit(0)\n", "crashed"),
    ],
)
def test_a_program_is_judged_by_its_tests_in_the_sandbox(program: str, verdict: str) -> None:
    (question,) = load("humaneval", count=1, seed=1)
    (row,) = rows(answered(question, Scripted(program), sandbox()))
    assert (row["metric"], row["answer"], row["is_correct"]) == ("pass@1", verdict, verdict == "passed")
    assert "print" not in row["output"], "the harness ends a program there"


def test_so_many_questions_are_asked_as_there_are_and_as_were_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "more" / "gsm8k").mkdir(parents=True)
    for split in ("train", "test"):
        shutil.copy(tmp_path / "gsm8k" / "train.jsonl.gz", tmp_path / "more" / "gsm8k" / f"{split}.jsonl.gz")
    monkeypatch.setenv("CPL_DATA", str(tmp_path / "more"))
    assert sizes_of(Harness(benchmarks=("gsm8k",))) == {"gsm8k": 8}
    assert sizes_of(Harness(benchmarks=("gsm8k",), count=5)) == {"gsm8k": 5}
    assert sizes_of(Harness(benchmarks=("gsm8k",), count=9)) == {"gsm8k": 8}


def test_all_that_benchmarks_ask_is_listed_with_the_golds_of_texts(tmp_path: Path) -> None:
    contents = {name: content_of(name) for name in ("gsm8k", "arc_challenge", "humaneval")}
    place = LocalStage(tmp_path / "listed")
    assert list_standard_questions.body(place, contents) == 3
    assert place.written("asked").rows() == [
        ("5 + 5?", "gsm8k"),
        ("Which is hot?", "arc_challenge"),
        (ROWS["humaneval/test"][0]["question"], "humaneval"),
    ]
    assert place.written("benchmarks").rows() == [("gsm8k", "gsm8k/test/7", "10")]
    with pytest.raises(QuestionError, match="benchmark gsm8k: its rows changed"):
        list_standard_questions.body(place, contents | {"gsm8k": "another"})
