"""The actions that plan MCTS offers at a leaf: the policy's own samples and, by option, three richer kinds that the
CPL paper leaves to the future.

*Readings* of the question at the root, a *correction* of the step before where the evidence is against it, and steps
of a *library* that worked on similar questions. Each is a beginning that the factory writes and the policy continues,
so every action ends as the policy ends it, carries its V, and is judged and trained on like any other.
"""

from collections.abc import Callable, Sequence

from tasks.language.format import FORMATS, Origin
from tasks.search.method import Draw
from tasks.search.tree import Node
from tasks.settings import Search

Offers = Callable[[int], Sequence[str]]
"""Bodies of library steps for the step that follows so many others."""


def no_offers(position: int) -> Sequence[str]:
    """Without a library."""
    return ()


def draws(settings: Search, offers: Offers) -> Callable[[Node], tuple[Draw, ...]]:
    """What to sample at a leaf, by the search's settings."""
    format = FORMATS[settings.steps]

    def at(leaf: Node) -> tuple[Draw, ...]:
        is_root = leaf.parent is None
        asked = [Draw(settings.root_children if is_root else settings.children)]
        if is_root and settings.readings:
            asked.append(Draw(settings.readings, Origin.READING, format.reading_start(leaf.depth)))
        if settings.corrections and is_suspect(leaf):
            asked.append(Draw(settings.corrections, Origin.CORRECTION, format.correction_start(leaf.depth)))
        if settings.library:
            asked += [Draw(1, Origin.LIBRARY, format.offered_step(leaf.depth, body)) for body in offers(leaf.depth)]
        return tuple(asked)

    return at


def is_suspect(leaf: Node) -> bool:
    """Whether the step that led here looks like a wrong turn: its own V, or what was found beside it, is negative."""
    return leaf.parent is not None and (leaf.value < 0 or leaf.parent.q < 0)
