"""How models are scored: `evaluate` asks them the benchmarks' questions, `rank_values` lets their V rank steps."""

from tasks.evaluate.answers import evaluate
from tasks.evaluate.ranking import rank_values

__all__ = ["evaluate", "rank_values"]
