"""What a round came to, in three sentences: its policy against the others, the search's yield, how V ranks."""

from collections.abc import Sequence

from infra.desk.summary import Row, against, asked_as

LIKELY = 1.96
"""Standard errors on both sides of a mean that hold the truth in 95 of 100 cases."""


def verdict(
    models: Sequence[Row],
    evaluations: Sequence[Row],
    comparisons: Sequence[Row],
    asked: Sequence[Row],
    searches: Sequence[Row],
    rankings: Sequence[Row],
) -> tuple[str, str, str]:
    """The three, from rows of sql/reports (models, evaluations of kind all, comparisons, value_rankings) and sql/page
    (asked, yield)."""
    return (_models(models, evaluations, comparisons), _searches(asked, searches), _values(models, rankings))


def _models(models: Sequence[Row], evaluations: Sequence[Row], comparisons: Sequence[Row]) -> str:
    policy = next((row["model"] for row in models if row["is_next"]), None)
    same_as = {row["model"]: row["same_as"] for row in models if row["same_as"]}
    scored = [row for row in evaluations if row["model"] == same_as.get(policy, policy)]
    if not scored:
        return "No model of this round that searches next has been scored."
    best_known = max(scored, key=lambda row: (row["split"] == "in_domain", row["form"] == "plan", row["n"]))
    benchmark = asked_as(best_known)
    told = f"`{policy}` answers {100 * best_known['accuracy']:.1f} % of {benchmark} right (n = {best_known['n']:,})"
    others = [row for row in comparisons if (row["model"], asked_as(row)) == (policy, benchmark)]
    differences = [
        f"{100 * abs(row['difference']):.1f} ± {100 * row['stderr']:.1f} points {row['verdict']} than {_other(row)}"
        for row in others
        if row["verdict"] in ("better", "worse")
    ]
    same = [_other(row) for row in others if row["verdict"] == "the same weights"]
    alike = [_other(row) for row in others if row["verdict"].startswith("cannot be told")]
    phrases = (
        differences
        + ([f"of the same weights as {_listed(same)}"] if same else [])
        + ([f"not to be told from {_listed(alike)} at this n"] if alike else [])
    )
    if phrases:
        return f"{told}: {_listed(phrases)}."
    otherwise = (
        f"no comparison says more: asked otherwise was {_listed([_other(row) for row in others])}" if others else ""
    )
    return f"{told}; {otherwise or 'nothing was compared with it'}."


def _other(row: Row) -> str:
    return f"`{row['other']}`" + against(row).removeprefix(row["other"])


def _searches(asked: Sequence[Row], searches: Sequence[Row]) -> str:
    if not searches:
        return "Nothing was searched."
    solved = sum(bool(row["is_solved"]) for row in asked)
    tokens = sum(row["generated_tokens"] for row in searches)
    pairs = sum(row["pairs"] for row in searches)
    told = f"Search found a right answer to {solved:,} of {len(asked):,} questions with {tokens:,} generated tokens"
    if not pairs:
        return f"{told}; it gave no preferences."
    paid = sum(row["learning_tokens"] for row in searches if row["pairs"])
    return f"{told}, and {pairs:,} preferences at {paid / pairs:,.0f} tokens each."


def _values(models: Sequence[Row], rankings: Sequence[Row]) -> str:
    """Of the V that the next round uses: a value model's, or else that of the policy; of the last where that was not
    ranked. Which V did best decides nothing."""
    order = {row["model"]: (row["is_next"], place) for place, row in enumerate(models)}
    judges = {row["model"] for row in models if not row["is_policy"]}
    known = [row for row in rankings if row["sibling_auc"] is not None and row["kind"] != "solution"]
    if not known:
        return "How V ranks sibling steps is not known: no held-out tree has siblings of which one is right."
    row = max(known, key=lambda row: (row["model"] in judges, order[row["model"]], row["sibling_pairs"]))
    auc, error = row["sibling_auc"], row["sibling_auc_stderr"]
    told = f"V of `{row['model']}` puts the better of two sibling steps first in {100 * auc:.1f}"
    told += f" ± {100 * error:.1f} %" if error is not None else " %"
    told += f" of {row['sibling_pairs']} held-out pairs"
    if error is None or abs(auc - 0.5) < LIKELY * error:
        return f"{told}, which cannot be told from chance."
    prior = "" if row["prior_auc"] is None else f"; the policy's prior, in {100 * row['prior_auc']:.1f} %"
    return f"{told} (chance: 50 %{prior})."


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
