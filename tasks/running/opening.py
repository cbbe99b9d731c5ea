"""Decides which round a run is of before anything is spent: its campaign, its number, whether it fits.

A campaign keeps its base model, since every round's policy and token ids come from it. A published round keeps its
recipe and its question source: another choice of these is another campaign, never the same round under new contents.
"""

import re
from pathlib import PurePath

from infra.store import Store, rounds
from infra.store.rounds import Title


class DoesNotFit(ValueError):
    """The campaign was begun with something else; the message names it and the way out."""


def open_round(
    store: Store, campaign: str, round: int, *, recipe: str, model: str, base: str, source: str, usual: bool
) -> Title:
    """The title of the round that was asked for.

    `campaign` "": named after the model and, where these are not the model's own (`usual`), recipe and source.
    `round` 0: the campaign's first that is not published. `base`: digest of the model's files.

    Raises:
        DoesNotFit: the campaign has another base model, or the round is published with another recipe or source.
    """
    campaign = campaign or campaign_name(*([model] if usual else [model, recipe, source]))
    title = Title(
        campaign=campaign,
        round=round or rounds.next_round(store, campaign),
        recipe=recipe,
        model=model,
        base=base,
        source=source,
    )
    for published, is_newest in rounds.publications(store, campaign):
        if is_newest:
            _refuse(title, rounds.title_of(store.manifest(published.manifest)))
    return title


def campaign_name(*parts: str) -> str:
    """A campaign's name made of the names of models, recipes and sources: "smollm2-cpl-problems"."""
    words = [PurePath(part.rstrip("/")).name.removesuffix(".gz") for part in parts]
    stems = [
        word.rpartition(".")[0] if word.endswith((".jsonl", ".json", ".csv", ".parquet")) else word for word in words
    ]
    return re.sub(r"[^a-z0-9]+", "-", "-".join(dict.fromkeys(stems)).lower()).strip("-")[:60] or "campaign"


def _refuse(asked: Title, published: Title) -> None:
    is_other_base = published.base != asked.base if published.base else published.model != asked.model
    if is_other_base:
        raise DoesNotFit(
            f"campaign {asked.campaign!r} has the base model {published.model!r}, and this run asks for {asked.model!r}"
            + (" (a model of the same name with other files)" if published.model == asked.model else "")
            + ": its rounds would mix two models. Name another campaign, or leave `campaign` blank."
        )
    if asked.round != published.round:
        return
    for what in ("recipe", "source"):
        old, new = getattr(published, what), getattr(asked, what)
        if old and old != new:
            raise DoesNotFit(
                f"round {asked.round} of campaign {asked.campaign!r} is published with the {what} {old!r}, and this "
                f"run asks for {new!r}: it would hide that round. Name another campaign, leave `campaign` blank, or "
                "ask for round 0, the campaign's next one."
            )
