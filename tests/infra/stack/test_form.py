"""The form as a browser shows it: what a user sees of a choice of settings, and is told of a wrong value."""

import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from infra.stack import api
from infra.stack.local import Stack
from tests.infra.stack.browser import Browser, browser
from tests.infra.stack.stacks import ROOT, open_ui, wait_for

pytestmark = pytest.mark.integration

FLOW = """
from typing import Annotated, Any
from prefect import flow
from pydantic import BaseModel, Field, WithJsonSchema
from flows.form import form

class Search(BaseModel):
    depth: int = Field(ge=1, description="Of a tree, in steps.")
    names: tuple[str, ...] = Field((), description="Of its branches.")

class Recipe(BaseModel):
    evidence: dict[str, Search]

NAMED = {
    "deep": Recipe(evidence={"trees": Search(depth=31)}),
    "flat": Recipe(evidence={"lists": Search(depth=1), "trees": Search(depth=2)}),
}
ABOUT = {"deep": "Few branches.", "flat": "Many branches."}

Chosen = Annotated[str | dict[str, Any], WithJsonSchema(form(NAMED, ABOUT, ["by model"]))]

@flow(name="cpl-campaign")
def cpl_campaign(recipe: Chosen = "by model") -> None:
    pass
"""
FIELD = """
[...document.querySelectorAll(".schema-form-property")]
  .filter((one) => one.querySelector(".schema-form-property__label").innerText.split(" ")[0] === %s)
  .map((one) => one.querySelector("input, textarea"))[0]
"""
CLICK = (
    "[...document.querySelectorAll('button, [role=button], label')].find((one) => one.innerText.trim() === %s).click()"
)
TYPE = """
((field, text) => {
  Object.getOwnPropertyDescriptor(Object.getPrototypeOf(field), "value").set.call(field, text)
  field.dispatchEvent(new Event("input", {bubbles: true}))
})(%s, %s)
"""


@pytest.fixture(scope="module")
def stack(shared: Stack) -> Iterator[Stack]:
    """One of whose flows has our form."""
    shutil.copy(ROOT / "flows/form.py", shared.root / "flows")
    campaign = shared.root / "flows/campaign.py"
    before = campaign.read_text()
    campaign.write_text(FLOW)
    shared.up(print)
    yield shared
    campaign.write_text(before)


@pytest.fixture
def form(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """The page on which a run of that flow is asked for."""
    with browser(tmp_path_factory.mktemp("browser")) as window:
        deployment = api.ask(stack.home, "GET", "/deployments/name/cpl-campaign/campaign")["id"]
        open_ui(window, stack.home, f"/deployments/deployment/{deployment}/run")
        wait_for(lambda: "by model" in seen(window), stack)
        yield window


def seen(form: Browser) -> str:
    """The page's text and what is in its fields."""
    fields = form.run("[...document.querySelectorAll('input, textarea, select')].map((one) => one.value)")
    return " ".join([form.run("document.body.innerText"), *fields])


def field(name: str) -> str:
    return FIELD.strip() % json.dumps(name)


def click(form: Browser, button: str) -> None:
    form.run(CLICK % json.dumps(button))


def type_into(form: Browser, name: str, text: str) -> None:
    form.run(TYPE % (field(name), json.dumps(text)))
    time.sleep(3)  # the form's own record of its values lags behind the field


def runs(stack: Stack) -> list[dict[str, Any]]:
    of_form = {"deployments": {"name": {"any_": ["campaign"]}}}
    return [one["parameters"] for one in api.ask(stack.home, "POST", "/flow_runs/filter", of_form)]


def submit_until(is_true: Callable[[], bool], form: Browser, stack: Stack, patience: float) -> None:
    """Once more where it did not help: on a busy machine the form sends what a field held before, and what the server
    refuses is told for some seconds only, which may have passed unseen."""
    for seconds in (patience, patience, 60):
        click(form, "Submit")
        with suppress(AssertionError):
            wait_for(is_true, stack, seconds)
            return
    raise AssertionError(f"in vain: {seen(form)}")


def test_choosing_settings_shows_their_words_bounds_and_values_and_a_wrong_one_is_told_by_name(
    stack: Stack, form: Browser
) -> None:
    click(form, "flat")
    wait_for(lambda: "evidence.lists.depth" in seen(form), stack)
    click(form, "deep")
    wait_for(lambda: "Few branches." in seen(form) and "evidence.lists.depth" not in seen(form), stack)
    wait_for(lambda: "Of a tree, in steps. At least 1." in seen(form), stack)
    wait_for(lambda: form.run(f"{field('evidence.trees.depth')}.value") == "31", stack)

    type_into(form, "evidence.trees.depth", "0")
    refused = ("field 'recipe.deep.evidence.trees.depth'", "0 is less than the minimum of 1")
    submit_until(lambda: all(one in seen(form) for one in refused), form, stack, patience=6)
    assert runs(stack) == []

    type_into(form, "evidence.trees.depth", "7")
    submit_until(lambda: bool(runs(stack)), form, stack, patience=20)
    assert runs(stack) == [{"recipe": {"deep": {"evidence": {"trees": {"depth": 7, "names": []}}}}}]
