"""The command `cpl`. What is heavy to import is imported by the command that needs it."""

from pathlib import Path
from typing import Annotated

import typer

from infra.desk.ask import list_rounds, remove, show, sql
from infra.desk.diff import diff
from infra.desk.display import visible
from infra.desk.export.command import app as export
from infra.desk.page.command import page
from infra.desk.power import power
from infra.desk.run import evaluate, preview, round_, study
from infra.desk.trace import trace
from infra.desk.upkeep import gc, verify

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.command()
def up() -> None:
    """Start the local stack, or what is missing of it: Prefect server, workers, S3, watch. Deploy the flows."""
    from infra.environment import Environment, environment
    from infra.stack.local import Stack, StackError
    from infra.store import Store
    from infra.store.s3 import StoreError

    stack = Stack(Environment().home, Path.cwd())  # not environment(): what it adds may be of an older stack's ports
    try:
        stack.up(typer.echo)
        Store.open(environment())
    except (StackError, StoreError, OSError) as problem:
        typer.secho(visible(str(problem)), err=True, fg=typer.colors.RED)
        raise typer.Exit(1) from problem
    typer.echo(f"The stack is up. UI: {stack.ui} (`cpl login` prints what it asks for)")


@app.command()
def down() -> None:
    """End the local stack and all that it started: flows, trainers, engines. Data stays."""
    from infra.engine import stop_engines
    from infra.environment import Environment
    from infra.stack.local import Stack

    Stack(Environment().home, Path.cwd()).down(lambda line: typer.echo(visible(line)))
    if not stop_engines(Environment()):
        typer.echo("engines: left running, a flow uses them that was not started by this stack")


@app.command()
def login() -> None:
    """Print what the UI asks for when it is opened first. It is made at the first `cpl up`; keep it to yourself."""
    from infra.environment import Environment
    from infra.stack import api

    try:
        typer.echo(api.login(Environment().home))
    except KeyError:
        typer.secho("There is no login yet: `cpl up` makes it.", err=True, fg=typer.colors.RED)
        raise typer.Exit(1) from None


@app.command()
def status(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Show what runs, what it uses, and where the UI is. Exit status 1 when a part does not run."""
    import json

    from infra.environment import environment
    from infra.stack.local import Stack

    stack = Stack(environment().home, Path.cwd())
    parts = stack.status()
    if as_json:
        document = {"ui": stack.ui if stack.state else None, "parts": [part.model_dump(mode="json") for part in parts]}
        typer.echo(json.dumps(document, indent=2))
    else:
        from rich.console import Console
        from rich.table import Table

        table = Table("part", "state", "pid", "since", "MiB", "of a core", box=None, pad_edge=False)
        for part in parts:
            since = f"{part.started_at.astimezone():%d %b %H:%M}" if part.started_at else ""
            uses = ("", "") if part.cores is None else (f"{part.mebibytes:.0f}", f"{part.cores:.1%}")
            table.add_row(part.name, part.state, str(part.pid or ""), since, *uses)
        used = [sum(part.mebibytes or 0.0 for part in parts), sum(part.cores or 0.0 for part in parts)]
        table.add_row("all", "", "", "", f"{used[0]:.0f}", f"{used[1]:.1%}")
        console = Console()
        console.print(table)
        if stack.state:
            console.print(f"UI: {stack.ui} (`cpl login` prints what it asks for)", soft_wrap=True)
            console.print(f"S3: {stack.store}", soft_wrap=True)
        else:
            console.print("The stack was never started here: `cpl up` starts it.")
        console.print(f"logs: {stack.home / 'logs'}", soft_wrap=True)
    if any(part.state != "running" for part in parts):
        raise typer.Exit(1)


app.command("round")(round_)
app.command()(preview)
app.command()(evaluate)
app.command()(study)
app.command()(sql)
app.command()(show)
app.command()(page)
app.command()(trace)
app.command("rounds")(list_rounds)
app.command()(remove)
app.command()(gc)
app.command()(verify)
app.command()(diff)
app.command()(power)
app.add_typer(export, name="export")
