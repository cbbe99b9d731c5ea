"""Starting a run, and how long is left, as `cpl round` says it."""

from pathlib import Path

import pytest

from infra.desk.follow import remaining
from tests.servers import run_python, start_prefect

START = """
from infra.desk.follow import UnknownField, start
from prefect.client.orchestration import get_client
with get_client(sync_client=True) as client:
    schema = {"type": "object", "properties": {"model": {"type": "string"}, "repeat": {"type": "integer"}}}
    client.create_deployment(client.create_flow_from_name("cpl"), "round", parameter_openapi_schema=schema)
    try:
        start("cpl/round", {"repaet": 1})
    except UnknownField as problem:
        print(len(client.read_flow_runs()), problem)
    print(start("cpl/round", {"repeat": 1}).parameters)
"""


@pytest.mark.integration
def test_a_field_that_is_none_is_named_at_once_and_not_when_the_runs_turn_comes(tmp_path: Path) -> None:
    with start_prefect(tmp_path) as environment:
        said = run_python(START, environment).splitlines()
    assert said == ["0 there is no field repaet. The fields are: model, repeat", "{'repeat': 1}"]


def test_what_is_left_goes_by_the_pace_since_the_bar_was_first_seen() -> None:
    assert remaining(0, 20, 10, 40) == ", about 30 s left"
    assert remaining(0, 0, 100, 10) == ", about 15 minutes left"
    assert remaining(0, 0, 10, 100) == "", "what is left is no part of the pace: it is written, or committed"


def test_without_a_pace_nothing_is_promised() -> None:
    assert remaining(0, 20, 0, 20) == ""
    assert remaining(0, 20, 10, 20) == ""
