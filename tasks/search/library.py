"""The plan library: steps that worked on similar questions, offered as actions (an extension; CPL names it as future).

What worked: plan steps on the way to a right solution, in a tree of an earlier round; those of higher Q first. Held-out
trees are no source, for nothing is learnt from them, nor are failed ones. Similar: cosine of the questions' TF-IDF
vectors over words, numbers masked, so that two questions are alike when they tell the same story with other figures.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from operator import itemgetter
from typing import Any

import polars as pl

from tasks.language.format import Kind, step_body
from tasks.search.actions import Offers


class Library:
    """`questions`: question_id and question of the earlier round; `trees`, `nodes`: rows of its tables."""

    def __init__(self, questions: pl.DataFrame, trees: pl.DataFrame, nodes: pl.DataFrame) -> None:
        from sklearn.feature_extraction.text import TfidfVectorizer  # slow to import, and only few searches offer steps

        self._steps: dict[tuple[str, int], list[str]] = defaultdict(list)
        learnt = trees.filter(~pl.col("is_held_out"), pl.col("state") != "failed")
        place_of = {tree_id: place for tree_id, *place in learnt.select("tree_id", "question_id", "steps").iter_rows()}
        worked = on_right_paths(nodes).select("q", "tree_id", "depth", "text").iter_rows()
        for _, tree_id, depth, text in sorted(worked, key=itemgetter(0), reverse=True):
            if tree_id in place_of:
                question_id, steps = place_of[tree_id]
                self._steps[question_id, steps + depth - 1].append(step_body(text))
        known = questions.filter(pl.col("question_id").is_in({question_id for question_id, _ in self._steps}))
        self._ids: list[str] = known["question_id"].to_list()
        self._texts: list[str] = known["question"].to_list()
        self._words = TfidfVectorizer(preprocessor=_masked, token_pattern=r"[^\W\d]+|#")
        self._vectors = self._words.fit_transform(self._texts) if self._texts else None

    def offers(self, question: str, most: int) -> Offers:
        """The offers for one question: at most `most` distinct steps a position, those of the likest questions first.

        A question is not offered its own steps.
        """
        if self._vectors is None:
            return lambda position: ()
        likeness = (self._vectors @ self._words.transform([question]).T).toarray().ravel()
        nearest = [self._ids[i] for i in (-likeness).argsort(kind="stable") if self._texts[i] != question]

        def at(position: int) -> Sequence[str]:
            found: dict[str, None] = {}
            for question_id in nearest:
                for body in self._steps.get((question_id, position), ()):
                    found[body] = None
                    if len(found) == most:
                        return list(found)
            return list(found)

        return at


def on_right_paths(nodes: pl.DataFrame) -> pl.DataFrame:
    """The plan steps that lead to a right solution in their tree."""
    parents = {(tree_id, node_id): parent for tree_id, node_id, parent in _columns(nodes, "parent_id")}
    right: set[tuple[str, int]] = set()
    for tree_id, node_id, reward in _columns(nodes, "reward"):
        above = node_id if reward == 1.0 else None
        while above is not None and (tree_id, above) not in right:
            right.add((tree_id, above))
            above = parents[tree_id, above]
    is_right = [place in right for place in nodes.select("tree_id", "node_id").iter_rows()]
    return nodes.filter(pl.Series(is_right, dtype=pl.Boolean), pl.col("kind") == Kind.PLAN)


def _columns(nodes: pl.DataFrame, name: str) -> Iterator[tuple[str, int, Any]]:
    return nodes.select("tree_id", "node_id", name).iter_rows()


def _masked(text: str) -> str:
    return re.sub(r"\d+(?:[.,]\d+)*", " # ", text.lower())
