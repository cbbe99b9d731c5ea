"""`cpl diff`: two rounds beside each other: their settings, what they are made of, and whose models answer better."""

import json
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import duckdb
import pyarrow as pa
import typer

from infra.desk.display import plain_errors, print_json, print_sections
from infra.desk.published import published, round_tables, warehouse_of
from infra.desk.summary import COMPARED, Row, Section, comparison_grid
from infra.environment import environment
from infra.store import Store
from infra.warehouse import CONFIG, definition, opened

TAKEN = ("models", "evaluations", "evaluation_samples")
"""The tables that models are compared by."""

Which = Annotated[str, typer.Argument(metavar="ROUND", help="CAMPAIGN/ROUND, or a campaign: its latest round.")]


class Side(NamedTuple):
    """A round: its name, its recipe as it was run, rows by table, and the tables of `TAKEN`."""

    name: str
    config: dict[str, Any]
    counts: dict[str, int]
    tables: dict[str, pa.Table]


def diff(
    first: Which, second: Which, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False
) -> None:
    """Compare two rounds: settings that differ, rows of each table, and models question by question.

    Models of one name are compared, and those that the next rounds search with. A difference is the second's accuracy
    minus the first's, on the questions that both answered, with McNemar's exact test. What was asked otherwise is not
    judged.
    """
    with plain_errors():
        store = Store.open(environment())
        found = differences(side(store, first), side(store, second))
    if as_json:
        print_json(found)
        return
    typer.echo(f"{found['second']} against {found['first']}")
    settings = [[one["setting"], *(_shown(one[which]) for which in ("first", "second"))] for one in found["settings"]]
    rows = [[name, *(f"{n:,}" for n in counted)] for name, counted in found["rows"].items()]
    header = [found["first"], found["second"]]
    print_sections(
        [
            Section("Settings that differ", ["setting", *header], settings),
            Section("Rows", ["table", *header], rows),
            Section(COMPARED, *comparison_grid(found["comparisons"])),
        ]
    )


def side(store: Store, which: str) -> Side:
    """Raises NoSuchRound for one that is not published."""
    campaign, _, number = which.partition("/")
    if number and not number.isdecimal():
        raise typer.BadParameter(f"{which!r} is not CAMPAIGN/ROUND, e.g. micro/1")
    found = published(store, campaign, int(number) if number else None)
    return read(warehouse_of(store, found), found.campaign, found.round)


def read(path: Path | Sequence[Path], campaign: str, round: int) -> Side:
    """A round out of a warehouse."""
    of_round = {"campaign": campaign, "round": round}
    with opened(path) as warehouse:
        config = warehouse.sql(
            "select config from rounds where (campaign, round) = ($campaign, $round)", params=of_round
        )
        ((told,),) = config.fetchall()
        tables = {
            name: warehouse.sql(
                f"from {name} where (campaign, round) = ($campaign, $round)", params=of_round
            ).to_arrow_table()
            for name in TAKEN
        }
    return Side(f"{campaign}/{round}", json.loads(told), round_tables(path, campaign, round)["counts"], tables)


def differences(first: Side, second: Side) -> Row:
    """The document of `cpl diff --json`."""
    flat = [dict(_flat(one.config)) for one in (first, second)]
    names = dict.fromkeys([*flat[0], *flat[1]])
    return {
        "first": first.name,
        "second": second.name,
        "settings": [
            {"setting": name, "first": flat[0].get(name), "second": flat[1].get(name)}
            for name in names
            if flat[0].get(name) != flat[1].get(name)
        ],
        "rows": {name: [one.counts.get(name, 0) for one in (first, second)] for name in first.counts | second.counts},
        "comparisons": comparisons(first, second),
    }


def comparisons(first: Side, second: Side) -> list[Row]:
    """Rows of the view `model_comparisons`: a model of the second round against one of the first.

    Both are put into one campaign, as if the second round had followed the first.
    """
    with closing(duckdb.connect(config=CONFIG)) as both:
        for name in TAKEN:
            both.execute(definition("tables", name))
        for number, one in enumerate((first, second), start=1):
            for name in TAKEN:
                both.register("taken", one.tables[name])
                both.execute(
                    f"insert into {name} by name select * replace ('' as campaign, {number} as round) from taken"
                )
        both.execute(definition("views", "model_comparisons"))
        found = both.sql(
            "select model_comparisons.* exclude (campaign, round, other_round) from model_comparisons "
            "inner join models using (round, model) inner join models as others "
            "on (others.round, others.model) = (other_round, other) where (round, other_round) = (2, 1) "
            "order by split, benchmark, form, metric, models.ordinal, others.ordinal"
        )
        return [dict(zip(found.columns, row, strict=True)) for row in found.fetchall()]


def _flat(settings: dict[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in settings.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value


def _shown(value: Any) -> str:
    return "" if value is None else value if isinstance(value, str) else json.dumps(value)
