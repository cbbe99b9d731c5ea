"""Accuracies with their errors, and how V's ranking is judged."""

import math
import random

import pytest

from tasks.evaluate import accuracies, agreement
from tasks.records import frame


def sample(number: int, kinds: list[str], is_correct: bool) -> dict[str, object]:
    return {
        "model": "base",
        "benchmark": "micro/test",
        "split": "in_domain",
        "question_id": f"q{number}",
        "question": "?",
        "kinds": kinds,
        "output": "",
        "answer": None,
        "is_correct": is_correct,
        "generated_tokens": 1,
    }


def test_accuracy_over_all_and_by_kind() -> None:
    rows = [
        sample(0, ["add"], True),
        sample(1, ["add", "sub", "add"], True),
        sample(2, ["sub"], False),
        sample(3, [], False),
    ]
    table = {row["kind"]: row for row in accuracies(frame("evaluation_samples", rows)).to_dicts()}
    assert (table["all"]["accuracy"], table["all"]["n"]) == (0.5, 4)
    assert table["all"]["stderr"] == pytest.approx(math.sqrt(0.25 / 4))
    assert (table["add"]["accuracy"], table["add"]["n"]) == (1.0, 2)
    assert (table["sub"]["accuracy"], table["sub"]["n"]) == (0.5, 2)
    assert table.keys() == {"all", "add", "sub"}


def test_a_value_that_knows_q_ranks_perfectly_and_noise_does_not() -> None:
    rng = random.Random(1)
    qs = [rng.uniform(-1, 1) for _ in range(400)]
    owners = [i // 10 for i in range(400)]
    exact = agreement(qs, qs, owners)
    assert [exact["auc"], exact["auc_stderr"]] == pytest.approx([1.0, 0.0])
    assert exact["pearson"] == pytest.approx(1.0)
    noise = agreement([rng.random() for _ in qs], qs, owners)
    assert noise["auc"] is not None
    assert noise["auc_stderr"] is not None
    assert abs(noise["auc"] - 0.5) < 4 * noise["auc_stderr"]


@pytest.mark.parametrize(
    ("values", "qs"),
    [([], []), ([0.0] * 5, [1, -1, 1, -1, 1]), ([0.1, 0.2, 0.3], [0.5, 0.5, 0.5])],
)
def test_what_is_undefined_is_none(values: list[float], qs: list[float]) -> None:
    assert agreement(values, qs, list(range(len(values)))) == dict.fromkeys(
        ("pearson", "spearman", "auc", "auc_stderr")
    )
