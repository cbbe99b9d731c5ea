"""The stage *lessons*: rows to learn from, chosen from a round's evidence by one of the rules of tasks.lessons."""

from collections import Counter
from collections.abc import Sequence

import polars as pl

from infra.engine import ModelFolder
from infra.store import Ref
from tasks.language.format import Origin
from tasks.lessons.preference import CONTINUATION
from tasks.lessons.rules import Rule
from tasks.lessons.searched import LEARNABLE, Row, affordable, by_question
from tasks.records import TABLES, frame
from tasks.running.stage import stage
from tasks.running.workplace import Workplace
from tasks.stages.curation import selected


@stage("lessons", version=7, task_run_name="lessons-{name}")
def choose(
    workplace: Workplace,
    name: str,
    trees: dict[str, Ref],
    policy: Ref,
    rule: Rule,
    tokens: int = 0,
    paid: dict[str, Ref] | None = None,
) -> int:
    """The lesson `name`: table `imitations` or `preferences`, whichever the rule gives.

    `trees`: the stages of its evidence by name. `policy`: the model that searched, whose end of sequence is imitated.
    `tokens`: that the searches of all questions together may have generated, those of all evidence (`paid`).
    What the rule's own query leaves out is counted, and lies in `dropped.parquet` with the reason of each row.
    """
    searched = _read(workplace, trees, rule, "trees")
    if tokens and paid:
        searched = _within(workplace, tokens, paid, searched)
    nodes = _read(workplace, trees, rule, "nodes")
    found = by_question(searched, nodes)
    eos = ModelFolder.read(workplace.store.folder(policy, "model")).words.eos
    chosen = [rule.rows(question, eos) for question in found]
    rows = [named(rule.gives, name, row) for rows_of_question, _ in chosen for row in rows_of_question]
    if rule.select:
        offered = len(rows)
        rows, dropped = selected(name, rule, rows, searched, nodes)
        workplace.write("dropped", dropped)
        told = f"its query left {offered - len(rows)} of {offered} rows out; dropped.parquet has them, with the reasons"
        workplace.facts |= {"deselected": dropped.height, "notes": [*workplace.facts.get("notes", []), told]}
    workplace.facts |= counted(rule, rows) | {rule.drops: sum(dropped for _, dropped in chosen)}
    workplace.write(rule.gives, frame(rule.gives, rows))
    return len(rows)


def named(table: str, lesson: str, row: Row) -> Row:
    """What a lesson keeps of a rule's row: what it names, without the words, which the nodes hold."""
    return {"lesson": lesson} | {column: row[column] for column in TABLES[table].keys() - {"lesson"}}


def counted(rule: Rule, rows: Sequence[Row]) -> dict[str, int]:
    """How much there is to learn from."""
    if rule.gives == "preferences":
        kinds = Counter(row["kind"] for row in rows)
        return {f"{kind}_pairs": kinds[kind] for kind in (*LEARNABLE, CONTINUATION)}
    imitated = [row for row in rows if row["weight"]]
    return {
        "imitated": len(imitated),
        "hinted": sum(row["origin"] == Origin.HINT for row in imitated),
        "value_targets": sum(len(row["value_targets"]) for row in rows),
    }


def _within(workplace: Workplace, tokens: int, paid: dict[str, Ref], searched: pl.DataFrame) -> pl.DataFrame:
    """The trees that a budget pays for. One that pays for all is not spent: the method had less than others."""
    trees = pl.concat([workplace.read(one, "trees") for one in paid.values()])
    questions, spent = affordable(trees, tokens)
    workplace.facts |= {"learnt_from": len(questions), "tokens": spent}
    if len(questions) == trees.filter(~pl.col("is_held_out"))["question_id"].n_unique():
        workplace.facts["notes"] = [
            f"all questions together took {spent:,} tokens, and the budget of {tokens:,} is not spent: ask for more "
            "questions (questions.count)"
        ]
    return searched.filter(pl.col("question_id").is_in(questions))


def _read(workplace: Workplace, trees: dict[str, Ref], rule: Rule, table: str) -> pl.DataFrame:
    return pl.concat([workplace.read(trees[name], table) for name in dict.fromkeys(rule.evidence)])
