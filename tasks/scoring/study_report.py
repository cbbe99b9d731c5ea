"""A study in words: what was compared, accuracies, claims and what became of them, and what was chosen."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import polars as pl

from tasks.scoring.comparison import SPLITS, Row, with_round
from tasks.study import Study, split

Tried = Mapping[str, Mapping[str, list[float]]]
"""By method and tuned field: the arm's validation accuracy with each of the values that were tried."""
RANKED = {
    "kind": pl.String(),
    "sibling_auc": pl.Float64(),
    "sibling_pairs": pl.Int64(),
    "prior_auc": pl.Float64(),
}
"""Of `value_rankings`, what a report tells."""
NEARLY = 0.9
"""The share of a budget that must be spent: one question more would exceed it, and none costs a tenth of it."""


def report(
    name: str,
    study: Study,
    made: str,
    asked: Mapping[str, Sequence[str]],
    scores: Sequence[Row],
    claims: Sequence[Row],
    spent: Mapping[str, int],
    tried: Tried,
    idle: Mapping[str, list[str]],
    learnt: pl.DataFrame,
    ranked: pl.DataFrame,
) -> Iterator[str]:
    """The study as Markdown, line by line. `made`: when and by which code. `asked`: of each split the benchmarks.
    `spent`, `idle`: of each round that was made, by its place, the tokens that it learnt from and the arms that learnt
    nothing in it. `learnt`: by model and seed its updates. `ranked`: by model and seed how its V ranked siblings."""
    yield f"# Study {name}\n"
    yield from _about(study, made, asked, tried)
    yield from _warnings(study, spent, tried, idle)
    yield from _accuracies(scores, spent, learnt)
    yield from _claims(study, claims)
    if ranked.height:
        yield from _rankings(ranked)
    if any(tried.values()):
        yield from _chosen(study, tried)
    yield ""


def _about(study: Study, made: str, asked: Mapping[str, Sequence[str]], tried: Tried) -> Iterator[str]:
    seeds = [("", study.seeds), *((f" ({name})", one.seeds) for name, one in study.methods.items() if one.seeds)]
    told = " and ".join(", ".join(map(str, numbers)) + whose for whose, numbers in seeds)
    tries = [len(found) for fields in tried.values() for found in fields.values()]  # as many for each: a study is fair
    chosen = (
        f"Settings were chosen on {study.validation} by one round of one seed for each of {max(tries)} tries of every "
        "tuned arm; the test questions were asked once, of what was chosen."
        if tries
        else "Nothing was tuned; the test questions were asked once."
    )
    benchmarks = "; ".join(f"{part.replace('_', ' ')}: {', '.join(names)}" for part, names in asked.items())
    yield (
        f"Base model {study.model}; seeds {told}; lessons from at most {study.tokens:,} generated tokens a round. "
        f"{chosen} Questions {benchmarks}, all of a kind together. {made}"
    )


def _warnings(study: Study, spent: Mapping[str, int], tried: Tried, idle: Mapping[str, list[str]]) -> Iterator[str]:
    if lacking := [place for place in study.places() if place not in spent]:
        yield f"\n> **Not made:** {', '.join(lacking)}. The same command makes them."
    if told := [f"{place}: {', '.join(arms)}" for place, arms in idle.items() if arms]:
        yield f"\n> **Nothing was learnt** by these arms, which count as what they started from: {'; '.join(told)}."
    if short := [f"{place}: {found:,}" for place, found in spent.items() if 0 < found < NEARLY * study.tokens]:
        yield f"\n> **Budget not spent:** these rounds learnt from fewer tokens than others: {'; '.join(short)}."
    if other := [*dict.fromkeys(_chosen_apart(study, tried))]:
        yield f"\n> **Tuned apart:** claims compare two models here of one recipe and arm: {'; '.join(other)}."


def _chosen_apart(study: Study, tried: Tried) -> Iterator[str]:
    """Claims between the same arm of two methods with one recipe, as one that answers otherwise, should have chosen
    the same."""
    for claim in study.claims:
        (one, arm, _), (other, of_other, _) = split(claim.better), split(claim.worse)
        if one != other and arm == of_other and study.methods[one].recipe == study.methods[other].recipe:
            for field in [field for field in tried.get(one, {}) if field in tried.get(other, {})]:
                best, of_best = (_best(study, tried, method, field) for method in (one, other))
                if best != of_best:
                    yield f"{field} was chosen as {best:g} for {one} and {of_best:g} for {other}"


def _best(study: Study, tried: Tried, method: str, field: str) -> float:
    found = tried[method][field]
    return study.methods[method].tune[field][found.index(max(found))]


def _accuracies(scores: Sequence[Row], spent: Mapping[str, int], learnt: pl.DataFrame) -> Iterator[str]:
    yield "\n## Accuracy\n"
    yield (
        "Mean over seeds; behind ± the standard error over seeds, then over questions; in brackets how many questions. "
        "Tokens learnt from: of all rounds up to it; of an answer: in domain, all samples of a vote or a beam. "
        "Updates: of its own training. A base that answers as one above is left out.\n"
    )
    yield "| model | seeds | tokens learnt from | updates | tokens of an answer | in domain | out of domain |"
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    bases: set[tuple[str, ...]] = set()
    updates = dict(learnt.group_by("model").agg(pl.col("updates").mean()).iter_rows())
    for model in dict.fromkeys(row["model"] for row in scores):
        of_model = {row["split"]: row for row in scores if row["model"] == model}
        cells = [_accuracy(of_model[part]) if part in of_model else "" for part in SPLITS]
        some = next(iter(of_model.values()))
        taught = f"{_tokens(spent, model):,.0f} | {updates[model]:.0f}" if model in updates else " | "
        answer = f"{some['generated_tokens']:.0f}"
        if split(model).arm == "base":
            if (answer, *cells) in bases:
                continue
            bases.add((answer, *cells))
        yield f"| {model} | {some['seeds']} | {taught} | {answer} | {' | '.join(cells)} |"


def _claims(study: Study, claims: Sequence[Row]) -> Iterator[str]:
    yield "\n## What is claimed, and what was found\n"
    for part in SPLITS:
        verdicts = Counter(row["verdict"] for row in claims if row["split"] == part)
        if verdicts:
            yield f"- {part.replace('_', ' ')}: {', '.join(f'{n} {verdict}' for verdict, n in verdicts.items())}"
    judged = sum(row["p_value"] is not None for row in claims)
    yield (
        "\nDifferences of accuracy, paired by seed and question, with 95 % intervals; in brackets seeds x questions "
        f"that both answered. Each is judged by itself: of the {judged} with several seeds, {0.05 * judged:.1f} would "
        "be told apart by chance alone. In bold: also where all are judged at once (Holm).\n"
    )
    yield "| claim | models | in domain | | out of domain | |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for claim in study.claims:
        better, worse = (with_round(study, one) for one in (claim.better, claim.worse))
        asked = (claim.says, better, worse)
        of_claim = {row["split"]: row for row in claims if (row["claim"], row["better"], row["worse"]) == asked}
        parts = [_difference(of_claim[part]) if part in of_claim else " | no answers" for part in SPLITS]
        yield f"| {claim.says} | {better} − {worse} | {' | '.join(parts)} |"


def _rankings(ranked: pl.DataFrame) -> Iterator[str]:
    yield "\n## How V ranks sibling steps of held-out trees (chance: 0.5)\n"
    yield "Mean over seeds with pairs; behind ± the standard error over seeds.\n"
    yield "| model | seeds | pairs | by V | by the prior |"
    yield "| --- | --- | --- | --- | --- |"
    for (model,), rows in ranked.partition_by("model", as_dict=True).items():
        cells = [_mean(rows[column]) for column in ("sibling_auc", "prior_auc")]
        yield f"| {model} | {rows.height} | {rows['sibling_pairs'].sum()} | {' | '.join(cells)} |"


def _mean(of_seeds: pl.Series) -> str:
    values = of_seeds.to_numpy()
    spread = f" ± {values.std(ddof=1) / len(values) ** 0.5:.3f}" if len(values) > 1 else ""
    return f"{values.mean():.3f}{spread}"


def _chosen(study: Study, tried: Tried) -> Iterator[str]:
    yield "\n## What was chosen\n"
    yield "0: nothing was learnt. Where the best is the smallest or the largest that was tried, others may be better.\n"
    yield "| field | tried: validation accuracy | best |"
    yield "| --- | --- | --- |"
    for method, fields in tried.items():
        for field, found in fields.items():
            values = study.methods[method].tune[field]
            best = _best(study, tried, method, field)
            told = [
                f"**{value:g}: {score:.3f}**" if value == best else f"{value:g}: {score:.3f}"
                for value, score in zip(values, found, strict=True)
            ]
            place = {min(values): "the smallest", max(values): "the largest"}.get(best, "between")
            yield f"| {method}: {field} | {', '.join(told)} | {place} |"


def _tokens(spent: Mapping[str, int], model: str) -> float:
    """What a seed's rounds learnt from, up to that of the model; mean over the seeds that made it."""
    method, _, last = split(model)
    of_seeds = [
        sum(spent[f"{method}/{seed}/{number}"] for number in range(1, int(round) + 1))
        for name, seed, round in (place.split("/") for place in spent)
        if (name, int(round)) == (method, last or 1)
    ]
    return sum(of_seeds) / len(of_seeds)


def _accuracy(row: Row) -> str:
    seeds = "" if row["stderr_seeds"] is None else f" ± {row['stderr_seeds']:.3f}"
    return f"{row['mean']:.3f}{seeds} ± {row['stderr_questions']:.3f} ({row['questions']})"


def _difference(row: Row) -> str:
    interval = "" if row["low"] == row["high"] else f" [{row['low']:+.3f}, {row['high']:+.3f}]"
    is_sure = row["p_of_all"] is not None and row["p_of_all"] < 0.05
    verdict = f"**{row['verdict']}**" if is_sure else row["verdict"]
    return f"{row['mean']:+.3f}{interval} ({row['seeds']} x {row['questions']}) | {verdict}"
