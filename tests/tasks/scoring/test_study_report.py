"""A study in words: whoever reads its report alone is not misled."""

from collections.abc import Mapping
from typing import Any

import polars as pl
import pytest

from tasks.scoring.comparison import SCORES, SPLITS, accuracies_of, claims_of
from tasks.scoring.study_report import RANKED, report
from tasks.study import Claim, Method, Study
from tests.tasks.scoring.test_comparison import ANSWERS, STUDY, answered

TRIED = {"cpl": {"arms.sft.learning_rate": [0.25, 0.5]}, "rft": {"arms.rft.learning_rate": [0.5, 0.25]}}
SPENT = {"cpl/1/1": 900, "cpl/1/2": 1000, "cpl/2/1": 980, "cpl/2/2": 960, "rft/1/1": 990}
LEARNT = pl.DataFrame({"model": ["cpl.sft@1", "cpl.sft@2", "cpl.sft@2"], "updates": [7, 8, 10]})
RANKS = pl.DataFrame([("cpl.value@1", "plan", 0.9, 10, 0.5), ("cpl.value@1", "plan", 0.8, 20, 0.3)], orient="row")


def told(
    study: Study = STUDY,
    frame: pl.DataFrame | None = None,
    spent: Mapping[str, int] = SPENT,
    tried: Mapping[str, Mapping[str, list[float]]] = TRIED,
) -> str:
    frame = answered() if frame is None else frame
    scores: list[Any] = [
        row for model in frame["model"].unique(maintain_order=True) for row in accuracies_of(frame, model)
    ]
    asked = {"in_domain": ["micro/test"], "out_of_domain": ["micro/longer", "micro/phrasing"]}
    idle = {"cpl/1/1": [], "cpl/2/1": ["step_apo"]}
    ranked = RANKS.rename(dict(zip(RANKS.columns, ["model", *RANKED], strict=True)))
    claims = claims_of(frame, study)
    return "\n".join(report("mine", study, "By code 1.0.", asked, scores, claims, spent, tried, idle, LEARNT, ranked))


def with_clusters(rows: list[tuple[Any, ...]]) -> pl.DataFrame:
    """Questions that stand alone, of rows as `answered` has them."""
    frame = pl.DataFrame(rows, schema=answered().drop("cluster").columns, orient="row")
    return frame.with_columns(cluster="question_id")


WHOLE = """\
# Study whole

Base model micro; seeds 1, 2; lessons from at most 1,000 generated tokens a round. Settings were chosen on \
micro/validation by one round of one seed for each of 3 tries of every tuned arm; the test questions were asked once, \
of what was chosen. Questions in domain: micro/test; out of domain: micro/longer, micro/phrasing, all of a kind \
together. By code 1.0.

> **Not made:** gone/1/1, beam/2/1, gone/2/1. The same command makes them.

> **Nothing was learnt** by these arms, which count as what they started from: vote/2/1: sft, step_apo; beam/1/1: value.

> **Budget not spent:** these rounds learnt from fewer tokens than others: beam/1/1: 1; vote/1/1: 898.

> **Tuned apart:** claims compare two models here of one recipe and arm: arms.sft.learning_rate was chosen as 0.0001 \
for beam and 0.0002 for plain; arms.sft.learning_rate was chosen as 0.0004 for vote and 0.0002 for plain.

## Accuracy

Mean over seeds; behind ± the standard error over seeds, then over questions; in brackets how many questions. \
Tokens learnt from: of all rounds up to it; of an answer: in domain, all samples of a vote or a beam. \
Updates: of its own training. A base that answers as one above is left out.

| model | seeds | tokens learnt from | updates | tokens of an answer | in domain | out of domain |
| --- | --- | --- | --- | --- | --- | --- |
| plain.base@1 | 2 |  |  | 40 | 0.250 ± 0.000 ± 0.125 (4) | 0.500 ± 0.000 ± 0.500 (2) |
| plain.sft@1 | 2 | 990 | 8 | 50 | 0.625 ± 0.125 ± 0.250 (4) | 0.500 ± 0.250 ± 0.500 (2) |
| plain.sft@2 | 2 | 1,910 | 20 | 60 | 0.625 ± 0.125 ± 0.250 (4) | 0.750 ± 0.250 ± 0.250 (2) |
| beam.sft | 1 | 1 | 3 | 90 | 0.750 ± 0.250 (4) |  |
| vote.sft | 2 | 449 | 5 | 300 | 0.875 ± 0.125 ± 0.125 (4) | 0.250 ± 0.250 ± 0.250 (2) |

## What is claimed, and what was found

- in domain: 1 cannot be told by one seed, 1 holds, 1 no answer differs
- out of domain: 1 the opposite, 1 cannot be told at this n

Differences of accuracy, paired by seed and question, with 95 % intervals; in brackets seeds x questions that both \
answered. Each is judged by itself: of the 4 with several seeds, 0.2 would be told apart by chance alone. In bold: \
also where all are judged at once (Holm).

| claim | models | in domain | | out of domain | |
| --- | --- | --- | --- | --- | --- |
| a beam helps | beam.sft − plain.sft@2 | +0.250 [-0.100, +0.600] (1 x 4) | cannot be told by one seed |  | no answers |
| a vote helps | vote.sft − plain.sft@2 | +0.250 [+0.125, +0.375] (2 x 4) | **holds** \
| -0.500 [-0.750, -0.250] (2 x 2) | the opposite |
| a round helps | plain.sft@2 − plain.sft@1 | +0.000 (2 x 4) | no answer differs \
| +0.250 [-0.250, +0.750] (2 x 2) | cannot be told at this n |
| what failed helps | gone.sft − plain.sft@2 |  | no answers |  | no answers |
| what failed harms | plain.sft@2 − gone.sft |  | no answers |  | no answers |

## How V ranks sibling steps of held-out trees (chance: 0.5)

Mean over seeds with pairs; behind ± the standard error over seeds.

| model | seeds | pairs | by V | by the prior |
| --- | --- | --- | --- | --- |
| vote.value | 1 | 5 | 0.750 | 0.500 |
| plain.value@1 | 2 | 30 | 0.850 ± 0.050 | 0.400 ± 0.100 |

## What was chosen

0: nothing was learnt. Where the best is the smallest or the largest that was tried, others may be better.

| field | tried: validation accuracy | best |
| --- | --- | --- |
| plain: arms.sft.learning_rate | 0.0001: 0.250, **0.0002: 0.500**, 0.0004: 0.375 | between |
| beam: arms.sft.learning_rate | **0.0001: 0.500**, 0.0002: 0.250, 0.0004: 0.375 | the smallest |
| vote: arms.sft.learning_rate | 0.0001: 0.250, 0.0002: 0.375, **0.0004: 0.500** | the largest |
"""


def score(
    model: str, seeds: int, tokens: float, *of_splits: tuple[float, float | None, float, int]
) -> list[dict[str, Any]]:
    """Rows of `scores`; of a split the mean, its errors over seeds and over questions, and how many questions."""
    columns = ("split", "mean", "stderr_seeds", "stderr_questions", "questions")
    return [
        {"model": model, "seeds": seeds, "generated_tokens": tokens} | dict(zip(columns, (part, *figures), strict=True))
        for part, figures in zip(SPLITS, of_splits, strict=False)
    ]


def test_a_report_is_read_as_a_whole() -> None:
    """One study with all that may happen: a method that could not be tuned, a seed that failed, an arm that learnt
    nothing, budgets that were not spent, what was tuned apart, and a claim at the very border of 5 %."""
    tune = {"arms.sft.learning_rate": (1e-4, 2e-4, 4e-4)}
    claims = {
        "a beam helps": ("beam.sft", "plain.sft"),
        "a vote helps": ("vote.sft", "plain.sft"),
        "a round helps": ("plain.sft", "plain.sft@1"),
        "what failed helps": ("gone.sft", "plain.sft"),
        "what failed harms": ("plain.sft", "gone.sft"),
    }
    study = Study(
        model="micro",
        tokens=1000,
        seeds=(1, 2),
        validation="micro/validation",
        methods={
            "plain": Method(recipe="cpl-micro", rounds=2, tune=tune),
            **{name: Method(recipe="cpl-micro", tune=tune) for name in ("beam", "vote", "gone")},
        },
        claims=tuple(Claim(says=says, better=better, worse=worse) for says, (better, worse) in claims.items()),
    )
    asked = {"in_domain": ["micro/test"], "out_of_domain": ["micro/longer", "micro/phrasing"]}
    scores = [
        *score("plain.base@1", 2, 40.0, (0.25, 0.0, 0.125, 4), (0.5, 0.0, 0.5, 2)),
        *score("plain.base@2", 2, 40.0, (0.25, 0.0, 0.125, 4), (0.5, 0.0, 0.5, 2)),
        *score("plain.sft@1", 2, 50.0, (0.625, 0.125, 0.25, 4), (0.5, 0.25, 0.5, 2)),
        *score("plain.sft@2", 2, 60.0, (0.625, 0.125, 0.25, 4), (0.75, 0.25, 0.25, 2)),
        *score("beam.sft", 1, 90.0, (0.75, None, 0.25, 4)),
        *score("vote.sft", 2, 300.0, (0.875, 0.125, 0.125, 4), (0.25, 0.25, 0.25, 2)),
    ]
    columns = ("claim", "better", "worse", "split", "mean", "low", "high", "seeds", "questions")
    judged = ("p_value", "p_of_all", "verdict")
    beam, vote = ("a beam helps", "beam.sft", "plain.sft@2"), ("a vote helps", "vote.sft", "plain.sft@2")
    later = ("a round helps", "plain.sft@2", "plain.sft@1")
    found = [
        (*beam, "in_domain", 0.25, -0.1, 0.6, 1, 4, None, None, "cannot be told by one seed"),
        (*vote, "in_domain", 0.25, 0.125, 0.375, 2, 4, 0.001, 0.049, "holds"),
        (*vote, "out_of_domain", -0.5, -0.75, -0.25, 2, 2, 0.02, 0.05, "the opposite"),
        (*later, "in_domain", 0.0, 0.0, 0.0, 2, 4, 1.0, 1.0, "no answer differs"),
        (*later, "out_of_domain", 0.25, -0.25, 0.75, 2, 2, 0.3, 0.9, "cannot be told at this n"),
    ]
    text = report(
        "whole",
        study,
        "By code 1.0.",
        asked,
        scores,
        [dict(zip((*columns, *judged), row, strict=True)) for row in found],
        spent={"plain/1/1": 1000, "plain/1/2": 900, "beam/1/1": 1, "vote/1/1": 898}
        | {"plain/2/1": 980, "plain/2/2": 940, "vote/2/1": 0},
        tried={
            "plain": {"arms.sft.learning_rate": [0.25, 0.5, 0.375]},
            "beam": {"arms.sft.learning_rate": [0.5, 0.25, 0.375]},
            "vote": {"arms.sft.learning_rate": [0.25, 0.375, 0.5]},
        },
        idle={"plain/1/1": [], "vote/2/1": ["sft", "step_apo"], "beam/1/1": ["value"]},
        learnt=pl.DataFrame(
            [("plain.sft@1", 7), ("plain.sft@1", 9), ("plain.sft@2", 20), ("beam.sft", 3), ("vote.sft", 5)],
            schema=["model", "updates"],
            orient="row",
        ),
        ranked=pl.DataFrame(
            [
                ("vote.value", "plan", 0.75, 5, 0.5),
                ("plain.value@1", "plan", 0.9, 10, 0.5),
                ("plain.value@1", "plan", 0.8, 20, 0.3),
            ],
            schema=["model", *RANKED],
            orient="row",
        ),
    )
    assert "\n".join(text) == WHOLE


def test_of_one_seed_nothing_would_be_told_apart_by_chance() -> None:
    assert "of the 0 with several seeds, 0.0 would be told apart by chance" in told(frame=answered().filter(seed=1))


def test_a_base_is_told_once_for_each_way_to_answer() -> None:
    """Every round of every method scores it: a third of the rows would say the same."""
    bases = [("a.base", 1), ("b.base@1", 1), ("b.base@2", 1), ("beam.base", 0)]
    rows = [
        (model, seed, "in_domain", "b", f"q{number}", number < right, 9)
        for model, right in bases
        for seed in (1, 2)
        for number in range(3)
    ]
    text = told(frame=with_clusters(rows))
    assert [model for model, _ in bases if f"\n| {model} |" in text] == ["a.base", "beam.base"]


def test_it_says_of_each_claim_by_how_many_seeds_and_questions() -> None:
    text = told()
    assert "(2 x 4) | cannot be told at this n |" in text
    assert "(2 x 3) |" in text, "one of four had no answer"
    assert "- in domain: 2 cannot be told at this n\n" in text


def test_answers_that_are_the_same_have_no_interval_of_nothing() -> None:
    """It would say that another test set could show no difference either."""
    assert "| a second round helps | cpl.sft@2 − cpl.sft@1 |" in told()
    assert "+0.000 (2 x 2) | no answer differs |" in told()
    assert "[+0.000, +0.000]" not in told()


def test_what_holds_where_all_are_judged_at_once_is_bold() -> None:
    """Of twenty claims that are told apart by themselves, one is by chance."""
    rows = [
        (model, seed, "in_domain", "b", f"q{number}", number % 200 < right, 9)
        for seed in (1, 2, 3)
        for model, right in {"a.base": 0, "b.base": 20, "c.base": 5}.items()
        for number in range(200)
    ]
    frame = with_clusters(rows)
    claims = tuple(Claim(says=name, better=f"{name}.base", worse="a.base") for name in "bc")
    methods = {name: Method(recipe="cpl-micro") for name in "abc"}
    study = STUDY.model_copy(update={"methods": methods, "claims": claims})
    many = study.model_copy(update={"claims": (*claims, *[claims[1]] * 4)})
    assert told(study, frame, {}, {}).count("| **holds** |") == 2
    few = told(many, frame, {}, {})
    assert (few.count("| **holds** |"), few.count("| holds |")) == (1, 5)


def test_one_seed_tells_of_no_method() -> None:
    alone = answered().filter(pl.col("seed") == 1)
    assert "cannot be told by one seed" in told(frame=alone)
    assert "| holds" not in told(frame=alone)


def test_a_budget_that_was_not_spent_is_told() -> None:
    assert "Budget not spent" not in told()
    assert "Budget not spent" not in told(spent=SPENT | {"rft/2/1": 0}), "what learns nothing spends nothing"
    short = told(spent=SPENT | {"cpl/2/2": 600})
    assert "**Budget not spent:** these rounds learnt from fewer tokens than others: cpl/2/2: 600." in short


def test_tokens_are_those_of_the_seeds_that_made_the_round() -> None:
    """A seed that has no second round has not spent half of one."""
    made = {place: tokens for place, tokens in SPENT.items() if place != "cpl/2/2"}
    assert "| cpl.sft@2 | 2 | 1,900 |" in told(spent=made)


def test_where_nothing_is_tuned_nobody_reads_that_settings_were_chosen() -> None:
    text = told(tried={"cpl": {}, "rft": {}})
    assert " a round. Nothing was tuned; the test questions were asked once. Questions in domain: " in text
    assert "chosen" not in text
    assert "chosen on micro/validation by one round of one seed for each of 2 tries of every tuned arm" in told()


def test_all_seeds_are_named() -> None:
    methods = STUDY.methods | {"rft": STUDY.methods["rft"].model_copy(update={"seeds": (1, 2, 3)})}
    assert "seeds 1, 2 and 1, 2, 3 (rft);" in told(STUDY.model_copy(update={"methods": methods}))


@pytest.mark.parametrize(("worse", "is_told"), [("greedy.sft", True), ("greedy.base", False)])
@pytest.mark.parametrize("same", [True, False])
def test_models_that_should_answer_otherwise_alone_were_tuned_alike(same: bool, worse: str, is_told: bool) -> None:
    """A beam of one training against another training's greedy answers says nothing of beams."""
    tune = {"arms.sft.learning_rate": (1e-4, 2e-4)}
    methods = {name: Method(recipe="svpo-micro", tune=tune) for name in ("beam", "greedy")}
    claims = (Claim(says="a beam helps", better="beam.sft", worse=worse),)
    study = STUDY.model_copy(update={"methods": methods, "claims": claims})
    tried = {"beam": {"arms.sft.learning_rate": [0.5, 0.4]}, "greedy": {"arms.sft.learning_rate": [0.5, 0.4]}}
    if not same:
        tried["greedy"] = {"arms.sft.learning_rate": [0.4, 0.5]}
    text = told(study, tried=tried)
    told_apart = "arms.sft.learning_rate was chosen as 0.0001 for beam and 0.0002 for greedy" in text
    assert told_apart is (is_told and not same)


def test_the_scores_of_a_report_are_whole() -> None:
    frame = answered()
    rows = [row for model in frame["model"].unique() for row in accuracies_of(frame, model)]
    assert pl.DataFrame(rows, schema=SCORES).height == 2 * len({model for model, _ in ANSWERS})
