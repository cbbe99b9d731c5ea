"""The steps that score a model: accuracy on held-out questions, and how well V ranks plan steps.

Every model answers in the same way: plan and solution in one greedy completion or, by option, the best of a search
that its own V guides; every sample is stored. Standard errors are those of a binomial share, sqrt(p(1 - p)/n).
"""

import asyncio
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from infra.store import Ref
from tasks.check import Checker, extract_answer
from tasks.format import SOLUTION_CLOSE, Kind
from tasks.pairs import SearchedTree
from tasks.parts import Part, each_part
from tasks.policy import SearchPolicy, ServedPolicy, judge, serve
from tasks.records import frame
from tasks.search.beam import best_solution, majority_solution
from tasks.search.grow import PolicyError, Task, grow
from tasks.settings import Evaluation, Search
from tasks.step import Stage, step

Row = dict[str, Any]
BOOTSTRAP_RESAMPLES = 200


@step("evaluate", version=5, task_run_name="evaluate-{name}")
def evaluate(stage: Stage, model: Ref, name: str, benchmarks: Ref, settings: Evaluation) -> int:
    """Answers of one model to every benchmark: tables `evaluations` and `evaluation_samples`."""
    asked = {question["question_id"]: question for question in stage.read(benchmarks, "benchmarks").to_dicts()}

    async def run() -> None:
        async with serve(stage, model) as served, Checker() as checker:

            async def work(question: Row, place: int) -> Part:
                return await sample(question, place, name, served, checker, settings)

            await each_part(stage, asked, work, what=f"Evaluation of {name}", note=served.account)
            stage.write("engine_use", served.use(f"evaluate_{name}", len(asked)))

    asyncio.run(run())
    samples = stage.written("evaluation_samples")
    stage.write("evaluations", accuracies(samples))
    return samples.height


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model says to a question: plan and solution, the answer in it, and the tokens that it took to find it."""

    output: str
    answer: str | None
    generated_tokens: int


async def sample(
    question: Row, place: int, model: str, policy: ServedPolicy, checker: Checker, settings: Evaluation
) -> Part:
    """One question's answer, checked: a row of `evaluation_samples`.

    A question whose request or check failed for good counts as not solved: left out, it would flatter the model that
    failed at it.
    """
    given, is_correct, error = Answer("", None, 0), False, None
    try:
        given = await (greedy if settings.decoding == "greedy" else searched)(question, place, policy, settings)
        is_correct = given.answer is not None and await judge(checker, question)(given.answer)
    except PolicyError as problem:
        error = str(problem)
    row = {
        "model": model,
        "benchmark": question["benchmark"],
        "split": question["split"],
        "question_id": question["question_id"],
        "question": question["question"],
        "kinds": question["kinds"],
        "output": given.output,
        "answer": given.answer,
        "is_correct": is_correct,
        "generated_tokens": given.generated_tokens,
        "error": error,
    }
    return Part({"evaluation_samples": [row]}, error)


async def greedy(question: Row, place: int, policy: ServedPolicy, settings: Evaluation) -> Answer:
    """Plan and solution in one greedy completion."""
    written = await policy.write(
        policy.question(question["question"]),
        stop=(SOLUTION_CLOSE,),
        max_tokens=settings.max_tokens,
        temperature=0.0,
        session=question["question_id"],
        priority=place,
    )
    return Answer(written.text, extract_answer(written.text), len(written.token_ids))


async def searched(question: Row, place: int, policy: ServedPolicy, settings: Evaluation) -> Answer:
    """The solution that a search without rewards settles on: by V, or by a vote (AlphaMath and SVPO at inference)."""
    search = Search(
        method="beam" if settings.decoding == "beam" else "sampling",
        beams=settings.beams,
        children=settings.samples,
        root_children=settings.samples,
        temperature=settings.temperature,
        max_step_tokens=settings.max_tokens,
        max_depth=settings.max_depth,
    )
    task = Task(
        question_id=question["question_id"],
        question=question["question"],
        prompt_ids=tuple(policy.question(question["question"])),
        judge=unknown,
        simulations=1,
        priority=place,
    )
    grown = await grow(task, SearchPolicy(policy, search), search)
    if grown.error is not None:
        raise PolicyError(grown.error)
    (tree,) = grown.trees
    if settings.decoding.startswith("majority"):
        chosen = majority_solution(tree, by_value=settings.decoding == "majority_by_value")
    else:
        chosen = best_solution(tree)
    if chosen is None:
        return Answer("", None, tree.cost.generated_tokens)
    path = [node.action.text for node in chosen.lineage()][-2::-1]
    return Answer("".join(path), chosen.action.answer, tree.cost.generated_tokens)


async def unknown(answer: str) -> bool:
    """At inference nobody says whether an answer is right."""
    return False


def accuracies(samples: pl.DataFrame) -> pl.DataFrame:
    """Accuracy, standard error and n by benchmark, over all questions and for each kind that occurs in them."""
    by_kind = (
        samples.with_columns(pl.col("kinds").list.unique(maintain_order=True))
        .explode("kinds")
        .rename({"kinds": "kind"})
        .filter(pl.col("kind").is_not_null())
    )
    counted = pl.concat([samples.with_columns(kind=pl.lit("all")).select(by_kind.columns), by_kind])
    p, n = pl.col("is_correct").mean(), pl.len()
    return (
        counted.group_by("model", "benchmark", "split", "kind", maintain_order=True)
        .agg(accuracy=p, stderr=(p * (1 - p) / n).sqrt(), n=n.cast(pl.Int32))
        .pipe(lambda table: frame("evaluations", table.to_dicts()))
    )


@step("rank_values", version=2, task_run_name="rank-values-{name}")
def rank_values(stage: Stage, model: Ref, name: str, trees: Ref) -> int:
    """How well V ranks the plan steps of trees that it was not trained on: table `value_rankings`.

    V comes from the engine, at the same position as in search; it is compared with the steps' `outcomes`.
    """
    held_out = stage.read(trees, "trees").filter(pl.col("is_held_out"), ~pl.col("state").is_in(["failed", "skipped"]))
    nodes = stage.read(trees, "nodes").partition_by("tree_id", as_dict=True)
    states: list[list[int]] = []
    outcome_of: list[float] = []
    owners: list[int] = []
    for index, tree in enumerate(held_out.to_dicts()):
        searched = SearchedTree(tree, nodes[tree["tree_id"],].to_dicts())
        for node_id, outcome in outcomes(searched).items():
            states.append([token for step in searched.path(node_id) for token in step["token_ids"]])
            outcome_of.append(outcome)
            owners.append(index)

    async def run() -> list[float]:
        async with serve(stage, model) as served:
            return await served.values(states)

    values = asyncio.run(run()) if states else []
    ranking = {"model": name, "trees": held_out.height, "nodes": len(states)}
    stage.write("value_rankings", frame("value_rankings", [ranking | agreement(values, outcome_of, owners)]))
    return 1


def outcomes(tree: SearchedTree) -> dict[int, float]:
    """What became of a tree's plan steps, by node id: the mean reward of the terminals below, weighed by visits.

    Not Q: from round 2 on an expanded node backs up its own V, so that even a V of noise agrees with Q. A step
    without a terminal below it has no outcome.
    """
    rewards: dict[int, float] = {}
    visits: dict[int, int] = {}
    for terminal in tree.nodes.values():
        if terminal["reward"] is None or not terminal["visits"]:
            continue
        for node in tree.path(terminal["node_id"]):
            if node["kind"] == Kind.PLAN:
                step = node["node_id"]
                rewards[step] = rewards.get(step, 0.0) + terminal["visits"] * terminal["reward"]
                visits[step] = visits.get(step, 0) + terminal["visits"]
    return {step: rewards[step] / visits[step] for step in rewards}


def agreement(values: list[float], outcomes: list[float], owners: list[int]) -> dict[str, float | None]:
    """Correlations of V with the outcome, and the AUC of V for outcomes > 0 against < 0 (chance: 0.5).

    The AUC's standard error is a bootstrap over trees, for the nodes of one tree are not independent. All are None
    where they are undefined: no nodes, a constant V, or one class only.
    """
    from scipy.stats import pearsonr, spearmanr  # a second that every process of a flow would wait

    undefined: dict[str, float | None] = {"pearson": None, "spearman": None, "auc": None, "auc_stderr": None}
    v, outcome, owner = np.array(values), np.array(outcomes), np.array(owners)
    if len(v) < 3 or np.ptp(v) == 0 or np.ptp(outcome) == 0:
        return undefined
    correlations = {
        "pearson": float(pearsonr(v, outcome).statistic),
        "spearman": float(spearmanr(v, outcome).statistic),
    }
    auc = _auc(v, outcome)
    if auc is None:
        return undefined | correlations
    random = np.random.default_rng(0)
    of_tree = [np.flatnonzero(owner == tree) for tree in np.unique(owner)]
    resampled = []
    for _ in range(BOOTSTRAP_RESAMPLES):
        drawn = np.concatenate([of_tree[i] for i in random.integers(len(of_tree), size=len(of_tree))])
        if (one := _auc(v[drawn], outcome[drawn])) is not None:
            resampled.append(one)
    return correlations | {"auc": auc, "auc_stderr": float(np.std(resampled)) if len(resampled) > 1 else None}


def _auc(v: "np.ndarray[Any, Any]", outcome: "np.ndarray[Any, Any]") -> float | None:
    from sklearn.metrics import roc_auc_score

    signed = outcome != 0
    positive = outcome[signed] > 0
    if positive.all() or not positive.any():
        return None
    auc = float(roc_auc_score(positive, v[signed]))
    return None if math.isnan(auc) else auc
