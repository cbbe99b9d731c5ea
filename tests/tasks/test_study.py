"""What a study may ask for."""

from pathlib import Path

import pytest

from tasks.recipe_file import NO_ROUND
from tasks.study import Study, StudyRefused, split

STUDY = """
model = "micro"
tokens = 1000
seeds = [1, 2]
validation = "micro/validation"

[methods.cpl]
recipe = "cpl-micro"
rounds = 2
tune = { "arms.sft.learning_rate" = [1e-4, 2e-4], "arms.step_apo.learning_rate" = [1e-5, 1e-4] }

[methods.rft]
recipe = "rft-micro"
seeds = [1]

[[claims]]
says = "one"
better = "cpl.step_apo"
worse = "cpl.sft@1"
"""


NO_TRUTH = "Input should be a number, not true or false"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "mine.toml"


def test_a_study_is_read(path: Path) -> None:
    path.write_text(STUDY)
    study = Study.read(path)
    assert study.seeds_of("cpl") == (1, 2)
    assert study.seeds_of("rft") == (1,)
    assert study.methods["cpl"].arms == ["sft", "step_apo"]
    assert split("cpl.sft@1") == ("cpl", "sft", 1)
    assert split("cpl.sft") == ("cpl", "sft", None)


@pytest.mark.parametrize(
    ("was", "becomes", "why"),
    [
        ("[1e-5, 1e-4]", "[1e-5, 1e-4, 1e-3]", "mine.toml: tune: one arm is tried 2 times and another 3 times"),
        ('"arms.step_apo.learning_rate"', '"arms.sft.epochs"', "sft is tuned twice"),
        ('"arms.step_apo.learning_rate"', '"evidence.trees.c_puct"', "is no field of an arm"),
        ("[1e-5, 1e-4]", "[1e-5, 1e-5]", "methods.cpl.tune.arms.step_apo.learning_rate: a value stands there twice"),
        ("[1e-5, 1e-4]", "[]", "mine.toml, line 10: methods.cpl.tune.arms.step_apo.learning_rate: Tuple"),
        (
            '"cpl.step_apo"',
            '"dpo.step_apo"',
            "mine.toml, line 18: claims.0.better: there is no method 'dpo' (there are",
        ),
        ('"cpl.sft@1"', '"cpl.sft@3"', "mine.toml, line 19: claims.0.worse: cpl has 2 rounds here, and no round 3"),
        ('"cpl.sft@1"', '"cpl.sft@0"', "mine.toml, line 19: claims.0.worse: "),
        ('"cpl.sft@1"', '"sft"', "mine.toml, line 19: claims.0.worse: "),
        ('"cpl.sft@1"', '"cpl.step_apo"', "mine.toml, line 16: claims.0: cpl.step_apo is compared with itself"),
        ("seeds = [1]", 'seeds = [3]\n[[claims]]\nsays = ""\nbetter = "cpl.a"\nworse = "rft.a"', "no seed in common"),
        ("seeds = [1]", "seeds = [1, 1]", "mine.toml, line 14: methods.rft.seeds: a seed stands there twice"),
        ("seeds = [1, 2]", "seeds = [2, 2]", "mine.toml, line 4: seeds: a seed stands there twice"),
        ("seeds = [1, 2]", "seeds = [1, 999]", "mine.toml, line 4: seeds.1: Input should be less than 999"),
        ("seeds = [1, 2]", "seeds = []", "mine.toml, line 4: seeds: "),
        ("seeds = [1]", "seed = [1]", "mine.toml, line 14: methods.rft.seed: Extra"),
        ("tokens = 1000", "token = 1000", "mine.toml, line 3: token: "),
        (
            '"cpl.sft@1"',
            '"rft.rft"',
            "mine.toml, line 19: claims.0.worse: rft is not tuned as others are, which is not fair",
        ),
        ("tokens = 1000", "tokens = ", "mine.toml: Invalid value"),
        ("tokens = 1000", "tokens = true", f"mine.toml, line 3: tokens: {NO_TRUTH}"),
        ("seeds = [1, 2]", "seeds = [2, true]", f"mine.toml, line 4: seeds.1: {NO_TRUTH}"),
        ("rounds = 2", "rounds = true", f"mine.toml, line 9: methods.cpl.rounds: {NO_TRUTH}"),
        ("1e-5, 1e-4", "1e-5, true", f"mine.toml, line 10: methods.cpl.tune.arms.step_apo.learning_rate.1: {NO_TRUTH}"),
        ("1e-5, 1e-4", "nan, nan", "methods.cpl.tune.arms.step_apo.learning_rate.0: Input should be a finite number"),
        ("tokens = 1000", f"tokens = 1_{'0' * 5000}", "mine.toml, line 3: a number there has more than 4300 digits"),
        ("tokens = 1000", f"tokens = {'[' * 3000}", "mine.toml: its lists or tables lie too deep in one another"),
        ("seeds = [1]", "from_round.02 = {}", f"mine.toml, line 14: methods.rft.from_round.02.[key]: {NO_ROUND}"),
        ("seeds = [1]", f"from_round.{'9' * 5000} = {{}}", f"9.[key]: {NO_ROUND}"),
        ("sft@1", f"sft@{'9' * 5000}", "mine.toml, line 19: claims.0.worse: "),
    ],
)
def test_one_that_is_not_fair_or_not_whole_is_refused(path: Path, was: str, becomes: str, why: str) -> None:
    assert was in STUDY
    path.write_text(STUDY.replace(was, becomes, 1))
    with pytest.raises(StudyRefused, match=r"mine\.toml") as problem:
        Study.read(path)
    assert why in str(problem.value)


def test_a_mark_that_an_editor_writes_before_the_text_is_none_of_it(path: Path) -> None:
    path.write_text(STUDY, encoding="utf-8-sig")
    assert Study.read(path).tokens == 1000
    path.write_text(f"seed = 1\n{STUDY}", encoding="utf-8-sig")
    with pytest.raises(StudyRefused, match=r"^mine\.toml, line 1: seed: Extra"):
        Study.read(path)


def test_what_is_no_text_is_refused(path: Path) -> None:
    path.write_bytes(b"\xff")
    with pytest.raises(StudyRefused, match=r"^mine\.toml: .*codec can't decode"):
        Study.read(path)
