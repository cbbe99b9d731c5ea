"""All rules of lessons, as the files of this folder define them: what `rule` of a recipe's lesson may name."""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Union

from pydantic import Field

from tasks.lessons.rule import LessonRule

for file in sorted(Path(__file__).parent.glob("[!_]*.py")):
    if file.stem != "rules":
        import_module(f"tasks.lessons.{file.stem}")

if TYPE_CHECKING:
    Rule = LessonRule
else:
    Rule = Annotated[Union[tuple(LessonRule.__subclasses__())], Field(discriminator="rule")]  # noqa: UP007
