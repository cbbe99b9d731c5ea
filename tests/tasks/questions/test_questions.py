"""Questions are validated before anything costs money, sampled fairly, and kept apart from what scores a model."""

import gzip
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from huggingface_hub import HfApi
from huggingface_hub.hf_api import DatasetInfo

from tasks.check import is_equal
from tasks.questions import (
    ContaminatedQuestions,
    QuestionError,
    content_of,
    domain_of,
    draw,
    hold_out,
    load_all,
    load_benchmark,
    load_questions,
    places,
    refuse_overlap,
    sample,
    source_of,
)
from tasks.questions.gsm8k import asks_percentage
from tasks.questions.rows import OF_ALL, OF_BENCHMARKS, OF_PROGRAMS, Question, as_rows
from tasks.questions.sampling import shares
from tasks.records import TABLES
from tasks.settings import Evaluation, Questions

GSM8K = [
    {"question": "Ann has 3 bags of 4 nuts. How many?", "answer": "3*4=<<3*4=12>>12\n#### 12"},
    {"question": "He earns $1,200 and $34. In all?", "answer": "<<1200+34=1234>>1234, <<1234-0=1234>>\n#### 1,234"},
]


def jsonl(path: Path, rows: list[Any]) -> str:
    text = "".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return str(path)


def load(source: str, columns: Mapping[str, str] | None = None) -> pl.DataFrame:
    return load_questions(source, count=10, seed=1, columns=columns).frame


def many(source: str, levels: dict[int, int]) -> pl.DataFrame:
    questions = [
        Question("", f"{source} level {level} number {n}", "1", level=level)
        for level, n_ in levels.items()
        for n in range(n_)
    ]
    return as_rows(questions, source, "train").frame


@pytest.fixture
def no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object) -> Iterator[tuple[str, dict[str, Any]]]:
        yield from ()
        raise places.HubUnreachable("the hub did not answer")

    monkeypatch.setattr(places, "hub_rows", unreachable)


# --- sources


def test_micro_questions_are_rows_of_the_table() -> None:
    rows = load("micro")
    assert rows.schema == {**OF_ALL, **OF_BENCHMARKS}
    assert TABLES["questions"] == {**OF_ALL, **OF_PROGRAMS}
    assert rows.height == rows["question_id"].n_unique() == 10
    assert rows["question_id"][0].startswith("micro/train/")
    assert rows["is_exact"].all()
    assert load("micro").equals(rows)


def test_gsm8k_is_read_as_the_hub_and_as_files_have_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    apart = [{"question": GSM8K[0]["question"], "answer": "12", "solution": "3*4=<<3*4=12>>12"}, GSM8K[1]]
    monkeypatch.setenv("CPL_DATA", str(tmp_path))
    jsonl(tmp_path / "gsm8k" / "train.jsonl.gz", GSM8K)
    as_on_the_hub = load("gsm8k")
    jsonl(tmp_path / "gsm8k" / "train.jsonl.gz", apart)
    assert load("gsm8k").equals(as_on_the_hub)
    assert as_on_the_hub.select("answer", "level", "kinds").rows() == [("12", 1, ["mul"]), ("1234", 2, ["add", "sub"])]


def test_gsm8k_takes_a_percentage_with_and_without_its_sign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [
        {
            "question": "Jen has 15 blue spools and 10 red ones. What percent of her spools are blue?",
            "answer": "She has 15+10=<<15+10=25>>25 spools.\n15/25*100=<<15/25*100=60>>60 percent\n#### 60",
        },
        {
            "question": "Flora wants 20% of the 300 seats. If she gets 50 percent more, how many seats are hers?",
            "answer": "300*.2=<<300*.2=60>>60\n60*1.5=<<60*1.5=90>>90\n#### 90",
        },
    ]
    monkeypatch.setenv("CPL_DATA", str(tmp_path))
    jsonl(tmp_path / "gsm8k" / "train.jsonl.gz", rows)
    percentage, count = load("gsm8k")["answer"]
    assert (percentage, count) == (r"60\%", "90")
    assert all(is_equal(percentage, answer) for answer in ("60", r"60\%", "60%", "60 percent"))
    assert not is_equal(percentage, r"0.6\%")
    assert not is_equal(count, r"90\%")


@pytest.mark.parametrize(
    ("question", "asks"),
    [
        ("What's the percentage chance (rounded to the nearest integer) of a 6?", True),
        ("What is the likelihood, expressed as a percentage, that it rains?", True),
        ("What % of them are girls?", True),
        ("What is his new win percentage?", True),
        ("What percentage is ginger? (Remember there are three teaspoons per tablespoon.)", True),
        ("What percentage is ginger? How many spoons of it are there?", False),
        ("What must she score so that her percentage is 90?", False),
        ("What's 40% of the number of students?", False),
        ("What is forty percent of 20?", False),
        ("What is the price of the television when calculating 15% of the value-added tax?", False),
        ("If her average was 82 percent, how much higher was it before?", False),
    ],
)
def test_a_percentage_is_told_from_its_mention(question: str, asks: bool) -> None:
    assert asks_percentage(question) is asks


def test_missing_gsm8k_says_what_was_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_hub: None) -> None:
    monkeypatch.setenv("CPL_DATA", str(tmp_path))
    with pytest.raises(QuestionError, match=r"hub did not answer.*no file .*train\.jsonl\.gz.*set CPL_DATA"):
        load("gsm8k")
    with pytest.raises(QuestionError, match=r"benchmark 'gsm8k/test'.*hub did not answer"):
        load_benchmark("gsm8k/test", count=3, seed=1, sources=["gsm8k"])


MATH = [
    {"problem": "1+1?", "level": "Level 2", "type": "Algebra", "solution": r"It is $\boxed{2}$."},
    {"problem": "2+2?", "level": "Level ?", "type": "Geometry", "solution": r"\boxed{\frac{8}{2}}"},
    {"problem": "empty?", "level": "Level 1", "type": "Algebra", "solution": r"\boxed{}"},
    {"problem": "none?", "level": "Level 1", "type": "Algebra", "solution": "nothing"},
    {"problem": "two?", "level": "Level 1", "type": "Algebra", "solution": r"\boxed{1} or \boxed{2}"},
    {
        "problem": "twice?",
        "level": "Level 1",
        "type": "Algebra",
        "solution": r"\boxed{\dfrac12}, so \boxed{\frac{1}{2}}",
    },
]


def test_math_comes_from_a_folder_or_a_file_and_drops_doubtful_answers(tmp_path: Path) -> None:
    for number, problem in enumerate(MATH):
        jsonl(tmp_path / "MATH" / "train" / problem["type"].lower() / f"{number}.json", [problem])
    folder = load_questions(f"math:{tmp_path / 'MATH'}", count=9, seed=1)
    file = load_questions(f"math:{jsonl(tmp_path / 'train.jsonl', MATH)}", count=9, seed=1)
    assert set(folder.frame["question_id"]) == set(file.frame["question_id"])
    assert set(file.frame.select("answer", "level").rows()) == {("2", 2), (r"\frac{8}{2}", 0), (r"\frac{1}{2}", 1)}
    doubtful = {"empty \\boxed answer", "no \\boxed answer", "several \\boxed answers that differ"}
    for loaded in (folder, file):
        assert {note.split(": ")[2].split(" (")[0] for note in loaded.notes} == doubtful
    assert "train.jsonl, line 5" in file.notes[-1]
    assert "algebra/4.json" in folder.notes[-1]


def test_missing_math_is_yours_to_supply(tmp_path: Path) -> None:
    with pytest.raises(QuestionError, match="yours to supply"):
        load(f"math:{tmp_path / 'nowhere'}")


def test_a_file_named_as_a_source_is_not_that_source(tmp_path: Path) -> None:
    rows = load(jsonl(tmp_path / "micro.jsonl", [{"question": "a?", "answer": "1/2"}]))
    assert rows.select("source", "is_exact").row(0) == ("micro", False)


def test_columns_are_mapped(tmp_path: Path) -> None:
    row = {"prompt": "Which?", "target": "B", "topic": ["x", "y"], "hard": "Level 4", "options": ["one", "two"]}
    columns = {"question": "prompt", "answer": "target", "kind": "topic", "level": "hard", "choices": "options"}
    rows = load(jsonl(tmp_path / "q.jsonl", [row]), columns)
    assert rows.select("question", "answer", "kinds", "level").row(0) == ("Which?\nA. one\nB. two", "B", ["x", "y"], 4)


@pytest.mark.parametrize(
    ("source", "columns", "message"),
    [
        ("gsmk", {}, "unknown question source 'gsmk': give micro, gsm8k, .*, math"),
        ("", {}, "unknown question source"),
        ("nowhere.jsonl", {}, "there is no file"),
        ("micro", {"question": "q"}, "columns are for files"),
        ("hub:some/set", {}, "the hub did not answer"),
    ],
)
def test_unknown_sources_are_refused(no_hub: None, source: str, columns: dict[str, str], message: str) -> None:
    with pytest.raises(QuestionError, match=message):
        load(source, columns)


def test_an_unknown_mapping_is_refused(tmp_path: Path) -> None:
    with pytest.raises(QuestionError, match=r"unknown \['anwser'\]"):
        load(jsonl(tmp_path / "q.jsonl", [{"question": "a?", "answer": "1"}]), {"anwser": "answer"})


# --- what a cache knows of a source


@pytest.fixture
def answering_hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """A hub that knows the commit of every data set; remembers what it was asked."""
    asked: list[str] = []

    def info(_: HfApi, name: str, **__: Any) -> DatasetInfo:
        asked.append(name)
        return DatasetInfo(id=name, sha="e53f048856ff4f594e959d75785d2c2d37b678ee")  # type: ignore[no-untyped-call]

    monkeypatch.setattr(places, "reach_hub", lambda: None)
    monkeypatch.setattr(HfApi, "dataset_info", info)
    places.hub_commit.cache_clear()
    yield asked
    places.hub_commit.cache_clear()


@pytest.mark.parametrize("source", ["gsm8k", "math"])
def test_an_edited_file_below_cpl_data_is_another_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    monkeypatch.setenv("CPL_DATA", str(tmp_path))
    rows = {"gsm8k": GSM8K, "math": MATH}[source]
    jsonl(tmp_path / source / "train.jsonl.gz", rows)
    jsonl(tmp_path / source / "test.jsonl.gz", rows)
    before, asked_before = content_of(source), content_of(*source_of(f"{source}/test"))
    jsonl(tmp_path / source / "train.jsonl.gz", rows[:1])
    assert before == asked_before != content_of(source)
    assert content_of(*source_of(f"{source}/test")) == asked_before


def test_a_folder_of_math_counts_by_what_is_read_of_it(tmp_path: Path) -> None:
    jsonl(tmp_path / "train" / "algebra" / "1.json", MATH[:1])
    before = content_of(f"math:{tmp_path}")
    jsonl(tmp_path / "test" / "algebra" / "1.json", MATH[1:2])
    assert content_of(f"math:{tmp_path}") == before
    jsonl(tmp_path / "train" / "algebra" / "1.json", MATH[1:2])
    assert content_of(f"math:{tmp_path}") not in ("", before)


def test_the_file_beside_the_repository_counts_where_no_hub_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CPL_DATA", raising=False)
    monkeypatch.setattr("tasks.questions.places.BESIDE", tmp_path)
    monkeypatch.setattr("tasks.questions.places.hub_commit", lambda name: "")
    jsonl(tmp_path / "gsm8k" / "train.jsonl.gz", GSM8K)
    assert content_of("gsm8k") == content_of(str(tmp_path / "gsm8k" / "train.jsonl.gz"))
    assert load("gsm8k").height == 2


def test_the_commit_counts_where_the_hub_is_read(monkeypatch: pytest.MonkeyPatch, answering_hub: list[str]) -> None:
    monkeypatch.delenv("CPL_DATA", raising=False)
    sources = ["gsm8k", "hub:some/set/config@train", "math:hub:some/other", "hub:some/set"]
    assert {content_of(source) for source in sources} == {"e53f048856ff4f594e959d75785d2c2d37b678ee"}
    assert answering_hub == ["openai/gsm8k", "some/set", "some/other"]
    micro = content_of("micro")
    assert micro == content_of(*source_of("micro/test")) != "", "its settings, and what makes its rows of them"


def test_a_hub_that_does_not_say_is_asked_once(monkeypatch: pytest.MonkeyPatch, answering_hub: list[str]) -> None:
    def hang() -> None:
        answering_hub.append("reached for")
        raise places.HubUnreachable("the hub did not answer")

    monkeypatch.setattr(places, "reach_hub", hang)
    assert content_of("hub:some/set") == content_of("hub:some/set@test") == ""
    assert answering_hub == ["reached for"]


@pytest.mark.parametrize("source", ["q.jsonl", "gsm8k", "math", "math:folder"])
def test_what_was_changed_meanwhile_is_not_taken_for_what_was_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    rows = {"q.jsonl": GSM8K, "gsm8k": GSM8K, "math": MATH, "math:folder": MATH}[source]
    place = {"q.jsonl": "q.jsonl", "math:folder": "folder/algebra/1.json"}.get(source, f"{source}/train.jsonl.gz")
    monkeypatch.setenv("CPL_DATA", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    jsonl(tmp_path / place, rows[:1])
    seen = content_of(source)
    assert load_questions(source, count=9, seed=1, content=seen).frame.height == 1
    jsonl(tmp_path / place, rows[1:2])
    with pytest.raises(QuestionError, match=f"{source} was changed while it was read: start again"):
        load_questions(source, count=9, seed=1, content=seen)
    with pytest.raises(QuestionError, match="was changed while it was read"):
        draw(Questions(source=source, count=9, held_out=0), seed=1, contents={source: seen})
    jsonl(tmp_path / place, rows[:1])
    assert (
        draw(Questions(source=source, count=9, held_out=0), seed=1, contents={source: content_of(source)}).frame.height
        == 1
    )


def test_a_changed_benchmark_is_named(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "exam.jsonl", GSM8K[:1])
    seen = content_of(*source_of(f"in_domain:{path}"))
    jsonl(tmp_path / "exam.jsonl", GSM8K)
    with pytest.raises(QuestionError, match=r"benchmark 'in_domain:.*exam.jsonl was changed while it was read"):
        load_benchmark(f"in_domain:{path}", count=9, seed=1, sources=["micro"], content=seen)


def test_what_is_read_is_what_is_digested(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that changes under the reader's eyes: rows and digest are of the same bytes."""
    path = Path(jsonl(tmp_path / "q.jsonl", GSM8K[:1]))
    seen = content_of(str(path))
    read_bytes = Path.read_bytes

    def changed_after(one: Path) -> bytes:
        data = read_bytes(one)
        jsonl(path, GSM8K[1:])
        return data

    monkeypatch.setattr(Path, "read_bytes", changed_after)
    assert load_questions(str(path), count=9, seed=1, content=seen).frame["answer"].to_list() == ["12"]


# --- sampling


def test_sampling_is_stratified_and_independent_of_row_order() -> None:
    rows = pl.concat([many("a", {1: 50, 2: 30}), many("b", {1: 20})])
    drawn = sample(rows, 10, seed=3)
    assert drawn.group_by("source", "level").len().sort("source", "level").rows() == [
        ("a", 1, 5),
        ("a", 2, 3),
        ("b", 1, 2),
    ]
    assert sample(rows.sample(fraction=1, shuffle=True, seed=9), 10, seed=3).equals(drawn)
    assert not sample(rows, 10, seed=4).equals(drawn)


def test_shares_are_by_largest_remainder() -> None:
    assert shares([50, 30, 20], 10) == [5, 3, 2]
    assert shares([1, 1, 1], 2) == [1, 1, 0]
    assert shares([7, 2, 1], 5) == [4, 1, 0]  # 3.5, 1.0, 0.5: of equal remainders the first
    assert sum(shares([7473, 13, 1], 300)) == 300


def test_asking_for_more_than_there_are_takes_all_and_says_so(tmp_path: Path) -> None:
    source = jsonl(tmp_path / "few.jsonl", [{"question": f"{n}?", "answer": n} for n in range(3)])
    drawn = draw(Questions(source=source, count=5, held_out=0), seed=1)
    assert drawn.frame.height == 3
    assert "has 3 questions, all are taken (5 asked)" in drawn.notes[0]


def test_held_out_questions_depend_on_their_id_and_the_seed_alone() -> None:
    rows = many("a", {1: 400})
    held = hold_out(rows, 0.1, seed=1)
    assert 20 < held["is_held_out"].sum() < 60
    assert hold_out(rows.tail(100), 0.1, seed=1).equals(held.tail(100))
    assert not hold_out(rows, 0.1, seed=2).equals(held)
    assert hold_out(rows, 0.0, seed=1)["is_held_out"].sum() == 0
    assert hold_out(rows, 1.0, seed=1)["is_held_out"].all()


# --- benchmarks


def test_overlap_with_a_benchmark_is_refused_by_name(tmp_path: Path) -> None:
    asked = jsonl(
        tmp_path / "exam.jsonl", [{"question": "WHAT is  1 + 1", "answer": 2}, {"question": "b?", "answer": 1}]
    )
    source = jsonl(
        tmp_path / "mine.jsonl", [{"question": "What is 1+1?", "answer": 2}, {"question": "c?", "answer": 1}]
    )
    exam = load_benchmark(asked, count=None, seed=1, sources=[source]).frame
    with pytest.raises(
        ContaminatedQuestions, match=r"1 of 2 questions occur in the benchmark exam: mine/train/\w+ \('What"
    ):
        refuse_overlap(draw(Questions(source=source, count=2, held_out=0), seed=1).frame, {"exam": exam})
    refuse_overlap(load(source).filter(pl.col("question") == "c?"), {"exam": exam})


def test_another_sign_is_no_overlap(tmp_path: Path) -> None:
    mine = load(jsonl(tmp_path / "mine.jsonl", [{"question": "What is 12 ÷ 4?", "answer": 3}]))
    for text in ("What is 12 × 4?", "What is 12 − 4?", "What is 12/4!?"):
        refuse_overlap(mine, {"exam": load(jsonl(tmp_path / "exam.jsonl", [{"question": text, "answer": 1}]))})
    with pytest.raises(ContaminatedQuestions):
        refuse_overlap(
            mine, {"exam": load(jsonl(tmp_path / "exam.jsonl", [{"question": "what is 12/4", "answer": 3}]))}
        )


def test_micro_training_questions_are_in_no_benchmark() -> None:
    names = ("micro/test", "micro/longer", "micro/phrasing", "micro/combinations")
    benchmarks = {name: load_benchmark(name, count=50, seed=7, sources=["micro"]).frame for name in names}
    drawn = draw(Questions(source="micro", count=100, held_out=0.1), seed=1)
    refuse_overlap(drawn.frame, benchmarks)
    assert drawn.frame.height == 100
    assert [benchmarks[name]["split"][0] for name in names] == ["in_domain"] + ["out_of_domain"] * 3


@pytest.mark.parametrize(
    ("benchmark", "source", "domain"),
    [
        ("micro/test", "micro", "in_domain"),
        ("micro/longer", "micro", "out_of_domain"),
        ("micro/test", "gsm8k", "out_of_domain"),
        ("gsm8k/test", "gsm8k", "in_domain"),
        ("gsm8k/test", "micro", "out_of_domain"),
        ("math/test", "math:some/folder", "in_domain"),
        ("gsm8k/test", "hub:openai/gsm8k", "in_domain"),
        ("gsm8k/test", "hub:openai/gsm8k/main@train", "in_domain"),
        ("gsm8k/test", "hub:somebody/gsm8k", "out_of_domain"),
        ("math500/test", "math:some/folder", "in_domain"),
        ("math/test", "math:hub:EleutherAI/hendrycks_math", "in_domain"),
        ("math500/test", "hub:EleutherAI/hendrycks_math/algebra", "in_domain"),
        ("math/test", "math500", "out_of_domain"),
        ("mmlu_stem/test", "mmlu", "in_domain"),
        ("mmlu_stem/test", "hub:cais/mmlu/anatomy", "in_domain"),
        ("arc_challenge/test", "hub:allenai/ai2_arc/ARC-Challenge", "in_domain"),
        ("arc_challenge/test", "hub:allenai/ai2_arc/ARC-Easy", "out_of_domain"),
        ("exam.jsonl", "mine.jsonl", "out_of_domain"),
        ("in_domain:exam.jsonl", "mine.jsonl", "in_domain"),
    ],
)
def test_domains(benchmark: str, source: str, domain: str) -> None:
    assert domain_of(benchmark, [source]) == domain


def test_a_missing_benchmark_is_named(no_hub: None) -> None:
    with pytest.raises(QuestionError, match=r"benchmark 'exam\.jsonl': there is no file"):
        load_benchmark("exam.jsonl", count=3, seed=1, sources=["micro"])
    with pytest.raises(QuestionError, match=r"benchmark 'micro/tset': unknown micro split"):
        load_benchmark("micro/tset", count=3, seed=1, sources=["micro"])


def test_the_benchmarks_of_a_round_have_columns_each_and_tell_what_they_leave_out(tmp_path: Path) -> None:
    svamp = jsonl(tmp_path / "a.jsonl", [{"q": f"{n} + 1?", "hint": "Add.", "a": n + 1} for n in [0, 1, 2, 2]])
    exam = jsonl(tmp_path / "b.jsonl", [{"text": f"{n} - 1?", "gold": n - 1} for n in range(5)])
    settings = Evaluation(
        benchmarks=(f"in_domain:{svamp}", exam, "micro/longer"),
        columns={
            f"in_domain:{svamp}": {"question": "hint + q", "answer": "a"},
            exam: {"question": "text", "answer": "gold"},
        },
        count=2,
        out_of_domain_count=3,
    )
    contents = {name: content_of(*source_of(name)) for name in settings.benchmarks}
    loaded = load_all(["micro"], contents, settings)
    by_name = {name: rows for (name,), rows in loaded.sampled.partition_by("benchmark", as_dict=True).items()}
    assert [by_name[name].height for name in settings.benchmarks] == [2, 3, 3]
    assert [by_name[name]["split"][0] for name in settings.benchmarks] == [
        "in_domain",
        "out_of_domain",
        "out_of_domain",
    ]
    assert loaded.asked.group_by("benchmark", maintain_order=True).len()["len"].to_list() == [3, 5, 3]
    assert all(question.startswith("Add.\n") for question in by_name[f"in_domain:{svamp}"]["question"])
    assert [note.split(" (")[0] for note in loaded.notes] == [
        "benchmark a: 1 of 4 questions were duplicates and are left out"
    ]
    jsonl(Path(exam), [{"text": "9 - 1?", "gold": 8}])
    with pytest.raises(QuestionError, match=r"benchmark '.*b\.jsonl': .* was changed while it was read"):
        load_all(["micro"], contents, settings)
    with pytest.raises(QuestionError, match=r"evaluation\.columns: c\.jsonl is no benchmark"):
        load_all(["micro"], contents, Evaluation(columns={"c.jsonl": {}}))


def test_the_micro_benchmarks_are_those_of_their_own_count() -> None:
    settings = Evaluation(benchmarks=("micro/test", "micro/longer"), count=20, out_of_domain_count=10)
    loaded = load_all(["micro"], {"micro/test": "", "micro/longer": ""}, settings)
    alone = load_benchmark("micro/longer", count=10, seed=settings.seed, sources=["micro"]).frame
    assert set(loaded.sampled.filter(benchmark="micro/longer")["question_id"]) == set(alone["question_id"])


def test_a_file_names_the_template_that_a_question_is_made_from(tmp_path: Path) -> None:
    rows = [{"question": f"{n} + 1?", "answer": n + 1, "cluster": ["add", 7, None][n]} for n in range(3)]
    exam = jsonl(tmp_path / "a.jsonl", rows)
    other = jsonl(tmp_path / "b.jsonl", [{"question": "9 - 1?", "answer": 8, "template": "sub"}])
    asked = Evaluation(benchmarks=(exam, other, "micro/test"), columns={other: {"cluster": "template"}}, count=3)
    contents = {name: content_of(*source_of(name)) for name in asked.benchmarks}
    loaded = load_all(["micro"], contents, asked).sampled
    assert set(loaded.filter(benchmark=exam)["cluster"]) == {"add", "7", None}
    assert loaded.filter(benchmark=other)["cluster"].to_list() == ["sub"]
    of_micro = loaded.filter(benchmark="micro/test")
    assert of_micro["cluster"].to_list() == [" ".join(kinds) for kinds in of_micro["kinds"]]


@pytest.mark.skipif(not (places.BESIDE / "gsm8k").is_dir(), reason="no benchmark data beside the repository")
def test_real_gsm8k_has_its_known_size_and_no_overlap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CPL_DATA", str(places.BESIDE))
    loaded = load_questions("gsm8k", count=0, seed=1)
    assert loaded.frame.height == 7473
    assert not loaded.frame["answer"].str.contains(",").any()
    assert loaded.frame["answer"].str.ends_with(r"\%").sum() == 86
    refuse_overlap(
        loaded.frame, {"gsm8k/test": load_benchmark("gsm8k/test", count=None, seed=1, sources=["gsm8k"]).frame}
    )
