"""What the step *search* says of itself."""

from tasks.records import frame
from tasks.search_plans import counted
from tests.sql.handmade import tree

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
