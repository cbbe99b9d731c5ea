"""What was asked of an engine, and what that took: of a request, a tree, a stage."""

from dataclasses import dataclass, fields


@dataclass(slots=True)
class Usage:
    """`requests` sent, of which `failed_requests` got no valid reply, and their tokens.

    `queue_seconds` of all requests before they were sent, waiting for admission; `service_seconds` from then on,
    waiting in the engine included; both added up, though requests overlap.
    """

    requests: int = 0
    failed_requests: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    generated_tokens: int = 0
    queue_seconds: float = 0.0
    service_seconds: float = 0.0

    def add(self, other: "Usage") -> None:
        for field in fields(self):
            setattr(self, field.name, getattr(self, field.name) + getattr(other, field.name))
