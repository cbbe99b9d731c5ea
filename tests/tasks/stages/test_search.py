"""What the rollouts decide of the search, pass rates and budgets, and what the search says of itself."""

from typing import Any

import polars as pl
import pytest

from tasks.records import frame
from tasks.settings import Search
from tasks.stages.search import budget, counted, pass_rates
from tests.sql.handmade import tree

ADAPTIVE = Search(simulations=20, skip_above=1.0, more_below=0.25, more_factor=2.0)


def attempt(question_id: str, trial: int, is_correct: bool | None, error: str | None = None) -> dict[str, Any]:
    return {"question_id": question_id, "trial": trial, "is_correct": is_correct, "error": error}


def test_the_pass_rate_is_that_of_the_first_attempts() -> None:
    """A reflection was told the answer: that it is right says nothing of the policy."""
    rollouts = pl.DataFrame(
        [
            attempt("reflected", 0, False),
            attempt("reflected", 0, False),
            attempt("reflected", 1, True),
            attempt("half", 0, True),
            attempt("half", 0, False),
            attempt("undecided", 0, None),
            attempt("undecided", 0, True),
            attempt("unknown", 0, None),
            attempt("lost", 0, None, "the engine is gone"),
        ]
    )
    assert pass_rates(rollouts) == {"reflected": 0.0, "half": 0.5, "undecided": 1.0, "unknown": None}


@pytest.mark.parametrize(
    ("pass_rate", "trained", "held_out"), [(1.0, 0, 20), (0.5, 20, 20), (0.25, 20, 20), (0.0, 40, 20), (None, 20, 20)]
)
def test_a_held_out_question_gets_the_plain_budget(pass_rate: float | None, trained: int, held_out: int) -> None:
    assert budget({"is_held_out": False}, pass_rate, ADAPTIVE) == trained
    assert budget({"is_held_out": True}, pass_rate, ADAPTIVE) == held_out


def test_without_adaption_every_question_gets_the_same() -> None:
    plain = Search(simulations=20, adaptive=False)
    assert {budget({"is_held_out": False}, rate, plain) for rate in (0.0, 0.5, 1.0, None)} == {20}


FIGURES = {"expansions": 3, "nodes": 8, "visits": 7, "value": 0.0}


def test_questions_are_solved_and_trees_fail() -> None:
    """A stepwise search has a tree for every step: two right ones are one question solved."""
    rows = [
        tree("q1", "q1", "finished", **FIGURES, is_solved=True, undecided=1),
        tree("q1/step-1", "q1", "finished", **FIGURES, steps=1, is_solved=True, undecided=2),
        tree("q2", "q2", "finished", **FIGURES),
        tree("q2/step-1", "q2", "finished", **FIGURES, steps=1, is_solved=True),
        tree("q3", "q3", "failed", **FIGURES, error="the engine is gone"),
        tree("q4", "q4", "skipped", **FIGURES | {"expansions": 0}, simulations=0),
    ]
    assert counted(frame("trees", rows)) == {
        "expansions": 15,
        "generated_tokens": 240,
        "undecided": 3,
        "solved": 2,
        "failed": 1,
        "skipped": 1,
    }
