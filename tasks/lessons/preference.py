"""A preference between two continuations of one state: a row of table `preferences`, and the words that it names.

Each continues the state at `parent_id` by one action or several, and ends at a node of its own. What a side says and
its token ids are those of the path from the parent to that node; its Q is the node's. Two siblings are the shortest
case. No end of text follows either side (methods.md 1.6, 6.1).
"""

from collections.abc import Hashable

from tasks.lessons.searched import Row, SearchedTree, ids_of, text_of

CONTINUATION = "continuation"
"""The kind of a preference whose sides are not two single steps of one kind."""


def preference(tree: SearchedTree, parent_id: int, chosen: Row, rejected: Row, scale: float = 1.0) -> Row:
    """The continuation that ends at `chosen` is preferred to that which ends at `rejected`.

    `scale`: of both Q in the loss. Both nodes lie below the parent, neither on the path to the other.
    """
    prompt = tree.path(parent_id)
    better, worse = (tree.path(node["node_id"])[len(prompt) :] for node in (chosen, rejected))
    is_of_one_kind = len(better) == len(worse) == 1 and chosen["kind"] == rejected["kind"]
    return {
        "pair_id": f"{tree.tree_id}/{chosen['node_id']}-{rejected['node_id']}",
        "tree_id": tree.tree_id,
        "question_id": tree.question_id,
        "parent_id": parent_id,
        "chosen_id": chosen["node_id"],
        "rejected_id": rejected["node_id"],
        "kind": chosen["kind"] if is_of_one_kind else CONTINUATION,
        "prompt_ids": ids_of(prompt),
        "chosen_ids": ids_of(better),
        "rejected_ids": ids_of(worse),
        "prompt": text_of(prompt),
        "chosen": text_of(better),
        "rejected": text_of(worse),
        "chosen_q": chosen["q"],
        "rejected_q": rejected["q"],
        "chosen_value": chosen["q"] * scale,
        "rejected_value": rejected["q"] * scale,
    }


def sides(pair: Row) -> Hashable:
    """What a pair compares, whichever is preferred, in words: the same in two trees of a question."""
    return pair["prompt"], frozenset((pair["chosen"], pair["rejected"]))


def is_known(tree: SearchedTree, pair: Row, min_outcomes: int) -> bool:
    """Whether at least so many trajectories ended below the end of either side."""
    return all(
        tree.outcomes[step].n >= min_outcomes if step in tree.outcomes else min_outcomes == 0
        for step in (pair["chosen_id"], pair["rejected_id"])
    )
