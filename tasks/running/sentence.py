"""Errors in the log of a run: a sentence where the factory raised it, a trace where it came as a surprise."""

import logging

ROOMS = ("flows", "infra", "tasks")


class Sentence(logging.Filter):
    """Prefect logs an exception twice, each time behind a trace of sixty lines.

    Our own errors say what is wrong and what to do. A trace would hide that, so they are logged once, as a sentence.
    """

    def __init__(self) -> None:
        super().__init__()
        self.told: BaseException | None = None

    def filter(self, record: logging.LogRecord) -> bool:
        problem = record.exc_info[1] if record.exc_info else None
        if problem is None or type(problem).__module__.split(".")[0] not in ROOMS:
            return True
        if problem is self.told:
            return False
        self.told = problem
        record.msg, record.args, record.exc_info = f"{type(problem).__name__}: {problem}", (), None
        return True


def tell_errors_in_a_sentence() -> None:
    """From now on in this process, for the logs of flow runs and of task runs."""
    sentence = Sentence()
    for name in ("prefect.flow_runs", "prefect.task_runs"):
        logging.getLogger(name).addFilter(sentence)
