"""Questions that occur in a benchmark's test set are refused by name: a score on them is no evidence."""

from collections.abc import Mapping

import polars as pl

from tasks.questions.folding import fold
from tasks.questions.values import QuestionError


class ContaminatedQuestions(QuestionError):
    """Training questions that a benchmark asks, too."""


def refuse_overlap(questions: pl.DataFrame, benchmarks: Mapping[str, pl.DataFrame]) -> None:
    """Raises ContaminatedQuestions where a question occurs in a benchmark (name -> rows of its test set).

    Texts are compared as `fold` writes them: without case, white space and the punctuation of prose.
    """
    drawn = questions.select("question_id", "question")
    texts = {fold(text): (name, text) for name, text in drawn.iter_rows()}
    for benchmark, asked in benchmarks.items():
        found = [texts[key] for key in dict.fromkeys(map(fold, asked["question"])) if key in texts]
        if found:
            named = "; ".join(f"{name} ({text[:60]!r})" for name, text in found[:3])
            more = "; ..." if len(found) > 3 else ""
            raise ContaminatedQuestions(
                f"{len(found)} of {questions.height} questions occur in the benchmark {benchmark}: "
                f"{named}{more}. Remove them from the source, or leave the benchmark out"
            )
