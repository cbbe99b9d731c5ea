"""What a study makes of its file: rounds of every seed, and settings that the validation split chose."""

import logging
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import flows.study
from flows.parameters import chosen
from flows.study import NAMES, STUDIES, cpl_study, faults, file_of, of_seed, run_round, trials, tuned
from infra.engine import tenant
from infra.environment import environment
from infra.store import Ref
from tasks.running.progress import Progress
from tasks.study import MOST_ROUNDS, TUNING, Changes, Method, Study, StudyRefused

PLAN = Study(
    model="micro",
    tokens=5000,
    seeds=(1, 2),
    validation="micro/validation",
    changes={"questions.count": 50},
    methods={
        "cpl": Method(
            recipe="cpl-micro",
            rounds=2,
            changes={"evidence.trees.simulations": 7},
            tune={
                "arms.sft.learning_rate": (1e-4, 2e-4, 4e-4),
                "arms.step_dpo.learning_rate": (1e-5, 2e-5, 4e-5),
                "arms.step_apo.learning_rate": (1e-5, 2e-5, 4e-5),
            },
        ),
        "rft": Method(recipe="rft-micro", seeds=(3,)),
    },
)


def test_every_seed_draws_all_anew_but_the_questions_that_models_are_tried_on() -> None:
    one, two = (of_seed(PLAN, "cpl", seed).read() for seed in (1, 2))
    assert (one.tokens, one.questions.count, one.evidence["trees"].simulations) == (5000, 50, 7)
    assert one.evaluation == two.evaluation
    drawn = [
        *((vars(one.lessons[name])["seed"], vars(two.lessons[name])["seed"]) for name in ("paths",)),
        *((one.evidence[name].seed, two.evidence[name].seed) for name in one.evidence),
        *((one.arms[name].seed, two.arms[name].seed) for name in one.arms),
    ]
    assert set(drawn) == {(1, 2)}


def test_no_round_of_a_seed_draws_the_questions_of_another_seed() -> None:
    """Round n draws by the recipe's seed + n - 1; seeds that share questions would not be independent."""
    drawn = [
        of_seed(PLAN, "cpl", seed).read(round=number).questions.seed + number - 1
        for seed in (1, 2, 3, TUNING)
        for number in range(1, MOST_ROUNDS + 1)
    ]
    assert len({*drawn}) == len(drawn)


def test_later_rounds_may_ask_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """A better policy spends fewer tokens on a question."""
    later: dict[int, dict[str, Any]] = {
        2: {"questions.count": 200},
        4: {"questions.count": 400, "evidence.trees.simulations": 9},
    }
    plan = PLAN.model_copy(
        update={"methods": {"cpl": PLAN.methods["cpl"].model_copy(update={"rounds": 5, "from_round": later})}}
    )
    asked: list[tuple[int, int]] = []

    def cpl(*, round: int, recipe: dict[str, Any], **_: Any) -> None:
        read = chosen(recipe, "micro").read(round)
        asked.append((read.questions.count, read.evidence["trees"].simulations))

    monkeypatch.setattr("flows.study.cpl.with_options", lambda **_: cpl)
    for number in range(1, 6):
        run_round("study-mine-cpl-1", number, plan, "cpl", 1, {})
    assert asked == [(50, 7), (200, 7), (200, 7), (400, 9), (400, 9)]


def test_what_a_recipe_leaves_out_is_left_out_where_it_is_tuned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the method that is tuned searches, and pays for, what the one that is compared does not."""
    tune = {"arms.sft.learning_rate": (1e-4, 2e-4), "arms.instance_dpo.learning_rate": (1e-5, 2e-5)}
    plan = PLAN.model_copy(update={"methods": {"dpo": Method(recipe="instance-dpo-micro", tune=tune)}})
    whole = of_seed(plan, "dpo", TUNING).read()
    made: list[tuple[set[str], set[str]]] = []

    def run_round(campaign: str, number: int, plan: Study, name: str, seed: int, changes: Changes) -> Ref:
        recipe = of_seed(plan, name, seed, changes).read()
        made.append(({*recipe.evidence}, {*recipe.arms}))
        return Ref(uri="s3://cpl/a/manifest.json", sha256="0" * 64, rows=0)

    monkeypatch.setattr(flows.study, "run_round", run_round)
    monkeypatch.setattr(flows.study, "accuracy", lambda round, arm: 0.5)
    tuned("mine", plan, "dpo")
    assert "tries" not in whole.evidence
    assert made == [({*whole.evidence}, {"sft"})] * 2 + [({*whole.evidence}, {*whole.arms})] * 2


def test_all_methods_have_a_seed_before_the_next_begins() -> None:
    """What is made of a study that is stopped can be compared."""
    plan = PLAN.model_copy(update={"methods": PLAN.methods | {"rft": Method(recipe="rft-micro", seeds=(2, 3))}})
    assert [*plan.places()] == ["cpl/1/1", "cpl/1/2", "cpl/2/1", "cpl/2/2", "rft/2/1", "rft/3/1"]


def test_what_starts_from_another_arm_is_tuned_after_it_from_its_best(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Mapping[str, Any]] = []
    best = {"sft": 2e-4, "step_dpo": 4e-5, "step_apo": 1e-5}

    def run_round(campaign: str, number: int, plan: Study, name: str, seed: int, changes: Changes) -> Ref:
        assert seed == TUNING
        assert of_seed(plan, name, seed, changes).read().evaluation.benchmarks == ("micro/validation",)
        asked.append(changes)
        return Ref(uri=f"s3://cpl/{campaign}/manifest.json", sha256=f"{len(asked):064}", rows=0)

    def accuracy(round: Ref, arm: str) -> float:
        rate: float = asked[int(round.sha256) - 1][f"arms.{arm}.learning_rate"]
        return 1.0 - abs(rate - best[arm])

    monkeypatch.setattr(flows.study, "run_round", run_round)
    monkeypatch.setattr(flows.study, "accuracy", accuracy)
    chosen, tried = tuned("mine", PLAN, "cpl")
    assert chosen == {f"arms.{arm}.learning_rate": rate for arm, rate in best.items()}
    assert {field: len(found) for field, found in tried.items()} == dict.fromkeys(chosen, 3)
    assert len(asked) == 6, "arms that stand beside each other are tried together"
    assert all("step_apo" in changes["without"] for changes in asked[:3]), "nothing is trained that nobody looks at"
    assert [changes["arms.sft.learning_rate"] for changes in asked[3:]] == [2e-4] * 3


@pytest.mark.parametrize("name", NAMES)
def test_the_studies_that_are_there_can_be_run(name: str) -> None:
    """Their models may be yet to be made."""
    assert not [fault for fault in faults(Study.read(STUDIES / f"{name}.toml")) if not fault.startswith("model: ")]


def test_what_a_method_leaves_out_stays_out_while_it_is_tuned() -> None:
    method = Method(recipe="cpl-micro", changes={"without": ["value"]}, tune={"arms.sft.learning_rate": (1e-4, 2e-4)})
    for _, settings, others in trials(PLAN.model_copy(update={"methods": {"cpl": method}}), "cpl"):
        recipe = of_seed(PLAN, "cpl", TUNING, {**method.changes, **settings, **others}).read()
        assert list(recipe.arms) == ["sft"]


def test_methods_that_answer_otherwise_alone_are_tuned_by_the_same_answers() -> None:
    """Else another setting is best, and a beam of one training is compared with another training's greedy answers."""
    tune = {"arms.sft.learning_rate": (1e-4, 2e-4)}
    half = {"evaluation.count": 200, "evaluation.out_of_domain_count": 40}
    greedy = Method(recipe="svpo-micro", tune=tune)
    beam = Method(recipe="svpo-micro", changes=half | {"evaluation.decoding": "beam", "evaluation.beams": 3}, tune=tune)
    plan = PLAN.model_copy(update={"changes": {"evaluation.count": 400}, "methods": {"greedy": greedy, "beam": beam}})
    of_both = [
        [of_seed(plan, name, TUNING, {**settings, **others}).read() for _, settings, others in trials(plan, name)]
        for name in plan.methods
    ]
    assert of_both[0] == of_both[1]
    assert of_both[0][0].evaluation.count == 400


WRONG = """
model = "micro"
tokens = 5000
seeds = [1]
validation = "micro/validation"
[methods.cpl]
recipe = "cpl-micro"
rounds = 2
[methods.cpl.changes]
"questions.count" = 50
[methods.cpl.tune]
"arms.sft.learning_rate" = [1e-4, 2e-4]
[methods.cpl.from_round.2]
"evaluation.count" = 70
[[claims]]
says = "one"
better = "cpl.base"
worse = "cpl.base@1"
"""


@pytest.mark.parametrize(
    ("was", "becomes", "told"),
    [
        ('"micro"', '"/no/model"', "line 2: model: model '/no/model' does not load"),
        ("cpl-micro", "cpl-macro", "line 7: methods.cpl.recipe: there is no recipe 'cpl-macro'"),
        (
            "questions.count",
            "questions.counts",
            "line 9: methods.cpl.changes: cpl-micro.toml, line 7: questions.counts:",
        ),
        ('"questions.count" = 50', '"tokens" = 50', "line 9: methods.cpl.changes: tokens are given"),
        ('"questions.count"', '"arms.sft.seed"', "line 9: methods.cpl.changes: a seed is given"),
        ('"questions.count"', "questions.seed", "line 9: methods.cpl.changes: a seed is given"),
        ("arms.sft.", "arms.stf.", "line 11: methods.cpl.tune: no arm 'stf' is scored (there are sft, step_apo"),
        ("arms.sft.", "arms.value.", "line 11: methods.cpl.tune: no arm 'value' is scored"),
        ("arms.sft.", "arms.base.", "line 11: methods.cpl.tune: no arm 'base' is scored"),
        ("learning_rate", "lesson", "line 12: methods.cpl.tune.arms.sft.lesson: cpl.toml, line"),
        ("evaluation.count", "evaluation.cuont", "line 13: methods.cpl.from_round.2: cpl-micro.toml"),
        ("evaluation.count", "tokens", "line 13: methods.cpl.from_round.2: tokens are given"),
        ("from_round.2", "from_round.3", "line 13: methods.cpl.from_round: it has 2 rounds, and no round 3"),
        ("2e-4", "-1", "line 12: methods.cpl.tune.arms.sft.learning_rate: cpl-micro.toml, line"),
        ("micro/validation", "micro/test", "line 11: methods.cpl.tune: micro/test is the validation split"),
        ("cpl.base@1", "cpl.value", "line 18: claims.0.worse: value is not tuned as others are"),
    ],
)
def test_what_cannot_be_is_told_by_line_before_a_round_is_made(
    was: str, becomes: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(WRONG)
    assert WRONG.count(was) == 1 or was == "cpl-micro"
    assert not [*faults(Study.read(path))]
    monkeypatch.setattr(flows.study, "run_round", lambda *_: pytest.fail("a round is made"))
    path.write_text(WRONG.replace(was, becomes))
    with pytest.raises(StudyRefused) as refused:
        cpl_study.fn(str(path))
    assert f"mine.toml, {told}" in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1


NEXT = [
    "Rounds: 0 of 5 made, next cpl is tuned",
    "Rounds: 2 of 5 made, next cpl/1/1",
    "Rounds: 3 of 5 made, next cpl/1/2",
    "Rounds: 4 of 5 made or failed, next rft/1/1",
    "Rounds: 5 of 5 made or failed",
]


@pytest.mark.parametrize(("fails", "lines"), [(2, NEXT), (1, [*NEXT[:2], *NEXT[3:]])])
def test_its_lines_say_which_round_is_next_however_fast_and_that_some_failed(
    fails: int, lines: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A line that waited for its turn would name the round before for as long as the next one takes. Of what failed no
    further round is made: it would start from the round of a study that was made before."""
    path = tmp_path / "mine.toml"
    no_claims = WRONG.partition("[[claims]]")[0]
    path.write_text(no_claims + '[methods.rft]\nrecipe = "rft-micro"\n')
    round_of, lists = Ref(uri="s3://cpl/a/manifest.json", sha256="0" * 64, rows=0), list[list[int]]()
    engine: list[str] = []

    def run_round(campaign: str, number: int, *_: Any) -> Ref:
        with tenant(environment()):
            engine.append("asked")
        if campaign.endswith("cpl-1") and number == fails:
            raise RuntimeError("it died")
        return round_of

    def compare(name: str, plan: Study, recipes: Mapping[str, list[Any]], *_: Any) -> Ref:
        lists.append([one.evaluation.count for one in recipes["cpl"]])
        return round_of

    monkeypatch.setattr(flows.study, "run_round", run_round)
    monkeypatch.setattr(flows.study, "accuracy", lambda round, arm: 0.5)
    monkeypatch.setattr(flows.study, "compare", compare)
    monkeypatch.setattr(flows.study, "get_run_logger", lambda: logging.getLogger("study"))
    monkeypatch.setattr(flows.study, "show_page", lambda **_: None)
    monkeypatch.setattr("infra.store.Store.open", lambda _: SimpleNamespace(fetch=lambda *_: path))
    monkeypatch.setattr(Progress, "_draw", lambda *_: None)
    monkeypatch.setattr("infra.engine.tenancy.stop_engines", lambda _: engine.append("stopped"))
    monkeypatch.setenv("CPL_HOME", str(tmp_path))
    with caplog.at_level(logging.INFO, "study"):
        cpl_study.fn(str(path))
    assert [line for line in caplog.messages if line.startswith("Rounds: ")] == lines
    assert ("cpl/1/2 was not made: it starts from cpl/1/1" in caplog.messages) is (fails == 1)
    assert (engine.count("stopped"), engine[-1]) == (1, "stopped"), "it stays up from round to round"
    assert lists[0][1] == 70, "each round is compared by its own recipe"
    assert lists[0][0] != 70


def test_a_claim_about_a_model_that_no_round_scores_is_told_where_nothing_is_tuned(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(WRONG.replace("[methods.cpl.tune]\n", "").replace('"arms.sft.learning_rate" = [1e-4, 2e-4]\n', ""))
    assert not [*faults(Study.read(path))]
    path.write_text(path.read_text().replace("cpl.base@1", "cpl.value"))
    [told] = faults(Study.read(path))
    assert told.startswith("claims.0.worse: cpl scores no model 'value' (there are base, sft,")


def test_a_file_whose_name_no_campaign_can_bear_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "My study.toml"
    path.write_text(WRONG)
    with pytest.raises(StudyRefused, match=r"My study\.toml: campaigns bear its name"):
        file_of(str(path))
    with pytest.raises(StudyRefused, match=r"there is no study 'no-such'; there are micro"):
        file_of("no-such")
