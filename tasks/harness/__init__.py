"""Benchmarks of the EleutherAI lm-evaluation-harness: its prompts, few-shot examples and metrics, in token ids."""

from tasks.harness.asked import (
    INVALID,
    Encoding,
    Question,
    Reply,
    Score,
    continuations_of,
    ended,
    loses_beginning,
    metrics_of,
    scores,
    texts_of,
)
from tasks.harness.catalogue import BENCHMARKS, content_of, load, refuse_wrong_rows, size_of, texts_and_golds

__all__ = [
    "BENCHMARKS",
    "INVALID",
    "Encoding",
    "Question",
    "Reply",
    "Score",
    "content_of",
    "continuations_of",
    "ended",
    "load",
    "loses_beginning",
    "metrics_of",
    "refuse_wrong_rows",
    "scores",
    "size_of",
    "texts_and_golds",
    "texts_of",
]
