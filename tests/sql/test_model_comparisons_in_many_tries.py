"""What `model_comparisons` says in many tries: its verdicts and intervals are wrong as often as they say."""

from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import polars as pl
import pytest

from infra.warehouse import ask, build
from tasks.records import frame
from tests.sql.handmade import ROUND, sample

MODELS = [row for row in ROUND["models"] if row["model"] != "sft"]
Answers = np.ndarray[tuple[int, ...], np.dtype[np.bool_]]


def simulated(folder: Path, base: Answers, step_apo: Answers, templates: int | None = None) -> pl.DataFrame:
    """What the view says of step_apo against base in many tries, a campaign each. Their answers: [tries, benchmarks,
    questions, draws]; of so many `templates` the same number of questions each, one after the other."""
    questions = base.shape[2]
    axes = np.meshgrid(*map(np.arange, base.shape), indexing="ij")
    told = dict(
        zip(("campaign", "benchmark", "question_id"), (axis.ravel().astype(str) for axis in axes), strict=False)
    )
    told |= {"cluster": (axes[2] * (templates or questions) // questions).ravel().astype(str)}
    answers = [
        pl.DataFrame(told | {"draw": axes[3].ravel(), "model": model, "is_correct": of_model.ravel()})
        for model, of_model in (("base", base), ("step_apo", step_apo))
    ]
    both = pl.concat(answers)
    others = frame("evaluation_samples", [sample("", "", [], True)]).drop(set(both.columns) - {"campaign"})
    models = frame("models", MODELS)
    path = folder / "factory.duckdb"
    build(path, {})
    with duckdb.connect(path) as warehouse:
        for table, rows in (
            ("evaluation_samples", both.join(others, how="cross")),
            ("models", models.join(both.select("campaign").unique(), how="cross")),
        ):
            warehouse.register("rows", rows.to_arrow())
            warehouse.execute(f"insert into {table} by name select *, 1 as round from rows")
    return pl.DataFrame(
        ask(path, "from model_comparisons where model = 'step_apo'").records(), infer_schema_length=None
    )


def share(rows: pl.DataFrame, of: pl.Expr) -> float:
    return float(rows.select(of).to_series().to_numpy().mean())


def test_holm_and_the_interval_are_as_good_as_they_say(tmp_path: Path) -> None:
    """200 pairs of models that are equally good, on five benchmarks of 20 templates of three questions each, which go
    together: at most 5 % of the pairs have a verdict, and 95 % of the intervals hold 0."""
    rng = np.random.default_rng(5)
    size = (200, 5, 20)
    solvable = rng.beta(1, 1, size)
    base, step_apo = ((rng.random(size) < solvable).repeat(3, axis=2)[..., None] for _ in range(2))
    rows = simulated(tmp_path, base, step_apo, templates=20)
    told = rows.filter(pl.col("verdict").is_in(["better", "worse"]))
    assert 0.0 < told["campaign"].n_unique() / 200 <= 0.05
    assert 0.93 <= share(rows, (pl.col("low") <= 0) & (pl.col("high") >= 0)) <= 0.99


def test_ten_templates_are_enough_for_an_interval(tmp_path: Path) -> None:
    """Each with questions that go together somewhat: with a normal deviate it held the truth in 91 of 100 tries."""
    rng = np.random.default_rng(1)
    base, step_apo = (rng.random((500, 1, 40, 1)) < rng.beta(1, 1, (500, 1, 10, 1)).repeat(4, 2) for _ in range(2))
    rows = simulated(tmp_path, base, step_apo, templates=10)
    assert 0.935 <= share(rows, (pl.col("low") <= 0) & (pl.col("high") >= 0)) <= 0.98


@pytest.mark.parametrize(
    ("n", "differing", "benchmarks", "templates"), [(50, 0.0, 1, 50), (100, 0.2, 2, 100), (120, 0.3, 1, 30)]
)
def test_what_is_detectable_is_told_in_four_of_five_tries(
    n: int, differing: float, benchmarks: int, templates: int, tmp_path: Path
) -> None:
    """Of models that never differed, of one benchmark of two that are judged at once, of templates whose questions go
    together."""
    rng = np.random.default_rng(2)

    def compared(lots: Any, difference: float) -> pl.DataFrame:
        """`lots` in [0, 1): one a template, and on other benchmarks nothing differs."""
        differ = max(differing, difference)
        lot = np.ones((len(lots), benchmarks, n, 1))
        lot[:, 0, :, 0] = lots.repeat(n // templates, axis=1)
        gained, lost = lot < (differ + difference) / 2, (lot >= (differ + difference) / 2) & (lot < differ)
        return simulated(tmp_path, lost, gained, templates).filter(benchmark="0")

    [detectable] = compared(np.arange(templates)[None, :] / templates, 0.0)["detectable"]
    told = share(compared(rng.random((250, templates)), detectable), pl.col("verdict") == "better")
    assert 0.77 <= told <= 0.88, (detectable, told)


def test_draws_that_are_unlike_do_not_make_a_difference(tmp_path: Path) -> None:
    """base has six of ten draws right, everywhere; step_apo all of them or none, on six of ten questions: as good. A
    toss for who has more of a question's draws right told them apart in 77 of 100 tries."""
    rng = np.random.default_rng(3)
    base = rng.random((150, 1, 60, 6)) < 0.6
    step_apo = (rng.random((150, 1, 60, 1)) < 0.6).repeat(6, axis=3)
    rows = simulated(tmp_path, base, step_apo)
    assert 0.01 < share(rows, pl.col("p_value") < 0.05) < 0.1
