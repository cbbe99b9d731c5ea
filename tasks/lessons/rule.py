"""What a rule of lessons is: what a recipe says of it, and a pure function of one question's trees.

A file of this folder that defines one is all that a new rule takes: `tasks.lessons.rules` finds it.
"""

from typing import ClassVar, Literal

from pydantic import Field

from tasks.lessons.searched import Found, Row
from tasks.settings import Search, StageSettings


class LessonRule(StageSettings):
    """`rule` is its name in a recipe. `gives`: the table of its rows. `drops`: what its count of dropped ones is."""

    rule: str
    evidence: tuple[str, ...] = Field(
        min_length=1,
        title="Evidence",
        description="Searches by name; of what two of them tell alike, the first counts.",
    )

    select: str = Field(
        "",
        title="Select",
        description="SQL, or a file of it (keep.sql), that says which rows are learnt from: it sees preferences or "
        "imitations, trees and nodes, and gives pair_id or example_id; with a reason, a row is left out for it; a "
        "weight above 0 multiplies that of an imitation. Blank: all are.",
        exclude_if=lambda query: not query,  # so that the keys of lessons without one are what they were
    )

    gives: ClassVar[Literal["imitations", "preferences"]]
    drops: ClassVar[str]
    teaches_values: ClassVar[bool] = True

    def rows(self, found: Found, eos: int) -> tuple[list[Row], int]:
        """Rows of its table that one question gives, without the column `lesson`; and how many were dropped.

        A row has its words and token ids besides, by which rows are compared. Nobody stores them: a lesson names nodes
        (`tasks.stages.lessons`), and the warehouse's views put the same words together again.
        `eos`: the model's end of sequence, which is imitated.
        """
        raise NotImplementedError

    def refuses(self, search: Search) -> str | None:
        """Why it can learn nothing from this evidence; None if it can."""
        return None
