"""The proof of the model: an engine reproduces the probe that the trainer's own forward pass made (design D1b).

In float32 every log-prob must be that of the probe. bfloat16 rounds, at single positions by more than a nat. So there
the mean difference must be small, and the likeliest token the same where the probe is sure of it. A model that differs
by less than rounding passes; emptying the engine before a swap rules it out (`serving`).
"""

import math
import uuid
from dataclasses import dataclass

from infra.contract.model_folder import TOLERANCE, ProbeSequence
from infra.engine.client import Engine
from infra.engine.model_folder import ModelFolder
from infra.engine.reply import EngineError
from infra.together import together

SURE = 1.0
"""Margin of the likeliest token over the next, in nats, that rounding does not turn around."""
ROUNDING = TOLERANCE["bfloat16"]
AGREEMENT = 0.9
"""Share of the sure positions at which the likeliest token must be the probe's."""


class WrongModel(EngineError):
    """The engine does not reproduce the probe of the model that it should serve."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Between served log-probs and the probe's: nats; `agreement` in [0, 1]. NaN where either is not finite."""

    largest: float
    mean: float
    agreement: float

    @classmethod
    def of(cls, sequences: list[ProbeSequence], served: list[list[float]]) -> "Difference":
        """`served`: log-probs of each sequence's token_ids."""
        pairs = [
            (one, other)
            for sequence, answer in zip(sequences, served, strict=True)
            for one, other in zip(sequence.logprobs, answer, strict=True)
        ]
        apart = [abs(one - other) if math.isfinite(one) and math.isfinite(other) else math.nan for one, other in pairs]
        sure = [
            _likeliest(sequence.logprobs) == _likeliest(answer)
            for sequence, answer in zip(sequences, served, strict=True)
            if _margin(sequence.logprobs) > SURE
        ]
        largest = math.nan if any(map(math.isnan, apart)) else max(apart)  # max() alone lets NaN through
        return cls(largest, math.fsum(apart) / len(apart), sum(sure) / len(sure) if sure else 1.0)

    def is_rounding(self, largest: float | None) -> bool:
        """`largest`: that is allowed at any position; None: bfloat16, where the mean counts. NaN is never rounding."""
        if largest is not None:
            return self.largest <= largest
        return self.mean <= ROUNDING and self.agreement >= AGREEMENT

    def __str__(self) -> str:
        return (
            f"up to {self.largest:.3g}, {self.mean:.3g} on average, the likeliest token the same {self.agreement:.0%}"
        )


async def prove(engine: Engine, address: str, folder: ModelFolder, dtype: str) -> None:
    """Raises WrongModel unless the engine at this address, which computes in `dtype`, serves the folder's model."""
    probe = folder.probe
    fresh = uuid.uuid4().hex  # nothing that another model left in the prefix cache can answer
    served = await together(
        engine.logprobs(address, one.prompt, one.token_ids, cache_salt=fresh) for one in probe.sequences
    )
    difference = Difference.of(probe.sequences, served)
    allowed = probe.tolerance if dtype == probe.dtype == "float32" else None
    if not difference.is_rounding(allowed):
        raise WrongModel(
            f"the engine at {address} does not serve {folder.path}: its log-probs differ from those of probe.json by "
            f"{difference} (allowed: {allowed or ROUNDING:g} {'anywhere' if allowed else 'on average'})"
        )


def _likeliest(logprobs: list[float]) -> int:
    return max(range(len(logprobs)), key=logprobs.__getitem__)


def _margin(logprobs: list[float]) -> float:
    first, second, *_ = sorted([*logprobs, -math.inf], reverse=True)
    return first - second
