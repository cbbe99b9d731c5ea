"""`make bench-warehouse`: a campaign of 10 million pairs and 30 million nodes as one database, and how fast it answers.

Ten rounds made from a seed: trees of 100 nodes, five steps at the root and three below each, solutions at the leaves;
steps of some 200 characters, one in five from a pool that repeats, solutions of some 600; up to four right leaves of a
tree are imitated; every tenth tree counts trajectories, whose rollouts have a view. Measured: seconds to build the
database from its Parquet, then to add one more round of 1 %; the peak memory of either; the bytes of the database by
those of the Parquet; and the seconds of the second asking of:

- tables, and views that write out no words: their first 1,000 rows;
- views that write out words: all rows of one question (or tree), and the words of 1,000 selected rows by the macro that
  each has, where it has one. Such a view asked without either writes out every path there is, and is not measured;
- worked queries as they stand.
"""

import argparse
import json
import os
import platform
import resource
import shutil
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from infra.warehouse import ParquetSource, ask, build, relations, statements
from tasks.records import TABLES
from tasks.running.parts import BATCH
from tests.sql.handmade import ROUND, parquet

OUTPUT = Path("build/bench/warehouse.json")
ROUNDS, NODES, CHUNK = 10, 100, 16 * BATCH
VOCABULARY, WORDS = 30_000, 5_000_000
POOL = 5_000
MOST = 1_000
IMITATED = 4
SAMPLED = 10
QUESTION = "q0000010"
IN_WORDS = {
    "tree_paths": "nodes",
    "pairs": "preferences",
    "imitated_paths": "imitations",
    "step_preferences": None,
    "rollouts": None,
}
"""View that writes out words, and the table of which its macro takes some rows."""
WHEN = ("before", "after")
Columns = dict[str, Any]


def shape() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Parent, depth and whether it is expanded, of each node of a tree, in the order of their breadth."""
    parent, depth = [-1], [0]
    below = 0
    while len(parent) < NODES:
        for _ in range(5 if below == 0 else 3):
            if len(parent) < NODES:
                parent.append(below)
                depth.append(depth[below] + 1)
        below += 1
    expanded = np.isin(np.arange(NODES), parent)
    return np.array(parent), np.array(depth), expanded


class Corpus:
    """Words at random, as one text; a slice of it is a step."""

    def __init__(self, draw: np.random.Generator) -> None:
        letters = draw.integers(97, 123, (VOCABULARY, 8), dtype=np.uint8)
        vocabulary = [
            bytes(row[:length]).decode() for row, length in zip(letters, draw.integers(2, 9, VOCABULARY), strict=True)
        ]
        rank = draw.zipf(1.2, WORDS) % VOCABULARY
        words = [vocabulary[one] for one in rank]
        self.ids = rank.astype(np.int32)
        self.text = " ".join(words)
        self.starts = np.concatenate([[0], np.cumsum([len(word) + 1 for word in words])])

    def slices(self, first: np.ndarray, count: np.ndarray) -> tuple[list[str], pa.Array]:
        ends = first + count
        texts = [
            self.text[a:b] for a, b in zip(self.starts[first].tolist(), (self.starts[ends] - 1).tolist(), strict=True)
        ]
        offsets = np.concatenate([[0], np.cumsum(count)])
        places = np.arange(offsets[-1]) - np.repeat(offsets[:-1] - first, count)
        return texts, pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), pa.array(self.ids[places]))


def chunk(draw: np.random.Generator, corpus: Corpus, first: int, trees: int) -> dict[str, Columns]:
    """Nodes, preferences, what training did to these, and imitations of some trees."""
    parent, depth, expanded = shape()
    n = trees * NODES
    node, is_leaf = np.tile(np.arange(NODES), trees), np.tile(~expanded, trees)
    is_root = node == 0
    numbers = np.repeat(np.arange(first, first + trees), NODES)
    tree_ids = [f"trees/q{number:07}" for number in numbers]
    count = np.where(is_leaf, draw.integers(70, 150, n), draw.integers(20, 50, n))
    place = draw.integers(0, WORDS - 200, n)
    is_common = ~is_leaf & (draw.random(n) < 0.2)
    pool = draw.integers(0, POOL, n)
    place, count = np.where(is_common, pool * 97, place), np.where(is_common, 20 + pool % 30, count)
    texts, ids = corpus.slices(place, count)
    reward = np.where(draw.random(n) < 0.4, 1.0, -1.0)
    q = np.where(is_leaf, reward, draw.uniform(-1, 1, n))
    kind = np.where(is_root, "root", np.where(is_leaf, "solution", "plan"))
    prior = np.where(is_root, 1.0, draw.random(n))
    nodes = {
        "tree_id": tree_ids,
        "node_id": pa.array(node, pa.int32()),
        "parent_id": pa.array(np.tile(parent, trees), pa.int32(), mask=is_root),
        "depth": pa.array(np.tile(depth, trees), pa.int32()),
        "kind": kind.tolist(),
        "origin": pa.array(["policy"] * n),
        "hint": pa.nulls(n, pa.string()),
        "text": texts,
        "token_ids": ids,
        "logprob": -draw.exponential(5.0, n),
        "prior": prior,
        "value": pa.array(draw.uniform(-1, 1, n), mask=is_root),
        "visits": pa.array(np.where(is_leaf, 1, draw.integers(1, 30, n)), pa.int32()),
        "q": q,
        "reward": pa.array(reward, mask=~is_leaf),
        "score": pa.nulls(n, pa.float64()),
        "answer": pa.array(draw.integers(0, 1000, n).astype(str), mask=~is_leaf),
        "is_expanded": ~is_leaf,
        "is_closed": is_leaf,
    }
    one, other = map(
        np.array, zip(*[(a, b) for a in range(NODES) for b in range(a) if parent[a] == parent[b]], strict=True)
    )
    q_of = q.reshape(trees, NODES)
    tree, which = np.nonzero(q_of[:, one] * q_of[:, other] < 0)
    a, b = one[which], other[which]
    chosen, rejected = np.where(q_of[tree, a] > 0, a, b), np.where(q_of[tree, a] > 0, b, a)
    kept = np.sort(draw.permutation(len(tree))[: trees * NODES // 3])
    tree, chosen, rejected = tree[kept], chosen[kept], rejected[kept]
    names = [f"trees/q{first + number:07}" for number in tree]
    scale = np.where(expanded[chosen], 1.0, 0.3)
    chosen_q, rejected_q = q_of[tree, chosen], q_of[tree, rejected]
    pairs = {
        "lesson": pa.array(["pairs"] * len(tree)),
        "pair_id": [f"{name}/{one}-{other}" for name, one, other in zip(names, chosen, rejected, strict=True)],
        "tree_id": names,
        "question_id": [name[6:] for name in names],
        "parent_id": pa.array(parent[chosen], pa.int32()),
        "chosen_id": pa.array(chosen, pa.int32()),
        "rejected_id": pa.array(rejected, pa.int32()),
        "kind": np.where(
            expanded[chosen] & expanded[rejected],
            "plan",
            np.where(expanded[chosen] | expanded[rejected], "continuation", "solution"),
        ).tolist(),
        "chosen_q": chosen_q,
        "rejected_q": rejected_q,
        "chosen_value": chosen_q * scale,
        "rejected_value": rejected_q * scale,
    }
    tree, leaf = np.nonzero(is_leaf.reshape(trees, NODES) & (q_of > 0))
    is_kept = np.arange(len(tree)) - np.searchsorted(tree, tree) < IMITATED
    tree, leaf = tree[is_kept], leaf[is_kept]
    names = [f"trees/q{first + number:07}" for number in tree]
    paths = {
        "lesson": pa.array(["paths"] * len(tree)),
        "example_id": [f"{name}/{one}" for name, one in zip(names, leaf, strict=True)],
        "tree_id": names,
        "question_id": [name[6:] for name in names],
        "leaf_id": pa.array(leaf, pa.int32()),
        "origin": pa.array(["policy"] * len(tree)),
        "weight": np.ones(len(tree)),
        "prompt_tokens": pa.array(count.reshape(trees, NODES)[tree, 0], pa.int32()),
        "prompt_characters": pa.array([len(texts[number * NODES]) for number in tree], pa.int32()),
        "eos": pa.array(np.zeros(len(tree)), pa.int32()),
        "value_positions": pa.array([[20, 60]] * len(tree), pa.list_(pa.int32())),
        "value_targets": pa.array([[0.5, 1.0]] * len(tree), pa.list_(pa.float32())),
    }
    effects = {
        "model": pa.array(["step_apo"] * len(chosen)),
        **{name: pairs[name] for name in ("lesson", "pair_id", "kind")},
        "gap": (chosen_q - rejected_q) * scale,
        **{f"{side}_{when}": -draw.exponential(20.0, len(chosen)) for side in ("chosen", "rejected") for when in WHEN},
    }
    return {"nodes": nodes, "preferences": pairs, "imitations": paths, "pair_effects": effects}


def write(folder: Path, corpus: Corpus, round: int, trees: int, seed: int) -> dict[str, list[ParquetSource]]:
    """A round's tables as Parquet."""
    draw = np.random.default_rng([seed, round])
    sources = parquet(folder, ROUND | {"preferences": [], "imitations": [], "pair_effects": []}, round)
    files: dict[str, pq.ParquetWriter] = {}
    for first in range(0, trees, CHUNK):
        for name, columns in chunk(draw, corpus, first, min(CHUNK, trees - first)).items():
            table = pa.table({column: columns[column] for column in TABLES[name]})
            if name not in files:
                files[name] = pq.ParquetWriter(sources[name][0].path, table.schema, compression="zstd")
            # The search writes so many trees a row group, of which DuckDB's threads read one each.
            files[name].write_table(table, BATCH * NODES if name == "nodes" else None)
    for file in files.values():
        file.close()
    names = [f"q{number:07}" for number in range(trees)]
    root = {
        "tree_id": [f"trees/{name}" for name in names],
        "question_id": names,
        "backup": ["trajectories" if number % SAMPLED == 0 else "values" for number in range(trees)],
    }
    alike = {**ROUND["trees"][0], "nodes": NODES, "pass_rate": 0.25, "generated_tokens": 9_000}
    pl.DataFrame(root).with_columns(
        *(pl.lit(value, dtype=TABLES["trees"][name]).alias(name) for name, value in alike.items() if name not in root)
    ).select(TABLES["trees"].names()).write_parquet(sources["trees"][0].path)
    asked = {**ROUND["questions"][0]}
    texts, _ = corpus.slices(draw.integers(0, WORDS - 200, trees), draw.integers(30, 60, trees))
    pl.DataFrame({"question_id": names, "question": texts}).with_columns(
        *(
            pl.lit(value, dtype=TABLES["questions"][name]).alias(name)
            for name, value in asked.items()
            if name not in ("question_id", "question")
        )
    ).select(TABLES["questions"].names()).write_parquet(sources["questions"][0].path)
    return sources


def timed(path: Path, sources: dict[str, list[ParquetSource]]) -> tuple[float, float, float]:
    """Seconds of a build, those of the processors, and its GiB at most."""
    started, before = time.monotonic(), time.process_time()
    build(path, sources)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return time.monotonic() - started, time.process_time() - before, peak


def questions() -> dict[str, str]:
    """What is asked, by its name."""
    asked = {f"queries/{file.stem}": file.read_text() for file in statements("queries")}
    for relation in (relation for folder in ("tables", "derived", "views") for relation in relations(folder)):
        asked[relation] = f"from {relation}"
        if relation in IN_WORDS:
            key = f"tree_id = 'trees/{QUESTION}'" if relation == "tree_paths" else f"question_id = '{QUESTION}'"
            asked[relation] += f" where {key}"
            if of := IN_WORDS[relation]:
                asked[f"{relation}_of"] = f"with few as (from {of} limit {MOST}) from {relation}_of(few)"
    return asked


def asked(paths: list[Path]) -> dict[str, float]:
    """Seconds of each question, warm."""
    seconds = {}
    for name, sql in questions().items():
        for _ in range(2):
            started = time.monotonic()
            rows = ask(paths, sql, most=MOST).rows
            seconds[name] = time.monotonic() - started
        print(f"{seconds[name]:8.2f} s  {len(rows):5} rows  {name}", flush=True)
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description="The warehouse of a large campaign.")
    parser.add_argument("--share", type=float, default=1.0, help="of 30 million nodes and 10 million pairs")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, default=Path("build/bench/warehouse"), help="made anew, and removed")
    given = parser.parse_args()
    trees = round(given.share * 30_000_000 / NODES / ROUNDS)
    shutil.rmtree(given.folder, ignore_errors=True)
    given.folder.mkdir(parents=True)
    try:
        OUTPUT.parent.mkdir(parents=True, exist_ok=True)
        OUTPUT.write_text(json.dumps(measured(given.folder, trees, given.seed) | {"share": given.share}, indent=1))
    finally:
        shutil.rmtree(given.folder)
    print(OUTPUT.read_text())


def measured(folder: Path, trees: int, seed: int) -> dict[str, Any]:
    paths, seconds, processor, peaks = [], [], [], []
    corpus = Corpus(np.random.default_rng(seed))
    for number in range(1, ROUNDS + 2):
        is_added = number > ROUNDS
        sources = write(folder, corpus, number, max(1, trees * ROUNDS // 100) if is_added else trees, seed)
        paths.append(folder / f"{number}.duckdb")
        with ProcessPoolExecutor(1, get_context("spawn")) as apart:  # whose peak is that of the build alone
            took, busy, peak = apart.submit(timed, paths[-1], sources).result()
        seconds.append(took)
        processor.append(busy)
        peaks.append(peak)
        print(f"round {number}: {took:.1f} s, {busy:.1f} s of processors, {peak:.1f} GiB", flush=True)
    read: dict[str, float] = asked(paths)
    (counts,) = ask(
        paths, "select (select count(*) from nodes) as nodes, (select count(*) from preferences) as pairs"
    ).records()
    slowest = max(read, key=read.__getitem__)
    of_parquet = sum(file.stat().st_size for file in folder.glob("*.parquet"))
    return counts | {
        "build_seconds": sum(seconds[:-1]),
        "build_processor_seconds": sum(processor[:-1]),
        "add_round_seconds": seconds[-1],
        "peak_gib": max(peaks),
        "slowest_query_seconds": max(read.values()),
        "slowest_query": slowest,
        "file_to_parquet": sum(path.stat().st_size for path in paths) / of_parquet,
        "parquet_bytes": of_parquet,
        "query_seconds": read,
        "seed": seed,
        "load_average": os.getloadavg()[0],
        "machine": platform.processor() or platform.machine(),
    }


if __name__ == "__main__":
    main()
