"""What the harness asks a model about one question, in token ids, and what it makes of the replies."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lm_eval.api.instance import Instance
    from lm_eval.api.task import ConfigurableTask
    from tokenizers import Tokenizer

MAX_TOKENS = 256
"""Of a text where its task says nothing: what the harness's own backends take."""

Reply = str | tuple[float, bool]
"""To one request: a text, or the log-prob of a continuation and whether greedy decoding would write it."""


@dataclass(frozen=True)
class Question:
    """One question of a benchmark, as a task of the harness asks it: `instances` are its requests, in their order."""

    benchmark: str
    task: "ConfigurableTask"
    number: int
    doc: Mapping[str, Any]
    instances: Sequence["Instance"]

    @cached_property
    def id(self) -> str:
        """The row's own name where it has one."""
        return str(self.doc.get("id") or f"{self.task.task_name}/{self.number}")

    @property
    def is_chosen(self) -> bool:
        """Whether continuations are weighed; else texts are asked for."""
        return self.instances[0].request_type == "loglikelihood"

    @property
    def shots(self) -> int:
        return int(self.task.config.num_fewshot or 0)

    @property
    def version(self) -> str:
        """The task's name and version, as the harness counts them."""
        return f"{self.task.task_name} {self.task.VERSION}"


@dataclass(frozen=True, slots=True)
class Continuations:
    """Log-probs that are asked for: of each of these continuations of a prompt."""

    prompt_ids: list[int]
    continuations: list[list[int]]


@dataclass(frozen=True, slots=True)
class Texts:
    """`samples` texts that are asked for, each until one of the strings `until` stands in it."""

    prompt_ids: list[int]
    until: tuple[str, ...]
    max_tokens: int
    temperature: float
    samples: int


class Encoding:
    """A model's tokenizer as the harness uses it.

    `start`: tokens before every text. `end`: what stands for an empty prompt, where there is no such token.
    `room`: tokens that prompt and reply may have together; a prompt that is longer loses its beginning, as there.
    """

    def __init__(self, tokenizer: "Tokenizer", start: Sequence[int], end: int, room: int) -> None:
        self.tokenizer = tokenizer
        self.start = list(start)
        self.end = end
        self.room = room

    def encode(self, text: str) -> list[int]:
        return [*self.start, *self.tokenizer.encode(text, add_special_tokens=False).ids]

    def decode(self, token_ids: Sequence[int]) -> str:
        return str(self.tokenizer.decode(list(token_ids), skip_special_tokens=True))

    def pair(self, context: str, continuation: str) -> tuple[list[int], list[int]]:
        """Blanks at the end of a prompt begin the continuation, whose tokens are those past the prompt's own."""
        if not context:
            ids = self.tokenizer.encode(continuation, add_special_tokens=False).ids
            return (self.start or [self.end]), list(ids)
        bare = context.rstrip()
        whole = self.encode(context + continuation)
        prompt = self.encode(bare)
        return prompt, whole[len(prompt) :]


def continuations_of(question: Question, encoding: Encoding) -> list[Continuations]:
    """The requests for log-probs: those of one prompt together, in the order of the instances."""
    by_prompt: dict[tuple[int, ...], list[list[int]]] = {}
    for instance in question.instances:
        prompt, continuation = encoding.pair(*instance.args)
        by_prompt.setdefault(tuple(prompt), []).append(continuation)
    return [
        Continuations(_last(prompt, encoding.room - 1 - max(map(len, all_of))), all_of)
        for prompt, all_of in by_prompt.items()
    ]


def texts_of(question: Question, encoding: Encoding) -> list[Texts]:
    """The requests for texts, one an instance."""
    asked = []
    for instance in question.instances:
        context, how = instance.args
        until = how.get("until") or ()
        max_tokens = min(int(how.get("max_gen_toks", MAX_TOKENS)), encoding.room - 1)
        asked.append(
            Texts(
                prompt_ids=_last(encoding.encode(context), encoding.room - max_tokens),
                until=(until,) if isinstance(until, str) else tuple(until),
                max_tokens=max_tokens,
                temperature=float(how.get("temperature", 0.0)) if how.get("do_sample") else 0.0,
                samples=instance.repeats,
            )
        )
    return asked


def ended(text: str, until: Sequence[str]) -> str:
    """A text up to the first of the strings that end it."""
    for stop in until:
        text = text.partition(stop)[0] if stop else text
    return text


@dataclass(frozen=True, slots=True)
class Score:
    """`value` by a metric; `answer`: what was taken from the reply for it, if it is a text."""

    metric: str
    value: float
    answer: str | None


def scores(question: Question, replies: Sequence[Sequence[Reply]]) -> list[Score]:
    """What the harness makes of the replies to each instance: by its filters and metrics."""
    for instance, given in zip(question.instances, replies, strict=True):
        instance.resps = list(given)
    found = []
    for filter in question.task._filters:
        filter.apply(question.instances)
        kept = [instance.filtered_resps[filter.name] for instance in question.instances]
        answer = kept[0] if len(kept) == 1 and isinstance(kept[0], str) else None
        name = "" if filter.name == "none" else f",{filter.name}"
        for metric, value in question.task.process_results(question.doc, kept).items():
            if isinstance(value, int | float):
                found.append(Score(f"{metric}{name}", float(value), answer))
    return found


def _last(ids: Sequence[int], room: int) -> list[int]:
    return list(ids[-room:]) if len(ids) > room else list(ids)
