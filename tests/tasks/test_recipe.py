"""A recipe: read whole or refused by line, other from a round on, and what of it somebody changed."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

import tasks.lessons
from tasks.lessons.rule import LessonRule
from tasks.recipe import Recipe
from tasks.recipe_file import RecipeRefused, changed, line_of, merged

TEXT = """\
# A method.
[evidence.tries]
method = "sampling"

[evidence.trees]
method = "puct"
simulations = 24
budget_by = "tries"

[lessons.paths]
rule = "right_paths"
evidence = ["trees", "tries"]

[lessons.pairs]
rule = "siblings"
evidence = ["trees"]

[arms.sft]
lesson = "paths"
loss = { nll = 1.0, value = 0.1 }
learning_rate = 1e-5
batch_size = 8

[arms.apo]
start = "sft"
lesson = "pairs"
loss = { prefer = 1.0 }
learning_rate = 1e-6
batch_size = 4

[arms.control]
start = "sft"
lesson = "paths"
like = "apo"
loss = { nll = 1.0 }
learning_rate = 1e-6
batch_size = 8

[next]
policy = ["apo", "sft"]

[from_round.2]
arms.sft = { epochs = 3 }

[from_round.3]
evidence.trees = { simulations = 7 }
"""


def read(tmp_path: Path, text: str = TEXT, changes: dict[str, Any] | None = None, **options: int) -> Recipe:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return Recipe.read(path, changes, **options)


WRONG = [
    ('budget_by = "tries"', 'budget_by = "trials"', 8, "evidence.trees.budget_by: 'trials' is no evidence above it"),
    ('budget_by = "tries"', 'budget_by = "trees"', 8, "evidence.trees.budget_by"),
    ('["trees", "tries"]', '["trees", "tree"]', 12, "lessons.paths.evidence: there is no evidence 'tree'"),
    ("simulations = 24", 'steps = "solution"', 7, "evidence.trees.steps: solution, and evaluation.steps is plan"),
    ('rule = "siblings"', 'rule = "cousins"', 14, "lessons.pairs"),
    (
        'start = "sft"\nlesson = "pairs"',
        'start = "control"\nlesson = "pairs"',
        25,
        "arms.apo.start: 'control' is no model",
    ),
    ('start = "sft"\nlesson = "pairs"', 'start = "apo"\nlesson = "pairs"', 25, "there are base, policy, sft"),
    ('lesson = "pairs"', 'lesson = "pears"', 26, "arms.apo.lesson: there is no lesson 'pears'"),
    ('lesson = "pairs"', 'lesson = "paths"', 27, "arms.apo.loss: it learns from preferences, and paths gives"),
    ("{ prefer = 1.0 }", "{ prefer = 1.0, nll = 1.0 }", 27, "arms.apo.loss: prefer and rank learn from"),
    ("{ prefer = 1.0 }", "{}", 27, "the loss has no term"),
    ('like = "apo"', 'like = "apo"\nsquared = true', 35, "arms.control.squared: it does nothing"),
    ('like = "apo"', 'like = "control"', 34, "arms.control.like: 'control' is no arm that says itself"),
    (
        "simulations = 24",
        "simulations = 0",
        7,
        "evidence.trees.simulations: Input should be greater than or equal to 1",
    ),
    ("simulations = 24", "simulation = 24", 7, "evidence.trees.simulation: Extra inputs are not permitted"),
    ('policy = ["apo", "sft"]', 'policy = ["apo", "stf"]', 40, "next.policy: there is no arm 'stf'"),
    ('policy = ["apo", "sft"]', 'value = ["control", "other"]', 40, "next.value: there is no arm 'other'"),
    ("{ nll = 1.0, value = 0.1 }", "{ value = 0.1 }", 40, "next.policy: sft learns a value alone"),
    ('rule = "siblings"', 'rule = "siblings"\nmin_outcomes = -1', 16, "lessons.pairs.min_outcomes: Input should be"),
    ("[arms.control]", "[arms.trees]", 5, "trees: the name is taken"),
    ("[arms.control]", "[arms.evaluate_sft]", 30, "evaluate_sft: the name is taken"),
    ("[arms.control]", "[arms.harness_sft]", 30, "harness_sft: the name is taken"),
    ("[arms.control]", "[arms.sft_value]", 30, "sft_value: the name is taken"),
    ('like = "apo"', 'like = "apo"\nepochs = 2', 35, "arms.control.epochs: it learns from as many sequences as apo"),
]


@pytest.mark.parametrize(("right", "wrong", "line", "told"), WRONG)
def test_a_graph_that_cannot_be_is_refused_by_line(
    right: str, wrong: str, line: int, told: str, tmp_path: Path
) -> None:
    assert TEXT.count(right) == 1
    with pytest.raises(RecipeRefused) as refused:
        read(tmp_path, TEXT.replace(right, wrong))
    (fault,) = [fault for fault in str(refused.value).splitlines() if told in fault]
    if "name is taken" not in told:
        assert fault.startswith(f"mine.toml, line {line}: ")


def test_what_speaks_of_plans_is_refused_where_there_is_none(tmp_path: Path) -> None:
    """All parts of a recipe take the same steps; the evaluation alone may, where nothing is searched."""
    text = TEXT.replace("[evidence.tries]", '[evaluation]\nsteps = "solution"\n\n[evidence.tries]\nsteps = "solution"')
    text = text.replace("[evidence.trees]", '[evidence.trees]\nsteps = "solution"')
    assert {one.steps for one in read(tmp_path, text).evidence.values()} == {"solution"}
    with pytest.raises(RecipeRefused, match=r"line 7: evidence\.tries\.method: reflect speaks of the plan"):
        read(tmp_path, text.replace('"sampling"', '"reflect"'))
    with pytest.raises(RecipeRefused, match=r"line 12: evidence\.trees\.library: it offers steps of plans"):
        read(tmp_path, text.replace("simulations = 24", "library = 2"))
    assert read(tmp_path, 'evaluation.steps = "solution"').evaluation.steps == "solution"
    with pytest.raises(RecipeRefused, match=r"evaluation\.decoding: reflection speaks of the plan that failed"):
        read(tmp_path, 'evaluation = { steps = "solution", decoding = "reflection" }')


def test_more_trials_than_a_search_has_are_refused_before_it(tmp_path: Path) -> None:
    """And not by the evaluation, when all is searched and trained."""
    assert read(tmp_path, 'evaluation = { samples = 20, decoding = "reflection" }').evaluation.samples == 20
    assert read(tmp_path, 'evaluation = { samples = 21, decoding = "majority" }').evaluation.samples == 21
    with pytest.raises(RecipeRefused, match=r"line 1: evaluation\.samples: of reflection 20 trials at most, not 21"):
        read(tmp_path, 'evaluation = { samples = 21, decoding = "reflection" }')


def test_a_part_of_a_mixture_that_is_wrong_is_told_by_its_place(tmp_path: Path) -> None:
    def mixed(part: str) -> None:
        read(tmp_path, f'questions.source = [{{ source = "micro" }}, {{ source = "gsm8k", {part} }}]')

    mixed("weight = 3")
    with pytest.raises(
        RecipeRefused, match=r"line 1: questions\.source\.1\.weight: Input should be greater than or equal"
    ):
        mixed("weight = 0")
    with pytest.raises(RecipeRefused, match=r"line 1: questions\.source\.1\.shape: Extra inputs are not permitted"):
        mixed("shape = 3")
    with pytest.raises(RecipeRefused, match=r"line 1: questions\.source: give a name, or a list of parts"):
        read(tmp_path, "questions.source = 3")


def test_a_model_learns_in_the_chat_that_it_is_asked_in(tmp_path: Path) -> None:
    assert read(tmp_path, 'prompt = { style = "chat", learnt_in = "chat" }').prompt.learnt_in == "chat"
    with pytest.raises(RecipeRefused, match=r"line 1: prompt\.learnt_in: chat, and prompt\.style is own"):
        read(tmp_path, 'prompt.learnt_in = "chat"')


def test_what_is_no_toml_is_refused_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(RecipeRefused, match=r"^mine\.toml: .*line 3"):
        read(tmp_path, TEXT.replace('method = "sampling"', "method = sampling"))


def test_a_field_has_the_line_on_which_it_stands_or_that_of_its_table() -> None:
    fields = ("evidence.trees", "evidence.trees.budget_by", "arms.apo.loss", "next.policy")
    assert [line_of(TEXT, field) for field in fields] == [5, 8, 27, 40]
    assert line_of(TEXT, "arms.apo.learning_rat") == 24
    assert line_of(TEXT, "arms.apo.loss.prefer") == 27
    assert line_of(TEXT, "weather") is None
    assert line_of(TEXT, "arms") == 18
    rows = '[[claims]]\nbetter = 1\n[[claims]]\nbetter = 2\n["a-b".c]\n"d.e" = 3\n'
    given = ("claims.0", "claims.1.better", "claims.1.worse", "a-b.c.d.e", "a-b")
    assert [line_of(rows, field) for field in given] == [1, 4, 3, 6, 5]


def test_rounds_of_a_campaign_may_differ(tmp_path: Path) -> None:
    made = [read(tmp_path, round=round) for round in (1, 2, 3, 9)]
    assert [one.arms["sft"].epochs for one in made] == [1, 3, 3, 3]
    assert [one.evidence["trees"].simulations for one in made] == [24, 24, 7, 7]


def test_what_is_wrong_with_a_later_round_is_said_in_the_first(tmp_path: Path) -> None:
    for wrong in ("epochs = -3 }", "epoch = 3 }", 'epochs = 3, start = "apo" }'):
        with pytest.raises(RecipeRefused, match=r"arms\.sft\.(epoch|start)"):
            read(tmp_path, TEXT.replace("epochs = 3 }", wrong), round=1)


def test_what_a_user_changed_holds_in_every_round_and_what_a_form_repeats_is_no_change(tmp_path: Path) -> None:
    whole = read(tmp_path).model_dump(mode="json")
    asked = merged(whole, {"evidence": {"trees": {"c_puct": 0.5}}})
    second = read(tmp_path, changes=asked, round=3)
    assert second.evidence["trees"].c_puct == 0.5
    assert second.evidence["trees"].simulations == 7
    assert second.arms["sft"].epochs == 3
    assert read(tmp_path, changes={"arms": {"sft": {"epochs": 2}}}, round=2).arms["sft"].epochs == 2


def test_a_change_that_does_not_fit_is_refused_by_its_field(tmp_path: Path) -> None:
    with pytest.raises(RecipeRefused, match=r"arms\.apo\.alpha: Input should be greater than or equal to 0"):
        read(tmp_path, changes={"arms": {"apo": {"alpha": -1}}})
    with pytest.raises(RecipeRefused, match=r"search: Extra inputs are not permitted"):
        read(tmp_path, changes={"search": {"simulations": 3}})


@pytest.mark.parametrize("group", ["evidence", "lessons", "arms"])
def test_a_change_of_a_part_that_is_not_there_is_no_new_part(group: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeRefused, match=rf"mine\.toml: {group}\.treees: the recipe has no such part \(there are "):
        read(tmp_path, changes={group: {"treees": {"simulations": 3}}})


def test_merging_keeps_what_is_not_named_and_what_is_none() -> None:
    whole = {"a": {"b": 1, "c": 2}, "d": [1, 2]}
    assert merged(whole, {"a": {"b": 3, "c": None}, "d": [5]}) == {"a": {"b": 3, "c": 2}, "d": [5]}
    assert merged(whole, {"e": {"f": 1}}) == whole | {"e": {"f": 1}}
    assert whole == {"a": {"b": 1, "c": 2}, "d": [1, 2]}
    assert changed({"a": {"b": 1, "c": 3}, "d": [1, 2]}, whole) == {"a": {"c": 3}}
    assert changed(whole, whole) == {}


def test_an_arm_may_be_left_out_but_not_one_that_another_needs(tmp_path: Path) -> None:
    small = read(tmp_path, changes={"without": ["control"]})
    assert list(small.arms) == ["sft", "apo"]
    with pytest.raises(RecipeRefused, match=r"arms\.control\.like: 'apo' is no arm"):
        read(tmp_path, changes={"without": ["apo"]})
    assert read(tmp_path, changes={"without": ["apo", "control"]}).next.policy == ("apo", "sft")
    with pytest.raises(
        RecipeRefused,
        match=r"mine\.toml: without: there is no part 'contrl' \(there are tries, trees",
    ):
        read(tmp_path, changes={"without": ["contrl"]})


def test_v_is_ranked_of_arms_that_learnt_it_or_start_from_one_that_did(tmp_path: Path) -> None:
    recipe = read(tmp_path)
    assert [name for name in recipe.arms if recipe.ranks(name)] == ["sft", "apo", "control"]
    apart = read(tmp_path, TEXT.replace("{ nll = 1.0, value = 0.1 }", "{ nll = 1.0 }"))
    assert not any(apart.ranks(name) for name in ("base", "policy", *apart.arms))


def test_another_repeat_is_one_of_all_that_sample(tmp_path: Path) -> None:
    again = read(tmp_path).repeated(3)
    assert {one.repeat for one in again.evidence.values()} == {again.evaluation.repeat} == {3}
    assert again.repeated(0) == again


def test_a_search_that_is_repeated_by_its_recipe_is_so_in_every_repeat(tmp_path: Path) -> None:
    tries = {"evidence": {"tries": {"repeat": 2}}}
    made = [read(tmp_path, changes=tries).repeated(repeat) for repeat in (0, 1)]
    assert [[one.repeat for one in recipe.evidence.values()] for recipe in made] == [[2, 0], [3, 1]]


def test_the_example_is_what_toml_says() -> None:
    assert tomllib.loads(TEXT)["arms"]["apo"]["start"] == "sft"


def test_scored_steps_need_a_search_that_scores_and_a_loss_that_weighs(tmp_path: Path) -> None:
    steps = """
[evidence.steps]
method = "METHOD"
[lessons.scored]
rule = "scored_steps"
evidence = ["steps"]
alpha = 0.25
[arms.process]
lesson = "scored"
loss = LOSS
learning_rate = 1e-4
batch_size = 8
"""

    def written(method: str, loss: str) -> Recipe:
        return read(tmp_path, steps.replace("METHOD", method).replace("LOSS", loss))

    assert written("stepwise", "{ nll = 1.0, kl = 1.0 }").arms
    with pytest.raises(RecipeRefused, match=r"line 6: lessons\.scored\.evidence: steps scores no steps"):
        written("puct", "{ nll = 1.0 }")
    with pytest.raises(
        RecipeRefused, match=r"line 10: arms\.process\.loss: the rule of scored gives weights for nll and no value"
    ):
        written("stepwise", "{ value = 1.0 }")


def test_a_margin_trains_the_value_too(tmp_path: Path) -> None:
    ranked = TEXT.replace("{ prefer = 1.0 }", "{ rank = 0.1, prefer = 1.0 }").replace(
        "{ nll = 1.0, value = 0.1 }", "{ nll = 1.0 }"
    )
    assert read(tmp_path, ranked).ranks("apo")
    assert not read(tmp_path, ranked).ranks("sft")


BASE = """\
# What is extended.
usual_for = ["any"]

[evidence.trees]
method = "puct"
simulations = 40
c_puct = 1.25

[lessons.paths]
rule = "right_paths"
evidence = ["trees"]

[arms.sft]
lesson = "paths"
loss = { nll = 1.0, value = 0.1 }
learning_rate = 1e-5
batch_size = 8

[from_round.2]
evidence.trees = { simulations = 20, temperature = 1.0 }
"""

SMALL = """\
extends = "base"

[evidence.trees]
simulations = 8

[arms.more]
start = "sft"
lesson = "paths"
loss = { nll = 1.0 }
learning_rate = 1e-4
batch_size = 4
"""


def extending(tmp_path: Path, text: str = SMALL, base: str = BASE, round: int = 1) -> Recipe:
    (tmp_path / "base.toml").write_text(base)
    return read(tmp_path, text, round=round)


def test_what_a_file_does_not_say_stands_in_the_one_that_it_extends(tmp_path: Path) -> None:
    small = extending(tmp_path)
    assert (small.evidence["trees"].simulations, small.evidence["trees"].c_puct) == (8, 1.25)
    assert list(small.arms) == ["sft", "more"]
    assert small.usual_for == (), "of the file that says it alone"
    whole = tomllib.loads(BASE)
    whole |= {"usual_for": [], "evidence": {"trees": whole["evidence"]["trees"] | {"simulations": 8}}}
    whole["arms"]["more"] = tomllib.loads(SMALL)["arms"]["more"]
    del whole["from_round"]
    assert small == Recipe.model_validate(whole), "a recipe is what it is when it is merged"


def test_what_an_extending_file_says_holds_in_every_round_but_for_its_own_later_ones(tmp_path: Path) -> None:
    later = SMALL + "[from_round.3]\nevidence.trees = { simulations = 4 }\n"
    made = [extending(tmp_path, later, round=round).evidence["trees"] for round in (1, 2, 3)]
    assert [(trees.simulations, trees.temperature) for trees in made] == [(8, 0.7), (8, 1.0), (4, 1.0)]


def test_an_extending_file_may_leave_parts_out(tmp_path: Path) -> None:
    small = extending(tmp_path, 'extends = "base"\nwithout = ["sft", "paths"]\n')
    assert (list(small.evidence), small.lessons, small.arms) == (["trees"], {}, {})


@pytest.mark.parametrize(
    ("small", "base", "told"),
    [
        ((), ("simulations = 40", "simulation = 40"), "base.toml, line 6: evidence.trees.simulation: Extra inputs"),
        (("simulations = 8", "simulations = 0"), (), "mine.toml, line 4: evidence.trees.simulations: Input should be"),
        ((), ("c_puct = 1.25", "c_puct = -1"), "base.toml, line 7: evidence.trees.c_puct: Input should be"),
        (('start = "sft"', 'start = "stf"'), (), "mine.toml, line 7: arms.more.start: 'stf' is no model above it"),
        (("batch_size = 4", ""), (), "mine.toml, line 6: arms.more.batch_size: Field required"),
        ((), ('lesson = "paths"', 'lesson = "path"'), "base.toml, line 14: arms.sft.lesson: there is no lesson 'path'"),
        ((), ("temperature = 1.0", "temperature = 9"), "base.toml, line 20: evidence.trees.temperature: Input should"),
        ((), ('method = "puct"', "method = puct"), "base.toml: Invalid value (at line 5"),
        ((), ("= 40", f"= {'4' * 5000}"), "base.toml, line 6: a number there has more than 4300 digits"),
        (("[arms.", f"[arms.{'a.' * 3000}"), (), "mine.toml: its lists or tables lie too deep in one another"),
        (("= 8", f"= {'[' * 3000}"), (), "mine.toml: its lists or tables lie too deep in one another"),
    ],
)
def test_what_is_wrong_is_told_with_the_file_and_line_that_say_it(
    small: tuple[str, str] | tuple[()], base: tuple[str, str] | tuple[()], told: str, tmp_path: Path
) -> None:
    with pytest.raises(RecipeRefused) as refused:
        extending(tmp_path, SMALL.replace(*small) if small else SMALL, BASE.replace(*base) if base else BASE)
    assert [fault for fault in str(refused.value).splitlines() if fault.startswith(told)], str(refused.value)


@pytest.mark.parametrize("name", ["bas", "../base", "base.toml", "", 3, ["base"]])
def test_a_recipe_that_is_not_there_is_not_extended(name: object, tmp_path: Path) -> None:
    with pytest.raises(RecipeRefused, match=r"^mine\.toml, line 2: extends: there is no recipe .* \(there are base\)"):
        extending(tmp_path, f"# A method.\nextends = {name!r}\n")


def test_a_mark_that_an_editor_writes_before_the_text_is_none_of_it(tmp_path: Path) -> None:
    assert extending(tmp_path, f"\ufeff{SMALL}", f"\ufeff{BASE}") == extending(tmp_path)


def test_a_circle_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeRefused, match=r"^base\.toml, line 1: extends: .*: mine extends base extends mine$"):
        extending(tmp_path, base='extends = "mine"\n')
    with pytest.raises(RecipeRefused, match=r"^mine\.toml, line 1: extends: .* itself: mine extends mine$"):
        read(tmp_path, 'extends = "mine"\n')


@pytest.mark.parametrize(
    "later",
    [
        "[from_round.last]",
        "[from_round.1]",
        "[from_round]\n2 = 3",
        "from_round = 2",
        "[from_round.02]",
        '[from_round."٢"]',
        f"[from_round.{'9' * 5000}]",
    ],
)
def test_a_round_is_a_number_from_two_on(later: str, tmp_path: Path) -> None:
    with pytest.raises(
        RecipeRefused, match=r"^mine\.toml, line 2: from_round: the number of a round from 2 on follows"
    ):
        extending(tmp_path, f'extends = "base"\n{later}\n')


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("without = 3", "without: Input should be a valid tuple"),
        ('without = "sft"', "without: Input should be a valid tuple"),
        ('without = ["stf"]', "without: there is no part 'stf' (there are trees, paths, sft)"),
        ("arms = 3", "arms: Input should be a valid dictionary"),
        ('evidence = ["trees"]', "evidence: Input should be a valid dictionary"),
        ("arms.sft.lora = true", "arms.sft.lora: Input should be a number, not true or false"),
        (
            'harness.benchmarks = ["gsm8k", "nosuch"]',
            "harness.benchmarks.1: Input should be 'gsm8k', 'math',",
        ),
        ("tokens = true", "tokens: Input should be a number, not true or false"),
        ("evidence.trees = 3", "evidence.trees: Input should be a valid dictionary"),
        ('[evidences.more]\nmethod = "puct"', "evidences: Extra inputs are not permitted"),
        ('[arms.s-f-t]\nstart = "sft"', "arms.s-f-t.[key]: String should match"),
    ],
)
def test_what_is_of_a_wrong_type_or_name_is_told_by_line(text: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeRefused) as refused:
        extending(tmp_path, f'extends = "base"\n{text}\n')
    assert f"mine.toml, line 2: {told}" in str(refused.value)


def test_a_change_of_a_wrong_type_is_refused(tmp_path: Path) -> None:
    for changes, told in (
        ({"tokens": True}, "tokens: Input should be"),
        ({"evidence": 3}, "evidence: Input should be"),
        ({"without": 3}, "without: Input should be"),
    ):
        with pytest.raises(RecipeRefused, match=told):
            read(tmp_path, changes=changes)


def test_a_rule_is_found_where_its_file_is() -> None:
    """No list names it: its file in tasks/lessons is all that it takes."""
    folder = Path(tasks.lessons.__file__).parent
    named = {rule.model_fields["rule"].default for rule in LessonRule.__subclasses__()}
    assert named == {path.stem for path in folder.glob("*.py") if "(LessonRule)" in path.read_text()}
