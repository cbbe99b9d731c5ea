"""What a flow run shows in the UI: how far a stage is, as a bar and lines in the log, and pages of Markdown."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from typing import TYPE_CHECKING, Any
from uuid import UUID

import httpx
from prefect.artifacts import create_markdown_artifact, create_progress_artifact, update_progress_artifact
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import ArtifactUpdate
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId, ArtifactFilterKey
from prefect.runtime import flow_run

from infra.desk.follow import remaining

if TYPE_CHECKING:
    from tasks.running.workplace import Log

PROGRESS_SECONDS = 2.0


@contextmanager
def in_the_ui(log: "Log") -> Iterator[None]:
    """Something to look at, which a Prefect server that does not answer must not end the work for."""
    try:
        yield
    except httpx.HTTPError as problem:
        log.warning("the Prefect server did not take it: %s", problem)


class Progress:
    """A progress bar in the UI and lines in the log, at most one every so many seconds.

    `what` names the work in its flow run: when the work is tried again, its bar goes on, and no second one is drawn.
    `every`: 0 where a move is followed by a long time without any, in which the bar would stand at the one before.
    """

    def __init__(self, log: "Log", what: str, total: int, every: float = PROGRESS_SECONDS) -> None:
        self.log, self.what, self.total, self.every = log, what, total, every
        self.artifact: Any = None  # its id, once it is drawn
        self.shown = time.monotonic()
        self.first: tuple[float, float] | None = None  # when it was shown first, and the share (%) that was done then
        self._draw(0, what)

    def show(self, done: int, note: str = "") -> bool:
        """Shows it, with what is left at its pace, unless it was shown a moment ago; says whether it did.

        Of few long moves no pace is told: the first ones may have been found in the cache.
        """
        now = time.monotonic()
        if done < self.total and now - self.shown < self.every:
            return False
        self.shown = now
        share = 100.0 * done / max(self.total, 1)
        self.first = self.first or (now, share)  # what an earlier attempt had done is no pace
        left = remaining(*self.first, now, share) if self.every else ""
        said = f"{self.what}: {done} of {self.total} {note}".rstrip() + left
        self._draw(done, said)
        self.log.info(said)
        return True

    def _draw(self, done: int, said: str) -> None:
        share = 100.0 * done / max(self.total, 1)
        with in_the_ui(self.log):
            if self.artifact is None:
                key = re.sub(r"[^a-z0-9]+", "-", f"{self.what} progress".lower())
                self.artifact = _drawn_before(key) or create_progress_artifact(share, key=key, description=said)
            update_progress_artifact(self.artifact, share, said)


def show_page(key: str, text: str, description: str) -> None:
    """Shows Markdown on the flow run's page. It replaces the page of the same key, so that a growing curve stays one
    page."""
    if (before := _drawn_before(key)) is None:
        create_markdown_artifact(text, key=key, description=description)
        return
    with get_client(sync_client=True) as client:
        client.update_artifact(before, ArtifactUpdate(data=text, description=description))


def _drawn_before(key: str) -> UUID | None:
    """What this flow run shows under that key, by an earlier attempt at the same work too."""
    if not flow_run.id:
        return None
    of_run = ArtifactFilter(
        flow_run_id=ArtifactFilterFlowRunId(any_=[UUID(flow_run.id)]), key=ArtifactFilterKey(any_=[key])
    )
    with get_client(sync_client=True) as client:
        return next((artifact.id for artifact in client.read_artifacts(artifact_filter=of_run)), None)


def words(anything: Any) -> str:
    """Names, notes and errors may hold anybody's words: no HTML, no link, no picture, no end of the cell."""
    marks = re.sub(r"([\\`\[\]|])", r"\\\1", escape(str(anything), quote=False))
    return marks.replace("\n", " ")
