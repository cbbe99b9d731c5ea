"""What a training is told, by the recipe and to the trainer alike: the loss as a sum of named terms, the optimiser.

    nll       - log pi(completion), rows by their weight, which may be negative        imitations
    value     (V - target)^2                                                           either
    kl        KL(pi || pi_ref) on the lesson's tokens, or over the vocabulary          either
    prefer    - log sigmoid(margin - alpha * (V_w - V_l)),  or (margin - alpha * (V_w - V_l))^2       preferences
    rank      max(0, gamma - (V(w) - V(l)))                                            preferences

margin = beta * [log pi/pi_ref (w) - log pi/pi_ref (l)]; w: the chosen step, l: the rejected one; pi_ref: the model that
the training starts from (docs/methods.md 1.4 to 1.7, 3.2, 5.2).
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

Weight = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]
Positive = Annotated[int, Field(ge=1)]


class Loss(BaseModel):
    """Weights of the terms; a term that is 0 is left out."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    nll: Weight = Field(0.0, description="Imitation of the lesson's paths.")
    value: Weight = Field(0.0, description="MSE of V to the tree's Q. AlphaMath, beside nll: 0.1.")
    kl: Weight = Field(0.0, description="Nearness to the model it starts from. Process supervision: 1.")
    prefer: Weight = Field(0.0, description="Preference of the chosen step. CPL: 1.")
    rank: Weight = Field(0.0, description="Margin between the values of both steps. SVPO: 0.1.")

    @model_validator(mode="after")
    def _can_be_computed(self) -> "Loss":
        if not (self.nll or self.value or self.prefer or self.rank):
            raise ValueError("the loss has no term to learn by: give nll, value, prefer or rank a weight above 0")
        if (self.prefer or self.rank) and self.nll:
            raise ValueError("prefer and rank learn from preferences, nll from imitations: no arm has both")
        return self

    @property
    def learns_from(self) -> Literal["imitations", "preferences"]:
        """The table of its lesson."""
        return "preferences" if self.prefer or self.rank else "imitations"

    @property
    def needs_logprobs(self) -> bool:
        return bool(self.nll or self.kl or self.prefer)

    @property
    def needs_values(self) -> bool:
        return bool(self.value or self.rank)

    @property
    def needs_reference(self) -> bool:
        """Whether it compares with the model that the training starts from."""
        return bool(self.kl or self.prefer)

    @property
    def makes_policy(self) -> bool:
        """Whether what it trains is asked for steps; without, it is a value model, of which only V is asked."""
        return self.nll > 0 or self.prefer > 0


TERMS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("beta", "alpha", "squared"), ("prefer",)),
    "exact_kl": ("kl",),
    "gamma": ("rank",),
    "value_rate": ("value", "rank"),
}
"""Of settings of single terms: which."""


class Training(BaseModel):
    """Numbers of the CPL paper where nothing else is said (docs/methods.md 1.8)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    loss: Loss = Field(title="Loss", description="Weights of its terms: {nll, value, kl} or {prefer, value, rank, kl}.")
    learning_rate: float = Field(gt=0, title="Learning rate", description="Peak, cosine. CPL: SFT 1e-5, Step-APO 1e-6.")
    epochs: float = Field(1.0, gt=0, title="Epochs", description="Passes over the lesson; the last may be part of one.")
    batch_size: Positive = Field(
        title="Batch",
        description="Rows an update, over all devices: pairs, imitated paths (paths for the value alone come on top) "
        "or, of a loss without nll, paths. CPL: SFT 512, value 1024, Step-APO 64.",
    )
    micro_batch_size: Positive = Field(4, title="Micro batch", description="Rows a device at once at most. CPL: 4.")
    warmup_ratio: float = Field(0.1, ge=0, lt=1, title="Warm-up", description="Share of the updates. CPL: 0.1.")
    max_length: Annotated[int, Field(ge=2)] = Field(
        1024,
        title="Length",
        description="Tokens of prompt and completion; longer ones are cut there, and left out where the prompt alone "
        "fills it.",
    )
    value_rate: float = Field(
        10.0,
        gt=0,
        title="Value rate",
        description="value: rate of the two value words' rows, which start at 0, as a multiple of the others'.",
    )
    beta: float = Field(0.3, gt=0, title="beta", description="prefer: weight of the log-ratios. CPL: 0.3.")
    alpha: float = Field(1.0, ge=0, title="alpha", description="prefer: of the advantage margin. CPL: 1.")
    squared: bool = Field(
        False, title="Squared", description="prefer: (margin - alpha * gap)^2 in the place of - log sigmoid of it."
    )
    exact_kl: bool = Field(
        False,
        title="Exact KL",
        description="kl: over the whole vocabulary at every learnt token, in the place of that token alone. A forward "
        "pass more for each, and without lora a second model in memory.",
    )
    gamma: float = Field(0.5, gt=0, title="gamma", description="rank: by how much V of the chosen step is to be above.")
    lora: Annotated[int, Field(ge=0)] = Field(
        0,
        title="LoRA",
        description="Rank of an adapter on every linear layer of the body (alpha: twice the rank), which trains in the "
        "place of the weights, beside the value words' rows of the head. Merged into the model. One device. 0: none.",
    )
    seed: int = Field(42, title="Seed", description="Order of the rows, and where an adapter starts.")

    @field_validator(*TERMS)
    @classmethod
    def _has_its_term(cls, setting: Any, about: ValidationInfo) -> Any:
        """One of a term that the loss is without would change nothing, and its user would not know."""
        name = str(about.field_name)
        loss = about.data.get("loss")  # none where it is wrong itself
        if loss and setting != cls.model_fields[name].default and not any(getattr(loss, term) for term in TERMS[name]):
            raise ValueError(f"it does nothing, for the loss has no {' and no '.join(TERMS[name])}")
        return setting
