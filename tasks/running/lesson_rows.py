"""A lesson in words: its rows name nodes, and here they get the texts and token ids of those, by the warehouse's views.

What a trainer reads is made of the same relations as what a user asks, and is kept nowhere but in the work folder.
"""

from pathlib import Path

from infra.store import Ref
from infra.warehouse import IN_WORDS, ParquetSource, write_in_words
from tasks.running.workplace import Workplace


def table_of(workplace: Workplace, lesson: Ref) -> str:
    """`imitations` or `preferences`, whichever the lesson holds."""
    (table,) = IN_WORDS.keys() & {
        stored.name.removesuffix(".parquet") for stored in workplace.store.manifest(lesson).objects
    }
    return table


def in_words(workplace: Workplace, lesson: Ref) -> Path:
    """A Parquet file of the lesson's rows, in their order, with the columns that its view adds."""
    store, table = workplace.store, table_of(workplace, lesson)
    evidence = [ref for name, ref in store.manifest(lesson).inputs.items() if name.startswith("trees.")]
    sources = {
        "nodes": [ParquetSource("", 0, store.fetch(ref, "nodes.parquet")) for ref in evidence],
        table: [ParquetSource("", 0, store.fetch(lesson, f"{table}.parquet"))],
    }
    target = workplace.folder / f"{table}-{lesson.sha256[:12]}.parquet"
    write_in_words(sources, table, target)
    return target
