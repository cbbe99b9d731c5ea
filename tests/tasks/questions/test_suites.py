"""Benchmarks of many tasks, and of programs: rows of the hub and of files become the same questions."""

import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import pytest

from tasks.check import extract_answer, is_equal
from tasks.harness import BENCHMARKS
from tasks.questions import (
    ContaminatedQuestions,
    QuestionError,
    content_of,
    domain_of,
    draw,
    load_all,
    load_questions,
    refuse_overlap,
    source_of,
)
from tasks.questions.mmlu import STEM
from tasks.questions.places import BESIDE
from tasks.questions.sources import PUBLISHED
from tasks.settings import Evaluation, Questions, Standard

Rows = Sequence[dict[str, Any]]
DATE = "What is the date?\nOptions:\n(A) 01/02/2003\n(B) 02/02/2003"
BBH: dict[str, Rows] = {
    "hub": [
        {"input": DATE, "target": "(B)", "config": "date_understanding"},
        {"input": "[ < { } >", "target": "]", "config": "dyck_languages"},
        {"input": "{ [ ]", "target": "}", "config": "dyck_languages"},
        {"input": "3 + 4 =", "target": "7", "config": "multistep_arithmetic_two"},
        {"input": "Sort: b a", "target": "a b", "config": "word_sorting"},
    ],
    "file": [
        {
            "question": DATE,
            "answer": "B",
            "choices": ["01/02/2003", "02/02/2003"],
            "meta": {"task": "date_understanding"},
        },
        {"question": "[ < { } >", "answer": "]", "meta": {"task": "dyck_languages"}},
        {"question": "{ [ ]", "answer": "}", "meta": {"task": "dyck_languages"}},
        {"question": "3 + 4 =", "answer": "7", "meta": {"task": "multistep_arithmetic_two"}},
        {"question": "Sort: b a", "answer": "a b", "meta": {"task": "word_sorting"}},
    ],
}
FOUR = ["red", "green", "blue", "none"]
MMLU: dict[str, Rows] = {
    "hub": [
        {"question": "Of the sky?", "subject": "astronomy", "choices": FOUR, "answer": 2},
        {"question": "Of the law?", "subject": "jurisprudence", "choices": FOUR, "answer": 3},
        {"question": "Of a graph?", "subject": "abstract_algebra", "choices": FOUR, "answer": 0},
    ],
    "file": [
        {"question": "Of the sky?", "choices": FOUR, "answer": "C", "meta": {"subject": "astronomy"}},
        {"question": "Of the law?", "choices": FOUR, "answer": "D", "meta": {"subject": "jurisprudence"}},
        {"question": "Of a graph?", "choices": FOUR, "answer": "A", "meta": {"subject": "abstract_algebra"}},
    ],
}
BEGUN = 'def twice(n: int) -> int:\n    """Two times n."""\n'
TEST = "def check(candidate):\n    assert candidate(4) == 8\n"
HUMANEVAL: dict[str, Rows] = {
    "hub": [
        {
            "task_id": "HumanEval/0",
            "prompt": BEGUN,
            "canonical_solution": "    return 2 * n\n",
            "test": TEST,
            "entry_point": "twice",
        }
    ],
    "file": [
        {
            "question": BEGUN,
            "answer": "    return 2 * n\n",
            "meta": {"task_id": "HumanEval/0", "test": TEST, "entry_point": "twice"},
        }
    ],
}
MATH500: dict[str, Rows] = {
    "hub": [{"problem": "1+1?", "solution": r"\boxed{2}", "answer": "2", "subject": "Algebra", "level": 3}],
    "file": [{"problem": "1+1?", "solution": r"\boxed{2}", "level": "Level 3", "type": "Algebra"}],
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CPL_DATA", str(tmp_path))
    return tmp_path


def put(folder: Path, name: str, rows: Rows) -> None:
    (folder / name).mkdir(exist_ok=True)
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / name / "test.jsonl.gz").write_bytes(gzip.compress(text.encode()))


def questions(name: str) -> list[dict[str, Any]]:
    return load_questions(name, split="test", count=0, seed=1).frame.to_dicts()


@pytest.mark.parametrize(
    ("name", "rows"), [("bbh", BBH), ("mmlu", MMLU), ("humaneval", HUMANEVAL), ("math500", MATH500)]
)
def test_rows_of_the_hub_and_of_a_file_are_the_same_questions(folder: Path, name: str, rows: dict[str, Rows]) -> None:
    put(folder, name, rows["hub"])
    of_hub = questions(name)
    put(folder, name, rows["file"])
    assert questions(name) == of_hub
    assert len(of_hub) == len(rows["hub"])


def test_the_target_of_bbh_is_a_letter_a_text_or_a_number(folder: Path) -> None:
    put(folder, "bbh", BBH["hub"])
    date, *rest = questions("bbh")
    assert (date["question"], date["answer"], date["option"]) == (DATE, "B", "02/02/2003")
    assert date["kinds"] == ["date_understanding"]
    assert [(one["answer"], one["is_exact"]) for one in rest] == [
        ("]", True),
        (r"\}", True),
        ("7", False),
        ("a b", True),
    ]
    for one in rest:  # a brace that is not escaped would end the box
        assert extract_answer(f"It is \\boxed{{{one['answer']}}}.") == one["answer"]
        assert is_equal(one["answer"], one["answer"])


def test_the_stem_group_is_part_of_mmlu_and_the_harnesss_own(folder: Path) -> None:
    import lm_eval.tasks as harness

    put(folder, "mmlu", MMLU["file"])
    assert [one["kinds"] for one in questions("mmlu_stem")] == [["astronomy"], ["abstract_algebra"]]
    assert [one["answer"] for one in questions("mmlu")] == ["C", "D", "A"]
    assert content_of("mmlu_stem", "test") == content_of("mmlu", "test")
    theirs = Path(harness.__file__).parent / "mmlu" / "default"
    tagged = [path for path in theirs.glob("mmlu_*.yaml") if '"tag": "mmlu_stem_tasks"' in path.read_text()]
    assert sorted(path.stem.removeprefix("mmlu_") for path in tagged) == sorted(STEM)


def test_a_program_is_asked_for_with_its_tests_and_learnt_from_the_only_split_that_there_is(folder: Path) -> None:
    put(folder, "humaneval", HUMANEVAL["hub"])
    (one,) = questions("humaneval")
    assert one["specification"] == {"prompt": BEGUN, "test": f"{TEST}check(twice)", "entry_point": "twice"}
    assert one["question"].startswith("Complete this Python function.")
    assert f"```python\n{BEGUN.strip()}\n```" in one["question"]
    assert one["answer"] == f"{BEGUN}    return 2 * n"
    drawn = draw(Questions(source="humaneval", count=1), seed=1, contents={"humaneval": content_of("humaneval")})
    assert drawn.frame["question_id"].to_list() == [one["question_id"]]
    assert drawn.frame["specification"].to_list() == [one["specification"]]
    assert content_of("humaneval") == content_of("humaneval", "test") != ""


def test_who_learns_from_a_benchmark_of_programs_is_refused(folder: Path) -> None:
    put(folder, "humaneval", HUMANEVAL["hub"])
    drawn = draw(Questions(source="humaneval", count=1), seed=1).frame
    contents = {"humaneval/test": content_of("humaneval", "test")}
    asked = load_all(["humaneval"], contents, Evaluation(benchmarks=("humaneval/test",))).asked
    with pytest.raises(ContaminatedQuestions, match="humaneval/test"):
        refuse_overlap(drawn, {"humaneval/test": asked})


def test_programs_are_not_put_to_a_vote(folder: Path) -> None:
    put(folder, "humaneval", HUMANEVAL["hub"])
    contents = {"humaneval/test": content_of("humaneval", "test")}
    load_all([], contents, Evaluation(benchmarks=("humaneval/test",)))
    with pytest.raises(QuestionError, match="benchmark 'humaneval/test' asks for programs"):
        load_all([], contents, Evaluation(benchmarks=("humaneval/test",), decoding="majority"))


def test_a_row_of_humaneval_without_tests_is_refused(folder: Path) -> None:
    put(folder, "humaneval", [{"prompt": BEGUN, "canonical_solution": "    return 2 * n\n"}])
    with pytest.raises(QuestionError, match=r"line 1: there is no column 'question'"):
        questions("humaneval")


def test_every_benchmark_of_the_harness_has_a_plan_form() -> None:
    assert BENCHMARKS.keys() - {"math"} <= PUBLISHED.keys()
    assert list(BENCHMARKS) == list(get_args(Standard)), "what a recipe may name"
    assert source_of("hellaswag") == ("hellaswag", "validation")
    assert source_of("gpqa_diamond") == ("gpqa_diamond", "train")
    assert source_of("bbh") == ("bbh", "test")
    assert domain_of("mmlu/test", ["mmlu"]) == "in_domain"


@pytest.mark.skipif(not (BESIDE / "bbh").is_dir(), reason="no benchmark data beside the repository")
def test_real_rows_of_bbh_are_judgeable(folder: Path) -> None:
    rows = gzip.decompress((BESIDE / "bbh" / "test.jsonl.gz").read_bytes()).splitlines()[::13]
    put(folder, "bbh", [json.loads(row) for row in rows])
    found = questions("bbh")
    assert len(found) == len(rows) == 401
    assert len({one["kinds"][0] for one in found}) == 27
    assert all(extract_answer(f"\\boxed{{{one['answer']}}}") == one["answer"] for one in found)
