"""The trees of a round as the explorer of its page reads them: packed, and as many questions as the page has room for.

A block is the details of some questions: JSON, compressed and written in base64, so that nothing in it is markup
whatever a model wrote. The page unpacks one when a question of it is opened.
"""

import base64
import gzip
import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from infra.desk.summary import Row

ROOM = 13_500_000
"""Characters of all blocks together: a page has at most 15 MB."""
BLOCK = 400_000
"""Characters of a block's JSON, or one question's if that is longer: what is read when a question is opened."""
AT_ONCE = 50
"""Questions whose trees are asked of the warehouse at once."""
LISTED = 300
"""Characters of a question that the list and its search know."""

Details = Callable[[Sequence[Row]], Iterator[Row]]


@dataclass
class Explorer:
    """What the page holds of the trees: a row a question, with the number of its block and its place in it."""

    questions: list[Row] = field(default_factory=list)
    blocks: list[str] = field(default_factory=list)


def explorer(asked: Sequence[Row], details: Details, room: int = ROOM) -> Explorer:
    """As many questions as fit into `room`, the first of `asked`; none is passed over for its size.

    Args:
        asked: rows of sql/page/asked.sql, in the order of their draw.
        details: of some of these rows, in their order: what `question_details` makes.
        room: characters of all blocks together.
    """
    found = Explorer()
    for rows, texts in _blocks(asked, details):
        block = packed(f"[{','.join(texts)}]")
        room -= len(block)
        if room < 0:
            break
        number = len(found.blocks)
        found.questions += [listed(row) | {"block": number, "place": place} for place, row in enumerate(rows)]
        found.blocks.append(block)
    return found


def _blocks(asked: Sequence[Row], details: Details) -> Iterator[tuple[list[Row], list[str]]]:
    """Questions that share a block: their rows and the JSON of their details."""
    rows: list[Row] = []
    texts: list[str] = []
    for start in range(0, len(asked), AT_ONCE):
        batch = asked[start : start + AT_ONCE]
        for row, detail in zip(batch, details(batch), strict=True):
            rows.append(row)
            texts.append(json.dumps(detail, allow_nan=False, separators=(",", ":")))
            if sum(map(len, texts)) >= BLOCK:
                yield rows, texts
                rows, texts = [], []
    if rows:
        yield rows, texts


def packed(text: str) -> str:
    """Compressed, in base64; the same for the same text."""
    return base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()


def listed(row: Row) -> Row:
    """A question in the list: what it is found, filtered and sorted by."""
    text = row["question"].strip()
    return {
        "id": row["question_id"],
        "text": text if len(text) <= LISTED else text[:LISTED] + "…",
        "kinds": row["kinds"],
        "level": row["level"],
        "solved": bool(row["is_solved"]),
        "heldOut": row["is_held_out"],
        "nodes": row["nodes"],
        "passRate": rounded(row["pass_rate"]),
        "pairs": row["pairs"],
        "widest": rounded(row["widest"]),
    }


def question_details(
    asked: Sequence[Row], trees: Sequence[Row], nodes: Sequence[Row], pairs: Sequence[Row]
) -> Iterator[Row]:
    """What a question opens to, for each of `asked`: its texts, trees, and the preferences drawn from them.

    Args:
        asked: rows of sql/page/asked.sql.
        trees, nodes, pairs: rows of the files of these names in sql/page, for these questions.
    """
    nodes_of = _grouped(nodes, "tree_id")
    trees_of, pairs_of = _grouped(trees, "question_id"), _grouped(pairs, "question_id")
    for row in asked:
        own = trees_of.get(row["question_id"], [])
        number = {one["tree_id"]: place for place, one in enumerate(own)}
        places = {
            one["tree_id"]: {node["node_id"]: place for place, node in enumerate(nodes_of.get(one["tree_id"], []))}
            for one in own
        }
        yield {
            "question": row["question"],
            "answer": row["answer"],
            "solution": row["solution"],
            "source": row["source"],
            "trees": [tree(one, nodes_of.get(one["tree_id"], [])) for one in own],
            "pairs": [
                {
                    "tree": number[one["tree_id"]],
                    "lesson": one["lesson"],
                    "kind": one["kind"],
                    **{name: places[one["tree_id"]][one[f"{name}_id"]] for name in SIDES},
                    "chosenValue": rounded(one["chosen_value"]),
                    "rejectedValue": rounded(one["rejected_value"]),
                    "gap": rounded(one["gap"]),
                }
                for one in pairs_of.get(row["question_id"], [])
            ],
        }


SIDES = ("parent", "chosen", "rejected")
COLUMNS = ("kind", "origin", "hint", "text", "tokens", "prior", "value", "visits", "q", "reward", "score", "answer")


def tree(row: Row, nodes: Sequence[Row]) -> Row:
    """A tree with its nodes by columns, parents by their place; a column whose every value is null is left out."""
    place = {node["node_id"]: number for number, node in enumerate(nodes)}
    columns: dict[str, list[Any]] = {name: [rounded(node[name]) for node in nodes] for name in COLUMNS}
    return {
        "name": row["tree_id"],
        **{name: rounded(row[name]) for name in TREE},
        "parent": [place.get(node["parent_id"], -1) for node in nodes],
        **{name: values for name, values in columns.items() if not values or any(one is not None for one in values)},
    }


TREE = ("evidence", "method", "state", "steps", "simulations", "expansions", "pass_rate", "generated_tokens", "error")


def rounded(value: Any) -> Any:
    """Three decimals are what is shown. JSON has no name for nan and the infinities: they are shown as no number."""
    if not isinstance(value, float):
        return value
    return round(value, 3) if math.isfinite(value) else None


def _grouped(rows: Sequence[Row], by: str) -> dict[str, list[Row]]:
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row[by], []).append(row)
    return groups
