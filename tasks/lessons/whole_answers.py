"""The rule *whole_answers*: a right answer of a question against a wrong one, from the question on (Instance-DPO, 6.4).

CPL's ablation pairs whole responses of CPL's own trees. Which, and how many, the paper does not say: here up to `most`
a question, drawn by a seed; none is used twice while others of its side are there. A pair's answers are of one tree,
the first of the first evidence that holds both. Malformed ones are no answers; nor is one without a step before it, or
whose plan was written under a hint. A later tree of a stepwise search begins in mid-answer, and gives none.
"""

import math
import random
from typing import Literal

from pydantic import Field

from tasks.lessons.preference import preference
from tasks.lessons.rule import LessonRule
from tasks.lessons.searched import Found, Row
from tasks.settings import Positive


class WholeAnswers(LessonRule):
    """Right answers against wrong ones, each from the question to its end: table `preferences`."""

    rule: Literal["whole_answers"] = "whole_answers"
    evidence: tuple[str, ...] = Field(
        min_length=1,
        title="Evidence",
        description="Searches by name: the first that found right and wrong answers of a question gives its pairs.",
    )
    most: Positive = Field(
        4, title="Most", description="Pairs a question at most. CPL: unknown; as many as its SFT imitates."
    )
    seed: int = Field(42, title="Seed", description="Chooses the answers.")

    gives = "preferences"
    drops = "questions_without_both"

    def rows(self, found: Found, eos: int) -> tuple[list[Row], int]:
        return whole_answers(found, self)


def whole_answers(found: Found, rule: WholeAnswers) -> tuple[list[Row], int]:
    """Rows of `preferences` that one question gives; and 1 if it gives none, for it lacks right or wrong answers."""
    for tree in (tree for name in rule.evidence for tree in found.get(name, ())):
        right, wrong = tree.answers(1.0), tree.answers(-1.0)
        if right and wrong and not tree.steps:
            drawn = random.Random(f"{rule.seed}/{tree.question_id}")
            drawn.shuffle(right)
            drawn.shuffle(wrong)
            return [preference(tree, 0, *pair) for pair in _in_turn(right, wrong, rule.most)], 0
    return [], 1


def _in_turn(right: list[Row], wrong: list[Row], most: int) -> list[tuple[Row, Row]]:
    """So many distinct pairs at most, in which each answer of a side is used about as often as the others."""
    n, m = len(right), len(wrong)
    turn = math.lcm(n, m)  # after which the same answers would meet again
    return [(right[i % n], wrong[(i + i // turn) % m]) for i in range(min(most, n * m))]
