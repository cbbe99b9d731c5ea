"""The rule *siblings*: preferences between steps that continue the same state (methods.md 1.6).

Plan steps: all pairs of a positive and a negative Q, or the best against the worst (SVPO, 3.3). Solutions: one pair a
parent, the best against the worst, if one is right and one wrong; their values are scaled (CPL's code: 0.3). A parent
with any solution among its children counts as a solution parent. Malformed, too deep, undecided and leaked children are
left out, and so are solutions directly under the root, which follow no plan. Steps of a solution that follows no plan
are paired as plan steps are.

From round 2 on Q holds V, so a preference may be V's opinion alone: a step needs `min_outcomes` trajectories that ended
below it. The released code asks for none (0).
"""

from collections.abc import Iterator

from tasks.language.format import STEPS, Kind
from tasks.lessons.searched import LEARNABLE, Found, Row, SearchedTree, ids_of, text_of
from tasks.settings import Siblings


def siblings(found: Found, rule: Siblings) -> tuple[list[Row], int]:
    """Rows of `preferences` that one question gives; and how many were dropped, for too few outcomes are known.

    Of steps that two trees compare, the later tree of a stepwise search has the word, for it tried them more often; of
    two evidences, the one that the rule names first.
    """
    compared: dict[tuple[str, frozenset[str]], Row] = {}
    dropped = 0
    for name in reversed(rule.evidence):
        for tree in found.get(name, ()):
            for pair in step_pairs(tree, rule):
                if pair["chosen_q"] - pair["rejected_q"] < rule.min_gap:
                    continue
                if is_known(tree, pair, rule.min_outcomes):
                    compared[pair["prompt"], frozenset((pair["chosen"], pair["rejected"]))] = pair
                else:
                    dropped += 1
    return list(compared.values()), dropped


def step_pairs(tree: SearchedTree, rule: Siblings) -> Iterator[Row]:
    """The preference pairs of a tree, however near (methods.md 1.6, 3.3)."""
    for parent_id, siblings in tree.children.items():
        candidates = [node for node in siblings if node["kind"] in LEARNABLE and node["visits"]]
        plans = [node for node in candidates if node["kind"] in STEPS]
        solutions = [node for node in candidates if node["kind"] == Kind.SOLUTION and follows_plan(tree, parent_id)]
        if solutions:
            best, worst = max(solutions, key=_q), min(solutions, key=_q)
            if best["q"] > 0 > worst["q"]:
                yield _pair(tree, parent_id, best, worst, scale=rule.solution_value_scale)
            continue
        if rule.plan_pairs == "best_worst" and plans:
            plans = [max(plans, key=_q), min(plans, key=_q)]
        for chosen in (node for node in plans if node["q"] > 0):
            for rejected in (node for node in plans if node["q"] < 0):
                yield _pair(tree, parent_id, chosen, rejected, scale=1.0)


def follows_plan(tree: SearchedTree, parent_id: int) -> bool:
    """Whether a solution below this node has steps before it, in its tree or in the tree's prompt."""
    return parent_id != 0 or tree.steps > 0


def is_known(tree: SearchedTree, pair: Row, min_outcomes: int) -> bool:
    """Whether at least so many trajectories ended below the chosen step, and below the rejected one."""
    return all(
        tree.outcomes[step].n >= min_outcomes if step in tree.outcomes else min_outcomes == 0
        for step in (pair["chosen_id"], pair["rejected_id"])
    )


def _q(node: Row) -> float:
    q: float = node["q"]
    return q


def _pair(tree: SearchedTree, parent_id: int, chosen: Row, rejected: Row, scale: float) -> Row:
    path = tree.path(parent_id)
    return {
        "pair_id": f"{tree.tree_id}/{chosen['node_id']}-{rejected['node_id']}",
        "tree_id": tree.tree_id,
        "question_id": tree.question_id,
        "parent_id": parent_id,
        "chosen_id": chosen["node_id"],
        "rejected_id": rejected["node_id"],
        "kind": chosen["kind"],
        "prompt_ids": ids_of(path),
        "chosen_ids": chosen["token_ids"],
        "rejected_ids": rejected["token_ids"],
        "prompt": text_of(path),
        "chosen": chosen["text"],
        "rejected": rejected["text"],
        "chosen_q": chosen["q"],
        "rejected_q": rejected["q"],
        "chosen_value": chosen["q"] * scale,
        "rejected_value": rejected["q"] * scale,
    }
