"""Runs of tokens that a benchmark's question shares with what is learnt, against sets in Python."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infra.warehouse import SQL, derive

Ids = Sequence[int]
IDS = pl.List(pl.Int32)


def found(asked: Sequence[Ids], learnt: Sequence[tuple[str, Ids]], n: int, folder: Path) -> dict[tuple[int, str], Any]:
    """Rows by number of the question and kind; a learnt text is named by its number."""
    frames = {
        "asked": pl.DataFrame(
            {"benchmark": "b", "question": [str(number) for number in range(len(asked))]}
            | {"ids": pl.Series(list(map(list, asked)), dtype=IDS)}
        ),
        "learnt": pl.DataFrame(
            {
                "question_id": [str(number) for number in range(len(learnt))],
                "kind": pl.Series([kind for kind, _ in learnt], dtype=pl.String),
                "text": pl.Series(["" for _ in learnt], dtype=pl.String),
                "ids": pl.Series([list(ids) for _, ids in learnt], dtype=IDS),
            }
        ),
    }
    numbered = {name: frame.with_row_index("number") for name, frame in frames.items()}
    rows = derive(SQL / "stages" / "contamination.sql", numbered, {"n": n}, folder)
    return {(int(row["benchmark_question"]), row["kind"]): row for row in rows.iter_rows(named=True)}


def test_the_text_that_shares_most_runs_is_found_with_the_longest_stretch(tmp_path: Path) -> None:
    asked = [[1, 2, 3, 4, 5, 6, 7], [9, 9, 9]]
    learnt = [("question", [0, 1, 2, 3, 0]), ("question", [5, 6, 7, 0, 1, 2, 3, 4, 1, 2, 3]), ("plan", [4, 5, 6])]
    rows = found(asked, learnt, 3, tmp_path)
    assert rows.keys() == {(0, "question"), (0, "plan")}
    question, plan = rows[0, "question"], rows[0, "plan"]
    assert (question["question_id"], question["texts"], question["span"]) == ("1", 2, [1, 2, 3, 4])
    assert (question["share"], question["tokens"]) == (pytest.approx(3 / 5), 4)
    assert (plan["question_id"], plan["texts"], plan["span"], plan["share"]) == ("2", 1, [4, 5, 6], pytest.approx(0.2))


@pytest.mark.parametrize(("tokens", "share"), [(1, 1.0), (2, 1.0), (3, 1.0), (4, 0.5)])
def test_a_run_is_neither_shorter_nor_longer_than_n(tokens: int, share: float, tmp_path: Path) -> None:
    """The learnt text has the question's first three tokens; a question that is shorter than n is a run of its own."""
    asked = list(range(1, tokens + 1))
    rows = found([asked], [("question", [*asked[:3], 0])], 3, tmp_path)
    assert [row["share"] for row in rows.values()] == [share]


def test_what_a_question_repeats_counts_at_each_place_and_what_a_text_repeats_once(tmp_path: Path) -> None:
    [row] = found([[1, 2, 3, 1, 2]], [("question", [1, 2, 0, 1, 2, 0, 1, 2])], 2, tmp_path).values()
    assert (row["share"], row["texts"], row["tokens"]) == (0.5, 1, 2)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    asked=st.lists(st.lists(st.integers(0, 2), max_size=9), min_size=1, max_size=3),
    learnt=st.lists(
        st.tuples(st.sampled_from(["question", "plan"]), st.lists(st.integers(0, 2), max_size=9)), max_size=4
    ),
    n=st.integers(1, 4),
)
def test_as_sets_in_python_find_it(asked: list[Ids], learnt: list[tuple[str, Ids]], n: int, tmp_path: Path) -> None:
    rows = found(asked, learnt, n, tmp_path)
    expected = {}
    longer = n
    for number, question in enumerate(asked):
        if not question:
            continue
        n = min(longer, len(question))
        for kind in ("question", "plan"):
            shared = {
                text: sum(run in set(runs(ids, n)) for run in runs(question, n))
                for text, (one, ids) in enumerate(learnt)
                if one == kind
            }
            if holding := {text: count for text, count in shared.items() if count}:
                text = max(holding, key=lambda text: (holding[text], -text))
                share = holding[text] / len(runs(question, n))
                expected[number, kind] = (str(text), len(holding), share, longest(question, learnt[text][1]))
    columns = ("question_id", "texts", "share", "tokens")
    assert {key: tuple(row[name] for name in columns) for key, row in rows.items()} == expected
    for (number, kind), row in rows.items():
        assert len(row["span"]) == row["tokens"]
        for ids in (asked[number], learnt[int(row["question_id"])][1]):
            assert tuple(row["span"]) in runs(ids, row["tokens"]), kind


def runs(ids: Ids, n: int) -> list[tuple[int, ...]]:
    return [tuple(ids[place : place + n]) for place in range(len(ids) - n + 1)]


def longest(one: Ids, other: Ids) -> int:
    """Tokens of the longest run of both."""
    return max(n for n in range(len(one) + 1) if n == 0 or set(runs(one, n)) & set(runs(other, n)))
