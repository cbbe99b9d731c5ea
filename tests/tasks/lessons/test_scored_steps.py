"""The rule *scored_steps*: a step is learnt from the state before it, by how much better it was than its siblings."""

from tasks.language.format import Kind
from tasks.lessons.scored_steps import ScoredSteps
from tasks.lessons.searched import SearchedTree
from tasks.records import frame
from tasks.settings import Search
from tasks.stages.lessons import named
from tests.tasks.lessons.grown import EOS, Row, node, right, tree, wrong


def learnt(*trees: SearchedTree, alpha: float = 1.0) -> tuple[list[Row], int]:
    return ScoredSteps(evidence=("steps", "absent"), alpha=alpha).rows({"steps": trees}, EOS)


FIRST = tree(
    node(0, None, "root", 0.0, visits=8),
    node(1, 0, "plan", 0.5, visits=4, score=2.0),
    node(2, 0, "plan", -0.5, visits=4, score=-2.0),
    node(3, 1, "plan", 1.0, visits=1, score=None),
    tree_id="t",
    method="stepwise",
)
SECOND = tree(
    node(0, None, "root", 0.0, visits=4),
    right(1, 0, visits=2, score=1.0),
    wrong(2, 0, visits=2, score=-1.0),
    tree_id="t/step-1",
    steps=1,
    method="stepwise",
)


def test_each_scored_step_is_a_row_with_its_score_as_weight() -> None:
    rows, dropped = learnt(FIRST, SECOND, alpha=0.25)
    assert [(row["example_id"], row["weight"]) for row in rows] == [
        ("t/1", 0.5),
        ("t/2", -0.5),
        ("t/step-1/1", 0.25),
        ("t/step-1/2", -0.25),
    ]
    assert dropped == 0
    assert frame("imitations", [named("imitations", "steps", row) for row in rows]).height == 4
    assert {(row["question_id"], row["origin"]) for row in rows} == {("t", "policy")}
    assert [row["tree_id"] for row in rows] == ["t", "t", "t/step-1", "t/step-1"]
    assert sum(row["weight"] for row in rows) == 0, "the scores of siblings add up to 0"


def test_what_is_learnt_is_the_step_alone_and_only_a_solution_ends_the_text() -> None:
    rows, _ = learnt(FIRST, SECOND)
    assert [(row["prompt_ids"], row["completion_ids"]) for row in (rows[0], rows[2])] == [
        ([1, 2], [11, 12]),
        ([1, 2], [11, 12, EOS]),
    ]
    assert [row["eos"] for row in rows] == [None, None, EOS, EOS]
    assert (rows[0]["prompt"], rows[0]["completion"]) == ("<0>", "<1>")
    assert {len(row["value_targets"]) for row in rows} == {0}


def test_only_a_search_that_scores_its_steps_is_learnt_from() -> None:
    rule = ScoredSteps(evidence=("steps",), alpha=1.0)
    assert rule.refuses(Search(method="stepwise")) is None
    assert rule.refuses(Search(method="puct")) == "scores no steps: only a stepwise search does"


def test_a_tree_of_its_root_alone_teaches_nothing() -> None:
    assert learnt(tree(node(0, None, "root", None))) == ([], 0)


def test_siblings_that_are_all_alike_teach_nothing() -> None:
    alike = tree(node(0, None, "root", 1.0), node(1, 0, "plan", 1.0, score=0.0), node(2, 0, "plan", 1.0, score=0.0))
    assert learnt(alike) == ([], 2)


def test_what_is_not_of_the_format_is_unlearnt() -> None:
    """Without it the weights of its siblings would add up to more than 0: all of them more likely."""
    root, good = node(0, None, "root", 0.0), node(1, 0, "plan", 1.0, score=0.5)
    rows, dropped = learnt(tree(root, good, node(2, 0, Kind.MALFORMED, -1.0, reward=-1.0, score=-0.5)))
    assert ([row["weight"] for row in rows], dropped) == ([0.5, -0.5], 0)
    assert {row["eos"] for row in rows} == {None}
