"""What a study is: methods x seeds from one base under one budget of tokens, and what papers say of them.

A study is a TOML file in `flows/studies/`. Its settings are chosen on the validation split, by as many tries for every
arm; the test questions are asked once, of models that were made with what was chosen. A model is named METHOD.ARM, or
METHOD.ARM@ROUND where a method has several rounds; without, its last.
"""

from collections.abc import Iterable, Iterator, Mapping
from functools import reduce
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from tasks.recipe_file import line_of, number_of_round, there, toml

TUNING = 999
"""The seed of the rounds that settings are chosen by: none of a study's."""

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]*$", max_length=30)]
Model = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]*\.[a-z][a-z0-9_]*(@[1-9][0-9]{0,3})?$")]
MOST_ROUNDS = 20


def _no_truth(value: Any) -> Any:
    """Pydantic takes true for 1."""
    if isinstance(value, bool):
        raise ValueError("Input should be a number, not true or false")
    return value


Number = BeforeValidator(_no_truth)
Try = Annotated[float, Number, Field(allow_inf_nan=False)]
Tries = Annotated[tuple[Try, ...], Field(min_length=1)]
Seed = Annotated[int, Number, Field(ge=1, lt=TUNING)]
Later = Annotated[int, BeforeValidator(number_of_round)]
"""The number of a round that is not the first."""
Changes = Mapping[str, Any]
"""Fields of a recipe by their dotted names."""


class StudyRefused(ValueError):
    """A study that cannot be: the message names the file, the line, the field and what is wrong."""

    @classmethod
    def of(cls, path: Path, faults: Iterable[str]) -> "StudyRefused":
        """`faults`: what is wrong, behind the dotted name of the field that says it and a colon."""
        text, _ = toml(path)
        lines = [(line_of(text, fault.partition(": ")[0]), fault) for fault in faults]
        return cls("\n".join(f"{path.name}{f', line {line}' if line else ''}: {fault}" for line, fault in lines))


class Method(BaseModel):
    """A recipe as it takes part: how many rounds of it, what is other, and what is tuned."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    recipe: str
    rounds: Annotated[int, Number, Field(ge=1, le=MOST_ROUNDS)] = 1
    seeds: tuple[Seed, ...] = ()
    """Where not the study's."""
    changes: dict[str, Any] = {}
    from_round: dict[Later, dict[str, Any]] = {}
    """What is other beside that from a round on: a better policy needs more questions to spend as many tokens."""
    tune: dict[str, Tries] = {}
    """Fields of arms and what is tried of each, the arm's accuracy on `validation` decides: arms.NAME.FIELD."""

    def changes_in(self, round: int) -> Changes:
        """What is other in a round of it."""
        later = [changes for number, changes in sorted(self.from_round.items()) if number <= round]
        return reduce(lambda one, other: {**one, **other}, later, self.changes)

    @property
    def arms(self) -> list[str]:
        """The arms that are tuned, one field each."""
        return [field.split(".")[1] for field in self.tune]


class Claim(BaseModel):
    """What a paper says of two models, and what is looked at here: the difference of their accuracies."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    says: str
    better: Model
    worse: Model


class Split(NamedTuple):
    """A model's name in parts; `round` None: its last."""

    method: str
    arm: str
    round: int | None


def split(model: str) -> Split:
    method, _, arm = model.partition(".")
    arm, _, round = arm.partition("@")
    return Split(method, arm, int(round) if round else None)


class Study(BaseModel):
    """Read from its file; `tokens`: that a method's searches may generate in a round."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    tokens: Annotated[int, Number, Field(ge=1)]
    seeds: tuple[Seed, ...] = Field(min_length=1)
    validation: str
    """The benchmark that settings are chosen on."""
    changes: dict[str, Any] = {}
    """What is other in every recipe."""
    methods: dict[Name, Method] = Field(min_length=1)
    claims: tuple[Claim, ...] = ()

    @classmethod
    def read(cls, path: Path) -> "Study":
        """Raises StudyRefused."""
        try:
            _, fields = toml(path)
        except ValueError as problem:
            raise StudyRefused(str(problem)) from None
        try:
            return cls.model_validate(fields)
        except ValidationError as problem:
            raise StudyRefused.of(path, _told(problem)) from None

    @model_validator(mode="after")
    def _is_fair(self) -> "Study":
        if faults := [*self._faults()]:
            raise ValueError("; ".join(faults))
        return self

    def _faults(self) -> Iterator[str]:
        for at, seeds in {
            "seeds": self.seeds,
            **{f"methods.{name}.seeds": one.seeds for name, one in self.methods.items()},
        }.items():
            if len(set(seeds)) < len(seeds):
                yield f"{at}: a seed stands there twice, and its rounds would be the same"
        for name, method in self.methods.items():
            for field, values in method.tune.items():
                if len(set(values)) < len(values):
                    yield f"methods.{name}.tune.{field}: a value stands there twice, and would be tried once"
        tries = {len(values) for method in self.methods.values() for values in method.tune.values()}
        if len(tries) > 1:
            yield f"tune: one arm is tried {min(tries)} times and another {max(tries)} times, which is not fair"
        for name, method in self.methods.items():
            for number in method.from_round:
                if number > method.rounds:
                    yield f"methods.{name}.from_round: it has {method.rounds} rounds, and no round {number}"
            for field in method.tune:
                if field.count(".") != 2 or not field.startswith("arms."):
                    yield f"methods.{name}.tune: {field!r} is no field of an arm (arms.NAME.FIELD)"
                elif method.arms.count(field.split(".")[1]) > 1:
                    yield f"methods.{name}.tune: {field.split('.')[1]} is tuned twice: each arm has as many tries"
        for at, model in self.claimed():
            if model.method not in self.methods:
                yield f"{at}: there is no method {model.method!r}{there(self.methods)}"
            elif model.round is not None and model.round > (rounds := self.methods[model.method].rounds):
                yield f"{at}: {model.method} has {rounds} rounds here, and no round {model.round}"
            elif tries and model.arm not in ("base", *self.methods[model.method].arms):
                yield f"{at}: {model.arm} is not tuned as others are, which is not fair (methods.{model.method}.tune)"
        for number, claim in enumerate(self.claims):
            methods = [split(claim.better).method, split(claim.worse).method]
            if claim.better == claim.worse:
                yield f"claims.{number}: {claim.better} is compared with itself"
            elif self.methods.keys() >= {*methods} and set.isdisjoint(*({*self.seeds_of(one)} for one in methods)):
                yield f"claims.{number}: {' and '.join(methods)} have no seed in common to be compared by"

    def claimed(self) -> Iterator[tuple[str, Split]]:
        """The models that claims speak of, each with the field that names it."""
        for number, claim in enumerate(self.claims):
            yield f"claims.{number}.better", split(claim.better)
            yield f"claims.{number}.worse", split(claim.worse)

    def seeds_of(self, method: str) -> tuple[int, ...]:
        return self.methods[method].seeds or self.seeds

    def places(self) -> Iterator[str]:
        """METHOD/SEED/ROUND of every round, in the order in which they are made: what a study that is stopped has made
        is all methods with fewer seeds."""
        for seed in dict.fromkeys(seed for method in self.methods for seed in self.seeds_of(method)):
            for method, about in self.methods.items():
                if seed in self.seeds_of(method):
                    yield from (f"{method}/{seed}/{number}" for number in range(1, about.rounds + 1))


def _told(problem: ValidationError) -> Iterator[str]:
    for error in problem.errors(include_url=False, include_input=False):
        field, why = ".".join(map(str, error["loc"])), error["msg"].removeprefix("Value error, ")
        yield from [f"{field}: {why}"] if field else why.split("; ")
