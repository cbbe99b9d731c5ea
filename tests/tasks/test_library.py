"""The plan library: what it remembers, and whom it offers it to."""

import polars as pl

from tasks.search.library import Library

QUESTIONS = pl.DataFrame(
    {
        "question_id": ["apples", "trains"],
        "question": ["Ann has 3 apples and buys 4 more.", "A train goes 60 km in 2 hours."],
    }
)


def step(tree_id: str, depth: int, body: str, q: float | None, kind: str = "plan") -> dict[str, object]:
    text = f"<step>\nPlan {depth}: {body}\n</step>\n"
    return {"tree_id": tree_id, "depth": depth, "kind": kind, "text": text, "q": q}


NODES = pl.DataFrame(
    [
        step("apples", 1, "Add the apples.", 0.5),
        step("apples", 1, "Sum both.", 0.9),
        step("apples", 1, "Multiply.", -0.5),
        step("apples", 1, "Never visited.", None),
        step("apples", 2, "Say it.", 0.2),
        step("trains", 1, "Divide the way by the time.", 0.7),
    ]
)


def test_steps_that_worked_are_offered_best_first_from_the_likest_question() -> None:
    offers = Library(QUESTIONS, NODES).offers("Bob has 9 apples and buys 2 more.", most=2)
    assert offers(0) == ["Sum both.", "Add the apples."]
    assert offers(1) == ["Say it."]
    assert offers(2) == []


def test_likeness_looks_through_the_numbers_and_a_question_is_not_offered_its_own_steps() -> None:
    library = Library(QUESTIONS, NODES)
    assert library.offers("A train goes 80 km in 4 hours.", most=1)(0) == ["Divide the way by the time."]
    assert library.offers("A train goes 60 km in 2 hours.", most=1)(0) == ["Sum both."]


def test_an_empty_library_offers_nothing() -> None:
    assert Library(QUESTIONS, NODES.clear()).offers("Anything?", most=3)(0) == ()
