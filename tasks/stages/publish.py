"""The stage *publish*: the round's manifest, and the pointers to it (design D6).

A published round is immutable: its manifest names every stage by digest, and the stages' manifests name every
object, input, setting and code version. Pointers move: `latest` of a campaign and of each of its rounds.
"""

from prefect import task
from prefect.cache_policies import NO_CACHE

from infra.environment import environment
from infra.store import Ref, Store, rounds
from infra.store.rounds import Title
from tasks.running.opening import refuse_misfit
from tasks.running.stage import PAUSES, may_pass, stage
from tasks.running.workplace import Workplace


@stage("publish", version=rounds.SINCE)
def publish(
    workplace: Workplace,
    title: Title,
    stages: dict[str, Ref],
    policy: Ref,
    previous: Ref | None,
    notes: list[str],
    value: Ref | None = None,
) -> int:
    """The round's manifest: every stage's reference, and what a reader wants to know first.

    `policy` and `value`: what the next round searches with; without a separate value model, the policy's own V.
    """
    preferences = sum(ref.rows for name, ref in stages.items() if "plan_pairs" in ref.counts)
    workplace.facts |= title.model_dump() | {"state": "completed", "notes": notes, "preferences": preferences}
    return 0


@task(
    name="point",
    cache_policy=NO_CACHE,
    retries=len(PAUSES),
    retry_delay_seconds=PAUSES,
    retry_condition_fn=may_pass,
)
def point_to(title: Title, published: Ref) -> None:
    """Moves the pointers of the round and of the campaign to this publication.

    Raises:
        DoesNotFit: another run has published the round meanwhile, of another recipe, source or base model.
    """
    store = Store.open(environment())
    refuse_misfit(store, title)
    rounds.publish(store, title.campaign, title.round, published)
