"""What a round is made of: evidence, the lessons that are drawn from it, and the arms that learn from these.

A recipe is a TOML file that names the three, flat, with its numbers and their sources; so a method is one file
(tasks.recipe_file). It is checked whole before anything is spent: an arm starts from a model that is there, and its
loss suits its lesson.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from infra.contract.training import Training
from tasks.lessons.rules import Rule
from tasks.recipe_file import RecipeRefused, changed, in_round, merged, place_of, read_files, taken_for_numbers, there
from tasks.settings import MOST_TRIALS, Evaluation, Harness, Prompt, Questions, Search, Share

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$", max_length=40)]

TAKEN = re.compile(
    "base|policy|previous|benchmarks|questions|warehouse|second_opinions"
    "|(evaluate|harness|rank_values|contamination)_.*|.*_value"
)
"""Names of stages and models that a round has, whatever its recipe; a value model's use of an engine ends in _value."""

Samples = TypeVar("Samples", Search, Evaluation)


class Arm(Training):
    """A model: where it starts, the lesson that it learns, the loss and the optimiser.

    An arm whose lesson is empty is not trained; who starts from it starts from the policy that searched.
    """

    start: Name = Field("base", title="Start", description="base, policy (that searched; of round 1: base), or an arm.")
    lesson: Name = Field(title="Lesson", description="What it learns from.")
    like: Name | None = Field(
        None,
        title="Like",
        description="An arm that it is matched to: it learns from as many sequences (a preference is two). A control.",
    )

    @property
    def training(self) -> Training:
        """What its trainer is told."""
        return Training.model_validate(self.model_dump(include=set(Training.model_fields)))


class Next(BaseModel):
    """What the next round searches with: of each, the first that was trained."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    policy: tuple[Name, ...] = Field((), title="Policy", description="Arms. Without any, it stays what it was.")
    value: tuple[Name, ...] = Field(
        (),
        title="Value",
        description="Arms that judge steps in the policy's place. Without any, the policy's own V does.",
    )


class Recipe(BaseModel):
    """A method: its three nouns, and what they are tried on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    usual_for: tuple[str, ...] = Field(
        (), description="Base models whose usual recipe it is; *: of any other.", json_schema_extra={"readOnly": True}
    )
    questions: Questions = Questions()
    prompt: Prompt = Prompt()
    tokens: Annotated[int, Field(ge=0)] = Field(
        0,
        title="Tokens",
        description="Lessons are drawn from the first questions whose searches generated so many tokens, all evidence "
        "together. 0: from all. The same number makes methods comparable.",
    )
    evidence: dict[Name, Search] = Field(default={}, description="What is tried: searches, by name.")
    lessons: dict[Name, Rule] = Field(default={}, description="What is learnt from it: a rule each, by name.")
    arms: dict[Name, Arm] = Field(default={}, description="The models that learn, by name, each after what it needs.")
    without: tuple[Name, ...] = Field((), description="Evidence, lessons and arms that are left out this time.")
    next: Next = Next()
    evaluation: Evaluation = Evaluation()
    harness: Harness = Harness()
    overlap: Share = Field(
        0.7,
        title="Overlap",
        description="The round is refused where one text that it learns from holds this share, or more, of the runs of "
        "8 tokens of a benchmark's question. The table contamination has all that is shared.",
    )
    second_opinion: bool = Field(
        True,
        title="Second opinion",
        description="math-verify is asked of every answer, too, for the view label_noise. No reward depends on it.",
    )

    @model_validator(mode="after")
    def _is_whole(self) -> "Recipe":
        if faults := list(_faults(self)):
            raise ValueError("; ".join(faults))
        return self

    @classmethod
    def read(cls, path: Path, changes: Mapping[str, Any] | None = None, *, round: int = 1) -> "Recipe":
        """The recipe in a file as it is in this round of a campaign, with some of its fields changed.

        `changes` are nested as the file is; what they leave as it is in round 1 is no change. They hold in every round.

        Raises:
            RecipeRefused: with file and line.
        """
        files = read_files(path)
        try:
            first = None
            for number in sorted({1, *(number for file in files for number in file.later)}):
                at = number  # what is wrong with a later round is said in the first
                one = cls._without(in_round(files, number))
                first = first or one.model_dump(mode="json")
            at = round
            _refuse_new_parts(changes or {}, in_round(files, 1))
            return cls._without(merged(in_round(files, round), changed(changes or {}, first or {})))
        except ValidationError as problem:
            faults = [f"{place_of(files, field, at)}: {fault}" for field, fault in _told(problem)]
            raise RecipeRefused("\n".join(faults)) from None
        except ValueError as problem:
            field, _, _ = str(problem).partition(": ")
            raise RecipeRefused(f"{place_of(files, field, at)}: {problem}") from None

    @classmethod
    def _without(cls, whole: Mapping[str, Any]) -> "Recipe":
        """The recipe less the parts that are left out. What is of a wrong type stays, and is told when it is read."""
        groups = {group: whole.get(group) for group in ("evidence", "lessons", "arms")}
        parts = {group: part for group, part in groups.items() if isinstance(part, Mapping)}
        names = [name for part in parts.values() for name in part]
        without = whole.get("without")
        without = without if isinstance(without, Sequence) and not isinstance(without, str) else ()
        for name in without:
            if name not in names:
                raise ValueError(f"without: there is no part {name!r}{there(names)}")
        left = {group: {n: one for n, one in part.items() if n not in without} for group, part in parts.items()}
        recipe = cls.model_validate({**whole, **left})
        for field in taken_for_numbers({**whole, **left}, recipe.model_dump()):
            raise ValueError(f"{field}: Input should be a number, not true or false")
        return recipe

    def repeated(self, repeat: int) -> "Recipe":
        """The same with other samples, of all that samples: so many more repeats of each than the recipe says."""

        def again(samples: Samples) -> Samples:
            return samples.model_copy(update={"repeat": samples.repeat + repeat})

        evidence = {name: again(search) for name, search in self.evidence.items()}
        return self.model_copy(update={"evidence": evidence, "evaluation": again(self.evaluation)})

    @property
    def is_guided(self) -> bool:
        """Whether V decides anything, in a search or in an answer."""
        return self.evaluation.by_value or any(search.by_value for search in self.evidence.values())

    def ranks(self, arm: str) -> bool:
        """Whether an arm has a V that was trained, by itself or by the arm that it starts from."""
        return arm in self.arms and (self.arms[arm].loss.needs_values or self.ranks(self.arms[arm].start))


def _refuse_new_parts(changes: Mapping[str, Any], recipe: Mapping[str, Any]) -> None:
    """A misspelt name would be a whole search more, by the defaults: what is new belongs in a file."""
    for group in ("evidence", "lessons", "arms"):
        parts, named = recipe.get(group, {}), changes.get(group)
        for name in named if isinstance(named, Mapping) else ():
            if name not in parts:
                raise ValueError(f"{group}.{name}: the recipe has no such part{there(parts)}")


def _faults(recipe: Recipe) -> Iterable[str]:
    """What is wrong between the parts, each with the dotted name of its field."""
    names = [*recipe.evidence, *recipe.lessons, *recipe.arms]
    for name in dict.fromkeys(name for name in names if names.count(name) > 1 or TAKEN.fullmatch(name)):
        yield f"{name}: the name is taken; evidence, lessons and arms need names of their own"
    if recipe.prompt.learnt_in == "chat" and recipe.prompt.style != "chat":
        yield f"prompt.learnt_in: chat, and prompt.style is {recipe.prompt.style}, which is how models are asked"
    if (recipe.evaluation.decoding, recipe.evaluation.steps) == ("reflection", "solution"):
        yield "evaluation.decoding: reflection speaks of the plan that failed, and without plans there is none"
    if recipe.evaluation.decoding == "reflection" and recipe.evaluation.samples > MOST_TRIALS:
        yield f"evaluation.samples: of reflection {MOST_TRIALS} trials at most, not {recipe.evaluation.samples}"
    seen: list[str] = []
    for name, search in recipe.evidence.items():
        if search.budget_by and search.budget_by not in seen:
            yield f"evidence.{name}.budget_by: {search.budget_by!r} is no evidence above it{there(seen)}"
        if search.steps != (asked := recipe.evaluation.steps):
            yield f"evidence.{name}.steps: {search.steps}, and evaluation.steps is {asked}: a policy learns one of them"
        if search.steps == "solution" and search.method == "reflect":
            yield f"evidence.{name}.method: reflect speaks of the plan that failed, and without plans there is none"
        if search.steps == "solution" and search.library:
            yield f"evidence.{name}.library: it offers steps of plans; those of solutions hold their question's numbers"
        seen.append(name)
    for name, rule in recipe.lessons.items():
        for one in rule.evidence:
            if one not in recipe.evidence:
                yield f"lessons.{name}.evidence: there is no evidence {one!r}{there(recipe.evidence)}"
            elif why := rule.refuses(recipe.evidence[one]):
                yield f"lessons.{name}.evidence: {one} {why}"
    models = ["base", "policy"]
    for name, arm in recipe.arms.items():
        if arm.start not in models:
            yield f"arms.{name}.start: {arm.start!r} is no model above it{there(models)}"
        models.append(name)
        if (lesson := recipe.lessons.get(arm.lesson)) is None:
            yield f"arms.{name}.lesson: there is no lesson {arm.lesson!r}{there(recipe.lessons)}"
        elif lesson.gives != arm.loss.learns_from:
            yield f"arms.{name}.loss: it learns from {arm.loss.learns_from}, and {arm.lesson} gives {lesson.gives}"
        elif not lesson.teaches_values and not arm.loss.nll:
            yield f"arms.{name}.loss: the rule of {arm.lesson} gives weights for nll and no value"
        if arm.like is not None and (arm.like not in recipe.arms or arm.like == name or recipe.arms[arm.like].like):
            yield f"arms.{name}.like: {arm.like!r} is no arm that says itself how much it learns{there(recipe.arms)}"
        if arm.like is not None and "epochs" in arm.model_fields_set:
            yield f"arms.{name}.epochs: it learns from as many sequences as {arm.like} (like), whatever stands here"
    for what, wanted in (("policy", recipe.next.policy), ("value", recipe.next.value)):
        for name in wanted:
            if name in recipe.without:
                continue
            if name not in recipe.arms:
                yield f"next.{what}: there is no arm {name!r}{there(recipe.arms)}"
            elif what == "policy" and not recipe.arms[name].loss.makes_policy:
                yield f"next.policy: {name} learns a value alone"
            elif what == "value" and not recipe.ranks(name):
                yield f"next.value: {name} learns no value"


def _told(problem: ValidationError) -> Iterable[tuple[str, str]]:
    """What is wrong: the dotted field, and the field with the reason."""
    for error in problem.errors(include_url=False, include_input=False):
        parts = [str(part) for part in error["loc"]]
        is_one_of_several = parts[:1] == ["lessons"] or parts[:2] == ["questions", "source"]
        del parts[2 : 3 if is_one_of_several else 2]  # pydantic names which: the rule, or a mixture
        field, why = ".".join(parts), error["msg"].removeprefix("Value error, ")
        for fault in [f"{field}: {why}"] if field else why.split("; "):
            yield fault.partition(": ")[0], fault
