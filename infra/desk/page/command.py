"""`cpl page`: writes the page of a round or of a campaign, and opens it where there is a browser to open it in."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from infra.desk.ask import Campaign, PublicationId
from infra.desk.display import plain_errors
from infra.environment import environment
from infra.store import Store, rounds


def page(
    round: Annotated[int | None, typer.Argument(help="Number of the round. Default: all of the campaign.")] = None,
    campaign: Campaign = None,
    publication_id: PublicationId = None,
    output: Annotated[
        Path | None, typer.Option(help="File to write. Default: below pages/ in CPL_HOME.", dir_okay=False)
    ] = None,
    no_open: Annotated[bool, typer.Option("--no-open", help="Do not open it in the browser.")] = False,
) -> None:
    """Write a page of figures as one HTML file, which needs no server and no network.

    Of a round: with its search trees. Where only --campaign is given and it has several rounds: curves over these.
    """
    from infra.desk.page.campaign import campaign_document, read_campaign
    from infra.desk.page.document import document
    from infra.desk.page.reading import read_page

    with plain_errors():
        here = environment()
        store = Store.open(here)
        if campaign and round is None and publication_id is None and rounds.published(store, campaign).round > 1:
            name, text = f"{campaign}.html", campaign_document(read_campaign(store, campaign))
        else:
            read = read_page(store, campaign, round, publication_id)
            name = f"{read.summary['campaign']}-round-{read.summary['round']}.html"
            text = document(read)
        path = (output or here.home / "pages" / name).absolute()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", errors="replace")
    typer.echo(path)
    if not no_open and has_browser():
        typer.launch(str(path))


def has_browser() -> bool:
    """Somebody sits here, with a screen."""
    is_shown = sys.platform in ("darwin", "win32") or bool({"DISPLAY", "WAYLAND_DISPLAY"} & os.environ.keys())
    return sys.stdout.isatty() and is_shown
