"""What the harness asks a model about one question, in token ids, and what it makes of the replies."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lm_eval.api.instance import Instance
    from lm_eval.api.task import ConfigurableTask
    from tokenizers import Tokenizer

MAX_TOKENS = 256
"""Of a text where its task says nothing: what the harness's own backends take."""

INVALID = "[invalid]"
"""What the harness takes from a text in which its pattern finds nothing."""

Reply = str | tuple[float, bool]
"""To one request: a text, or the log-prob of a continuation and whether greedy decoding would write it."""


@dataclass(frozen=True)
class Question:
    """One question of a benchmark, as a task of the harness asks it: `instances` are its requests, in their order.

    `id`: the row's own name where it has one, else the task's with the row's number. `number`: of the row, in its task.
    """

    benchmark: str
    id: str
    number: int
    task: "ConfigurableTask"
    doc: Mapping[str, Any]
    instances: Sequence["Instance"]

    @property
    def is_chosen(self) -> bool:
        """Whether continuations are weighed; else texts are asked for."""
        return self.instances[0].request_type == "loglikelihood"

    @property
    def shots(self) -> int:
        return int(self.task.config.num_fewshot or 0)

    @property
    def version(self) -> str:
        """Of its task, and how a prompt from a file's row differs from the harness's own."""
        note = self.doc.get("note")
        return f"{self.task.VERSION} ({note})" if note else str(self.task.VERSION)

    @property
    def key(self) -> str:
        """A name that no other question has, whatever rows are called; it is one of a file, too."""
        return f"{self.benchmark}:{self.task.task_name}:{self.number}"


@dataclass(frozen=True, slots=True)
class Continuations:
    """Log-probs that are asked for: of each of these continuations of a prompt. `places`: of their instances."""

    prompt_ids: list[int]
    continuations: list[list[int]]
    places: list[int]


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
    """The requests for log-probs, those of one prompt together."""
    by_prompt: dict[tuple[int, ...], list[tuple[int, list[int]]]] = {}
    for place, instance in enumerate(question.instances):
        ids, continuation = encoding.pair(*instance.args)
        by_prompt.setdefault(tuple(ids), []).append((place, continuation))
    asked = []
    for prompt, of_prompt in by_prompt.items():
        continuations = [continuation for _, continuation in of_prompt]
        kept = _last(prompt, encoding.room - 1 - max(map(len, continuations)))
        asked.append(Continuations(kept, continuations, [place for place, _ in of_prompt]))
    return asked


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
    """`value` in [0, 1] by a metric; `answer`: what was taken from a text for it."""

    metric: str
    value: float
    answer: str | None


def metrics_of(question: Question) -> list[str]:
    """What its answers are scored by: a metric, and the filter that takes the answer from a text, if it has a name."""
    metrics, filters = question.task._metric_fn_list, question.task._filters
    return [_named(metric, filter.name) for filter in filters for metric in metrics]


def scores(question: Question, replies: Sequence[Sequence[Reply]]) -> list[Score]:
    """What the harness makes of the replies to each instance, by each of `metrics_of`."""
    for instance, given in zip(question.instances, replies, strict=True):
        instance.resps = list(given)
    wanted, found = metrics_of(question), []
    for filter in question.task._filters:
        filter.apply(question.instances)
        kept = [instance.filtered_resps[filter.name] for instance in question.instances]
        answer = kept[0] if len(kept) == 1 and isinstance(kept[0], str) else None
        made = question.task.process_results(question.doc, kept)
        found += [Score(_named(metric, filter.name), float(value), answer) for metric, value in made.items()]
    return [score for score in found if score.metric in wanted]


def _named(metric: str, filter: str) -> str:
    return metric if filter == "none" else f"{metric},{filter}"


def _last(ids: Sequence[int], room: int) -> list[int]:
    return list(ids[-room:]) if len(ids) > room else list(ids)
