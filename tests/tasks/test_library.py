"""The plan library: what it remembers, and whom it offers it to."""

import polars as pl

from tasks.search.library import Library

QUESTIONS = pl.DataFrame(
    {
        "question_id": ["apples", "trains", "held_out"],
        "question": ["Ann has 3 apples and buys 4 more.", "A train goes 60 km in 2 hours.", "Bob has 9 apples."],
        "is_held_out": [False, False, True],
    }
)


def step(tree_id: str, node_id: int, parent_id: int, depth: int, body: str, q: float | None) -> dict[str, object]:
    text = f"<step>\nPlan {depth}: {body}\n</step>\n"
    about = {"tree_id": tree_id, "node_id": node_id, "parent_id": parent_id, "depth": depth}
    return about | {"kind": "plan", "text": text, "q": q, "reward": None}


def solved(tree_id: str, node_id: int, parent_id: int, reward: float = 1.0) -> dict[str, object]:
    return step(tree_id, node_id, parent_id, 9, "", reward) | {"kind": "solution", "reward": reward}


NODES = pl.DataFrame(
    [
        step("apples", 1, 0, 1, "Add the apples.", 0.5),
        step("apples", 2, 0, 1, "Sum both.", 0.9),
        step("apples", 3, 0, 1, "Multiply.", -0.5),
        step("apples", 4, 0, 1, "Never visited.", None),
        step("apples", 5, 1, 2, "Say it.", 0.2),
        step("apples", 6, 0, 1, "Seems good.", 0.99),
        *(solved("apples", node_id, parent_id) for node_id, parent_id in ((7, 5), (8, 2), (9, 3))),
        solved("apples", 10, 6, reward=-1.0),
        step("trains", 1, 0, 1, "Divide the way by the time.", 0.7),
        solved("trains", 2, 1),
        step("held_out", 1, 0, 1, "Count them.", 1.0),
        solved("held_out", 2, 1),
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


def test_a_step_that_only_seems_good_is_not_offered_and_nothing_of_a_held_out_question() -> None:
    """Q may be V's opinion; what worked has a right solution below."""
    offered = Library(QUESTIONS, NODES).offers("Bob has 9 apples and 2 pears.", most=9)(0)
    assert offered == ["Sum both.", "Add the apples.", "Divide the way by the time."]
