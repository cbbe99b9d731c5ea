"""`cpl gc` and `cpl verify`: removes leftovers of the store, and checks that all published rounds are there."""

from collections import Counter
from typing import Annotated

import typer

from infra.desk.display import plain_errors, visible


def gc(yes: Annotated[bool, typer.Option("--yes", help="Remove it. Without this it is only told.")] = False) -> None:
    """Tell what is left over in the store and on this machine, and remove it with --yes."""
    from infra.environment import environment
    from infra.store import Store
    from infra.store.garbage import drop, leftovers

    with plain_errors():
        here = environment()
        store = Store.open(here)
        found = leftovers(store, here.home)
        if yes:
            drop(store, found)
    counts, sizes = Counter(one.kind for one in found), Counter[str]()
    for one in found:
        sizes[one.kind] += one.size
    for kind, count in sorted(counts.items()):
        typer.echo(f"{kind}: {count}, {sizes[kind] / (1 << 20):,.1f} MiB")
    if not found:
        typer.echo("Nothing is left over.")
    elif yes:
        typer.echo("Removed.")
    else:
        typer.echo("`cpl gc --yes` removes this. What a manifest names, and parts of unfinished work, stay.")


def verify(
    round: Annotated[
        int | None, typer.Argument(help="Prove this round alone, byte for byte, with its checks. Default: all rounds.")
    ] = None,
    campaign: Annotated[
        str | None, typer.Option(help="Of the round. Default: that of the round that ran last.")
    ] = None,
    deep: Annotated[bool, typer.Option("--deep", help="Read every object and compare its digest and rows.")] = False,
    drop: Annotated[
        bool, typer.Option("--drop", help="Remove what nobody can use as it is, so that a round makes it again.")
    ] = False,
) -> None:
    """Check that all that was published can be read. Exit status 1 when something cannot.

    Of one round every object is read again, from its manifests alone, and the checks of its warehouse are asked anew.
    """
    from infra.desk.published import published, warehouse_of
    from infra.environment import environment
    from infra.store import Store
    from infra.store.verify import faults, faults_of
    from infra.warehouse import check

    with plain_errors():
        store = Store.open(environment())
        one = published(store, campaign, round) if round is not None or campaign else None
        found = list(faults_of(store, one) if one else faults(store, deep))
        broken = check(warehouse_of(store, one)[-1]) if one and not found else []
        if drop:
            store.delete({fault.name for fault in found if fault.is_useless})
    for fault in found:
        needed = f" [needed by the rounds {', '.join(fault.rounds)}]" if fault.rounds else ""
        removed = " Removed." if drop and fault.is_useless else ""
        typer.echo(visible(f"{fault.name}: {fault.problem}{needed}{removed}"))
    for violation in broken:
        typer.echo(visible(str(violation)))
    if broken:
        typer.echo("The tables are those that were published, and break these rules.")
        raise typer.Exit(1)
    if found:
        typer.echo("Run the rounds again that need it: what is missing is made again, and the rest is found done.")
        raise typer.Exit(1)
    if one:
        typer.echo(f"Round {one.round} of {one.campaign} is what its manifests say, byte for byte; its checks hold.")
    else:
        typer.echo("All that was published is there" + (", byte for byte." if deep else " (--deep reads it)."))
