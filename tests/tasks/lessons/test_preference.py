"""A preference between two continuations: what its sides say, and its kind."""

from tasks.lessons.preference import preference, sides
from tests.tasks.lessons.grown import FOREST, Row, without_plans


def prefer(parent_id: int, chosen: int, rejected: int, scale: float = 1.0) -> Row:
    return preference(FOREST, parent_id, FOREST.nodes[chosen], FOREST.nodes[rejected], scale)


def test_a_side_is_the_path_from_the_parent_to_its_end() -> None:
    pair = prefer(0, 6, 10)
    assert (pair["prompt"], pair["chosen"], pair["rejected"]) == ("<0>", "<1><6>", "<2><9><10>")
    assert pair["chosen_ids"] == [11, 12, 61, 62]
    assert pair["rejected_ids"] == [21, 22, 91, 92, 101, 102]
    assert (pair["chosen_q"], pair["rejected_q"]) == (1.0, -1.0)
    assert (pair["pair_id"], pair["parent_id"], pair["kind"]) == ("t/6-10", 0, "continuation")


def test_single_steps_of_one_kind_are_of_that_kind_and_all_else_is_a_continuation() -> None:
    kinds = {(0, 1, 2): "plan", (1, 6, 7): "solution", (0, 11, 2): "continuation", (0, 1, 10): "continuation"}
    assert {ends: prefer(*ends)["kind"] for ends in kinds} == kinds
    mixed = FOREST.nodes[2] | {"kind": "solution"}
    assert preference(FOREST, 0, FOREST.nodes[1], mixed)["kind"] == "continuation", "a step and a solution"
    steps = without_plans(FOREST)
    assert preference(steps, 0, steps.nodes[1], steps.nodes[2])["kind"] == "step"


def test_the_scale_is_of_the_values_alone() -> None:
    pair = prefer(1, 6, 7, scale=0.3)
    assert (pair["chosen_q"], pair["chosen_value"], pair["rejected_value"]) == (1.0, 0.3, -0.3)


def test_two_pairs_compare_the_same_whichever_side_is_preferred() -> None:
    assert sides(prefer(0, 1, 2)) == sides(prefer(0, 2, 1)) != sides(prefer(0, 3, 2))
    assert sides(prefer(1, 6, 7)) != sides(prefer(0, 6, 7)), "from another state"
