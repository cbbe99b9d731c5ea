"""The tables of a round as they are written to Parquet: names, columns and types, in one place.

`sql/tables/` documents every column; `tests/sql` keeps the two in step. Values and Q lie in [-1, 1],
log-probabilities are natural logarithms, token ids are those the engine sampled, never re-tokenised.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import polars as pl
import pyarrow as pa

TOKEN_IDS = pl.List(pl.Int32)


def _schema(columns: Mapping[str, Any]) -> pl.Schema:
    return pl.Schema(columns)


QUESTIONS = _schema(
    {
        "question_id": pl.String,
        "source": pl.String,
        "split": pl.String,
        "kinds": pl.List(pl.String),
        "level": pl.Int32,
        "question": pl.String,
        "answer": pl.String,
        "solution": pl.String,
        "is_exact": pl.Boolean,
        "is_held_out": pl.Boolean,
    }
)

TREES = _schema(
    {
        "tree_id": pl.String,
        "question_id": pl.String,
        "evidence": pl.String,
        "method": pl.String,
        "state": pl.String,
        "steps": pl.Int32,
        "simulations": pl.Int32,
        "expansions": pl.Int32,
        "nodes": pl.Int32,
        "visits": pl.Int32,
        "value": pl.Float64,
        "undecided": pl.Int32,
        "is_solved": pl.Boolean,
        "is_held_out": pl.Boolean,
        "pass_rate": pl.Float64,
        "prompt_ids": TOKEN_IDS,
        "requests": pl.Int32,
        "failed_requests": pl.Int32,
        "prompt_tokens": pl.Int64,
        "cached_tokens": pl.Int64,
        "generated_tokens": pl.Int64,
        "queue_seconds": pl.Float64,
        "service_seconds": pl.Float64,
        "error": pl.String,
    }
)

NODES = _schema(
    {
        "tree_id": pl.String,
        "node_id": pl.Int32,
        "parent_id": pl.Int32,
        "depth": pl.Int32,
        "kind": pl.String,
        "origin": pl.String,
        "hint": pl.String,
        "text": pl.String,
        "token_ids": TOKEN_IDS,
        "logprob": pl.Float64,
        "prior": pl.Float64,
        "value": pl.Float64,
        "visits": pl.Int32,
        "q": pl.Float64,
        "reward": pl.Float64,
        "score": pl.Float64,
        "answer": pl.String,
        "is_expanded": pl.Boolean,
        "is_closed": pl.Boolean,
    }
)

PREFERENCES = _schema(
    {
        "lesson": pl.String,
        "pair_id": pl.String,
        "tree_id": pl.String,
        "question_id": pl.String,
        "parent_id": pl.Int32,
        "chosen_id": pl.Int32,
        "rejected_id": pl.Int32,
        "kind": pl.String,
        "prompt_ids": TOKEN_IDS,
        "chosen_ids": TOKEN_IDS,
        "rejected_ids": TOKEN_IDS,
        "prompt": pl.String,
        "chosen": pl.String,
        "rejected": pl.String,
        "chosen_q": pl.Float64,
        "rejected_q": pl.Float64,
        "chosen_value": pl.Float64,
        "rejected_value": pl.Float64,
    }
)

IMITATIONS = _schema(
    {
        "lesson": pl.String,
        "example_id": pl.String,
        "tree_id": pl.String,
        "question_id": pl.String,
        "leaf_id": pl.Int32,
        "origin": pl.String,
        "weight": pl.Float64,
        "prompt_ids": TOKEN_IDS,
        "completion_ids": TOKEN_IDS,
        "prompt": pl.String,
        "completion": pl.String,
        "value_positions": TOKEN_IDS,
        "value_targets": pl.List(pl.Float32),
    }
)

ENGINE_USE = _schema(
    {
        "stage": pl.String,
        "questions": pl.Int32,
        "seconds": pl.Float64,
        "busy_seconds": pl.Float64,
        "sequence_seconds": pl.Float64,
        "requests": pl.Int64,
        "failed_requests": pl.Int64,
        "prompt_tokens": pl.Int64,
        "cached_tokens": pl.Int64,
        "generated_tokens": pl.Int64,
        "queue_seconds": pl.Float64,
        "service_seconds": pl.Float64,
        "gpus": pl.Int32,
    }
)

MODELS = _schema(
    {
        "model": pl.String,
        "ordinal": pl.Int32,
        "uri": pl.String,
        "sha256": pl.String,
        "parent": pl.String,
        "same_as": pl.String,
        "is_policy": pl.Boolean,
        "is_next": pl.Boolean,
        "lesson": pl.String,
        "loss": pl.String,
        "updates": pl.Int32,
        "examples": pl.Int32,
        "seconds": pl.Float64,
    }
)

EVALUATIONS = _schema(
    {
        "model": pl.String,
        "benchmark": pl.String,
        "split": pl.String,
        "kind": pl.String,
        "accuracy": pl.Float64,
        "accuracy_low": pl.Float64,
        "accuracy_high": pl.Float64,
        "stderr": pl.Float64,
        "n": pl.Int32,
        "undecided": pl.Int32,
        "lost": pl.Int32,
    }
)

EVALUATION_SAMPLES = _schema(
    {
        "model": pl.String,
        "benchmark": pl.String,
        "split": pl.String,
        "question_id": pl.String,
        "question": pl.String,
        "kinds": pl.List(pl.String),
        "output": pl.String,
        "answer": pl.String,
        "is_correct": pl.Boolean,
        "is_undecided": pl.Boolean,
        "generated_tokens": pl.Int32,
        "error": pl.String,
    }
)

VALUE_RANKINGS = _schema(
    {
        "model": pl.String,
        "kind": pl.String,
        "trees": pl.Int32,
        "nodes": pl.Int32,
        "value_mean": pl.Float64,
        "value_sd": pl.Float64,
        "sibling_auc": pl.Float64,
        "sibling_auc_stderr": pl.Float64,
        "sibling_pairs": pl.Int32,
        "pooled_auc": pl.Float64,
        "prior_auc": pl.Float64,
    }
)

ROUNDS = _schema(
    {
        "run_id": pl.String,
        "recipe": pl.String,
        "model": pl.String,
        "seconds": pl.Float64,
        "created_at": pl.Datetime("us", "UTC"),
        "config": pl.String,
        "code": pl.String,
    }
)

STAGES = _schema(
    {
        "stage": pl.String,
        "seconds": pl.Float64,
        "run_id": pl.String,
        "uri": pl.String,
        "sha256": pl.String,
        "rows": pl.Int64,
    }
)

ARTIFACTS = _schema(
    {
        "stage": pl.String,
        "name": pl.String,
        "uri": pl.String,
        "size": pl.Int64,
        "sha256": pl.String,
        "rows": pl.Int64,
    }
)

TABLES: dict[str, pl.Schema] = {
    "rounds": ROUNDS,
    "stages": STAGES,
    "questions": QUESTIONS,
    "trees": TREES,
    "nodes": NODES,
    "imitations": IMITATIONS,
    "preferences": PREFERENCES,
    "engine_use": ENGINE_USE,
    "models": MODELS,
    "evaluations": EVALUATIONS,
    "evaluation_samples": EVALUATION_SAMPLES,
    "value_rankings": VALUE_RANKINGS,
    "artifacts": ARTIFACTS,
}


def frame(table: str, rows: Iterable[Mapping[str, Any]]) -> pl.DataFrame:
    """Rows as a typed frame of `table`.

    Raises:
        ValueError: for a row with a missing or misspelt column, which is named, or with a value of another type.
    """
    schema = TABLES[table]
    rows = list(rows)
    for row in rows:
        if row.keys() != schema.keys():
            raise ValueError(f"a row of {table} has the wrong columns: {sorted(row.keys() ^ schema.keys())}")
    # Arrow reads rows with token ids in little more than half of polars' time.
    arrow = pl.DataFrame(schema=schema).to_arrow(compat_level=pl.CompatLevel.oldest()).schema
    return pl.DataFrame(pa.Table.from_pylist(rows, arrow))
