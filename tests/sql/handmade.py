"""A round small enough to check by hand. Evidence `trees`: one searched tree with two pairs, one held-out, one skipped.
Evidence `tries`, whose pass rates set the budgets: t4, which was solved under a hint, and t5, which is imitated.

Tree t1 (Q in brackets; V of step 1 is 0.5, of step 2 is -0.5):

    root [-2/7]
    ├── 1 plan [1/6]     ├── 3 solution, right [1]     ├── 4 solution, wrong [-1]
    ├── 2 plan [-5/6]    ├── 5 solution, wrong [-1]    └── 6 malformed [-1]
    └── 7 plan, never visited

Tree t4:

    root [0]
    ├── 1 plan [-1]      ── 2 solution, wrong [-1]
    ├── 3 plan, hinted   ── 4 leaked
    └── 5 plan, hinted [1]  ── 6 solution, right [1]
"""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from infra.warehouse import ParquetSource
from tasks.language.format import PLANS
from tasks.records import frame

Row = dict[str, Any]

EOS = 99
PROMPT_IDS = [1, 2, 3]

QUESTIONS = {
    "q1": "  Ann has 2 apples and buys 3. How many has she?\n",
    "q2": "Bob has 9 pears and eats 4. How many are left?",
    "q3": "What is 1 + 1?",
}


def plan(number: int, text: str) -> str:
    return f"<step>\nPlan {number}: {text}\n</step>\n"


def solution(answer: str) -> str:
    return f"</plan>\n<solution>\n1. So it is.\nThe final answer is \\boxed{{{answer}}}.\n</solution>"


def question(question_id: str, kinds: list[str], is_held_out: bool = False) -> Row:
    return {
        "question_id": question_id,
        "source": "micro",
        "split": "train",
        "kinds": kinds,
        "level": len(kinds),
        "question": QUESTIONS[question_id],
        "answer": "5",
        "solution": None,
        "option": None,
        "is_exact": True,
        "is_held_out": is_held_out,
        "prompt": None,
        "test": None,
        "entry_point": None,
    }


def tree(tree_id: str, question_id: str, state: str, **figures: Any) -> Row:
    return {
        "tree_id": tree_id,
        "question_id": question_id,
        "evidence": "trees",
        "method": "puct",
        "backup": "values",
        "state": state,
        "steps": 0,
        "simulations": 4,
        "undecided": 0,
        "is_solved": False,
        "is_held_out": False,
        "pass_rate": 0.5,
        "prompt_ids": PROMPT_IDS,
        "requests": 3,
        "failed_requests": 0,
        "prompt_tokens": 30,
        "cached_tokens": 15,
        "generated_tokens": 40,
        "queue_seconds": 0.5,
        "service_seconds": 1.5,
        "error": None,
    } | figures


def node(tree_id: str, node_id: int, parent_id: int | None, depth: int, kind: str, text: str, **learned: Any) -> Row:
    is_terminal = "reward" in learned
    return (
        {
            "tree_id": tree_id,
            "node_id": node_id,
            "parent_id": parent_id,
            "depth": depth,
            "kind": kind,
            "origin": "policy",
            "hint": None,
            "text": text,
            "token_ids": [10 * node_id, 10 * node_id + 1],
            "logprob": -1.0,
            "prior": 0.6,
            "value": None,
            "visits": int(is_terminal),
            "q": learned.get("reward"),
            "reward": None,
            "score": None,
            "answer": "5" if kind == "solution" else None,
            "is_expanded": False,
            "is_closed": is_terminal,
        }
        | ({"token_ids": PROMPT_IDS, "logprob": 0.0, "prior": 1.0} if kind == "root" else {})
        | learned
    )


def expanded(q: float | None, visits: int, value: float | None = None) -> Row:
    return {"q": q, "visits": visits, "value": value, "is_expanded": True}


HINTED = {"origin": "hint", "hint": "The sum was wrong.\n"}

NODES = [
    node("t1", 0, None, 0, "root", PLANS.prompt(QUESTIONS["q1"]), **expanded(-2 / 7, 7)),
    node("t1", 1, 0, 1, "plan", plan(1, "Add them."), **expanded(1 / 6, 3, value=0.5)),
    node("t1", 2, 0, 1, "plan", plan(1, "Subtract."), **expanded(-5 / 6, 3, value=-0.5), prior=0.7),
    node("t1", 3, 1, 2, "solution", solution("5"), reward=1.0),
    node("t1", 4, 1, 2, "solution", solution("6"), reward=-1.0),
    node("t1", 5, 2, 2, "solution", solution("1"), reward=-1.0),
    node("t1", 6, 2, 2, "malformed", "<step>\nWell", reward=-1.0),
    node("t1", 7, 0, 1, "plan", plan(1, "Multiply."), value=0.1),
    node("t2", 0, None, 0, "root", PLANS.prompt(QUESTIONS["q2"]), **expanded(0.5, 3)),
    node("t2", 1, 0, 1, "plan", plan(1, "Take away."), **expanded(0.75, 2, value=0.5)),
    node("t2", 2, 1, 2, "solution", solution("5"), reward=1.0),
    node("t3", 0, None, 0, "root", PLANS.prompt(QUESTIONS["q3"]), visits=0),
    node("t4", 0, None, 0, "root", PLANS.prompt(QUESTIONS["q1"]), **expanded(0.0, 2)),
    node("t4", 1, 0, 1, "plan", plan(1, "Subtract."), **expanded(-1.0, 1, value=0.5)),
    node("t4", 2, 1, 2, "solution", solution("1"), reward=-1.0, answer="1"),
    node("t4", 3, 0, 1, "plan", plan(1, "It is 5."), **expanded(None, 0), **HINTED),
    node("t4", 4, 3, 2, "leaked", "</plan>\n", **HINTED, is_closed=True),
    node("t4", 5, 0, 1, "plan", plan(1, "Add them."), **expanded(1.0, 1), **HINTED),
    node("t4", 6, 5, 2, "solution", solution("5"), reward=1.0, origin="hint"),
    node("t5", 0, None, 0, "root", PLANS.prompt(QUESTIONS["q3"]), **expanded(1.0, 2)),
    node("t5", 1, 0, 1, "plan", plan(1, "Add them."), **expanded(1.0, 2, value=0.5)),
    node("t5", 2, 1, 2, "solution", solution("2"), reward=1.0, visits=2, answer="2"),
]

STEPS = {(row["tree_id"], row["node_id"]): row for row in NODES}


def pair(parents: list[int], chosen_id: int, rejected_id: int, scale: float) -> Row:
    """`parents`: the node ids from the root to the parent."""
    chosen, rejected = STEPS["t1", chosen_id], STEPS["t1", rejected_id]
    return {
        "lesson": "steps",
        "pair_id": f"t1/{chosen_id}-{rejected_id}",
        "tree_id": "t1",
        "question_id": "q1",
        "parent_id": parents[-1],
        "chosen_id": chosen_id,
        "rejected_id": rejected_id,
        "kind": chosen["kind"],
        "chosen_q": chosen["q"],
        "rejected_q": rejected["q"],
        "chosen_value": chosen["q"] * scale,
        "rejected_value": rejected["q"] * scale,
    }


def imitation(
    path: list[int], weight: float, positions: list[int], targets: list[float], tree: str = "t1", asked: str = "q1"
) -> Row:
    """`path`: the node ids after the root, two tokens each."""
    return {
        "lesson": "paths",
        "example_id": f"{tree}/{path[-1]}",
        "tree_id": tree,
        "question_id": asked,
        "leaf_id": path[-1],
        "origin": "policy",
        "weight": weight,
        "prompt_tokens": len(PROMPT_IDS),
        "prompt_characters": len(STEPS[tree, 0]["text"]),
        "eos": EOS if weight > 0 else None,
        "value_positions": positions,
        "value_targets": targets,
    }


ORDER = ("base", "sft", "step_apo")


def effect(pair_id: str, kind: str, gap: float, chosen: tuple[float, float], rejected: tuple[float, float]) -> Row:
    """What training did to a pair: log-probs before and after."""
    told = {"model": "step_apo", "lesson": "steps", "pair_id": pair_id, "kind": kind, "gap": gap}
    sides = {"chosen": chosen, "rejected": rejected}
    return told | {
        f"{side}_{when}": logprobs[at]
        for side, logprobs in sides.items()
        for at, when in enumerate(("before", "after"))
    }


def model(name: str, parent: str | None, **loss: float) -> Row:
    """The last of a round's models searches next."""
    return {
        "model": name,
        "ordinal": ORDER.index(name),
        "uri": f"s3://cpl/stages/{name}/manifest.json",
        "sha256": name.encode().hex().ljust(64, "0"),
        "parent": parent,
        "same_as": None,
        "is_policy": True,
        "is_next": name == ORDER[-1],
        "lesson": None if parent is None else "pairs" if "prefer" in loss else "paths",
        "loss": json.dumps(loss) if loss else None,
        "updates": 0 if parent is None else 8,
        "examples": 0 if parent is None else 2,
        "token_ratio": None if parent is None else 1.5,
        "seconds": 3.0,
    }


def evaluation(name: str, kind: str, accuracy: float, n: int) -> Row:
    stderr = (accuracy * (1 - accuracy) / n) ** 0.5
    about = {"model": name, **ASKED, "kind": kind}
    interval = {"accuracy_low": accuracy * 0.5, "accuracy_high": accuracy * 0.5 + 0.5}
    counts = {"n": n, "clusters": n, "equal_clusters": float(n)}
    counts |= dict.fromkeys(("truncated", "unparsable", "undecided", "lost"), 0)
    figures = {"accuracy": accuracy, "stderr": stderr, "stderr_draws": None, "generated_tokens": 12.0}
    setup = {"settings": "0" * 64, "engine": "0.32.0", "harness": None, "task_version": None}
    return about | interval | counts | figures | setup


ASKED = {"benchmark": "micro/test", "split": "in_domain", "form": "plan", "metric": "answer", "shots": 0}


def sample(name: str, question_id: str, kinds: list[str], is_correct: bool | None, **about: Any) -> Row:
    return {
        "model": name,
        **ASKED,
        "question_id": question_id,
        "draw": 0,
        "cluster": None,
        "question": f"Benchmark question {question_id}?",
        "kinds": kinds,
        "prompt_digest": "0" * 64,
        "output": solution("5"),
        "answer": "5",
        "outcome": "failed" if is_correct is None else "right" if is_correct else "wrong",
        "is_correct": is_correct,
        "generated_tokens": 12,
        "seconds": 1.5,
        "error": "the engine is gone" if is_correct is None else None,
    } | about


def ranking(name: str, kind: str, **figures: Any) -> Row:
    return {"model": name, "kind": kind, "trees": 1, "value_mean": 0.1, "value_sd": 0.2, "prior_auc": None} | figures


def overlap(kind: str, is_masked: bool = False, **figures: Any) -> Row:
    """A benchmark's question of 20 tokens that ends as a learnt text does."""
    return {
        "benchmark": "micro/test",
        "benchmark_question": "Benchmark question b1?",
        "n": 13,
        "is_masked": is_masked,
        "kind": kind,
        "question_id": "q1",
        "text": QUESTIONS["q1"],
        "texts": 1,
        "share": 0.25,
        "span": "apples and buys 3. How many has she?",
        "tokens": 14,
    } | figures


def opinion(name: str, answer: str, ours: str, theirs: str, times: int) -> Row:
    about = {"origin": "benchmark", "metric": "answer"} if "/" in name else {"origin": "search", "metric": None}
    return about | {"name": name, "gold": "5", "answer": answer, "ours": ours, "theirs": theirs, "times": times}


TRIES = {"evidence": "tries", "method": "reflect", "backup": "trajectories", "pass_rate": None}

ROUND: dict[str, list[Row]] = {
    "rounds": [
        {
            "run_id": "run-1",
            "recipe": "cpl-micro",
            "model": "micro",
            "seconds": 60.0,
            "created_at": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
            "config": "{}",
            "code": "0.1.0",
        }
    ],
    "stages": [
        {"stage": stage, "seconds": 1.0, "run_id": "run-1", "uri": "s3://cpl/x", "sha256": f"{number}" * 64, "rows": 3}
        | {"version": 1, "code": "0.1.0", "settings": "{}", "engine": None, "gpu_hours": 0.25 * number}
        for number, stage in enumerate(("questions", "trees", "step_apo"))
    ],
    "inputs": [
        {"stage": "trees", "input": "questions", "uri": "s3://cpl/x", "sha256": "0" * 64},
        {"stage": "step_apo", "input": "trees.trees", "uri": "s3://cpl/x", "sha256": "1" * 64},
    ],
    "questions": [
        question("q1", ["add"]),
        question("q2", ["subtract", "add"], is_held_out=True),
        question("q3", ["add"]),
    ],
    "trees": [
        tree("t1", "q1", "budget", expansions=3, nodes=8, visits=7, value=-2 / 7, is_solved=True),
        tree(
            "t2",
            "q2",
            "exhausted",
            expansions=2,
            nodes=3,
            visits=3,
            value=0.5,
            is_solved=True,
            is_held_out=True,
            pass_rate=None,
        ),
        tree("t3", "q3", "skipped", expansions=0, nodes=1, visits=0, value=0.0, simulations=0, pass_rate=1.0),
        tree("t4", "q1", "finished", expansions=4, nodes=7, visits=2, value=0.0, is_solved=True) | TRIES,
        tree("t5", "q3", "finished", expansions=2, nodes=3, visits=2, value=1.0, is_solved=True) | TRIES,
    ],
    "nodes": NODES,
    "preferences": [pair([0], 1, 2, scale=1.0), pair([0, 1], 3, 4, scale=0.3)],
    "imitations": [
        imitation([1, 3], 1.0, positions=[1, 3], targets=[1 / 6, 1.0]),
        imitation([1, 4], 0.0, positions=[3], targets=[-1.0]),
        imitation([2, 5], 0.0, positions=[1, 3], targets=[-5 / 6, -1.0]),
        imitation([1, 2], 1.0, positions=[1, 3], targets=[1.0, 1.0], tree="t5", asked="q3"),
    ],
    "engine_use": [
        {
            "stage": "trees",
            "questions": 3,
            "seconds": 4.0,
            "busy_seconds": 3.0,
            "sequence_seconds": 40.0,
            "requests": 9,
            "failed_requests": 0,
            "prompt_tokens": 90,
            "cached_tokens": 45,
            "generated_tokens": 120,
            "queue_seconds": 1.5,
            "service_seconds": 4.5,
            "gpus": 0,
        }
    ],
    "models": [model("base", None), model("sft", "base", nll=1.0), model("step_apo", "sft", prefer=1.0)],
    "evaluations": [
        evaluation("base", "all", 0.5, 2),
        evaluation("base", "add", 0.5, 2),
        evaluation("base", "subtract", 0.0, 1),
        evaluation("step_apo", "all", 1.0, 2),
        evaluation("step_apo", "add", 1.0, 2),
        evaluation("step_apo", "subtract", 1.0, 1),
    ],
    "evaluation_samples": [
        sample("base", "b1", ["add"], is_correct=True),
        sample("base", "b2", ["add", "subtract"], is_correct=False),
        sample("step_apo", "b1", ["add"], is_correct=True),
        sample("step_apo", "b2", ["add", "subtract"], is_correct=True),
    ],
    "value_rankings": [
        ranking("sft", "plan", nodes=1, sibling_auc=None, sibling_auc_stderr=None, sibling_pairs=0, pooled_auc=None),
        ranking("sft", "solution", nodes=9, sibling_auc=0.7, sibling_auc_stderr=0.1, sibling_pairs=8, pooled_auc=0.8),
    ],
    "contamination": [overlap("question"), overlap("question", is_masked=True, share=0.5), overlap("plan")],
    "pair_effects": [
        effect("t1/1-2", "plan", 1.0, (-4.0, -5.0), (-3.0, -7.0)),
        effect("t1/3-4", "solution", 0.6, (-2.0, -1.5), (-2.5, -1.25)),
    ],
    "second_opinions": [
        opinion("trees", "5", "right", "right", 6),
        opinion("trees", "5 ft", "right", "wrong", 2),
        opinion("trees", "5x", "wrong", "right", 1),
        opinion("trees", "?", "wrong", "unread", 3),
        opinion("trees", "9^9^9", "undecided", "wrong", 1),
        opinion("trees", "9!!!", "wrong", "undecided", 1),
        opinion("micro/test", "?", "wrong", "unread", 4),
    ],
    "artifacts": [
        {"stage": "trees", "name": name, "uri": f"s3://cpl/{name}", "size": 100, "sha256": "0" * 64, "rows": rows}
        for name, rows in (("nodes.parquet", 22), ("log.txt", None))
    ],
}


def parquet(folder: Path, tables: dict[str, list[Row]], round: int = 1) -> dict[str, list[ParquetSource]]:
    """The tables as Parquet files below `folder`, as a round would hand them to `build`."""
    sources = {}
    for table, rows in tables.items():
        path = folder / f"{table}-{round}.parquet"
        frame(table, rows).write_parquet(path)
        sources[table] = [ParquetSource("demo", round, path)]
    return sources
