"""A round's questions from several sources: their shares, their filters, and what they share."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from pydantic import ValidationError

from tasks.questions import QuestionError, content_of, draw
from tasks.settings import Questions

CHOICES = [
    {"question": f"Which is {n} + {n}?", "choices": [str(2 * n), "none"], "answer": "A", "level": n % 3}
    for n in range(30)
]


def jsonl(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def written(path: Path, count: int, kind: str = "sums", said: str = "What is") -> str:
    rows = [{"question": f"{said} {n} and {n}?", "answer": 2 * n, "kind": kind, "level": n % 5} for n in range(count)]
    return jsonl(path, rows)


def mixture(*parts: dict[str, Any], count: int, held_out: float = 0.0) -> Questions:
    return Questions.model_validate({"source": list(parts), "count": count, "held_out": held_out})


def counted(rows: pl.DataFrame) -> dict[str, int]:
    return dict(rows.group_by("source").len().iter_rows())


def test_each_source_has_its_share_and_a_question_knows_its_own(tmp_path: Path) -> None:
    """One of them has options: its answer is a letter, as ever."""
    parts = (
        {"source": "micro", "weight": 1},
        {"source": jsonl(tmp_path / "choices.jsonl", CHOICES), "weight": 2},
        {"source": written(tmp_path / "sums.jsonl", 90), "weight": 4},
    )
    drawn = draw(mixture(*parts, count=21), seed=1)
    assert counted(drawn.frame) == {"micro": 3, "choices": 6, "sums": 12}
    assert drawn.notes == ()
    assert set(drawn.frame.filter(source="choices")["answer"]) == {"A"}
    assert drawn.frame.filter(source="choices")["question"].str.contains("A. ").all()
    assert drawn.frame.filter(source="micro")["is_exact"].all()
    first = drawn.frame["source"].head(7).n_unique()
    assert first > 1, "a budget of tokens that pays for the first questions pays for all sources"


def test_the_same_seed_draws_the_same_and_another_draws_others(tmp_path: Path) -> None:
    parts = ({"source": written(tmp_path / "a.jsonl", 50)}, {"source": written(tmp_path / "b.jsonl", 50, said="Add")})
    wanted = mixture(*parts, count=20, held_out=0.3)
    one, again, other = (draw(wanted, seed=seed).frame for seed in (1, 1, 2))
    assert one.equals(again)
    assert set(one["question_id"]) != set(other["question_id"])
    both = one.join(other, on="question_id")
    assert both.height
    assert both["is_held_out"].equals(both["is_held_out_right"]), "no round trains on what another held out"


def test_filters_leave_what_passes_all_of_them(tmp_path: Path) -> None:
    sums = {"source": written(tmp_path / "sums.jsonl", 60), "levels": [1, 2], "longest": 16, "kinds": ["sums", "x"]}
    drawn = draw(mixture(sums, {"source": "micro", "kinds": ["mul"], "levels": [3]}, count=20), seed=1)
    rows = drawn.frame.filter(source="sums")
    assert set(rows["level"]) == {1, 2}
    assert max(map(len, rows["question"])) == 16 < len("What is 59 and 59?")
    micro = drawn.frame.filter(source="micro")
    assert (micro.height, set(micro["level"])) == (10, {3})
    assert micro["kinds"].list.contains("mul").all()


def test_filters_that_nothing_passes_are_named_with_what_there_is(tmp_path: Path) -> None:
    source = written(tmp_path / "sums.jsonl", 9)
    with pytest.raises(
        QuestionError, match=r"sums\.jsonl: none of 9 .* Kinds: 'sums'; levels: 0, 1, 2, 3, 4; the shortest"
    ):
        draw(mixture({"source": source, "levels": [7]}, {"source": "micro"}, count=4), seed=1)


def test_a_question_of_two_sources_is_asked_once_and_a_short_one_is_told(tmp_path: Path) -> None:
    one, other = written(tmp_path / "one.jsonl", 10), written(tmp_path / "other.jsonl", 12, said="what IS")
    drawn = draw(mixture({"source": one}, {"source": other}, count=20), seed=1)
    assert counted(drawn.frame) == {"one": 10, "other": 2}
    assert drawn.notes == (
        f"{other}: 10 questions are in a source before it, too, and left out",
        f"{other} has 2 questions and are in no part before it, all are taken (10 asked)",
    )


def test_one_source_may_be_two_parts(tmp_path: Path) -> None:
    """What is to be told of it is told once."""
    source = written(tmp_path / "sums.jsonl", 50)
    with Path(source).open("a") as file:
        file.write(json.dumps({"question": "What is 0 and 0?", "answer": 0, "kind": "sums", "level": 0}) + "\n")
    parts = ({"source": source, "levels": [4], "weight": 3}, {"source": source, "levels": [0, 1, 2, 3]})
    rows, notes = draw(mixture(*parts, count=8), seed=1)
    assert [note.partition(" (")[0] for note in notes] == ["sums: 1 of 51 questions were duplicates and are left out"]
    assert sorted((rows["level"] == 4).to_list()) == [False] * 2 + [True] * 6


def test_parts_of_one_source_that_overlap_draw_their_shares(tmp_path: Path) -> None:
    """All of MATH, and four times as many of its hardest: what the first part did not draw is left to the second."""
    source = written(tmp_path / "sums.jsonl", 100)
    for one in (source, "micro"):
        drawn = draw(mixture({"source": one}, {"source": one, "levels": [4], "weight": 4}, count=20), seed=1)
        assert (drawn.frame["question_id"].n_unique(), drawn.notes) == (20, ())
        assert (drawn.frame["level"] == 4).sum() >= 16


def test_a_question_of_two_sources_is_held_out_in_all_rounds_or_in_none(tmp_path: Path) -> None:
    """In each source it has an id of its own, and that decides."""
    parts = [{"source": written(tmp_path / name, 60)} for name in ("one.jsonl", "two.jsonl")]
    rounds = [draw(mixture(*parts, count=20, held_out=0.5), seed=seed).frame for seed in range(1, 6)]
    held = pl.concat(rounds).group_by("question").agg(pl.col("is_held_out").n_unique())
    assert held["is_held_out"].to_list() == [1] * held.height


@pytest.mark.parametrize("source", ["micro", "sums"])
def test_a_share_that_is_no_question_is_told(source: str, tmp_path: Path) -> None:
    few = source if source == "micro" else written(tmp_path / "sums.jsonl", 9)
    other = written(tmp_path / "other.jsonl", 30, said="Add")
    drawn = draw(mixture({"source": few}, {"source": other, "weight": 1000}, count=20), seed=1)
    assert (counted(drawn.frame), drawn.notes) == ({"other": 20}, (f"{few}: its share of 20 questions is none",))


def test_kinds_are_found_in_whatever_case_and_those_that_are_not_there_are_told(tmp_path: Path) -> None:
    """Of two kinds, one of them misspelt, the other alone is asked, and nobody would know."""
    source = written(tmp_path / "sums.jsonl", 20, kind="Number Theory")
    part = {"source": source, "kinds": ["number theory", "gemoetry"], "levels": [0, 9]}
    drawn = draw(mixture(part, count=6), seed=1)
    assert drawn.notes == (
        f"{source}: no question is of kind 'gemoetry'",
        f"{source}: no question is of level 9",
        f"{source} has 4 questions that pass its filters, all are taken (6 asked)",
    )


def test_a_source_that_was_changed_meanwhile_is_named(tmp_path: Path) -> None:
    one, other = written(tmp_path / "one.jsonl", 9), written(tmp_path / "other.jsonl", 9, said="Add")
    seen = {one: content_of(one), other: content_of(other)}
    written(tmp_path / "other.jsonl", 8, said="Add")
    with pytest.raises(QuestionError, match=r"other\.jsonl was changed while it was read"):
        draw(mixture({"source": one}, {"source": other}, count=4), seed=1, contents=seen)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"source": []}, "source: an empty mixture"),
        ({"source": [{"source": "micro"}], "columns": {"question": "q"}}, "columns: the source is a mixture"),
        ({"source": [{"source": "micro", "weight": 0}]}, "greater than or equal to 1"),
        ({"source": [{"source": "micro", "share": 1}]}, "share"),
        ({"source": [{"weight": 1}]}, "source"),
        ({"source": 3}, "a name, or a list of parts"),
        ({"source": ["gsm8k", "math"]}, "a name, or a list of parts"),
        ({"source": '["gsm8k", "math"]'}, "a name, or a list of parts"),
        ({"source": {"gsm8k": 1, "math": 4}}, "a name, or a list of parts"),
        ({"source": '[{"source": "micro"'}, "no mixture as JSON"),
    ],
)
def test_a_mixture_that_cannot_be_is_refused(wrong: dict[str, Any], named: str) -> None:
    with pytest.raises(ValidationError, match=named):
        Questions.model_validate(wrong)


def test_a_mixture_may_be_written_on_one_line_of_a_form() -> None:
    """As the words on the field have it."""
    parts = [{"source": "gsm8k", "weight": 1}, {"source": "math", "weight": 4, "levels": [4, 5]}]
    described = str(Questions.model_fields["source"].description)
    assert (line := json.dumps(parts)) in described
    assert Questions.model_validate({"source": line}) == Questions.model_validate({"source": parts})


def test_a_name_alone_is_a_mixture_of_one() -> None:
    [part] = Questions(source="mine.csv", columns={"answer": "key"}).parts
    assert (part.source, part.columns, part.weight) == ("mine.csv", {"answer": "key"}, 1)
