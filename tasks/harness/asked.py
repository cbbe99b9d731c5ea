"""What the harness asks a model about one question, in token ids, and what it makes of the replies."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tasks.questions.values import QuestionError

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
    """Log-probs that are asked for: of each of these continuations of a prompt. `places`: of their instances. `is_cut`:
    the prompt lost its beginning."""

    prompt_ids: list[int]
    continuations: list[list[int]]
    places: list[int]
    is_cut: bool


@dataclass(frozen=True, slots=True)
class Texts:
    """`samples` texts that are asked for, each until one of the strings `until` stands in it. `is_cut`: the prompt lost
    its beginning."""

    prompt_ids: list[int]
    until: tuple[str, ...]
    max_tokens: int
    temperature: float
    samples: int
    is_cut: bool


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
    """The requests for log-probs, those of one prompt together.

    Raises:
        QuestionError: a continuation leaves no room for a prompt.
    """
    by_prompt: dict[tuple[int, ...], Continuations] = {}
    for place, instance in enumerate(question.instances):
        ids, continuation = encoding.pair(*instance.args)
        room = encoding.room - 1 - len(continuation)  # the engine samples one token after it
        if room <= 0:
            raise _no_room(question, f"a continuation of {len(continuation)} tokens", encoding)
        kept = _last(ids, room)
        of_prompt = by_prompt.setdefault(tuple(kept), Continuations(kept, [], [], len(kept) < len(ids)))
        of_prompt.continuations.append(continuation)
        of_prompt.places.append(place)
    return list(by_prompt.values())


def texts_of(question: Question, encoding: Encoding) -> list[Texts]:
    """The requests for texts, one an instance.

    Raises:
        QuestionError: the tokens that a text may have leave no room for a prompt.
    """
    asked = []
    for instance in question.instances:
        context, how = instance.args
        until = how.get("until") or ()
        max_tokens = int(how.get("max_gen_toks", MAX_TOKENS))
        if max_tokens >= encoding.room:
            raise _no_room(question, f"a text of {max_tokens} tokens", encoding)
        ids = encoding.encode(context)
        kept = _last(ids, encoding.room - max_tokens)
        asked.append(
            Texts(
                prompt_ids=kept,
                until=(until,) if isinstance(until, str) else tuple(until),
                max_tokens=max_tokens,
                temperature=float(how.get("temperature", 0.0)) if how.get("do_sample") else 0.0,
                samples=instance.repeats,
                is_cut=len(kept) < len(ids),
            )
        )
    return asked


def loses_beginning(question: Question, encoding: Encoding) -> bool:
    """Whether a prompt of it is longer than the model's context has room for.

    Raises:
        QuestionError: there is no room for any.
    """
    asked: list[Continuations] | list[Texts]
    asked = continuations_of(question, encoding) if question.is_chosen else texts_of(question, encoding)
    return any(one.is_cut for one in asked)


def _no_room(question: Question, what: str, encoding: Encoding) -> QuestionError:
    return QuestionError(
        f"benchmark {question.benchmark}: {what}, which {question.task.task_name} asks for, leaves no room for a "
        f"prompt in the model's context of {encoding.room}: leave the benchmark out, or take a model with a longer one"
    )


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
    """As many tokens as there is room for, and none where there is none."""
    return list(ids[max(len(ids) - room, 0) :]) if room > 0 else []
