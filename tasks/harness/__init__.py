"""Benchmarks of the EleutherAI lm-evaluation-harness: its prompts, few-shot examples and metrics, in token ids."""

from tasks.harness.asked import Encoding, Question, Score, continuations_of, ended, scores, texts_of
from tasks.harness.catalogue import BENCHMARKS, content_of, load

__all__ = [
    "BENCHMARKS",
    "Encoding",
    "Question",
    "Score",
    "content_of",
    "continuations_of",
    "ended",
    "load",
    "scores",
    "texts_of",
]
