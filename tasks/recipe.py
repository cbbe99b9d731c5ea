"""What a round is made of: evidence, the lessons that are drawn from it, and the arms that learn from these.

A recipe is a TOML file that names the three, flat, with its numbers and their sources; so a method is one file. It is
checked whole before anything is spent: an arm starts from a model that is there, and its loss suits its lesson.
"""

import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from infra.contract.training import Training
from tasks.settings import Evaluation, Questions, Rule, Search

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$", max_length=40)]

TAKEN = re.compile("base|policy|previous|benchmarks|questions|warehouse|(evaluate|rank_values)_.*")
"""Names of stages and models that a round has, whatever its recipe."""

Samples = TypeVar("Samples", Search, Evaluation)


class RecipeRefused(ValueError):
    """A recipe that cannot be: the message names the file, the line, the field and what is wrong."""


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
    tokens: Annotated[int, Field(ge=0)] = Field(
        0,
        title="Tokens",
        description="Lessons are drawn from the first questions whose searches generated so many tokens, all evidence "
        "together. 0: from all. The same number makes methods comparable.",
    )
    evidence: dict[Name, Search] = Field(default={}, description="What is tried: searches, by name.")
    lessons: dict[Name, Rule] = Field(default={}, description="What is learnt from it: a rule each, by name.")
    arms: dict[Name, Arm] = Field(default={}, description="The models that learn, by name, each after what it needs.")
    without: tuple[Name, ...] = Field((), description="Arms that are not trained this time.")
    next: Next = Next()
    evaluation: Evaluation = Evaluation()

    @model_validator(mode="after")
    def _is_whole(self) -> "Recipe":
        if faults := list(_faults(self)):
            raise ValueError("; ".join(faults))
        return self

    @classmethod
    def read(cls, path: Path, changes: Mapping[str, Any] | None = None, *, round: int = 1) -> "Recipe":
        """The recipe in a file as it is in this round of a campaign, with some of its fields changed.

        `changes` are nested as the file is; what they leave as it is in round 1 is no change. The table `from_round.N`
        of the file holds what is other from round N on.

        Raises:
            RecipeRefused: with the line.
        """
        text = path.read_text()
        try:
            whole = tomllib.loads(text)
            later = whole.pop("from_round", {})
            first = cls.model_validate(whole).model_dump(mode="json")
            then = whole
            for number in sorted(map(int, later)):
                then = merged(then, later[str(number)])
                cls.model_validate(then)  # what is wrong with a later round is said in the first
                whole = then if number <= round else whole
            _refuse_new_parts(changes or {}, first)
            whole = merged(whole, changed(changes or {}, first))
            arms, without = whole.get("arms", {}), whole.get("without", ())
            for name in without:
                if name not in arms:
                    raise ValueError(f"without: there is no arm {name!r}{_there(arms)}")
            return cls.model_validate(whole | {"arms": {name: arms[name] for name in arms if name not in without}})
        except (tomllib.TOMLDecodeError, ValueError) as problem:
            faults = _told(text, problem) if isinstance(problem, ValidationError) else [f": {problem}"]
            raise RecipeRefused("\n".join(f"{path.name}{fault}" for fault in faults)) from None

    def repeated(self, repeat: int) -> "Recipe":
        """The same with other samples, of all that samples: so many more repeats of each than the recipe says."""

        def again(samples: Samples) -> Samples:
            return samples.model_copy(update={"repeat": samples.repeat + repeat})

        evidence = {name: again(search) for name, search in self.evidence.items()}
        return self.model_copy(update={"evidence": evidence, "evaluation": again(self.evaluation)})

    def ranks(self, arm: str) -> bool:
        """Whether an arm has a V that was trained, by itself or by the arm that it starts from."""
        return arm in self.arms and (self.arms[arm].loss.needs_values or self.ranks(self.arms[arm].start))


def merged(whole: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """`whole` with the changed fields in their places; a field that is None stays as it is."""
    result = dict(whole)
    for name, change in changes.items():
        if isinstance(change, Mapping) and isinstance(old := result.get(name, {}), Mapping):
            result[name] = merged(old, change)
        elif change is not None:
            result[name] = change
    return result


def changed(given: Mapping[str, Any], usual: Mapping[str, Any]) -> dict[str, Any]:
    """What of the given fields is not as usual: a form sends all of them."""
    result: dict[str, Any] = {}
    for name, value in given.items():
        old = usual.get(name)
        if isinstance(value, Mapping) and isinstance(old, Mapping):
            if inner := changed(value, old):
                result[name] = inner
        elif value != old:
            result[name] = value
    return result


def _refuse_new_parts(changes: Mapping[str, Any], recipe: Mapping[str, Any]) -> None:
    """A misspelt name would be a whole search more, by the defaults: what is new belongs in a file."""
    for group in ("evidence", "lessons", "arms"):
        there, named = recipe[group], changes.get(group)
        for name in named if isinstance(named, Mapping) else ():
            if name not in there:
                raise ValueError(f"{group}.{name}: the recipe has no such part{_there(there)}")


def _faults(recipe: Recipe) -> Iterable[str]:
    """What is wrong between the parts, each with the dotted name of its field."""
    names = [*recipe.evidence, *recipe.lessons, *recipe.arms]
    for name in dict.fromkeys(name for name in names if names.count(name) > 1 or TAKEN.fullmatch(name)):
        yield f"{name}: the name is taken; evidence, lessons and arms need names of their own"
    seen: list[str] = []
    for name, search in recipe.evidence.items():
        if search.budget_by and search.budget_by not in seen:
            yield f"evidence.{name}.budget_by: {search.budget_by!r} is no evidence above it{_there(seen)}"
        seen.append(name)
    for name, rule in recipe.lessons.items():
        for one in rule.evidence:
            if one not in recipe.evidence:
                yield f"lessons.{name}.evidence: there is no evidence {one!r}{_there(recipe.evidence)}"
            elif rule.rule == "scored_steps" and recipe.evidence[one].method != "stepwise":
                yield f"lessons.{name}.evidence: {one} scores no steps: only a stepwise search does"
    models = ["base", "policy"]
    for name, arm in recipe.arms.items():
        if arm.start not in models:
            yield f"arms.{name}.start: {arm.start!r} is no model above it{_there(models)}"
        models.append(name)
        if (lesson := recipe.lessons.get(arm.lesson)) is None:
            yield f"arms.{name}.lesson: there is no lesson {arm.lesson!r}{_there(recipe.lessons)}"
        elif lesson.gives != arm.loss.learns_from:
            yield f"arms.{name}.loss: it learns from {arm.loss.learns_from}, and {arm.lesson} gives {lesson.gives}"
        elif lesson.rule == "scored_steps" and not arm.loss.nll:
            yield f"arms.{name}.loss: {arm.lesson} gives scored steps, which have a weight for nll and no value"
        if arm.like is not None and (arm.like not in recipe.arms or arm.like == name or recipe.arms[arm.like].like):
            yield f"arms.{name}.like: {arm.like!r} is no arm that says itself how much it learns{_there(recipe.arms)}"
        if arm.like is not None and "epochs" in arm.model_fields_set:
            yield f"arms.{name}.epochs: it learns from as many sequences as {arm.like} (like), whatever stands here"
    for what, wanted in (("policy", recipe.next.policy), ("value", recipe.next.value)):
        for name in wanted:
            if name in recipe.without:
                continue
            if name not in recipe.arms:
                yield f"next.{what}: there is no arm {name!r}{_there(recipe.arms)}"
            elif what == "policy" and not recipe.arms[name].loss.makes_policy:
                yield f"next.policy: {name} learns a value alone"
            elif what == "value" and not recipe.ranks(name):
                yield f"next.value: {name} learns no value"


def _there(names: Iterable[str]) -> str:
    return f" (there are {', '.join(names)})" if list(names) else " (there is none)"


def _told(text: str, problem: ValidationError) -> Iterable[str]:
    """What is wrong: on which line of the file, in which field, and why."""
    for error in problem.errors(include_url=False, include_input=False):
        parts = [str(part) for part in error["loc"]]
        del parts[2 : 3 if parts[:1] == ["lessons"] else 2]  # pydantic names the rule, too
        field, why = ".".join(parts), error["msg"].removeprefix("Value error, ")
        for fault in [f"{field}: {why}"] if field else why.split("; "):
            line = line_of(text, fault.partition(": ")[0])
            yield (f", line {line}" if line else "") + f": {fault}"


def line_of(text: str, field: str) -> int | None:
    """The line of a recipe on which a dotted field is given, or the table that it is missing from."""
    table, found = "", None
    for number, line in enumerate(text.splitlines(), 1):
        if header := re.match(r"\s*\[([\w.]+)\]", line):
            table = header[1]
            key = table
        elif given := re.match(r"\s*([\w.]+)\s*=", line):
            key = f"{table}.{given[1]}".strip(".")
        else:
            continue
        if key == field:
            return number
        if field.startswith(f"{key}."):
            found = number
    return found
