"""One of everything that a round makes, as Markdown to be read: a prompt, a tree, a pair, and rows that are learnt.

Whatever a model or a file says stands in fences that it cannot end.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from textwrap import shorten
from typing import Any

Row = Mapping[str, Any]
MOST_NODES, LONGEST = 60, 96
"""Of a tree: the nodes that are drawn, and characters of each."""
SHOWN, WIDTH = 40, 110
"""Of a prompt: the tokens that are told of its start and of its end, and characters of a line."""


def fenced(text: str) -> Iterator[str]:
    """The text as it is, in a fence that is longer than any run of backticks in it."""
    fence = "`" * (1 + max([2, *(len(run) for run in re.findall("`+", text))]))
    yield from (fence, text, fence)


def prompt(text: str, ids: Sequence[int], tokens: Sequence[str], shared: int) -> Iterator[str]:
    """How a question is asked. `shared`: tokens at its start that all questions share."""
    yield "## How a question is asked\n"
    yield f"{len(ids)} tokens, of which the first {shared} are the same for every question.\n"
    yield from fenced(text)
    told = [f"{id}={text!r}" for id, text in zip(ids, tokens, strict=True)]
    if len(told) > 2 * SHOWN:
        told = [*told[:SHOWN], f"… {len(told) - 2 * SHOWN} more …", *told[-SHOWN:]]
    yield "\nTheir ids and texts:\n"
    yield from fenced("\n".join(_lines(told)))


def _lines(words: Sequence[str]) -> Iterator[str]:
    """Of at most `WIDTH` characters, no word divided."""
    line = ""
    for word in words:
        if line and len(line) + 2 + len(word) > WIDTH:
            yield line
            line = ""
        line = f"{line}  {word}" if line else word
    yield line


def tree(nodes: Sequence[Row], question: str) -> Iterator[str]:
    """A search tree as an outline, its `nodes` in their order, the root first."""
    yield "\n## A tree\n"
    yield f"{len(nodes)} nodes. N: visit count. Q: mean of what was backed up. P: the policy's prior. V: its value.\n"
    yield from fenced("\n".join([question.strip(), *_outline(nodes)]))


def _outline(nodes: Sequence[Row]) -> Iterator[str]:
    below: dict[int | None, list[Row]] = {}
    for node in nodes:
        below.setdefault(node["parent_id"], []).append(node)
    waiting = [(node, "") for node in reversed(below[None])]
    drawn = 0
    while waiting:
        node, indent = waiting.pop()
        if drawn == MOST_NODES:
            yield f"… and {len(nodes) - drawn} nodes more"
            return
        drawn += 1
        yield f"{indent}{_of(node)}"
        waiting += [(child, indent + "  ") for child in reversed(below.get(node["node_id"], []))]


def _of(node: Row) -> str:
    numbers = [f"N {node['visits']}"]
    numbers += [
        f"{letter} {node[name]:+.2f}" for letter, name in (("Q", "q"), ("V", "value")) if node[name] is not None
    ]
    if node["parent_id"] is None:
        return f"[{'  '.join(numbers)}]"
    numbers.append(f"P {node['prior']:.2f}")
    ended = {1.0: " right", -1.0: " wrong"}.get(node["reward"], "")
    return f"[{'  '.join(numbers)}] {node['kind']}{ended}: {shorten(node['text'], LONGEST, placeholder=' …')}"


def pair(found: Row) -> Iterator[str]:
    """A row of `preferences`."""
    yield "\n## A preference\n"
    yield (
        f"Of {found['kind']}s that continue the same state. Only the tokens of both sides are in the loss: "
        f"{len(found['chosen_ids'])} of the chosen, {len(found['rejected_ids'])} of the rejected one, after "
        f"{len(found['prompt_ids'])} of the state."
        if found["kind"] in ("plan", "step", "solution")
        else "Two continuations of the same state."
    )
    yield "\nThe state:\n"
    yield from fenced(found["prompt"])
    for side in ("chosen", "rejected"):
        yield f"\n{side.capitalize()}, Q {found[f'{side}_q']:+.2f}, in the loss {found[f'{side}_value']:+.2f}:\n"
        yield from fenced(found[side])


def imitation(found: Row) -> Iterator[str]:
    """A row of `imitations`."""
    yield "\n## A row that is learnt\n"
    yield (
        f"{len(found['prompt_ids'])} tokens of a question, which are not learnt, and {len(found['completion_ids'])} of "
        f"its answer, at weight {found['weight']:g}. {len(found['value_positions'])} of them have a target of V: "
        + (", ".join(f"{target:+.2f}" for target in found["value_targets"]) or "none")
        + ".\n"
    )
    yield from fenced(found["prompt"] + found["completion"])
