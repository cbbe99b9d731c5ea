"""What a training step tells its trainer."""

from typing import Any

import polars as pl
import pytest

import tasks.stages.train
from infra.store import Ref
from tasks.running.stage import Workplace
from tasks.settings import Control, Sft, StepApo, Value
from tasks.stages.train import continue_sft, shortened, train_sft, train_step_apo, train_step_dpo, train_value

START, PAIRS = (Ref(uri=f"s3://cpl/{name}/manifest.json", sha256=name * 64, rows=0) for name in "ab")


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    calls: list[tuple[Any, ...]] = []

    def train(workplace: Workplace, *given: Any) -> int:
        calls.append(given)
        return 7

    monkeypatch.setattr(tasks.stages.train, "_train", train)
    return calls


def test_each_step_trains_on_its_table_by_its_loss(told: list[tuple[Any, ...]]) -> None:
    """The control imitates and learns no value; without a value model SFT does as it is told."""
    workplace: Any = None
    settings = StepApo(alpha=0.25)
    assert train_sft.body(workplace, START, PAIRS, Sft(value_weight=0.5)) == 7
    train_value.body(workplace, START, PAIRS, Value())
    train_step_apo.body(workplace, START, PAIRS, settings)
    train_step_dpo.body(workplace, START, PAIRS, settings)
    continue_sft.body(workplace, START, PAIRS, 3.5, Control())
    assert [given[:5] for given in told] == [
        ("sft", START, PAIRS, "examples", "sft_examples"),
        ("value", START, PAIRS, "examples", "sft_examples"),
        ("step_apo", START, PAIRS, "pairs", "step_pairs"),
        ("step_apo", START, PAIRS, "pairs", "step_pairs"),
        ("sft", START, PAIRS, "examples", "sft_examples"),
    ]
    sft, _, apo, dpo, control = (given[5] for given in told)
    assert sft["value_weight"] == 0.5
    assert (control["value_weight"], control["epochs"]) == (0.0, 3.5)
    assert (apo["alpha"], dpo["alpha"]) == (0.25, 0.25)


def test_rows_that_do_not_fit_are_told() -> None:
    """Long plans are hard questions': what is cut or left out is no random part of a table."""

    def ids(*lengths: int) -> pl.Series:
        return pl.Series([[1] * length for length in lengths])

    examples = pl.LazyFrame({"prompt_ids": ids(4, 10, 9, 3), "completion_ids": ids(6, 1, 2, 3)})
    assert shortened(examples, 11) == []
    (note,) = shortened(examples, 10)
    assert note.startswith("of 4 rows, 1 are cut at max_length (10 tokens)")
    assert "1 are left out" in note
    pairs = pl.LazyFrame({"prompt_ids": ids(4), "chosen_ids": ids(2), "rejected_ids": ids(7)})
    assert "1 are cut" in shortened(pairs, 10)[0]
