"""The table of ours and published: each row can be asked, and ours stands in the row that asked for it."""

from typing import get_args

import pytest

from infra.environment import ROOT
from tasks.questions import source_of
from tasks.settings import Standard
from tests.bench.scores import COLUMNS, commands, filled, rows, told

TABLE = f"""Words | of others.

| {" | ".join(COLUMNS)} |
| {" | ".join("---" for _ in COLUMNS)} |
| small | piqa | standard | 0 | acc_norm | 66.92 | a card | | | |
| small | piqa | standard | 0 | acc | 60.0 ± 1 | a card | | | |
| small | gsm8k/test | plan | 0 | answer | 1.4 | a paper | 9.0 (8.0 to 9.9) | 10 | no |
| large | piqa | standard | 0 | acc_norm | 66.92 | a card | | | |
| small | gsm8k | standard | 5 | exact_match,strict-match | 1.4 | a card | | | |

| model | other |
| --- | --- |
| small | piqa |
"""
PAGE = """flow run of a name: somewhere
## Scores of small

| benchmark | form | metric | shots | n | accuracy | 95 % | cut off |
| --- | --- | --- | --- | --- | --- | --- | --- |
| piqa | standard | acc | 0 | 1470 | 0.700 ± 0.012 | 0.676 to 0.723 | 0 |
| piqa | standard | acc_norm | 0 | 1470 | 0.650 ± 0.012 | 0.626 to 0.674 | 0 |
"""


def test_what_the_rows_of_a_model_ask_is_one_command_for_each_form_and_number_of_shots() -> None:
    assert commands(TABLE, "small", 9) == [
        ["small", "--count", "9", "--shots", "0", "--standard", "piqa"],
        ["small", "--count", "9", "--plan", "gsm8k/test"],
        ["small", "--count", "9", "--shots", "5", "--standard", "gsm8k"],
    ]
    assert commands(TABLE, "unknown", 9) == []


def test_ours_stands_beside_what_was_published_of_the_same_model_and_metric() -> None:
    made = filled(TABLE, "small", told(PAGE))
    changed = [line for line, before in zip(made.splitlines(), TABLE.splitlines(), strict=True) if line != before]
    assert changed == [
        "| small | piqa | standard | 0 | acc_norm | 66.92 | a card | 65.0 (62.6 to 67.4) | 1470 | yes |",
        "| small | piqa | standard | 0 | acc | 60.0 ± 1 | a card | 70.0 (67.6 to 72.3) | 1470 | no, by +10.0 |",
    ]


def test_every_row_of_the_document_can_be_asked() -> None:
    table = list(rows((ROOT / "docs" / "scores.md").read_text()))
    assert len(table) > 20
    for row in table:
        assert 0 < float(row["published"].split()[0]) < 100
        if row["form"] == "standard":
            assert row["benchmark"] in get_args(Standard)
        else:
            assert (row["form"], row["shots"], row["metric"]) == ("plan", "0", "answer")
            source_of(row["benchmark"])
    assert any(row["ours"] for row in table)


@pytest.mark.parametrize("column", ["ours", "n", "match?"])
def test_a_row_is_filled_whole_or_not_at_all(column: str) -> None:
    for row in rows((ROOT / "docs" / "scores.md").read_text()):
        assert bool(row[column]) == bool(row["ours"])
