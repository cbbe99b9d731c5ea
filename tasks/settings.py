"""What a user can set of each stage, with unit, range, default and source.

Every stage is cached by the settings that it reads, so a field belongs to the one stage it changes. The defaults
are those of the CPL paper (methods.md 1.3, 1.6, 1.8); a recipe under `flows/recipes/` states its own. Long, for all
that a recipe can say of search and evaluation is read in one place; a rule of lessons says its own (tasks.lessons).
"""

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, field_validator, model_validator

from infra.contract.model_folder import Style

Positive = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Steps = Annotated[
    Literal["plan", "solution"],
    Field(
        title="Steps",
        description="plan: steps of a plan, the last action is the whole solution (CPL). solution: steps of the "
        "solution, without a plan. The same in every part of a recipe.",
    ),
]
Repeat = Annotated[
    int,
    Field(
        ge=0,
        title="Repeat",
        description="Another number draws other samples: it is part of the stage's key, and changes nothing else.",
    ),
]


MOST_TRIALS = 20
"""At a question, with a reflection before each but the first."""


class StageSettings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Part(StageSettings):
    """One source of a mixture, and which of its questions."""

    source: str = Field(description="As questions.source.")
    weight: Positive = Field(1, description="Its share beside the other parts: 1 and 4, or 1000 and 4000.")
    kinds: tuple[str, ...] = Field((), description="Only questions of one of these, in any case: operations, subjects.")
    levels: tuple[int, ...] = Field((), description="Only questions of one of these, in the source's own scale.")
    longest: Annotated[int, Field(ge=0)] = Field(0, description="Only questions of at most so many characters. 0: all.")
    columns: dict[str, str] = Field({}, description="As questions.columns.")


Sources = Annotated[
    Annotated[str, Tag("name")] | Annotated[tuple[Part, ...], Tag("parts")],
    Discriminator(lambda given: "name" if isinstance(given, str) else "parts"),
]


class Questions(StageSettings):
    """Which questions the round is made of."""

    source: Sources = Field(
        "micro",
        title="Source",
        description="micro (embedded word problems), gsm8k, math, hellaswag, boolq, piqa, arc_challenge, arc_easy, "
        "aqua, mbpp, humaneval, the path of a JSONL/JSON/CSV/Parquet file, or hub:OWNER/NAME. Or a mixture of several, "
        'each with its share of the count: [{"source": "gsm8k", "weight": 1}, '
        '{"source": "math", "weight": 4, "levels": [4, 5]}].',
    )
    count: Positive = Field(300, title="Count", description="Questions in the round. CPL: 5,000, then 15,000.")
    seed: int = Field(1, title="Seed", description="The same seed gives the same questions.")
    columns: dict[str, str] = Field(
        {},
        title="Columns",
        description="Where a file or hub set has names that are not known: {question, answer, kind, level, solution, "
        'choices, tests, entry_point} -> its column, e.g. {"question": "Body + Question", "kind": "meta.subject"}. '
        "With tests a program is asked for.",
    )
    held_out: Share = Field(
        0.1,
        title="Held out",
        description="Share of the questions whose trees are not trained on; V is ranked on their nodes.",
    )

    @field_validator("source", mode="before")
    @classmethod
    def _is_read(cls, source: Any) -> Any:
        """A form has one line for it, in which a mixture is written as it is above."""
        if isinstance(source, str) and source.lstrip().startswith("["):
            try:
                source = json.loads(source)
            except json.JSONDecodeError as problem:
                raise ValueError(f"no mixture as JSON: {problem}") from None
        is_list = isinstance(source, (list, tuple)) and all(isinstance(one, (Mapping, Part)) for one in source)
        if not isinstance(source, str) and not is_list:
            raise ValueError('give a name, or a list of parts: [{"source": "gsm8k", "weight": 1}, …]')
        return source

    @model_validator(mode="after")
    def _is_of_some_source(self) -> "Questions":
        if not self.parts:
            raise ValueError("source: an empty mixture; name a source")
        if self.columns and not isinstance(self.source, str):
            raise ValueError("columns: the source is a mixture; give each of its parts its own columns")
        return self

    @property
    def parts(self) -> tuple[Part, ...]:
        """The sources, one or several."""
        if isinstance(self.source, str):
            return (Part(source=self.source, columns=self.columns),)
        return self.source

    @property
    def sources(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(part.source for part in self.parts))


class Prompt(StageSettings):
    """How a model is told the text format, as long as it does not know it."""

    style: Style = Field(
        "own",
        title="Style",
        description="own: a model that the factory trained is told nothing, one that has a chat template is instructed "
        "in it, any other sees worked examples. trained, chat, worked examples: that one, whatever the model is. "
        "worked options: examples of multiple choice, for questions that all are.",
    )
    learnt_in: Literal["format", "chat"] = Field(
        "format",
        title="Learnt in",
        description="format: who has learnt paths is told nothing any more. chat: models learn in the chat template, "
        "behind its instruction, and stay in it (style chat).",
    )


class Search(StageSettings):
    """How steps are searched: plan MCTS (CPL), or another method of the papers."""

    steps: Steps = "plan"
    method: Literal["puct", "stepwise", "beam", "sampling", "reflect", "pits"] = Field(
        "puct",
        title="Method",
        description="puct: MCTS with prior and value (CPL, AlphaMath, SVPO). stepwise: UCB with real rollouts, a fresh "
        "search for every step (MCTS process supervision). beam: step-level beam search by the value. sampling: whole "
        "trajectories, unguided. reflect: the same and, while none is right, a reflection and another try (LEPA). "
        "pits: the same and, from the steps of wrong ones, others, to find the step that was fatal (Self-Explore).",
    )
    simulations: Positive = Field(
        200,
        title="Simulations",
        description="Expansions a tree at most. CPL: 200 in round 1, 100 in round 2. stepwise: rollouts a step, 16-32.",
    )
    root_children: Positive = Field(
        5,
        title="Root children",
        description="Actions sampled at the root (CPL: 5). sampling, reflect, pits: trajectories (Self-Explore: 100).",
    )
    children: Positive = Field(
        3,
        title="Children",
        description="Actions sampled at any other node (CPL: 3). beam: B2 (AlphaMath: 5). pits: trajectories from each "
        "step of a wrong one (Self-Explore: 4).",
    )
    wrong: Positive = Field(
        8,
        title="Wrong",
        description="pits: wrong trajectories of a question that are looked into, at most. Self-Explore: 8. Step-DPO: "
        "one.",
    )
    trials: Annotated[int, Field(ge=1, le=MOST_TRIALS)] = Field(
        5,
        title="Trials",
        description="reflect: trials in all; while nothing is right, each but the first follows a reflection. LEPA: 5.",
    )
    hint: Literal["reflection", "answer"] = Field(
        "reflection",
        title="Hint",
        description="reflect: what a plan after a failure is written under. reflection: on what failed, given the "
        "right answer (LEPA). answer: the failed attempt and the right answer alone (STaR).",
    )
    beams: Positive = Field(1, title="Beams", description="beam: B1, the paths that are kept. AlphaMath: 1 or 3.")
    max_depth: Positive = Field(
        6, title="Depth", description="Deepest action that can be rewarded; the solution counts. CPL: 6."
    )
    c_puct: float = Field(1.5, ge=0, title="c", description="Weight of the prior in PUCT. CPL's code: 1.5.")
    c_ucb: float = Field(
        1.41, ge=0, title="c of UCB", description="stepwise: weight of exploration. Not in the paper; UCB1: 1.41."
    )
    temperature: float = Field(0.7, gt=0, le=2, title="Temperature", description="Of sampled actions. CPL: 0.7.")
    max_step_tokens: Positive = Field(1500, title="Step tokens", description="Limit of one action. CPL: 1500.")
    trees: Positive = Field(
        1, title="Trees", description="Trees a question, each searched anew. CPL: 1. AlphaMath: 10."
    )
    seed: int = Field(1234, title="Seed", description="puct: breaks ties (CPL: 1234). pits: chooses the wrong ones.")
    repeat: Repeat = 0
    leaves: Annotated[int, Field(ge=1, le=64)] = Field(
        1,
        title="Leaves",
        description="puct: leaves of a tree that may be out at once, under a virtual loss, while the engine has room. "
        "1: as in the papers. More: faster where few trees are left, and trees then depend on the machine's load.",
    )
    enough_right: Annotated[int, Field(ge=0)] = Field(
        0, title="Enough right", description="puct: a tree with so many right solutions is stopped. 0: never (CPL)."
    )
    hopeless_after: Annotated[int, Field(ge=0)] = Field(
        0,
        title="Hopeless after",
        description="puct: a tree without a right solution is stopped after so many expansions. 0: never (CPL).",
    )
    readings: Annotated[int, Field(ge=0)] = Field(
        0, title="Readings", description="puct: first steps that restate the question, beside the root's others."
    )
    corrections: Annotated[int, Field(ge=0)] = Field(
        0, title="Corrections", description="puct: steps that take back the one before, where V or Q is negative there."
    )
    library: Annotated[int, Field(ge=0)] = Field(
        0,
        title="Library",
        description="puct: steps offered at each node, from right paths of the most similar questions of the round "
        "before.",
    )
    held_out: bool = Field(
        True,
        title="Held out",
        description="Also search the questions that are not learnt from: V is ranked on them.",
    )
    budget_by: str = Field(
        "",
        title="Budget by",
        description="Name of an evidence before this one: a question's pass rate there sets its budget, by the rule "
        "below. Empty: all get the same.",
    )
    skip_above: Share = Field(
        1.0,
        title="Skip from",
        description="budget_by: a pass rate of at least this is not searched, for there is little to find.",
    )
    more_below: Share = Field(
        0.25, title="More below", description="budget_by: a pass rate below this gets `more_factor` times the budget."
    )
    more_factor: float = Field(2.0, ge=1, title="More", description="budget_by: that factor on simulations.")

    @property
    def by_value(self) -> bool:
        """Whether V decides anything, so that a value model is worth its requests."""
        return self.method in ("puct", "beam")

    def budget(self, pass_rate: float | None) -> int:
        """Simulations for a question of this pass rate (0: it is not searched)."""
        if pass_rate is None:
            return self.simulations
        if pass_rate >= self.skip_above:
            return 0
        return round(self.simulations * self.more_factor) if pass_rate < self.more_below else self.simulations


class Evaluation(StageSettings):
    """Accuracy on held-out questions. An answer counts in a solution that is ended, after well-formed steps."""

    steps: Steps = "plan"
    benchmarks: tuple[str, ...] = Field(
        ("micro/test", "micro/longer", "micro/phrasing", "micro/combinations"),
        title="Benchmarks",
        description="Question sets, in domain and out of it: micro/SPLIT, gsm8k/test, bbh, humaneval, … or a file.",
    )
    columns: dict[str, dict[str, str]] = Field(
        {},
        title="Columns",
        description='By benchmark (a file or hub set): names of its columns, e.g. {"exam.csv": {"answer": "key"}}. '
        "cluster: the template that a question is made from.",
    )
    count: Positive = Field(500, title="Count", description="Questions of an in-domain benchmark at most.")
    out_of_domain_count: Positive = Field(250, title="OOD count", description="Of an out-of-domain one at most.")
    seed: int = Field(7, title="Seed", description="Chooses the questions.")
    max_tokens: Positive = Field(
        2048, title="Tokens", description="greedy: limit of steps and solution together. Else: of each action."
    )
    repeat: Repeat = 0
    decoding: Literal["greedy", "beam", "best_of_n", "majority", "majority_by_value", "adaptive", "reflection"] = Field(
        "greedy",
        title="Decoding",
        description="greedy: one completion. beam: step-level beam search by V (AlphaMath, SVPO). best_of_n: the "
        "sampled solution with the highest V. majority: a vote of the sampled answers (maj@k). majority_by_value: that "
        "vote, each weighed by 1 + V. adaptive: a vote of half of the samples; the other halves go to the questions "
        "whose first ones disagree. reflection: while the answer is wrong, the model is told the right one, reflects "
        "and plans again (LEPA): a score of how it finds its lessons, not of what it can.",
    )
    samples: Positive = Field(
        5,
        title="Samples",
        description="best_of_n, majority…: trajectories. adaptive: on average, at most. beam: B2, samples a step. "
        "AlphaMath: 5. reflection: trials. LEPA: 5, at most 20.",
    )
    draws: Positive = Field(
        1,
        title="Draws",
        description="Answers to each question, by any decoding but greedy: the errors that draws and questions have in "
        "the accuracy are told apart.",
    )
    beams: Positive = Field(1, title="Beams", description="beam: B1, the paths that are kept. AlphaMath: 1 or 3.")
    narrower_beams: bool = Field(
        False,
        title="Narrower beams",
        description="beam: 1, 2, 4, … beams are asked, too, each a search of its own, for accuracy against tokens: up "
        "to three times the tokens. Votes need not be asked again.",
    )
    temperature: float = Field(
        0.7, gt=0, le=2, title="Temperature", description="Of all decodings but greedy. AlphaMath: 0.6 or 1.0."
    )
    max_depth: Positive = Field(
        10, title="Depth", description="Actions of an answer at most, its solution counts. SBS: 10."
    )

    @model_validator(mode="after")
    def _draws_differ(self) -> Self:
        if self.decoding == "greedy" and self.draws > 1:
            raise ValueError("draws: greedy gives one answer however often it is asked; choose another decoding")
        if self.decoding == "adaptive" and self.samples < 4:
            raise ValueError("samples: adaptive compares half of them, so it needs 4 or more")
        if self.narrower_beams and (self.decoding != "beam" or self.beams == 1):
            raise ValueError('narrower_beams: only decoding = "beam" with 2 beams or more has narrower ones')
        return self

    @property
    def draws_curve(self) -> bool:
        """Whether accuracy against tokens is told."""
        return self.tells_of_fewer or self.narrower_beams

    @property
    def widths(self) -> tuple[int, ...]:
        """Beams that each question is asked with where `narrower_beams` says so: 1, 2, 4, … and last `beams`."""
        return (*(2**power for power in range((self.beams - 1).bit_length())), self.beams)

    @property
    def by_value(self) -> bool:
        """Whether V decides anything, so that a value model is worth its requests."""
        return self.decoding in ("beam", "best_of_n", "majority_by_value")

    @property
    def samples_trajectories(self) -> bool:
        """Whether whole trajectories are sampled, and each is kept."""
        return self.decoding in ("adaptive", "best_of_n", "majority", "majority_by_value")

    @property
    def tells_of_fewer(self) -> bool:
        """Whether each question has as many trajectories, of which fewer tell what fewer would have answered."""
        return self.samples_trajectories and self.decoding != "adaptive"


Standard = Literal[
    "gsm8k",
    "math",
    "math500",
    "humaneval",
    "gpqa_diamond",
    "arc_challenge",
    "bbh",
    "mmlu",
    "mmlu_stem",
    "hellaswag",
    "boolq",
    "piqa",
]
"""The benchmarks that are asked in their standard prompts."""


class Harness(StageSettings):
    """Accuracy as the field measures it: benchmarks in their standard prompts, by the lm-evaluation-harness."""

    benchmarks: tuple[Standard, ...] = Field(
        (), title="Benchmarks", description=f"{', '.join(get_args(Standard))}. None: not asked."
    )
    count: Annotated[int, Field(ge=0)] = Field(
        0, title="Count", description="Questions of each at most, spread over its parts by the seed. 0: all."
    )
    shots: Annotated[int, Field(ge=0)] | None = Field(
        None, title="Shots", description="Worked examples before a question. Blank: as many as the harness shows."
    )
    seed: int = Field(7, title="Seed", description="Chooses the questions.")
