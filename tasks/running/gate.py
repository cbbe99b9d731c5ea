"""The human gate: what would be learnt is shown, and the round waits until somebody lets it go on to the trainings.

The run is suspended: its process ends, its engine has no tenant, and no time limit runs. *Resume* in the UI starts it
again, it finds all that it had done, and passes.
"""

from collections.abc import Mapping
from typing import NamedTuple

import polars as pl
from prefect import suspend_flow_run

from infra.contract.training import Training
from infra.store import Ref, Store
from tasks.running.progress import show_page, words
from tasks.running.record import RoundRun

EXAMPLES = 5
"""Preferences that are shown, of each lesson the widest."""
TEXT = 400
"""Characters of a text that is shown."""


class ToLearn(NamedTuple):
    """An arm as it would learn: sequences of one pass over its lesson, and how."""

    sequences: int
    training: Training


def wait_for_approval(
    store: Store, run: RoundRun, trees: Mapping[str, Ref], lessons: Mapping[str, Ref], arms: Mapping[str, ToLearn]
) -> None:
    """Suspends the flow run, unless it was let go on before.

    Raises:
        Pause: it waits now; the flow's process is to end.
        RuntimeError: this run cannot wait: it is none of a deployment, or a run within another.
    """
    text = summary(store, run, trees, lessons, arms)
    show_page("approval", text, "What would be learnt: Resume lets the round train, Cancel ends it")
    suspend_flow_run(key="approval")


def summary(
    store: Store, run: RoundRun, trees: Mapping[str, Ref], lessons: Mapping[str, Ref], arms: Mapping[str, ToLearn]
) -> str:
    """As Markdown: the cost so far, the lessons with their margins, the widest preferences, the trainings to come."""
    seconds = sum(store.manifest(ref).seconds for ref in run.stages.values())
    spent = {name: pl.read_parquet(store.fetch(ref, "trees.parquet")) for name, ref in trees.items()}
    searched = [
        f"| {name} | {rows.height:,} | {rows['is_solved'].sum():,} | {rows['generated_tokens'].sum():,} |"
        for name, rows in spent.items()
    ]
    coming = [
        f"| {name} | {arm.sequences:,} | {arm.training.epochs:.3g} | {arm.training.batch_size} |"
        for name, arm in arms.items()
    ]
    notes = [f"> **Note:** {words(note)}\n" for note in run.notes]
    return "\n".join(
        [
            "# What would be learnt\n",
            "**Resume** lets the round train, **Cancel** ends it. What is done is kept either way.\n",
            *notes,
            f"So far: {seconds / 60:.1f} minutes of stages.\n",
            *("| evidence | trees | solved | generated tokens |", "| --- | --- | --- | --- |", *searched, ""),
            *(line for name, ref in lessons.items() for line in _lesson(store, name, ref, trees)),
            "## Trainings to come\n",
            *("| model | sequences | passes | of an update |", "| --- | --- | --- | --- |", *coming, ""),
        ]
    )


def _lesson(store: Store, name: str, lesson: Ref, trees: Mapping[str, Ref]) -> list[str]:
    """A lesson's rows: of preferences how many of each kind, their margins, and the widest of them."""
    if "preferences.parquet" not in {stored.name for stored in store.manifest(lesson).objects}:
        return [f"## {words(name)}: {lesson.rows:,} paths\n"]
    pairs = pl.read_parquet(store.fetch(lesson, "preferences.parquet")).with_columns(
        margin=pl.col("chosen_value") - pl.col("rejected_value")
    )
    margin = pl.col("margin")
    kinds = pairs.group_by("kind").agg(
        pl.len().alias("n"), margin.median().alias("middle"), margin.min().alias("least"), margin.max().alias("most")
    )
    rows = [
        f"| {one['kind']} | {one['n']:,} | {one['least']:.2f} | {one['middle']:.2f} | {one['most']:.2f} |"
        for one in kinds.sort("kind").to_dicts()
    ]
    return [
        f"## {words(name)}: {pairs.height:,} preferences\n",
        *("| kind | pairs | least margin | median | most |", "| --- | --- | --- | --- | --- |", *rows, ""),
        *_examples(store, pairs.sort("margin", descending=True, maintain_order=True).head(EXAMPLES), trees),
    ]


def _examples(store: Store, pairs: pl.DataFrame, trees: Mapping[str, Ref]) -> list[str]:
    """Both sides of these pairs, by the last step of each."""
    of_pairs = pl.col("tree_id").is_in(pairs["tree_id"].unique().to_list())
    found = [
        pl.scan_parquet(store.fetch(ref, "nodes.parquet")).filter(of_pairs).select("tree_id", "node_id", "text")
        for ref in trees.values()
    ]
    texts = {(tree, node): text for tree, node, text in pl.concat(found).collect().iter_rows()}
    shown = []
    for pair in pairs.to_dicts():
        chosen, rejected = (_short(texts[pair["tree_id"], pair[side]]) for side in ("chosen_id", "rejected_id"))
        shown.append(
            f"- margin {pair['margin']:.2f} in `{words(pair['question_id'])}`\n  - chosen: {chosen}\n"
            f"  - rejected: {rejected}"
        )
    return [*shown, ""]


def _short(text: str) -> str:
    line = " ".join(text.split())
    return words(line if len(line) <= TEXT else f"{line[:TEXT]}…")
