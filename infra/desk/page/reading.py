"""What the page of a round says, read from its manifests and from the warehouse that it published."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from infra.desk.page.explorer import Explorer, explorer, question_details
from infra.desk.page.lineage import Made
from infra.desk.published import published, round_summary, warehouse_of
from infra.desk.summary import Row
from infra.store import Ref, Store, rounds
from infra.warehouse import ask, statements

FIGURES = ("round", "scores", "funnel", "yield", "calibration", "gaps", "gaps_by_depth", "effects")
"""Queries of sql/page whose rows are shown as they are."""
PROGRESS = "progress.jsonl"


@dataclass(frozen=True)
class RoundPage:
    """All that the page says."""

    summary: Row
    """Of `cpl show --json`."""
    figures: dict[str, list[Row]]
    """Rows of the queries of `FIGURES`."""
    asked: list[Row]
    curves: dict[str, list[tuple[float, float]]]
    """(update, loss) of every training, by the model's name."""
    stages: list[Made]
    explorer: Explorer
    queries: dict[str, str]
    """The text of every query, by the name of its file."""


def read_page(store: Store, campaign: str | None, round: int | None, publication_id: str | None) -> RoundPage:
    """The page of a published round, by default of the one that completed last.

    Raises:
        NoSuchRound: with the way to a round, when there is none.
    """
    found = published(store, campaign, round, publication_id)
    manifest = store.manifest(found.manifest)
    stages = rounds.stages_of(manifest)
    summary = round_summary(store, found.campaign, found.round, found.publication)
    models = {row["model"]: stages[row["model"]] for row in summary["models"] if row["model"] in stages}
    made = _made(store, stages, manifest.run_id)
    return page_of(warehouse_of(store, found), summary, _curves(store, models), made)


def page_of(
    warehouse: Path | Sequence[Path], summary: Row, curves: dict[str, list[tuple[float, float]]], stages: list[Made]
) -> RoundPage:
    """The page of the summary's round, as far as its warehouse knows it."""
    files = {file.stem: file for folder in ("reports", "page") for file in statements(folder)}
    queries = {name: file.read_text() for name, file in files.items()}
    of_round = {"campaign": summary["campaign"], "round": summary["round"]}

    def rows(name: str, **more: object) -> list[Row]:
        return ask(warehouse, queries[name], of_round | more).records()

    def details(batch: Sequence[Row]) -> Iterator[Row]:
        trees = rows("trees", questions=[row["question_id"] for row in batch])
        nodes = rows("nodes", trees=[row["tree_id"] for row in trees])
        pairs = rows("pairs", questions=[row["question_id"] for row in batch])
        return question_details(batch, trees, nodes, pairs)

    asked = rows("asked")
    return RoundPage(
        summary=summary,
        figures={name: rows(name) for name in FIGURES},
        asked=asked,
        curves=curves,
        stages=stages,
        explorer=explorer(asked, details),
        queries=queries,
    )


def _curves(store: Store, models: Mapping[str, Ref]) -> dict[str, list[tuple[float, float]]]:
    """(update, loss) of each model's training, as its trainer told them; base models were not trained here."""
    curves = {}
    for model, ref in models.items():
        if any(stored.name == PROGRESS for stored in store.manifest(ref).objects):
            told = [json.loads(line) for line in store.fetch(ref, PROGRESS).read_text().splitlines()]
            curves[model] = [(line["update"], line["loss"]) for line in told]
    return {model: points for model, points in curves.items() if points}


def _made(store: Store, stages: Mapping[str, Ref], run_id: str) -> list[Made]:
    """The stages and what each is made of; what is of an earlier round is left out."""
    name_of = {ref.sha256: name for name, ref in stages.items()}
    made = []
    for name, ref in stages.items():
        manifest = store.manifest(ref)
        of = {name_of[one.sha256] for one in manifest.inputs.values() if one.sha256 in name_of}
        about = f"{manifest.seconds:.1f} s" + (f" · {ref.rows:,} rows" if ref.rows else "")
        made.append(Made(name, about, frozenset(of - {name}), manifest.run_id != run_id))
    return made
