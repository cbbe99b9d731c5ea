"""What a request, a tree or a stage took of the engine: tokens, seconds, failures."""

from dataclasses import dataclass, fields


@dataclass(slots=True)
class Usage:
    """`requests` sent, of which `failed_requests` got no valid reply, and their tokens.

    `queue_seconds`: waiting for admission, before a request is sent. `service_seconds`: from then to its reply. Both
    are sums over requests that overlap in time.
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
