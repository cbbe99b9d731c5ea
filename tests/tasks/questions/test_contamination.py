"""How texts are compared run by run, and which round is refused."""

from typing import Any

import polars as pl
import pytest

from tasks.language.format import PROGRAM_ASKED
from tasks.questions.overlap import ContaminatedQuestions, comparable, refuse_contamination
from tasks.records import frame
from tests.sql.handmade import overlap


def test_words_are_apart_by_one_space_and_the_first_has_one_too() -> None:
    assert comparable("\tAnn  has\n7 pears. ", is_masked=False) == " Ann has 7 pears."
    assert comparable("", is_masked=False) == ""
    assert comparable(f"{PROGRAM_ASKED}\n```python\ndef f():", is_masked=False) == " ```python def f():", "said by all"


@pytest.mark.parametrize("number", ["7", "1234", "1,234", "0.5", "1,234.50"])
def test_a_masked_number_is_0_however_long_it_is(number: str) -> None:
    assert comparable(f"Ann, who has {number}, eats 3. Then 2", is_masked=True) == " Ann, who has 0, eats 0. Then 0"
    assert comparable(f"${number}", is_masked=True) == " $0"


def found(*rows: dict[str, Any]) -> pl.DataFrame:
    return frame("contamination", rows)


def test_a_round_is_refused_by_the_names_of_what_shares_too_much() -> None:
    rows = found(
        overlap("question", question_id="q1", n=8, share=0.7),
        overlap("plan", question_id="q2", n=8, share=1.0) | {"benchmark_question": "Another?"},
        overlap("solution", question_id="q4", n=8, share=0.9) | {"benchmark_question": "Another?"},
        overlap("solution", question_id="q3", n=8, share=0.69),
    )
    with pytest.raises(ContaminatedQuestions) as caught:
        refuse_contamination(rows, 0.7)
    told = str(caught.value)
    assert told.startswith("2 questions of benchmarks stand in what is learnt")
    assert told.index("q2 (plan)") < told.index("q1 (question)")
    assert "q3" not in told
    assert "q4" not in told, "the same question again"
    assert "micro/test" in told
    assert "apples and buys 3." in told


@pytest.mark.parametrize("other", [{"is_masked": True}, {"n": 13}, {"share": 0.699}])
def test_masked_and_long_runs_are_only_reported(other: dict[str, Any]) -> None:
    refuse_contamination(found(overlap("question", n=8) | {"share": 1.0} | other), 0.7)
