"""The plan library: steps that worked on similar questions, offered as actions (an extension; CPL names it as future).

What worked: plan steps with Q > 0 on a right path of an earlier round's tree, of a question that is trained on: what is
held out teaches nothing. Similar: cosine of the questions' TF-IDF vectors over words, numbers masked, so that two
questions are alike when they tell the same story with other figures.
"""

import re
from collections import defaultdict
from collections.abc import Sequence

import polars as pl

from tasks.format import Kind, step_body
from tasks.search.actions import Offers


class Library:
    """`questions` and `nodes`: those tables of the earlier round."""

    def __init__(self, questions: pl.DataFrame, nodes: pl.DataFrame) -> None:
        from sklearn.feature_extraction.text import TfidfVectorizer  # slow to import, and only few searches offer steps

        on_right_paths = nodes.join(_right_paths(nodes), on=["tree_id", "node_id"], how="semi")
        worked = on_right_paths.filter(pl.col("kind") == Kind.PLAN, pl.col("q") > 0).sort("q", descending=True)
        self._steps: dict[tuple[str, int], list[str]] = defaultdict(list)
        for tree_id, depth, text in worked.select("tree_id", "depth", "text").iter_rows():
            self._steps[tree_id, depth - 1].append(step_body(text))
        known = questions.filter(~pl.col("is_held_out"), pl.col("question_id").is_in({tree for tree, _ in self._steps}))
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


def _right_paths(nodes: pl.DataFrame) -> pl.DataFrame:
    """Tree and node id of every right solution and of all that is above it."""
    parents = nodes.select("tree_id", "node_id", "parent_id")
    found = level = parents.join(nodes.filter(pl.col("reward") == 1.0), on=["tree_id", "node_id"], how="semi")
    while level.height:
        level = parents.join(level, left_on=["tree_id", "node_id"], right_on=["tree_id", "parent_id"], how="semi")
        found = pl.concat([found, level])
    return found.select("tree_id", "node_id").unique()


def _masked(text: str) -> str:
    return re.sub(r"\d+(?:[.,]\d+)*", " # ", text.lower())
