"""The workers' logs and those of their flows as JSON, a line each: when, of which round, stage and question, what."""

import json
import logging
from datetime import UTC, datetime

from prefect.logging.handlers import PrefectConsoleHandler

CONTEXT = {
    "flow_run_name": "run",
    "flow_run_id": "flow_run_id",
    "task_run_name": "stage",
    "task_run_id": "task_run_id",
    "question_id": "question_id",
}
"""By attribute of a record, what a line calls it. A round's run is called CAMPAIGN-round-NUMBER."""


class JsonLines(logging.Formatter):
    """For `PREFECT_LOGGING_FORMATTERS_JSON_CLASS`: Prefect's own writes a record's every attribute."""

    def __init__(self, *_: object) -> None:
        """Whatever format the configuration names: a line has one shape."""
        super().__init__()

    def format(self, record: logging.LogRecord) -> str:
        known = {name: value for attribute, name in CONTEXT.items() if (value := getattr(record, attribute, None))}
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line = {"at": at, "level": record.levelname, "logger": record.name, **known, "message": record.getMessage()}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        # In ASCII: readers take U+0085 and U+2028 for the end of a line, and terminals obey U+009B.
        return json.dumps(line, default=str)


class Console(PrefectConsoleHandler):
    """For `PREFECT_LOGGING_HANDLERS_CONSOLE_CLASS`: Prefect's own writes by rich, to which `:100:` is a picture."""

    emit = logging.StreamHandler.emit
