"""Shards of questions hold every question once, in order, and what they counted is added up."""

from typing import Any

import polars as pl
import pytest

from tasks.records import TABLES, frame
from tasks.stages.search_in_shards import added, share, total


@pytest.mark.parametrize("shards", [1, 2, 3, 7])
def test_shards_are_slices_of_the_questions(shards: int) -> None:
    questions = pl.DataFrame({"question_id": ["d", "a", "g", "b", "f", "c", "e"]})
    taken = [share(questions, number, shards) for number in range(1, shards + 1)]
    assert pl.concat(taken).equals(questions)
    assert max(one.height for one in taken) - min(one.height for one in taken) <= 1


def test_the_use_of_all_engines_is_one_row() -> None:
    row = dict.fromkeys(TABLES["engine_use"], 2) | {"stage": "search", "seconds": 1.5, "gpus": 1}
    use = added([frame("engine_use", [row]), frame("engine_use", [row])])
    assert use.schema == TABLES["engine_use"]
    assert use.to_dicts() == [dict.fromkeys(TABLES["engine_use"], 4) | {"stage": "search", "seconds": 3.0, "gpus": 1}]


def test_the_value_models_engines_are_a_row_of_their_own() -> None:
    row = dict.fromkeys(TABLES["engine_use"], 2)
    both = frame("engine_use", [row | {"stage": "search"}, row | {"stage": "search_value", "requests": 7}])
    use = added([both, both])
    assert use.select("stage", "requests").rows() == [("search", 4), ("search_value", 14)]


def test_each_stage_has_its_own_row_in_the_order_of_the_first_engine() -> None:
    stages = ["search", "search_value", "d", "c", "b", "a", "e", "f"]
    rows = [dict.fromkeys(TABLES["engine_use"], number) | {"stage": stage} for number, stage in enumerate(stages)]
    use = added([frame("engine_use", rows), frame("engine_use", rows[::-1])])
    assert use["stage"].to_list() == stages
    assert use["requests"].to_list() == [2 * number for number in range(8)]
    assert use["gpus"].to_list() == list(range(8))


def test_counts_are_summed_and_rates_are_not() -> None:
    first = {"solved": 2, "rows": 5, "tokens_per_second": 3.5, "note": "few"}
    told = {"solved": 3, "rows": 9, "retries": 1, "notes": []}
    assert total([first, {"solved": 1, "rows": 4, "retries": 1}]) == told


def test_what_each_shard_has_to_say_is_told_in_their_order() -> None:
    said: list[dict[str, Any]] = [{"notes": ["2 were lost"]}, {"rows": 3}, {"notes": ["1 was lost", "other code"]}]
    assert total(said) == {"rows": 3, "notes": ["2 were lost", "1 was lost", "other code"]}
