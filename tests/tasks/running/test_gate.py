"""What a person sees before a round trains: the cost so far, lessons with their margins, the widest preferences."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import polars as pl

from infra.contract.training import Loss, Training
from infra.store import Ref, Store
from tasks.running.gate import EXAMPLES, ToLearn, summary
from tasks.running.record import RoundRun

MARGINS = [("plan", 0.25), ("plan", 1.5), ("plan", 0.5), ("solution", 0.75), ("plan", 0.4), ("plan", 0.3)]


def kept(folder: Path, rows: dict[str, list[dict[str, Any]]]) -> Ref:
    """A stage's tables as files of a folder."""
    folder.mkdir()
    for table, found in rows.items():
        pl.DataFrame(found).write_parquet(folder / f"{table}.parquet")
    return Ref(uri=f"s3:/{folder}/manifest.json", sha256="0" * 64, rows=len(next(iter(rows.values()))))


def folder_of(ref: Ref) -> Path:
    return Path(ref.uri.removeprefix("s3:/")).parent


def stored(ref: Ref) -> Any:
    names = [SimpleNamespace(name=path.name) for path in folder_of(ref).iterdir()]
    return SimpleNamespace(seconds=90.0, objects=names)


STORE = cast(Store, SimpleNamespace(manifest=stored, fetch=lambda ref, name: folder_of(ref) / name))


def test_it_tells_what_was_spent_what_would_be_learnt_and_the_widest_preferences(tmp_path: Path) -> None:
    nodes = [{"tree_id": "t", "node_id": 2 * i, "text": f"better {i}\n<b>"} for i in range(len(MARGINS))]
    nodes += [{"tree_id": "t", "node_id": 2 * i + 1, "text": f"worse {i} " + "x" * 500} for i in range(len(MARGINS))]
    trees = {
        "trees": kept(
            tmp_path / "trees",
            {"trees": [{"is_solved": True, "generated_tokens": 1200}, {"is_solved": False, "generated_tokens": 800}]}
            | {"nodes": nodes},
        )
    }
    about = {"tree_id": "t", "question_id": "q"}
    pairs = [
        about
        | {"kind": kind, "chosen_id": 2 * i, "rejected_id": 2 * i + 1, "chosen_value": 0.5}
        | {"rejected_value": 0.5 - margin}
        for i, (kind, margin) in enumerate(MARGINS)
    ]
    lessons = {
        "pairs": kept(tmp_path / "pairs", {"preferences": pairs}),
        "paths": kept(tmp_path / "paths", {"imitations": [{"tree_id": "t"}] * 3}),
    }
    arms = {"step_apo": ToLearn(12, Training(loss=Loss(prefer=1.0), epochs=2, batch_size=4, learning_rate=1e-5))}
    run = RoundRun({"trees": trees["trees"], **lessons}, ["trees: 1 was skipped"])

    text = summary(STORE, run, trees, lessons, arms)

    assert "4.5 minutes" in text  # of three stages
    assert "| trees | 2 | 1 | 2,000 |" in text
    assert "## pairs: 6 preferences" in text
    assert "| plan | 5 | 0.25 | 0.40 | 1.50 |" in text
    assert "| solution | 1 | 0.75 | 0.75 | 0.75 |" in text
    assert "## paths: 3 paths" in text
    assert "| step_apo | 12 | 2 | 4 |" in text
    assert "trees: 1 was skipped" in text
    shown = [line for line in text.splitlines() if line.startswith("- margin")]
    assert [line.split()[2] for line in shown] == ["1.50", "0.75", "0.50", "0.40", "0.30"][:EXAMPLES]
    assert "better 1" in text
    assert "<b>" not in text
    assert max(map(len, text.splitlines())) < 500
