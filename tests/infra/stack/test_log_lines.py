"""A line of the workers' logs is a JSON object that says of which round, stage and question it is."""

import io
import json
import logging

from prefect.logging.handlers import PrefectConsoleHandler

from infra.stack.log_lines import JsonLines


def test_a_line_tells_the_round_the_stage_the_question_and_what_went_wrong() -> None:
    """Through Prefect's own handler, which must leave it on one line."""
    written = io.StringIO()
    handler = PrefectConsoleHandler(stream=written)
    handler.setFormatter(JsonLines("default", None, "%"))
    log = logging.Logger("prefect.task_runs")
    log.addHandler(handler)
    run = {"flow_run_name": "micro-round-1", "flow_run_id": "f", "task_run_name": "search-trees", "task_run_id": "t"}
    try:
        raise ValueError("no answer,\nin two lines [bold]")
    except ValueError:
        log.warning("Search: %s failed: ☃ %s", "q/1", "x" * 300, exc_info=True, extra=run | {"question_id": "q/1"})
    log.info("no context")
    first, second = map(json.loads, written.getvalue().splitlines())
    assert first["message"] == f"Search: q/1 failed: ☃ {'x' * 300}"
    assert (first["run"], first["stage"], first["question_id"]) == ("micro-round-1", "search-trees", "q/1")
    assert first["exception"].endswith("ValueError: no answer,\nin two lines [bold]")
    assert second.keys() == {"at", "level", "logger", "message"}
    assert second["at"].endswith("+00:00")
