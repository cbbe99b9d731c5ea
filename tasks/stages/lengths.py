"""The stage *lengths*: what has no room in the model's context or in a training's rows, told before the search."""

from collections.abc import Iterator, Mapping, Sequence

from infra.engine import ModelFolder
from infra.store import Ref
from tasks.language.format import FORMATS
from tasks.running.prompts import Prompts
from tasks.running.stage import stage
from tasks.running.workplace import Workplace
from tasks.settings import Steps


class NoRoom(ValueError):
    """Nothing of the round would be searched or learnt; the message names the field that is too small."""


@stage("lengths", version=1)
def compare_lengths(
    workplace: Workplace,
    questions: Ref,
    policy: Ref,
    steps: Steps,
    in_chat: bool,
    step_tokens: dict[str, int],
    row_tokens: dict[str, int],
) -> int:
    """How many questions have no room somewhere, with a note for each place. `step_tokens`: max_step_tokens by
    evidence; `row_tokens`: max_length by arm. `in_chat`: models learn what they are asked.

    Raises:
        NoRoom: no question has.
    """
    folder = workplace.store.folder(policy, "model")
    prompts = Prompts.read(folder, FORMATS[steps])
    states = [prompts.question(text) for text in workplace.read(questions, "questions")["question"]]
    asked = [len(prompts.asked(state)) for state in states]
    learnt = asked if in_chat else list(map(len, states))
    context = ModelFolder.read(folder).context
    workplace.facts["notes"] = [
        *(without_context(asked, context, step_tokens) if context else ()),
        *without_rows(learnt, row_tokens),
    ]
    return len(workplace.facts["notes"])


def without_context(asked: Sequence[int], context: int, step_tokens: Mapping[str, int]) -> Iterator[str]:
    """Of prompts of so many tokens, those behind which the context has no room at all, or not for a whole step."""
    full = sum(tokens >= context for tokens in asked)
    if full == len(asked):
        raise NoRoom(
            f"questions: the shortest prompt has {min(asked)} tokens, what tells the format included, and the model's "
            f"context {context}: nothing could be searched. Ask shorter ones (longest), tell less (prompt.style), or "
            "take another model"
        )
    if full:
        yield f"{full} of {len(asked)} prompts fill the model's context of {context} tokens: they are not searched"
    for name, most in step_tokens.items():
        if cut := sum(context - most < tokens < context for tokens in asked):
            yield (
                f"{name}: behind {cut} of {len(asked)} prompts the model's context of {context} tokens has no room for "
                f"a step of max_step_tokens ({most}): a longer one is cut"
            )


def without_rows(learnt: Sequence[int], row_tokens: Mapping[str, int]) -> Iterator[str]:
    """Of questions of so many tokens, those that fill the rows of a training alone, so that nothing of them is
    learnt."""
    for name, most in row_tokens.items():
        full = sum(tokens >= most for tokens in learnt)
        if full == len(learnt):
            raise NoRoom(
                f"arms.{name}.max_length: {most} tokens, and the shortest question has {min(learnt)}: nothing would be "
                "learnt"
            )
        if full:
            yield f"{name}: {full} of {len(learnt)} questions fill max_length ({most} tokens): they teach nothing"
