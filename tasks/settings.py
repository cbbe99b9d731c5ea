"""What a user can set of each step, with unit, range, default and source.

Every step is cached by the settings that it reads, so a field belongs to the one step it changes. The defaults
are those of the CPL paper (methods.md 1.3, 1.6, 1.8); a recipe under `flows/recipes/` states its own.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

Positive = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Repeat = Annotated[
    int,
    Field(
        ge=0,
        title="Repeat",
        description="Another number draws other samples: it is part of the step's key, and changes nothing else.",
    ),
]


class StepSettings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Questions(StepSettings):
    """Which questions the round is made of."""

    source: str = Field(
        "micro",
        title="Source",
        description="micro (embedded word problems), gsm8k, math, the path of a JSONL/JSON/CSV/Parquet "
        "file, or hub:OWNER/NAME.",
    )
    count: Positive = Field(300, title="Count", description="Questions in the round. CPL: 5,000, then 15,000.")
    seed: int = Field(1, title="Seed", description="The same seed gives the same questions.")
    columns: dict[str, str] = Field(
        {},
        title="Columns",
        description="Where a file or hub set has names that are not known: {question, answer, kind, level, solution, "
        'choices} -> its column, e.g. {"question": "Body + Question", "kind": "meta.subject"}.',
    )
    held_out: Share = Field(
        0.1,
        title="Held out",
        description="Share of the questions whose trees are not trained on; V is ranked on their nodes.",
    )


class Rollouts(StepSettings):
    """Plan, solve, check, reflect, plan again (LEPA, Algorithm 1), and what their pass rate decides."""

    samples: Positive = Field(
        4, title="Samples", description="First attempts a question; the share of right ones is its pass rate. LEPA: 1."
    )
    trials: Annotated[int, Field(ge=1, le=20)] = Field(
        5, title="Trials", description="While no attempt is right: trials in all, each after a reflection. LEPA: 5."
    )
    temperature: float = Field(0.5, ge=0, le=2, title="Temperature", description="LEPA 4.3: 0.5.")
    max_plan_tokens: Positive = Field(1024, title="Plan tokens", description="Limit a plan. LEPA 4.2: 1024.")
    max_solution_tokens: Positive = Field(1500, title="Solution tokens", description="Limit a solution.")
    max_depth: Positive = Field(
        6, title="Depth", description="Actions of an attempt at most, its solution counts: the format of the search."
    )
    repeat: Repeat = 0


class Search(StepSettings):
    """How plans are searched: plan MCTS (CPL), or another method of the papers."""

    method: Literal["puct", "stepwise", "beam", "sampling", "reflect"] = Field(
        "puct",
        title="Method",
        description="puct: MCTS with prior and value (CPL, AlphaMath, SVPO). stepwise: UCB with real rollouts, a fresh "
        "search for every step (MCTS process supervision). beam: step-level beam search by the value. sampling: whole "
        "trajectories, unguided.",
    )
    simulations: Positive = Field(
        200,
        title="Simulations",
        description="Expansions a tree at most. CPL: 200 in round 1, 100 in round 2. stepwise: rollouts a step, 16-32.",
    )
    root_children: Positive = Field(
        5, title="Root children", description="Actions sampled at the root (CPL: 5). sampling: trajectories."
    )
    children: Positive = Field(
        3, title="Children", description="Actions sampled at any other node (CPL: 3). beam: B2 (AlphaMath: 5)."
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
    seed: int = Field(1234, title="Seed", description="Breaks ties of PUCT. CPL: 1234.")
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
    trials: Annotated[int, Field(ge=1, le=20)] = Field(5, title="Trials", description="reflect.")
    held_out: bool = Field(True, title="Held out", description="Search the held-out questions, too.")
    budget_by: str = Field("", title="Budget by", description="Evidence whose pass rate sets the budget.")
    skip_above: Share = Field(
        1.0,
        title="Skip from",
        description="Adaptive: a pass rate of at least this is not searched; SFT imitates its right rollouts.",
    )
    more_below: Share = Field(
        0.25, title="More below", description="Adaptive: a pass rate below this gets `more_factor` times the budget."
    )
    more_factor: float = Field(2.0, ge=1, title="More", description="Adaptive: that factor on simulations.")

    def budget(self, pass_rate: float | None) -> int:
        """Simulations for a question of this pass rate (0: it is not searched)."""
        if pass_rate is None:
            return self.simulations
        if pass_rate >= self.skip_above:
            return 0
        return round(self.simulations * self.more_factor) if pass_rate < self.more_below else self.simulations


class RightPaths(StepSettings):
    rule: Literal["right_paths"] = "right_paths"
    evidence: tuple[str, ...]
    most: Positive = 4
    seed: int = 42
    gives: ClassVar[Literal["imitations"]] = "imitations"


class Siblings(StepSettings):
    rule: Literal["siblings"] = "siblings"
    evidence: tuple[str, ...]
    solution_value_scale: Share = 0.3
    min_outcomes: int = 1
    gives: ClassVar[Literal["preferences"]] = "preferences"


Rule = Annotated[RightPaths | Siblings, Field(discriminator="rule")]


class Pairs(StepSettings):
    """Which siblings become preference pairs, and which paths are imitated."""

    paths: Positive = Field(4, title="Paths", description="Correct paths kept a question for SFT. CPL: 4.")
    solution_value_scale: Share = Field(
        0.3, title="Solution scale", description="Factor on the values of solution pairs. CPL's code: 0.3."
    )
    min_outcomes: Annotated[int, Field(ge=0)] = Field(
        1,
        title="Outcomes",
        description="Trajectories that must have ended below each step of a pair. 0, CPL's code: from round 2 on, a "
        "pair may be V's opinion alone.",
    )
    seed: int = Field(42, title="Seed", description="Chooses the paths.")


class Sft(StepSettings):
    """SFT on correct paths with the value loss on every visited node, in one pass."""

    learning_rate: float = Field(1e-5, gt=0, title="Learning rate", description="Peak, cosine. CPL: 1e-5.")
    epochs: Positive = Field(5, title="Epochs", description="CPL: 5 in round 1, 3 in round 2.")
    batch_size: Positive = Field(
        512,
        title="Batch",
        description="Imitated paths an update, on average; paths for the value alone come on top. CPL: 512.",
    )
    micro_batch_size: Positive = Field(4, title="Micro batch", description="Examples a device at once at most. CPL: 4.")
    warmup_ratio: Share = Field(0.1, title="Warm-up", description="Share of the updates. CPL: 0.1.")
    value_weight: float = Field(
        0.1,
        ge=0,
        title="Value weight",
        description="Of the MSE of V to Q beside the LM loss, where no separate value model is trained. AlphaMath's "
        "table: 0.1.",
    )
    value_rate: float = Field(
        10.0,
        gt=0,
        title="Value rate",
        description="Learning rate of the two value words' rows, which start at 0, as a multiple of the others'.",
    )
    max_length: Positive = Field(
        1024,
        title="Length",
        description="Tokens an example; longer ones are cut there, and left out where the prompt alone fills it.",
    )
    seed: int = Field(42, title="Seed", description="Order of the examples.")


class Value(StepSettings):
    """A value model of its own, trained whole from the base model on the value loss alone: CPL's layout. It judges the
    next round's steps in the policy's place."""

    separate: bool = Field(
        True, title="Separate", description="Off: SFT trains the policy's own V beside it, as in AlphaMath and SVPO."
    )
    learning_rate: float = Field(1e-5, gt=0, title="Learning rate", description="Peak, cosine. CPL: 1e-5.")
    value_rate: float = Field(
        10.0,
        gt=0,
        title="Value rate",
        description="Learning rate of the two value words' rows, which start at 0, as a multiple of the others'.",
    )
    epochs: Positive = Field(7, title="Epochs", description="CPL: 7.")
    batch_size: Positive = Field(1024, title="Batch", description="Paths an update. CPL: 1024.")
    micro_batch_size: Positive = Field(8, title="Micro batch", description="Paths a device at once, at most. CPL: 8.")
    warmup_ratio: Share = Field(0.1, title="Warm-up", description="Share of the updates. CPL: 0.1.")
    max_length: Positive = Field(
        1024,
        title="Length",
        description="Tokens a path; longer ones are cut there, and left out where the prompt alone fills it.",
    )
    seed: int = Field(42, title="Seed", description="Order of the paths.")


class StepApo(StepSettings):
    """Step-APO: DPO on sibling steps with the advantage as margin."""

    learning_rate: float = Field(1e-6, gt=0, title="Learning rate", description="Peak, cosine. CPL: 1e-6.")
    epochs: Positive = Field(3, title="Epochs", description="CPL: 3.")
    batch_size: Positive = Field(64, title="Batch", description="Pairs an update. CPL: 64.")
    micro_batch_size: Positive = Field(4, title="Micro batch", description="Pairs a device at once, at most. CPL: 4.")
    warmup_ratio: Share = Field(0.1, title="Warm-up", description="Share of the updates. CPL: 0.1.")
    beta: float = Field(0.3, gt=0, title="beta", description="Of DPO. CPL: 0.3.")
    alpha: float = Field(1.0, ge=0, title="alpha", description="Of the advantage margin; 0 is step-DPO. CPL: 1.")
    max_length: Positive = Field(
        1024,
        title="Length",
        description="Tokens a pair's side; longer ones are cut there, and left out where the prompt alone fills it.",
    )
    seed: int = Field(42, title="Seed", description="Order of the pairs.")


class StepDpo(StepSettings):
    """The ablation of Step-APO's margin: the same pairs and settings, but for alpha = 0 and a rate of its own."""

    learning_rate: float = Field(1e-6, gt=0, title="Learning rate", description="Peak, cosine. CPL: 1e-6.")


class Control(StepSettings):
    """SFT continued for as many sequences as Step-APO sees (a pair is two): what more of the same would have bought."""

    learning_rate: float = Field(
        1e-6, gt=0, title="Learning rate", description="Peak, cosine. To be tuned like Step-APO's, and not SFT's."
    )
    batch_size: Positive = Field(128, title="Batch", description="Paths an update: the sequences of Step-APO's pairs.")
    micro_batch_size: Positive = Field(4, title="Micro batch", description="Paths a device at once, at most.")
    warmup_ratio: Share = Field(0.1, title="Warm-up", description="Share of the updates, as Step-APO's.")
    max_length: Positive = Field(1024, title="Length", description="Tokens a path; longer ones are cut there.")
    seed: int = Field(42, title="Seed", description="Order of the paths.")


Arm = Literal["sft_more", "step_dpo", "step_apo"]
"""A second stage of training, from the SFT model; Step-APO's is the policy that the round ends with."""


class Evaluation(StepSettings):
    """Accuracy on held-out questions. An answer counts in a solution that is ended, after a well-formed plan."""

    benchmarks: tuple[str, ...] = Field(
        ("micro/test", "micro/longer", "micro/phrasing", "micro/combinations"),
        title="Benchmarks",
        description="Question sets, in domain and out of it: micro/SPLIT, gsm8k/test, or a file.",
    )
    columns: dict[str, dict[str, str]] = Field(
        {},
        title="Columns",
        description='By benchmark (a file or hub set): names of its columns, e.g. {"exam.csv": {"answer": "key"}}.',
    )
    count: Positive = Field(500, title="Count", description="Questions of an in-domain benchmark at most.")
    out_of_domain_count: Positive = Field(250, title="OOD count", description="Of an out-of-domain one at most.")
    seed: int = Field(7, title="Seed", description="Chooses the questions.")
    max_tokens: Positive = Field(
        2048, title="Tokens", description="greedy: limit of plan and solution together. Else: of each action."
    )
    repeat: Repeat = 0
    decoding: Literal["greedy", "beam", "best_of_n", "majority", "majority_by_value"] = Field(
        "greedy",
        title="Decoding",
        description="greedy: one completion. beam: step-level beam search by V (AlphaMath, SVPO). best_of_n: the "
        "sampled solution with the highest V. majority: a vote of the sampled answers (maj@k). majority_by_value: that "
        "vote, each weighed by 1 + V.",
    )
    samples: Positive = Field(
        5, title="Samples", description="best_of_n, majority…: trajectories. beam: B2, samples a step. AlphaMath: 5."
    )
    beams: Positive = Field(1, title="Beams", description="beam: B1, the paths that are kept. AlphaMath: 1 or 3.")
    temperature: float = Field(
        0.7, gt=0, le=2, title="Temperature", description="Of all decodings but greedy. AlphaMath: 0.6 or 1.0."
    )
    max_depth: Positive = Field(
        10, title="Depth", description="Actions of an answer at most, its solution counts. SBS: 10."
    )
