"""What a benchmark asks and a round learns from is refused by name: a score on it is no evidence.

Equal questions, and texts that share runs of tokens with a benchmark's questions: n-grams of 13 tokens, as GPT-3 (arXiv
2005.14165, appendix C) and lm-evaluation-harness take them, and of 8, as PaLM does (2204.02311, section 8), which calls
an example contaminated when 70 % of its 8-grams were seen.
"""

import re
from collections.abc import Mapping

import polars as pl

from tasks.language.format import PROGRAM_ASKED
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


LENGTHS = (8, 13)
"""Of the runs that are looked for, in tokens."""
REFUSED_BY = 8
"""The length that a round is refused by, PaLM's: a changed word breaks as many runs as they are long.

With two random words changed, 56 % of GSM8K's questions still share 70 % of their runs of 8, and 21 % of those of 13.
What was reworded more is not found.
"""
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")


def comparable(text: str, is_masked: bool) -> str:
    """A text as its tokens are compared: words apart by one space, which the first has before it, too, for a word's
    token depends on it; without the words that ask for a program, which are ours and in all that do. Masked: every
    number is 0, before it is taken into tokens, of which longer ones have more."""
    words = "".join(f" {word}" for word in text.replace(PROGRAM_ASKED, "").split())
    return _NUMBER.sub("0", words) if is_masked else words


def refuse_contamination(found: pl.DataFrame, most: float) -> None:
    """Raises ContaminatedQuestions where one training text holds at least the share `most` of the runs of a benchmark's
    question (rows of `contamination`). What is found only without its numbers is another problem, and is let through.
    """
    counted = found.filter(~pl.col("is_masked") & (pl.col("n") == REFUSED_BY) & (pl.col("share") >= most))
    if counted.is_empty():
        return
    counted = counted.sort("share", descending=True, maintain_order=True)
    counted = counted.unique(["benchmark", "benchmark_question"], keep="first", maintain_order=True)
    shown = counted.head(3)
    named = "; ".join(
        f"{row['question_id']} ({row['kind']}) has {row['share']:.0%} of one of {row['benchmark']}: "
        f"{row['span'][:60]!r}"
        for row in shown.iter_rows(named=True)
    )
    more = "; ..." if counted.height > shown.height else ""
    raise ContaminatedQuestions(
        f"{counted.height} questions of benchmarks stand in what is learnt, at least {most:.0%} of their runs of "
        f"{REFUSED_BY} tokens: {named}{more}. Remove these from the source, leave the benchmark out, or raise the "
        "recipe's `overlap`"
    )
