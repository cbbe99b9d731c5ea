"""A line of the workers' logs is a JSON object that says of which round, stage and question it is."""

import io
import json
import logging
from logging.config import DictConfigurator

import pytest
from prefect.logging.configuration import DEFAULT_LOGGING_SETTINGS_PATH, load_logging_config

from infra.stack.variables import LEAN_WORKER


@pytest.fixture
def written() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def log(written: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> logging.Logger:
    """As Prefect sets it up in a worker with the stack's variables."""
    for name, text in LEAN_WORKER.items():
        monkeypatch.setenv(name, text)
    of_prefect = DictConfigurator(load_logging_config(DEFAULT_LOGGING_SETTINGS_PATH))
    formatters, console = of_prefect.config["formatters"], of_prefect.config["handlers"]["console"]
    formatters["json"] = of_prefect.configure_formatter(formatters["json"])
    console["stream"] = written
    log = logging.Logger("prefect.task_runs")
    log.addHandler(of_prefect.configure_handler(console))
    return log


def test_a_line_tells_the_round_the_stage_the_question_and_what_went_wrong(
    log: logging.Logger, written: io.StringIO
) -> None:
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


@pytest.mark.parametrize(
    "text", ["10.0.0.1:100:1, :smile:", "one\x85two\u2028three\u2029four\x0bfive\r\n", "\x9b31mred \x1b[31mred"]
)
def test_a_text_is_one_line_and_comes_out_as_it_went_in(text: str, log: logging.Logger, written: io.StringIO) -> None:
    """No pictures for `:100:`; and nothing that ends a line for a reader, or that a terminal obeys."""
    log.info(text)
    (line,) = written.getvalue().splitlines()
    assert line.isascii()
    assert line.isprintable()
    assert json.loads(line)["message"] == text
