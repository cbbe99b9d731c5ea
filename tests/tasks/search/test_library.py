"""The plan library: what it remembers, and whom it offers it to."""

import polars as pl

from tasks.search.library import Library, _masked, on_right_paths

QUESTIONS = pl.DataFrame(
    {
        "question_id": ["apples", "trains", "held", "lost"],
        "question": [
            "Ann has 3 apples and buys 4 more.",
            "A train goes 60 km in 2 hours.",
            "Eve has 3 plums and eats 1.",
            "A car needs 5 litres.",
        ],
    }
)


def tree(
    tree_id: str, question_id: str, steps: int = 0, state: str = "budget", held_out: bool = False
) -> dict[str, object]:
    return {"tree_id": tree_id, "question_id": question_id, "steps": steps, "state": state, "is_held_out": held_out}


TREES = pl.DataFrame(
    [
        tree("apples", "apples"),
        tree("apples/step-1", "apples", steps=1),
        tree("trains", "trains"),
        tree("wrong", "trains"),
        tree("held", "held", held_out=True),
        tree("lost", "lost", state="failed"),
    ]
)


def step(
    tree_id: str, node_id: int, parent_id: int | None, position: int, body: str, q: float | None
) -> dict[str, object]:
    text = f"<step>\nPlan {position}: {body}\n</step>\n"
    depth = position - (tree_id == "apples/step-1")
    return node(tree_id, node_id, parent_id, depth, "plan", text, q, None)


def node(
    tree_id: str,
    node_id: int,
    parent_id: int | None,
    depth: int,
    kind: str,
    text: str,
    q: float | None,
    reward: float | None,
) -> dict[str, object]:
    return {
        "tree_id": tree_id,
        "node_id": node_id,
        "parent_id": parent_id,
        "depth": depth,
        "kind": kind,
        "text": text,
        "q": q,
        "reward": reward,
    }


def root(tree_id: str) -> dict[str, object]:
    return node(tree_id, 0, None, 0, "root", "?", 0.1, None)


def end(tree_id: str, node_id: int, parent_id: int, reward: float) -> dict[str, object]:
    return node(tree_id, node_id, parent_id, 3, "solution", "!", reward, reward)


NODES = pl.DataFrame(
    [
        root("apples"),
        step("apples", 1, 0, 1, "Add the apples.", 0.5),
        step("apples", 2, 0, 1, "Sum both.", 0.9),
        step("apples", 3, 0, 1, "Multiply.", -0.5),
        step("apples", 4, 0, 1, "By V alone.", 0.8),
        step("apples", 5, 1, 2, "Say it.", 0.2),
        end("apples", 6, 5, 1.0),
        end("apples", 7, 2, 1.0),
        end("apples", 8, 3, -1.0),
        root("apples/step-1"),
        step("apples/step-1", 1, 0, 2, "Count them.", 0.3),
        end("apples/step-1", 2, 1, 1.0),
        root("trains"),
        step("trains", 1, 0, 1, "Divide the way by the time.", -0.2),
        end("trains", 2, 1, 1.0),
        root("wrong"),
        step("wrong", 1, 0, 1, "Guess.", 0.9),
        end("wrong", 2, 1, -1.0),
        root("held"),
        step("held", 1, 0, 1, "Take it away.", 1.0),
        end("held", 2, 1, 1.0),
        root("lost"),
        step("lost", 1, 0, 1, "Fill up.", 1.0),
        end("lost", 2, 1, 1.0),
    ],
    infer_schema_length=None,
)


def library() -> Library:
    return Library(QUESTIONS, TREES, NODES)


def test_a_step_worked_where_a_right_solution_lies_below_it() -> None:
    right = on_right_paths(NODES)
    assert right.filter(tree_id="apples")["node_id"].to_list() == [1, 2, 5]
    assert right.filter(tree_id="trains")["node_id"].to_list() == [1], "its Q says nothing against that"
    assert set(right["kind"]) == {"plan"}
    assert right.filter(tree_id="wrong").height == 0, "a step of the same number in another tree"
    assert on_right_paths(NODES.clear()).height == 0


def test_steps_that_worked_are_offered_best_first_from_the_likest_question() -> None:
    offers = library().offers("Bob has 9 apples and buys 2 more.", most=2)
    assert offers(0) == ["Sum both.", "Add the apples."]
    assert offers(1) == ["Count them.", "Say it."], "the later tree of a stepwise search begins one step deeper"
    assert offers(2) == []
    assert library().offers("Bob has 9 apples and buys 2 more.", most=9)(0) == [
        "Sum both.",
        "Add the apples.",
        "Divide the way by the time.",
    ]


def test_held_out_and_failed_trees_teach_nothing() -> None:
    plums = library().offers("Tom has 8 plums and eats 2.", most=9)(0)
    cars = library().offers("A car needs 7 litres.", most=9)(0)
    assert not {"Take it away.", "Fill up."} & {*plums, *cars}


def test_likeness_looks_through_the_numbers_and_a_question_is_not_offered_its_own_steps() -> None:
    assert library().offers("A train goes 80 km in 4.5 HOURS.", most=1)(0) == ["Divide the way by the time."]
    assert library().offers("A train goes 60 km in 2 hours.", most=1)(0) == ["Sum both."]


def test_a_step_is_offered_once_however_many_questions_had_it() -> None:
    twice = NODES.with_columns(
        text=pl.when(tree_id="trains", kind="plan")
        .then(pl.lit("<step>\nPlan 1: Sum both.\n</step>\n"))
        .otherwise("text")
    )
    assert Library(QUESTIONS, TREES, twice).offers("A boat.", most=3)(0) == ["Sum both.", "Add the apples."]


def one_step_each(*asked: str) -> Library:
    """A right step for every question, named like it."""
    names = [f"{number:03}" for number in range(len(asked))]
    rows = [
        row for name in names for row in (root(name), step(name, 1, 0, 1, f"Step {name}.", 0.5), end(name, 2, 1, 1.0))
    ]
    questions = pl.DataFrame({"question_id": names, "question": asked})
    return Library(
        questions, pl.DataFrame([tree(name, name) for name in names]), pl.DataFrame(rows, infer_schema_length=None)
    )


def test_that_there_are_numbers_is_part_of_the_likeness() -> None:
    assert one_step_each("b", "a 1 2.5 3,000").offers("c 7 8 9", most=1)(0) == ["Step 001."]
    assert _masked("Ann has 3 apples at 4.50, or 1,000.") == "ann has  #  apples at  # , or  # ."


def test_equally_like_questions_are_offered_in_their_order() -> None:
    names = [f"{number:03}" for number in range(200)]
    asked = [f"{'somebody' if int(name) % 2 else 'nobody'} name{name}" for name in names]
    offered = one_step_each(*asked).offers("nobody", most=200)(0)
    assert offered == [f"Step {name}." for name in names[::2] + names[1::2]]


def test_steps_of_the_same_q_are_offered_in_the_order_of_their_trees() -> None:
    steps = [step("apples", number, 0, 1, f"Way {number}.", 0.5) for number in range(1, 101)]
    ends = [end("apples", 100 + number, number, 1.0) for number in range(1, 101)]
    nodes = pl.DataFrame([root("apples"), *steps, *ends], infer_schema_length=None)
    offered = Library(QUESTIONS, TREES, nodes).offers("Ann?", most=100)(0)
    assert offered == [f"Way {number}." for number in range(1, 101)]


def test_an_empty_library_offers_nothing() -> None:
    assert Library(QUESTIONS, TREES, NODES.clear()).offers("Anything?", most=3)(0) == ()
