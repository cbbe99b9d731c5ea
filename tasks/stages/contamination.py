"""The stage *contamination*: what of the benchmarks' questions stands in the texts that a round learns from.

By runs of the base model's tokens, which DuckDB joins (sql/stages/contamination.sql). First over the round's questions,
before anything is spent, then over what its lessons teach.
"""

from collections.abc import Iterator

import polars as pl
from tokenizers import Tokenizer

from infra.store import Ref
from infra.warehouse import SQL, derive
from tasks.language.format import Kind, words_learnt
from tasks.questions import refuse_contamination
from tasks.questions.overlap import LENGTHS, REFUSED_BY, comparable
from tasks.records import TABLES
from tasks.running.lesson_rows import in_words, table_of
from tasks.running.stage import stage
from tasks.running.workplace import Workplace

LEARNT = {"imitations": ["completion"], "preferences": ["chosen", "rejected"]}
"""By a lesson's table: the columns that hold what is learnt. Of its prompts, the questions are the round's; steps that
only stand before what is learnt are learnt elsewhere, or nowhere."""
TEXTS = pl.Schema({"question_id": pl.String(), "kind": pl.String(), "text": pl.String()})
BATCH = 10_000
"""Texts that are taken into tokens at once: as Python's numbers they need far more room than afterwards."""
WORTH_TELLING = 0.5
"""Of a question's runs: from this share on a note tells of it."""


@stage("contamination", version=4, task_run_name="contamination-{name}")
def find_contamination(
    workplace: Workplace, name: str, learnt: dict[str, Ref], benchmarks: dict[str, Ref], base: Ref
) -> int:
    """The table `contamination`: what is learnt, the stages *questions* or *lessons* by name, against all that the
    benchmarks ask, by the forms in which they are asked. `base`: the model whose tokens are compared."""
    texts = pl.concat([pl.DataFrame(schema=TEXTS), *(_texts(workplace, ref) for ref in learnt.values())])
    texts = texts.unique(["kind", "text"], keep="first", maintain_order=True)
    asked = pl.concat([workplace.read(ref, "asked") for ref in benchmarks.values()])
    asked = asked.unique(["benchmark", "question"], keep="first", maintain_order=True)  # one may stand in both forms
    tokenizer = Tokenizer.from_file(str(workplace.store.folder(base, "model") / "tokenizer.json"))
    tokenizer.encode_special_tokens = True
    rows = pl.concat(list(_found(workplace, tokenizer, asked, texts)))
    workplace.write("contamination", rows)
    workplace.facts["notes"] = list(_notes(rows))
    return rows.height


@stage("clean", version=2)
def refuse_contaminated(workplace: Workplace, found: Ref, most: float) -> int:
    """Refuses a round by its table `contamination` (tasks.questions.overlap). A stage of its own: another limit finds
    nothing else."""
    refuse_contamination(workplace.read(found, "contamination"), most)
    return 0


def _texts(workplace: Workplace, ref: Ref) -> pl.DataFrame:
    """What a stage teaches, part by part: rows of TEXTS."""
    if any(stored.name == "questions.parquet" for stored in workplace.store.manifest(ref).objects):
        drawn = workplace.read(ref, "questions").filter(~pl.col("is_held_out"))
        return drawn.select("question_id", kind=pl.lit("question"), text="question")
    table = table_of(workplace, ref)
    taught = pl.read_parquet(in_words(workplace, ref), columns=["question_id", *LEARNT[table]])
    rows = (
        (question_id, "plan" if kind is Kind.PLAN else "solution", words)
        for column in LEARNT[table]
        for question_id, text in taught.select("question_id", column).iter_rows()
        for kind, words in words_learnt(text)
    )
    return pl.DataFrame(rows, schema=TEXTS, orient="row")


def _found(
    workplace: Workplace, tokenizer: Tokenizer, asked: pl.DataFrame, texts: pl.DataFrame
) -> Iterator[pl.DataFrame]:
    """Rows of `contamination`, for every length of runs, without and with masked numbers."""
    schema = TABLES["contamination"]
    yield pl.DataFrame(schema=schema)
    for is_masked in (False, True):
        frames = {
            name: frame.with_row_index("number").with_columns(ids=_in_tokens(tokenizer, frame[column], is_masked))
            for name, frame, column in (("asked", asked, "question"), ("learnt", texts, "text"))
        }
        for n in LENGTHS:
            query = SQL / "stages" / "contamination.sql"
            found = derive(query, frames, {"n": n}, workplace.folder)
            spans = tokenizer.decode_batch(found["span"].to_list())
            about = {"n": pl.lit(n), "is_masked": pl.lit(is_masked)}
            yield found.with_columns(**about, span=pl.Series(spans, dtype=pl.String).str.strip_chars()).match_to_schema(
                schema
            )


def _in_tokens(tokenizer: Tokenizer, texts: pl.Series, is_masked: bool) -> pl.Series:
    """Token ids of each text, as it is compared."""
    ids = pl.Series("ids", dtype=pl.List(pl.Int32))
    for start in range(0, len(texts), BATCH):
        batch = [comparable(text, is_masked) for text in texts[start : start + BATCH]]
        encoded = tokenizer.encode_batch_fast(batch, add_special_tokens=False)
        ids.append(pl.Series([one.ids for one in encoded], dtype=pl.List(pl.Int32)))
    return ids


def _notes(rows: pl.DataFrame) -> Iterator[str]:
    """What a reader of a score should know, if there is something."""
    told = rows.filter((pl.col("n") == REFUSED_BY) & (pl.col("share") >= WORTH_TELLING))
    for (benchmark, is_masked), some in told.partition_by("benchmark", "is_masked", as_dict=True).items():
        questions = some["benchmark_question"].n_unique()
        but = ", but for their numbers," if is_masked else ""
        yield (
            f"{questions} questions of {benchmark} share{but} at least {WORTH_TELLING:.0%} of their runs of "
            f"{REFUSED_BY} tokens with one text that is learnt; the most: {max(some['share'].to_list()):.0%}"
        )
