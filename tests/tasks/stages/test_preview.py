"""The forecast of a round of ten questions from four of them, worked out by hand."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import polars as pl
import pytest

from infra.store import Ref
from tasks.preview.forecast import Questions, Work
from tasks.recipe import Recipe
from tasks.running.workplace import Workplace
from tasks.stages import preview

RATES = {"learning_rate": 1e-4, "batch_size": 2}
RECIPE = Recipe.model_validate(
    {
        "evidence": {"trees": {"method": "puct"}, "tries": {"method": "sampling", "held_out": False}},
        "lessons": {
            "paths": {"rule": "right_paths", "evidence": ["trees"]},
            "pairs": {"rule": "siblings", "evidence": ["trees"]},
        },
        "arms": {
            "sft": {"lesson": "paths", "loss": {"nll": 1.0}, **RATES},
            "apo": {"start": "sft", "lesson": "pairs", "loss": {"prefer": 1.0}, **RATES},
            "more": {"start": "sft", "lesson": "paths", "like": "apo", "loss": {"nll": 1.0}, **RATES},
        },
    }
)
HELD_OUT = [False, False, True, True, False, False, False, False, False, True]
QUESTIONS = pl.DataFrame({"question_id": [f"q{n}" for n in range(10)], "is_held_out": HELD_OUT})
FEW = QUESTIONS.head(4)
Rows = dict[str, Any]


def a_ref(name: str) -> Ref:
    return Ref(uri=f"s3://cpl/{name}/manifest.json", sha256="0" * 64, rows=1)


def name_of(ref: Ref) -> str:
    return ref.uri.split("/")[-2]


def workplace(folder: Path, tables: dict[str, dict[str, Rows]], **seconds_and_facts: Any) -> Workplace:
    """Stages by name: their tables, and their seconds with the facts of their manifests."""

    def manifest(ref: Ref) -> SimpleNamespace:
        seconds, facts = seconds_and_facts[name_of(ref)]
        return SimpleNamespace(seconds=seconds, facts=facts)

    return cast(
        Workplace,
        SimpleNamespace(
            read=lambda ref, table: pl.DataFrame(tables[name_of(ref)][table]),
            store=SimpleNamespace(manifest=manifest, fetch=lambda ref, name: folder / f"{name_of(ref)}-{name}"),
        ),
    )


def grown(**tokens: int) -> dict[str, Rows]:
    trees = {"question_id": [*tokens], "generated_tokens": [*tokens.values()]}
    return {"trees": trees, "engine_use": {"seconds": [4.0]}}


def test_a_search_foretells_each_kind_of_question_by_its_own(tmp_path: Path) -> None:
    """Two to learn from of seven, 100 tokens each; two held out of three, 50 each; 9 s, of which 4 with the engine."""
    found = workplace(
        tmp_path,
        {"trees": grown(q0=100, q1=100, q2=50, q3=50), "tries": grown(q0=10, q1=30)},
        trees=(9.0, {}),
        tries=(6.0, {}),
        of_trees=(1.0, {"tokens_per_second": 17.0, "filling_seconds": 0.0}),
        of_tries=(1.0, {"tokens_per_second": 10.0, "filling_seconds": 3.0}),
    )
    refs, paces = ({name: a_ref(f"{of}{name}") for name in ("trees", "tries")} for of in ("", "of_"))
    trees, tries = preview._searches(found, RECIPE, refs, paces, QUESTIONS, FEW)
    assert trees == Work("trees", 5.0, [Questions([100, 100], 7), Questions([50, 50], 3)], 17.0, "tokens")
    assert trees.seconds.mean == 5.0 + 850 / 17
    assert tries == Work("tries", 2.0 + 3.0, [Questions([10, 30], 7)], 10.0, "tokens")


@pytest.mark.parametrize(("tokens", "share"), [(0, 1.0), (10_000, 1.0), (420, 0.5)])
def test_a_training_foretells_its_rows_and_a_control_those_of_its_arm(
    tmp_path: Path, tokens: int, share: float
) -> None:
    """Of two questions one gave three pairs: 1.5 a question, seven questions, two passes: 21 rows. Six rows took 4 s of
    updates and 2 s of reference, of 20 s in all."""
    for name in ("apo", "more"):
        lines = [{"update": 1, "seconds": 3.0}, {"update": 4, "seconds": 6.0}]  # a second each, but for the warm-up
        (tmp_path / f"{name}-progress.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = workplace(
        tmp_path,
        {"pairs": {"preferences": {"question_id": ["q1"] * 3}}, "paths": {"imitations": {"question_id": ["q0"] * 9}}},
        apo=(20.0, {"rows_seen": 6, "reference_seconds": 2.0}),
        more=(10.0, {"rows_seen": 12}),
    )
    lessons, models = ({name: a_ref(name) for name in names} for names in (("paths", "pairs"), ("apo", "more")))
    searches = [Work("trees", 0.0, [Questions([100, 140], 7)], 1.0, "tokens")]
    method = RECIPE.model_copy(update={"tokens": tokens})
    apo, more = preview._trainings(found, method, lessons, models, searches, QUESTIONS, FEW)
    assert apo == Work("apo", 14.0, [Questions([0.0, 6.0], 7)], 1.0, "rows", times=share, after="sft")
    assert apo.units.mean == 21 * share
    assert more == Work("more", 6.0, [Questions([0.0, 12.0], 7)], 3.0, "rows", times=share, after="sft")


def test_a_budget_without_a_search_is_no_share_of_anything() -> None:
    assert preview._affordable(RECIPE.model_copy(update={"tokens": 100}), [], 7) == 1.0


def test_an_evaluation_is_that_of_every_model(tmp_path: Path) -> None:
    samples = {"benchmark": ["a", "a", "b"], "generated_tokens": [10, 30, 5]}
    found = workplace(
        tmp_path,
        {
            "benchmarks": {"benchmarks": {"benchmark": ["a"] * 50 + ["b"]}},
            "answers": {"evaluation_samples": samples, "engine_use": {"seconds": [1.0]}},
        },
        answers=(3.0, {}),
        pace=(1.0, {"tokens_per_second": 100.0, "filling_seconds": 4.0}),
    )
    given = {name: a_ref(name) for name in ("benchmarks", "answers", "pace")}
    work = preview._evaluation(found, given, 3)
    assert work.units.mean == 3 * (50 * 20 + 5)
    assert work.seconds.mean == pytest.approx(3 * (2.0 + 4.0) + 3 * 1005 / 100)


def test_standard_prompts_grow_with_their_texts_or_with_their_questions(tmp_path: Path) -> None:
    """Texts: two questions of 30 tokens on average took 3 s, by two metrics; log-probs: four took 2 s."""
    texts = {"question_id": ["a", "a", "b", "b"], "generated_tokens": [20, 20, 40, 40]}
    chosen = {"question_id": ["a", "b", "c", "d"], "generated_tokens": [0, 0, 0, 0]}
    found = workplace(
        tmp_path,
        {
            "gsm8k": {"evaluation_samples": texts, "engine_use": {"seconds": [3.0]}},
            "piqa": {"evaluation_samples": chosen, "engine_use": {"seconds": [2.0]}},
        },
        gsm8k=(7.0, {}),
        piqa=(2.5, {}),
    )
    refs = {name: a_ref(name) for name in ("gsm8k", "piqa")}
    gsm8k, piqa = preview._standard(found, refs, {"gsm8k": 100, "piqa": 50}, 3)
    assert gsm8k.unit == "tokens"
    assert gsm8k.units.mean == 3 * 100 * 30
    assert gsm8k.seconds.mean == pytest.approx(3 * 4.0 + 3 * 100 * 1.5)
    assert gsm8k.seconds.error > 0
    assert (piqa.unit, piqa.units.mean) == ("questions", 3 * 50)
    assert piqa.seconds.mean == pytest.approx(3 * 0.5 + 3 * 50 * 0.5)


def test_a_ranking_grows_with_what_is_held_out_but_for_its_start(tmp_path: Path) -> None:
    found = workplace(
        tmp_path, {"answers": {"engine_use": {"seconds": [1.0]}}}, answers=(3.0, {}), value=(6.0, {}), quick=(1.0, {})
    )
    given, ranked = {"answers": a_ref("answers")}, {name: a_ref(name) for name in ("value", "quick")}
    value, quick = preview._rankings(found, given, ranked, QUESTIONS, FEW)
    assert value.seconds.mean == 2.0 + 4.0 * 3 / 2
    assert quick.seconds.mean == 1.0
