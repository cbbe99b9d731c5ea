"""Decides which round a run is of, whether it fits its campaign, and what it starts from. Nothing is spent yet.

A campaign keeps its base model, since every round's policy and token ids come from it. A published round keeps its
recipe and its question source: another choice of these is another campaign, never the same round under new contents.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath

from prefect.runtime import flow_run

from infra.environment import environment
from infra.store import Ref, Store, rounds
from infra.store.rounds import NoSuchRound, Title


class DoesNotFit(ValueError):
    """The campaign was begun with something else; the message names it and the way out."""


def open_round(
    store: Store, campaign: str, round: int, *, recipe: str, model: str, base: str, source: str, usual: bool
) -> Title:
    """The title of the round that was asked for.

    `campaign` "": named after the model and, where these are not the model's own (`usual`), recipe and source.
    `round` 0: the campaign's first that is not published or, where the flow run began one before, that one: retried or
    resumed it goes on with it, although it may be published by now. `base`: digest of the model's files.

    Raises:
        DoesNotFit: the campaign has another base model, or the round is published with another recipe or source.
    """
    campaign = campaign or campaign_name(*([model] if usual else [model, recipe, source]))
    title = Title(
        campaign=campaign,
        round=round or _begun_before(campaign) or rounds.next_round(store, campaign),
        recipe=recipe,
        model=model,
        base=base,
        source=source,
    )
    refuse_misfit(store, title)
    return title


def refuse_misfit(store: Store, title: Title) -> None:
    """Before a round is begun, and before it is published: another run may have published meanwhile.

    Raises:
        DoesNotFit: as `open_round`.
    """
    for published, is_newest in rounds.publications(store, title.campaign):
        if is_newest:
            _refuse(title, rounds.title_of(store.manifest(published.manifest)))


def run_name(campaign: str, round: int) -> str:
    """What the flow run of a round is called from its beginning on."""
    return f"{campaign}-round-{round}"


def _begun_before(campaign: str) -> int:
    """The round that an earlier attempt of this flow run named it after; 0: there was none."""
    before, _, number = (flow_run.name or "").rpartition("-")
    return int(number) if number.isdecimal() and run_name(campaign, int(number)) == f"{before}-{number}" else 0


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


class RoundMissing(LookupError):
    """A later round was asked for before the one that it starts from was published."""


@dataclass(frozen=True)
class RoundBefore:
    """What a round starts from: the manifest that the one before published, and what it names.

    `policy`: the model that it ended with. `value`: the one that judges steps in the policy's place; None: the policy's
    own V does.
    """

    manifest: Ref
    policy: Ref
    value: Ref | None
    stages: Mapping[str, Ref]

    def library(self, evidence: str) -> dict[str, Ref] | None:
        """The stages whose plan steps may be offered to a search of the same name (tasks.search.library)."""
        if evidence not in self.stages:
            return None
        return {"questions": self.stages["questions"], "search": self.stages[evidence]}


def round_before(title: Title) -> RoundBefore | None:
    """The published round that this one starts from; None for round 1."""
    if title.round == 1:
        return None
    store = Store.open(environment())
    try:
        manifest = rounds.published(store, title.campaign, title.round - 1).manifest
    except NoSuchRound as problem:
        raise RoundMissing(
            f"round {title.round} starts from round {title.round - 1} of campaign {title.campaign!r}, "
            "which is not published; run it first"
        ) from problem
    found = store.manifest(manifest)
    if found.version < rounds.SINCE:
        raise RoundMissing(
            f"round {title.round - 1} of campaign {title.campaign!r} was published by an earlier version "
            f"({found.code}), whose tables are others: run it again, and its models are found in the cache"
        )
    return RoundBefore(manifest, found.inputs["policy"], found.inputs.get("value"), rounds.stages_of(found))
