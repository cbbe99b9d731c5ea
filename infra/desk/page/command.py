"""`cpl page`: writes a round's page, and opens it where there is a browser to open it in."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from infra.desk.ask import Campaign, PublicationId
from infra.desk.display import plain_errors
from infra.environment import environment
from infra.store import Store


def page(
    round: Annotated[int | None, typer.Argument(help="Number of the round. Default: the campaign's latest.")] = None,
    campaign: Campaign = None,
    publication_id: PublicationId = None,
    output: Annotated[
        Path | None, typer.Option(help="File to write. Default: below pages/ in CPL_HOME.", dir_okay=False)
    ] = None,
    no_open: Annotated[bool, typer.Option("--no-open", help="Do not open it in the browser.")] = False,
) -> None:
    """Write a published round as one HTML page, figures and search trees, which needs no server and no network."""
    from infra.desk.page.document import document
    from infra.desk.page.reading import read_page

    with plain_errors():
        here = environment()
        read = read_page(Store.open(here), campaign, round, publication_id)
        name = f"{read.summary['campaign']}-round-{read.summary['round']}.html"
        path = (output or here.home / "pages" / name).absolute()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(document(read), encoding="utf-8", errors="replace")
    typer.echo(path)
    if not no_open and has_browser():
        typer.launch(str(path))


def has_browser() -> bool:
    """Somebody sits here, with a screen."""
    is_shown = sys.platform in ("darwin", "win32") or bool({"DISPLAY", "WAYLAND_DISPLAY"} & os.environ.keys())
    return sys.stdout.isatty() and is_shown
