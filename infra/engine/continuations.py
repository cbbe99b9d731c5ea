"""Continuations of one prompt as a tree of tokens, so that what they share is asked once.

The engine's cache holds whole blocks of a prefix. A request for the next token computes what is past the last whole
block; one for all tokens of a prompt (`prompt_logprobs`) computes it from its start.
"""

from collections.abc import Sequence

Ids = tuple[int, ...]


def branches(continuations: Sequence[Sequence[int]]) -> dict[Ids, list[int]]:
    """By the tokens before: those of which some continuation has one next. Shorter prefixes come first."""
    nexts: dict[Ids, set[int]] = {}
    for one in continuations:
        for place, token_id in enumerate(one):
            nexts.setdefault(tuple(one[:place]), set()).add(token_id)
    return {prefix: sorted(nexts[prefix]) for prefix in sorted(nexts, key=len)}


def is_shorter_by_token(prompt: int, continuations: Sequence[Sequence[int]], block: int) -> bool:
    """Whether the engine computes fewer tokens when it is asked for one next token after another.

    `prompt`: tokens of the prompt. `block`: of the engine's cache; half of one is past the last whole block on average.
    """
    asked = len(branches(continuations))
    return prompt + asked * (block / 2 + 1) < sum(prompt + len(one) for one in continuations)
