"""Compares two searches at equal generated tokens: one with the line of another's yields against its tokens."""

from typing import Any

import numpy as np

YIELDS = ("solved", "plan_pairs", "true_pairs", "solution_pairs", "trees_with_pairs", "paths")
COLUMNS = (*YIELDS, "generated_tokens")
"""What one question gives to learn from, and last what it costs."""

Table = np.ndarray[Any, np.dtype[np.float64]]
"""Questions x columns."""

Line = np.ndarray[Any, np.dtype[np.float64]]
"""Points x questions x columns: the same search at growing budgets, the first of nothing."""


def at_tokens(line: Line, tokens: float) -> Table:
    """Yields of each question where the search has generated so many tokens in all, between two points of its line.

    Where the line ends before, the tokens that are left go to more such questions: all yields grow alike.
    """
    spent = line[:, :, -1].sum(axis=1)
    after = int(np.searchsorted(spent, tokens))
    if after == len(spent):
        return line[-1] * tokens / spent[-1]
    if after == 0:
        return line[0]
    share = (tokens - spent[after - 1]) / (spent[after] - spent[after - 1])
    return (1 - share) * line[after - 1] + share * line[after]


def compared(option: Table, line: Line, *, resamples: int = 1000, seed: int = 1) -> dict[str, dict[str, float]]:
    """By yield, per 100,000 tokens: that of an option, that of the line's search at as many tokens (`plain`), and the
    95 % interval of their difference (`low`, `high`): a bootstrap over questions, the same in both.
    """

    def per_tokens(questions: Any) -> tuple[Table, Table]:
        some = option[questions]
        tokens = some[:, -1].sum()
        plain = at_tokens(line[:, questions], tokens)
        return some.sum(axis=0) * 1e5 / tokens, plain.sum(axis=0) * 1e5 / tokens

    rng = np.random.default_rng(seed)
    count = len(option)
    of_option, of_plain = per_tokens(np.arange(count))
    draws = np.array([np.subtract(*per_tokens(rng.integers(count, size=count))) for _ in range(resamples)])
    low, high = np.percentile(draws, [2.5, 97.5], axis=0)
    return {
        name: {"option": of_option[at], "plain": of_plain[at], "low": low[at], "high": high[at]}
        for at, name in enumerate(YIELDS)
    }
