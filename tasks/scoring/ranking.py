"""How well V tells the better of two sibling steps, on trees that nobody was trained on.

Search, beam and Step-APO compare *siblings*. Over the steps of all trees together, a V that only knows how hard the
question is ranks well, too: that figure is given as `pooled_auc`, under the name of what it is. What siblings are
worth, the policy may know already, or hold the contrary of: `prior_auc` is its prior's concordance on the same pairs.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from tasks.language.format import Kind
from tasks.lessons.searched import SearchedTree, ids_of

BOOTSTRAP_RESAMPLES = 1_000


class Ranked(NamedTuple):
    """A step whose outcome, in [-1, 1], is known. `prior`: of the policy that searched. `state`: the token ids that V
    is read of."""

    question_id: str
    tree_id: str
    parent_id: int
    kind: str
    outcome: float
    prior: float
    state: list[int]


def held_out(trees: pl.DataFrame, nodes: pl.DataFrame) -> list[SearchedTree]:
    """The searched trees that nobody was trained on."""
    nodes_of = nodes.partition_by("tree_id", as_dict=True)
    kept = trees.filter(pl.col("is_held_out"), ~pl.col("state").is_in(["failed", "skipped"]))
    return [SearchedTree(tree, nodes_of[tree["tree_id"],].to_dicts()) for tree in kept.to_dicts()]


def steps_of(tree: SearchedTree) -> Iterator[Ranked]:
    """The steps of a tree that have an outcome."""
    for node_id, outcome in tree.outcomes.items():
        path = tree.path(node_id)
        parent_id, kind, prior = (path[-1][field] for field in ("parent_id", "kind", "prior"))
        yield Ranked(tree.question_id, tree.tree_id, parent_id, kind, outcome.mean, prior, ids_of(path))


def rankings(
    model: str, step: Kind, trees: int, ranked: Sequence[Ranked], values: Sequence[float]
) -> list[dict[str, Any]]:
    """Rows of `value_rankings`: one for steps, all of which are of the kind `step`, one for solutions.

    What is undefined is None.
    """
    rows = []
    for kind in (step, Kind.SOLUTION):
        of_kind = [(one, value) for one, value in zip(ranked, values, strict=True) if one.kind == kind]
        steps, v = [one for one, _ in of_kind], np.array([value for _, value in of_kind])
        about = {
            "model": model,
            "kind": str(kind),
            "trees": trees,
            "nodes": len(steps),
            "value_mean": float(v.mean()) if steps else None,
            "value_sd": float(v.std()) if steps else None,
            "pooled_auc": pooled_auc(steps, v),
            "prior_auc": sibling_auc(steps, np.array([one.prior for one in steps]))["sibling_auc"],
        }
        rows.append(about | sibling_auc(steps, v))
    return rows


def sibling_auc(steps: Sequence[Ranked], v: "np.ndarray[Any, Any]") -> dict[str, float | int | None]:
    """Concordance: of the pairs of siblings with an outcome > 0 and one < 0, the share in which V is higher for the
    first; a tie counts half, so that a V that can not tell siblings apart has .5.

    The standard error is a bootstrap over questions, for the pairs of one tree are not independent.
    """
    siblings: dict[tuple[str, int], list[int]] = {}
    for place, one in enumerate(steps):
        siblings.setdefault((one.tree_id, one.parent_id), []).append(place)
    won: dict[str, float] = {}
    pairs: dict[str, int] = {}
    for places in siblings.values():
        better = v[[place for place in places if steps[place].outcome > 0]]
        worse = v[[place for place in places if steps[place].outcome < 0]]
        difference = better[:, None] - worse[None, :]
        question = steps[places[0]].question_id
        won[question] = won.get(question, 0.0) + float((difference > 0).sum() + (difference == 0).sum() / 2)
        pairs[question] = pairs.get(question, 0) + difference.size
    asked = [question for question, count in pairs.items() if count]
    wins, counts = np.array([won[one] for one in asked]), np.array([pairs[one] for one in asked])
    stderr = None
    if len(asked) > 1:
        drawn = np.random.default_rng(0).integers(len(asked), size=(BOOTSTRAP_RESAMPLES, len(asked)))
        stderr = float(np.std(wins[drawn].sum(axis=1) / counts[drawn].sum(axis=1)))
    return {
        "sibling_pairs": int(counts.sum()),
        "sibling_auc": float(wins.sum() / counts.sum()) if asked else None,
        "sibling_auc_stderr": stderr,
    }


def pooled_auc(steps: Sequence[Ranked], v: "np.ndarray[Any, Any]") -> float | None:
    """Chance that V is higher for a step with an outcome > 0 than for one with an outcome < 0, of whatever question."""
    from sklearn.metrics import roc_auc_score  # a second that every process of a flow would wait

    signs = np.sign([one.outcome for one in steps])
    if not {-1, 1} <= set(signs):
        return None
    known = signs != 0
    return float(roc_auc_score(signs[known], v[known]))
