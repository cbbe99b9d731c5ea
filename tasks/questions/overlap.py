"""Questions that occur in a benchmark's test set are refused by name: a score on them would be no
evidence."""

from collections.abc import Mapping

import polars as pl

from tasks.questions.rows import QuestionError, fold


class ContaminatedQuestions(QuestionError):
    """Training questions that a benchmark asks, too."""


def refuse_overlap(questions: pl.DataFrame, benchmarks: Mapping[str, pl.DataFrame]) -> None:
    """Raises ContaminatedQuestions where a question's text occurs in a benchmark (name -> its whole test
    set).

    Compared without case, white space and punctuation.
    """
    texts = {
        fold(text): (name, text) for name, text in questions.select("question_id", "question").iter_rows()
    }
    for benchmark, asked in benchmarks.items():
        found = [texts[key] for key in dict.fromkeys(map(fold, asked["question"])) if key in texts]
        if found:
            named = "; ".join(f"{name} ({text[:60]!r})" for name, text in found[:3])
            raise ContaminatedQuestions(
                f"{len(found)} of {questions.height} questions occur in benchmark {benchmark}: {named}"
                f"{'; ...' if len(found) > 3 else ''}. Remove them from the source, or leave the benchmark out"
            )
