"""Which round a run is of, and what does not fit a campaign, on a real store."""

from typing import Any

import pytest

from infra.store import Store, rounds
from infra.store.rounds import Title
from tasks.running.opening import DoesNotFit, campaign_name, open_round, run_name
from tasks.stages.publish import point_to
from tests.stages import commit

pytestmark = pytest.mark.integration

MICRO: dict[str, Any] = {"recipe": "cpl-micro", "model": "micro", "base": "a" * 64, "source": "micro"}
SMOLLM2: dict[str, Any] = {"recipe": "cpl-smollm2", "model": "smollm2", "base": "b" * 64, "source": "gsm8k"}


def ask(store: Store, campaign: str = "", round: int = 0, *, usual: bool = True, **of: Any) -> Title:
    return open_round(store, campaign, round, usual=usual, **of)


def publish(store: Store, title: Title) -> None:
    ref = commit(store, "publish", f"{title.campaign}-{title.round}", version=rounds.SINCE, **title.model_dump())
    rounds.publish(store, title.campaign, title.round, ref)


def test_a_blank_campaign_is_named_after_the_model_and_what_is_unusual(store: Store) -> None:
    assert ask(store, **MICRO).campaign == "micro"
    assert ask(store, **SMOLLM2).campaign == "smollm2"
    other = SMOLLM2 | {"source": "data/My Problems.jsonl.gz"}
    assert ask(store, **other, usual=False).campaign == "smollm2-cpl-smollm2-my-problems"
    assert campaign_name("deepseek-ai/deepseek-math-7b-base") == "deepseek-math-7b-base"
    assert campaign_name("/models/Mine/") == "mine"


def test_round_0_is_the_campaigns_first_that_is_not_published(store: Store) -> None:
    assert ask(store, **MICRO).round == 1
    publish(store, ask(store, **MICRO))
    assert ask(store, **MICRO).round == 2
    publish(store, ask(store, round=2, **MICRO))
    assert ask(store, **MICRO).round == 3
    assert ask(store, round=1, **MICRO).round == 1, "the same round again is asked for by its number"
    assert ask(store, **SMOLLM2).round == 1


def test_a_run_that_is_retried_after_it_published_does_not_begin_another_round(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when its process is killed between the pointers and its end: Retry asks for round 0 again."""
    monkeypatch.setenv("PREFECT__RUNTIME__FLOW_RUN__NAME", "wise-tiger")
    assert ask(store, **MICRO).round == 1
    publish(store, ask(store, **MICRO))
    monkeypatch.setenv("PREFECT__RUNTIME__FLOW_RUN__NAME", run_name("micro", 1))
    assert ask(store, **MICRO).round == 1
    assert ask(store, round=2, **MICRO).round == 2
    assert ask(store, "mine", **MICRO).round == 1, "the name of another campaign's run says nothing"
    monkeypatch.setenv("PREFECT__RUNTIME__FLOW_RUN__NAME", "wise-tiger")
    assert ask(store, **MICRO).round == 2


def test_a_campaign_keeps_its_base_model(store: Store) -> None:
    publish(store, ask(store, "mine", **MICRO))
    for round in (0, 1, 2):
        with pytest.raises(DoesNotFit, match=r"'micro'.*'smollm2'.*another campaign"):
            ask(store, "mine", round, **SMOLLM2)
    changed = MICRO | {"base": "c" * 64}
    with pytest.raises(DoesNotFit, match="same name with other files"):
        ask(store, "mine", 2, **changed)
    assert ask(store, "another", **SMOLLM2).round == 1


@pytest.mark.parametrize("change", [{"recipe": "cpl"}, {"source": "gsm8k"}])
def test_a_published_round_is_not_replaced_by_one_of_another_recipe_or_source(store: Store, change: Any) -> None:
    publish(store, ask(store, "mine", **MICRO))
    with pytest.raises(DoesNotFit, match="would hide that round"):
        ask(store, "mine", 1, **(MICRO | change))
    assert ask(store, "mine", 2, **(MICRO | change)).round == 2, "rounds of a campaign may differ in these"
    assert ask(store, "mine", 1, **MICRO).round == 1


def test_of_two_runs_of_a_round_that_differ_the_second_publishes_nothing_and_says_why(store: Store) -> None:
    """Both began when nothing was published."""
    one, other = (ask(store, "mine", 1, **(MICRO | change)) for change in ({}, {"recipe": "cpl"}))
    refs = [
        commit(store, "publish", title.recipe, version=rounds.SINCE, **title.model_dump()) for title in (one, other)
    ]
    point_to.fn(one, refs[0])
    with pytest.raises(DoesNotFit, match="would hide that round"):
        point_to.fn(other, refs[1])
    point_to.fn(one, refs[0])
    assert [publication.manifest for publication, _ in rounds.publications(store, "mine")] == [refs[0]]


def test_what_an_earlier_version_published_is_held_to_what_it_says(store: Store) -> None:
    publish(store, Title(campaign="old", round=1, recipe="cpl-micro", model="micro"))
    assert ask(store, "old", 2, **MICRO).round == 2
    with pytest.raises(DoesNotFit):
        ask(store, "old", 2, **SMOLLM2)
