"""Trees small enough to read, as the tables hold them."""

from collections.abc import Sequence
from typing import Any

import polars as pl

from tasks.lessons.searched import SearchedTree

EOS = 0

Row = dict[str, Any]

BACKUP = {"puct": "values", "stepwise": "rollouts", "sampling": "trajectories", "reflect": "trajectories"}


def node(
    node_id: int,
    parent_id: int | None,
    kind: str,
    q: float | None,
    *,
    visits: int = 1,
    reward: float | None = None,
    origin: str = "policy",
    score: float | None = None,
) -> Row:
    return {
        "node_id": node_id,
        "parent_id": parent_id,
        "kind": kind,
        "origin": origin,
        "text": f"<{node_id}>",
        "token_ids": [node_id * 10 + 1, node_id * 10 + 2],
        "visits": visits,
        "q": q,
        "reward": reward,
        "score": score,
    }


def right(node_id: int, parent_id: int, **about: Any) -> Row:
    return node(node_id, parent_id, "solution", 1.0, reward=1.0, **about)


def wrong(node_id: int, parent_id: int, **about: Any) -> Row:
    return node(node_id, parent_id, "solution", -1.0, reward=-1.0, **about)


def without_plans(searched: SearchedTree) -> SearchedTree:
    """The same tree, as if its steps were those of solutions."""
    about = {"tree_id": searched.tree_id, "question_id": "t", "backup": searched.backup, "steps": searched.steps}
    kinds = {"plan": "step"}
    return SearchedTree(about, [one | {"kind": kinds.get(one["kind"], one["kind"])} for one in searched.nodes.values()])


def tree(*nodes: Row, tree_id: str = "t", steps: int = 0, method: str = "puct") -> SearchedTree:
    about = {"tree_id": tree_id, "question_id": "t", "backup": BACKUP[method], "steps": steps, "state": "budget"}
    return SearchedTree(about, list(nodes))


#                root
#     1: +.5      2: -.5    3: +.2   4: unvisited   5: malformed
#     6 right 7 wrong 8 wrong   9: -1 plan   11 right
#                               10 wrong
FOREST = tree(
    node(0, None, "root", 0.1, visits=12),
    node(1, 0, "plan", 0.5),
    node(2, 0, "plan", -0.5),
    node(3, 0, "plan", 0.2),
    node(4, 0, "plan", None, visits=0),
    node(5, 0, "malformed", -1.0, reward=-1.0),
    right(6, 1),
    wrong(7, 1),
    wrong(8, 1),
    node(9, 2, "plan", -1.0),
    wrong(10, 9),
    right(11, 3),
)

#            root
#   1: V alone   2: known to be bad   3: V alone, below it 5: V alone
#                4 wrong
OPINION = tree(
    node(0, None, "root", 0.1, visits=6),
    node(1, 0, "plan", 0.4),
    node(2, 0, "plan", -0.5, visits=2),
    node(3, 0, "plan", 0.3, visits=2),
    wrong(4, 2),
    node(5, 3, "plan", 0.2),
)

#         root
#   1: -1        3: hinted     5: hinted, leaked
#   2 wrong      4 right       6
HINTED = tree(
    node(0, None, "root", 0.0, visits=2),
    node(1, 0, "plan", -1.0),
    wrong(2, 1),
    node(3, 0, "plan", 1.0, origin="hint"),
    right(4, 3, origin="hint"),
    node(5, 0, "plan", None, visits=0, origin="hint"),
    node(6, 5, "leaked", None, visits=0, origin="hint"),
    tree_id="h",
    method="reflect",
)


def tables(*rows: tuple[Row, Sequence[Row]]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Trees, each with its nodes, as the tables `trees` and `nodes`."""
    about = {"backup": "values", "steps": 0, "state": "budget", "is_held_out": False, "evidence": "trees"}
    trees = pl.DataFrame([about | tree for tree, _ in rows])
    nodes = [one | {"tree_id": tree["tree_id"]} for tree, grown in rows for one in grown]
    return trees, pl.DataFrame(nodes, infer_schema_length=None)
