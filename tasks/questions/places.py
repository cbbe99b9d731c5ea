"""Where data sets are looked for: the folder CPL_DATA, the Hugging Face hub, and a folder beside the repository."""

import functools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tasks.questions.rows import QuestionError

HUB_SECONDS = 5.0
BESIDE = Path(__file__).resolve().parents[3] / "shared" / "data"


class HubUnreachable(QuestionError):
    """The hub did not answer, or does not have this data set or split."""


def data_folder() -> Path | None:
    """The user's folder of data sets (`<set>/<split>.jsonl.gz`), from the environment variable CPL_DATA."""
    folder = os.environ.get("CPL_DATA")
    return Path(folder).expanduser() if folder else None


def reach_hub() -> None:
    """Raises HubUnreachable within seconds where no hub answers; its own libraries retry for half a minute or more."""
    import httpx
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return
    try:
        httpx.head(constants.ENDPOINT, timeout=HUB_SECONDS)
    except httpx.HTTPError as problem:
        raise HubUnreachable(f"the hub at {constants.ENDPOINT} did not answer ({problem})") from problem


@functools.cache
def hub_commit(name: str) -> str:
    """The commit of a hub data set, "" where the hub does not say; asked once a process, so that a round reads one."""
    from huggingface_hub import HfApi

    try:
        reach_hub()
        return HfApi().dataset_info(name, timeout=HUB_SECONDS).sha or ""
    except Exception:  # the libraries below raise every kind of error for a hub that hangs, refuses or is offline
        return ""


def hub_rows(name: str, config: str | None, split: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Rows of a hub data set at its `hub_commit`, each with its place.

    With HF_HUB_OFFLINE=1 only the hub's local cache is read. Raises HubUnreachable within seconds where no
    hub answers.
    """
    import datasets

    reach_hub()
    try:
        rows = datasets.load_dataset(name, config, split=split, revision=hub_commit(name) or None)
    except (ConnectionError, FileNotFoundError, ValueError, datasets.exceptions.DatasetsError) as problem:
        raise HubUnreachable(f"{name}, split {split}: {str(problem).splitlines()[0]}") from problem
    for number, row in enumerate(rows, 1):
        yield f"{name}, split {split}, row {number}", dict(row)
