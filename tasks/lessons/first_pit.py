"""The rule *first_pit*: the first step of a wrong answer from which no right one was found is rejected
(Self-Explore, methods.md 6.2; Step-DPO, 6.1).

A step leads to a right answer where one is known below it, whoever asked for it, in whichever tree of the question.
Along a wrong trajectory the pit is the first step that does not, under one that does. A step needs `min_outcomes`
trajectories below it to be called a pit, the wrong one among them; a wrong solution is its own outcome. What is chosen
continues the state before the pit:

    step            the first step that was found there and leads to a right answer        Step-DPO
    continuation    the shortest continuation to a right answer, in tokens                 Self-Explore

Step-DPO has a stronger model find the pit; here rollouts do (`tasks.search.pits`). Every tree will do, but in most of
them fewer trajectories ended below a step. From round 2 on a tree's Q holds V, which may hold the contrary of what was
found: such a pair is dropped, and so is one that has nothing to choose.
"""

import random
from collections.abc import Collection, Iterator
from typing import Annotated, Literal

from pydantic import Field

from tasks.language.format import STEPS, Origin
from tasks.lessons.preference import preference
from tasks.lessons.rule import LessonRule
from tasks.lessons.searched import Found, Row, SearchedTree, ids_of, text_of
from tasks.settings import Positive


class FirstPit(LessonRule):
    """The first fatal step of a wrong answer against what leads to a right one from there: table `preferences`."""

    rule: Literal["first_pit"] = "first_pit"
    chosen: Literal["step", "continuation"] = Field(
        title="Chosen",
        description="step: one that leads to a right answer (Step-DPO). continuation: the shortest to its end "
        "(Self-Explore).",
    )
    min_outcomes: Annotated[int, Field(ge=1)] = Field(
        5,
        title="Outcomes",
        description="Trajectories that must have ended below a step, none of them right, before it is a pit. "
        "Self-Explore: 5, four samples and the wrong answer.",
    )
    most: Positive = Field(8, title="Most", description="Pits of a question at most.")
    seed: int = Field(42, title="Seed", description="Chooses the pits.")

    gives = "preferences"
    drops = "pits_without_better"

    def rows(self, found: Found, eos: int) -> tuple[list[Row], int]:
        return first_pit(found, self)


def first_pit(found: Found, rule: FirstPit) -> tuple[list[Row], int]:
    """Rows of `preferences` that one question gives; and its pits that give none.

    Of pits that two trees have in common, the later tree of a stepwise search has the word, for it tried them more
    often; of two evidences, the one that the rule names first.
    """
    compared: dict[tuple[str, str], Row] = {}
    dropped = 0
    trees = [tree for name in rule.evidence for tree in reversed(found.get(name, ()))]
    good = {state for tree in trees for state in good_states(tree)}
    for tree in trees:
        for pit in pits(tree, rule.min_outcomes, good):
            better = _better(tree, pit["parent_id"], rule)
            if better is None or better["q"] <= pit["q"]:
                dropped += 1
            else:
                pair = preference(tree, pit["parent_id"], better, pit)
                compared.setdefault((pair["prompt"], pair["rejected"]), pair)
    pairs = list(compared.values())  # the first are of the answers with the fewest steps
    if len(pairs) > rule.most:
        pairs = random.Random(f"{rule.seed}/{pairs[0]['question_id']}").sample(pairs, rule.most)
    return pairs, dropped


def good_states(tree: SearchedTree) -> Iterator[str]:
    """The texts of its states from which a right answer was found."""
    return (text_of(tree.path(node_id)) for node_id in tree.outcomes if _leads_right(tree, tree.nodes[node_id]))


def pits(tree: SearchedTree, min_outcomes: int, good: Collection[str]) -> list[Row]:
    """The first pit of every wrong answer, each once, in the order in which the answers were found.

    `good`: states from which a right answer is known, here or in another tree of the question.
    """
    found: dict[int, Row] = {}
    for answer in tree.answers(-1.0):
        steps = tree.path(answer["node_id"])[1:]
        pit = next((step for step in steps if text_of(tree.path(step["node_id"])) not in good), None)
        if pit is None:  # another tree's check took the same answer for right
            continue
        is_sure = pit is answer or tree.outcomes[pit["node_id"]].n >= min_outcomes
        if is_sure and any(_leads_right(tree, step) for step in tree.children[pit["parent_id"]]):
            found[pit["node_id"]] = pit
    return list(found.values())


def _better(tree: SearchedTree, parent_id: int, rule: FirstPit) -> Row | None:
    """The end of what is chosen: it continues the state at `parent_id`."""
    if rule.chosen == "step":
        known = (step for step in tree.children[parent_id] if _leads_right(tree, step))
        return next((step for step in known if step["kind"] in STEPS or tree.follows_steps(parent_id)), None)
    paths = ((tree.path(answer["node_id"]), answer) for answer in tree.answers(1.0))
    below = [(ids_of(path), answer) for path, answer in paths if any(step["node_id"] == parent_id for step in path)]
    return min(below, key=lambda one: len(one[0]), default=(None, None))[1]


def _leads_right(tree: SearchedTree, step: Row) -> bool:
    """Whether a right answer is known below a step that nobody told it."""
    outcome = tree.outcomes.get(step["node_id"])
    return step["origin"] != Origin.HINT and outcome is not None and outcome.mean > -1.0
