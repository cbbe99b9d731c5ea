"""Each method's recipe is its paper's: where every arm starts, what it learns, by which loss and numbers.

Sections are those of docs/methods.md. What stands nowhere in a paper and is marked so in the recipe is not pinned here.
"""

from typing import Any

import pytest

from flows.parameters import RECIPES
from tasks.recipe import Recipe

Table = dict[str, dict[str, Any]]

CPL: Table = {  # 1.3 to 1.8
    "evidence.tries": {"method": "reflect", "root_children": 4},
    "evidence.trees": {
        "method": "puct",
        "steps": "plan",
        "simulations": 200,
        "root_children": 5,
        "children": 3,
        "max_depth": 6,
        "c_puct": 1.5,
        "leaves": 1,
        "trees": 1,
        "budget_by": "",
    },
    "lessons.paths": {"rule": "right_paths", "evidence": ("trees", "tries"), "most": 4, "most_wrong": None},
    "lessons.pairs": {
        "rule": "siblings",
        "evidence": ("trees",),
        "solution_value_scale": 0.3,
        "min_outcomes": 0,
        "plan_pairs": "all",
        "min_gap": 0.0,
    },
    "arms.value": {"start": "base", "lesson": "paths", "loss": {"value": 1.0}, "epochs": 7, "batch_size": 1024},
    "arms.sft": {
        "start": "base",
        "lesson": "paths",
        "loss": {"nll": 1.0},
        "learning_rate": 1e-5,
        "epochs": 5,
        "batch_size": 512,
    },
    "arms.step_apo": {
        "start": "sft",
        "lesson": "pairs",
        "loss": {"prefer": 1.0},
        "beta": 0.3,
        "alpha": 1.0,
        "squared": False,
        "learning_rate": 1e-6,
        "epochs": 3,
        "batch_size": 64,
    },
    "next": {"policy": ("step_apo", "sft"), "value": ("value",)},
}
CPL_PAPER: Table = {name: part for name, part in CPL.items() if name != "evidence.tries"} | {
    "lessons.paths": CPL["lessons.paths"] | {"evidence": ("trees",)}
}
SAMPLES: Table = {  # 4.4
    "evidence.samples": {"method": "sampling", "root_children": 5, "temperature": 0.5},
    "lessons.right": {"rule": "right_paths", "evidence": ("samples",), "most": 5, "repeated": True},
}
TRIES: Table = {  # 4.1
    "evidence.tries": {"method": "reflect", "root_children": 1, "trials": 5, "temperature": 0.5},
    "lessons.successes": {"rule": "right_paths", "evidence": ("tries",), "most": 1},
}
LEPAS_SFT = {"loss": {"nll": 1.0}, "learning_rate": 3e-7, "epochs": 1}  # 4.2
TREES = {"method": "puct", "trees": 10, "simulations": 40, "root_children": 5, "children": 5, "c_puct": 1.25}  # 2.2
JOINT = {  # 2.1
    "start": "base",
    "lesson": "paths",
    "loss": {"nll": 1.0, "value": 0.1},
    "learning_rate": 4e-5,
    "epochs": 10,
    "batch_size": 1024,
    "warmup_ratio": 0.03,
}
PAPERS: dict[str, Table] = {
    "cpl": CPL,
    "cpl-paper": CPL_PAPER,
    "solution-mcts": CPL
    | {
        "evidence.tries": {"method": "sampling", "steps": "solution", "max_depth": 16},
        "evidence.trees": CPL["evidence.trees"] | {"steps": "solution", "max_depth": 16},
        "evaluation": {"steps": "solution", "max_depth": 16},
    },
    "instance-dpo": {  # 1.11, 6.4
        **{name: CPL_PAPER[name] for name in ("evidence.trees", "lessons.paths", "arms.sft")},
        "lessons.answers": {"rule": "whole_answers", "evidence": ("trees",)},
        "arms.instance_dpo": CPL["arms.step_apo"] | {"lesson": "answers", "alpha": 0.0},
        "next": {"policy": ("instance_dpo", "sft"), "value": ()},
    },
    "alphamath": {  # 2
        "evidence.trees": TREES | {"max_depth": 8, "temperature": 0.6},
        "lessons.paths": {"rule": "right_paths", "evidence": ("trees",), "most": 4, "most_wrong": 4},
        "arms.alphamath": JOINT,
        "next": {"policy": ("alphamath",), "value": ()},
    },
    "svpo": {  # 3
        "evidence.trees": TREES | {"max_depth": 8, "temperature": 0.6},
        "lessons.paths": {"rule": "right_paths", "evidence": ("trees",), "most": 4, "most_wrong": 4},
        "lessons.pairs": {
            "rule": "siblings",
            "evidence": ("trees",),
            "plan_pairs": "best_worst",
            "min_gap": 0.5,
            "solution_value_scale": 1.0,
        },
        "arms.sft": JOINT,
        "arms.svpo": {
            "start": "sft",
            "lesson": "pairs",
            "loss": {"prefer": 1.0, "value": 0.1, "rank": 0.1},
            "beta": 0.1,
            "alpha": 0.0,
            "gamma": 0.5,
            "learning_rate": 1e-6,
            "epochs": 3,
            "batch_size": 64,
        },
        "next": {"policy": ("svpo", "sft"), "value": ()},
    },
    "lepa": TRIES
    | {
        "evidence.tries": TRIES["evidence.tries"] | {"hint": "reflection", "max_step_tokens": 1024},
        "arms.lepa": LEPAS_SFT | {"start": "policy", "lesson": "successes"},
        "next": {"policy": ("lepa",), "value": ()},
    },
    "star": TRIES
    | {
        "evidence.tries": TRIES["evidence.tries"] | {"hint": "answer"},
        "arms.star": LEPAS_SFT | {"start": "policy", "lesson": "successes"},
        "next": {"policy": ("star",), "value": ()},
    },
    "rest": SAMPLES
    | {
        "arms.rest": LEPAS_SFT | {"start": "policy", "lesson": "right"},
        "next": {"policy": ("rest",), "value": ()},
    },
    "rest-em": SAMPLES
    | {
        "arms.rest_em": LEPAS_SFT | {"start": "base", "lesson": "right"},
        "next": {"policy": ("rest_em",), "value": ()},
    },
    "mcts-ps": {  # 5
        "evidence.steps": {"method": "stepwise", "max_depth": 13},
        "lessons.scored": {"rule": "scored_steps", "evidence": ("steps",), "alpha": 0.25},
        "arms.mcts_ps": {
            "start": "policy",
            "lesson": "scored",
            "loss": {"nll": 1.0, "kl": 1.0},
            "exact_kl": True,
            "lora": 16,
        },
        "next": {"policy": ("mcts_ps",), "value": ()},
        "evaluation": {"max_depth": 13},
    },
    "step-dpo": {  # 6.1
        "evidence.samples": {"method": "pits", "children": 4, "wrong": 1, "temperature": 0.8},
        "lessons.right": {"rule": "right_paths", "evidence": ("samples",)},
        "lessons.steps": {
            "rule": "first_pit",
            "evidence": ("samples",),
            "chosen": "step",
            "min_outcomes": 5,
            "most": 1,
        },
        "arms.sft": {
            "start": "base",
            "lesson": "right",
            "loss": {"nll": 1.0},
            "learning_rate": 5e-6,
            "epochs": 3,
            "batch_size": 256,
        },
        "arms.step_dpo": {
            "start": "sft",
            "lesson": "steps",
            "loss": {"prefer": 1.0},
            "beta": 0.5,
            "alpha": 0.0,
            "learning_rate": 5e-7,
            "epochs": 8,
            "batch_size": 128,
        },
        "next": {"policy": ("step_dpo", "sft"), "value": ()},
    },
    "self-explore": {  # 6.2
        "evidence.samples": {"method": "pits", "root_children": 100, "children": 4, "wrong": 8, "temperature": 0.7},
        "lessons.right": {"rule": "right_paths", "evidence": ("samples",), "most": 8},
        "lessons.pits": {
            "rule": "first_pit",
            "evidence": ("samples",),
            "chosen": "continuation",
            "min_outcomes": 5,
            "most": 8,
        },
        "arms.rft": {"start": "base", "lesson": "right", "loss": {"nll": 1.0}, "learning_rate": 1e-5, "epochs": 5},
        "arms.self_explore": {
            "start": "rft",
            "lesson": "pits",
            "loss": {"prefer": 1.0},
            "beta": 0.1,
            "alpha": 0.0,
            "learning_rate": 1e-6,
            "epochs": 3,
            "batch_size": 32,
        },
        "next": {"policy": ("self_explore", "rft"), "value": ()},
    },
    "rft": {  # 6.3
        "evidence.samples": {"method": "sampling", "root_children": 100},
        "lessons.right": {"rule": "right_paths", "evidence": ("samples",), "most": 100, "repeated": False},
        "arms.rft": {"start": "base", "lesson": "right", "loss": {"nll": 1.0}},
        "next": {"policy": ("rft",), "value": ()},
    },
    "zero-shot": {"next": {"policy": (), "value": ()}},
}
LATER: dict[str, Table] = {  # in its second round
    "cpl": {"evidence.trees": {"simulations": 100}, "arms.sft": {"epochs": 3}, "questions": {"count": 14973}},
    "alphamath": {"evidence.trees": {"temperature": 1.0}},
}


@pytest.mark.parametrize("name", PAPERS)
@pytest.mark.parametrize("round", [1, 2])
def test_a_method_is_its_papers(name: str, round: int) -> None:
    recipe = Recipe.read(RECIPES / f"{name}.toml", round=round)
    expected = PAPERS[name]
    if round == 2:
        of = {"cpl-paper": "cpl", "solution-mcts": "cpl", "instance-dpo": "cpl"}.get(name, name)
        changed = {part: told for part, told in LATER.get(of, {}).items() if part in expected or part == "questions"}
        expected = expected | {part: expected.get(part, {}) | told for part, told in changed.items()}
    assert {part: found(recipe, part, told) for part, told in expected.items()} == expected
    parts = {f"{group}.{part}" for group in ("evidence", "lessons", "arms") for part in getattr(recipe, group)}
    assert parts == {part for part in expected if "." in part}, "nothing more, and nothing less"


def test_cpl_draws_the_papers_questions() -> None:
    """1.9: a fifth of 5,000 from GSM8K, then all of both training sets."""
    for name in ("cpl", "cpl-paper", "instance-dpo", "solution-mcts"):
        rounds = [Recipe.read(RECIPES / f"{name}.toml", round=round).questions for round in (1, 2)]
        shares = [{part.source: part.weight for part in questions.parts} for questions in rounds]
        assert shares == [{"gsm8k": 1, "math": 4}, {"gsm8k": 7473, "math": 7500}]


ALL = sorted(path.stem for path in RECIPES.glob("*.toml"))


@pytest.mark.parametrize("name", [name for name in ALL if not name.startswith("zero-shot")])
def test_no_question_is_left_out_for_a_value_that_nobody_learns(name: str) -> None:
    recipe = Recipe.read(RECIPES / f"{name}.toml")
    if not any(arm.loss.value or arm.loss.rank for arm in recipe.arms.values()):
        assert recipe.questions.held_out == 0.0


def test_on_micro_all_methods_answer_by_the_same_rules() -> None:
    """Or a difference between two of them would be one of the rules."""
    small = [Recipe.read(RECIPES / f"{name}.toml").evaluation for name in ALL if name.endswith("-micro")]
    rules = {(one.max_depth, one.max_tokens, one.benchmarks) for one in small if one.steps == "plan"}
    assert len(rules) == 1


def test_every_method_is_compared_with_its_paper() -> None:
    """Forms for small models begin with `extends`, and losses side by side are no method of a paper."""
    small = {path.stem for path in RECIPES.glob("*-micro.toml")} | {"cpl-smollm2", "preference-losses"}
    assert {path.stem for path in RECIPES.glob("*.toml")} - small == PAPERS.keys()


def found(recipe: Recipe, part: str, told: dict[str, Any]) -> dict[str, Any]:
    """Of a part of a recipe those fields that are told; of a loss its terms."""
    group, _, name = part.partition(".")
    of = getattr(recipe, group)[name] if name else getattr(recipe, group)
    fields = {field: getattr(of, field) for field in told}
    if "loss" in fields:
        fields["loss"] = {term: weight for term, weight in fields["loss"].model_dump().items() if weight}
    return fields
