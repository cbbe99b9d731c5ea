"""The stage *learn*: a model learns a lesson, by a loss that is a sum of named terms (infra.contract.training)."""

from pathlib import Path

import polars as pl
import polars.selectors as cs

from infra.contract.training import Training
from infra.store import Ref
from tasks.language.format import FORMATS
from tasks.running.lesson_rows import in_words
from tasks.running.prompts import Prompts
from tasks.running.stage import stage
from tasks.running.trainer import launch
from tasks.running.workplace import Workplace
from tasks.settings import Steps


@stage("learn", version=4, layout=("name",), task_run_name="learn-{name}")
def learn(
    workplace: Workplace, start: Ref, lesson: Ref, name: str, training: Training, chat: Steps | None = None
) -> int:
    """Trains the model `start`, which is also the reference of a preference, on the lesson's table in words.

    `name` is no part of the key: equal arms of two recipes are one model. `chat`: it learns in its chat template,
    behind the instruction for such steps.
    """
    rows = in_words(workplace, lesson)
    model = workplace.store.folder(start, "model")
    if chat:
        rows = in_chat(rows, Prompts.read(model, FORMATS[chat]), workplace.folder / f"chat-{rows.name}")
    imitates_only = training.loss.nll > 0 and training.loss.value == 0
    seen = pl.scan_parquet(rows).filter(pl.col("weight") != 0 if imitates_only else True)
    workplace.facts["notes"] = shortened(seen, training.max_length)
    told = {"model": str(model), "lesson": str(rows), "in_chat": chat is not None}
    launch(workplace, "learn", name, told | training.model_dump())
    return int(workplace.facts["examples"])


def in_chat(rows: Path, prompts: Prompts, target: Path) -> Path:
    """The same table with the prompts that the engine is asked."""
    whole = pl.col("prompt_ids").map_elements(lambda ids: prompts.asked(ids.to_list()), return_dtype=pl.List(pl.Int32))
    pl.read_parquet(rows).with_columns(whole).write_parquet(target, compression="zstd")
    return target


def shortened(rows: pl.LazyFrame, max_length: int) -> list[str]:
    """What a trainer does not see of a table's rows, in a sentence; of a pair, the longer side counts."""
    prompt = pl.col("prompt_ids").list.len()
    completion = pl.max_horizontal(cs.matches("^(completion|chosen|rejected)_ids$").list.len())
    n, left_out, cut = (
        rows.select(
            pl.len(),
            (prompt >= max_length).sum().alias("left_out"),
            ((prompt < max_length) & (prompt + completion > max_length)).sum().alias("cut"),
        )
        .collect()
        .row(0)
    )
    if not left_out + cut:
        return []
    return [
        f"of {n} rows, {cut} are cut at max_length ({max_length} tokens), so that nothing learns how they end, and "
        f"{left_out} are left out, whose prompt alone fills it."
    ]
