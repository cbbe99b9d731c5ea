"""What a stage of the round is: a Prefect task that turns references into a committed stage (design D5, D6).

    @stage("questions", version=4)
    def sample_questions(workplace: Workplace, round: int, content: str, settings: Questions) -> int: ...

Called in a flow without `workplace`, it returns the stage's `Ref`. The cache key is the stage's name, its version and
the digests of its inputs. So equal work is done once, across runs, rounds and campaigns. The manifest in the store is
the only cache. It is written last: a killed stage leaves nothing that counts. Its retry goes on from the kept parts and
the work folder. When two runs of a machine need the same stage, the second waits for the first and finds it done.
"""

import hashlib
import inspect
import json
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, Concatenate, Generic, ParamSpec

import httpx
from prefect.assets import Asset, AssetProperties, add_asset_metadata, materialize
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.logging import get_run_logger
from prefect.states import Completed
from pydantic import BaseModel

from infra.contract.disk import room_in
from infra.environment import environment
from infra.store import Ref, Store
from infra.store.manifest import MANIFEST
from infra.store.s3 import StoreDown
from tasks.running.timeline import Timeline
from tasks.running.workplace import Log, Workplace, references

P = ParamSpec("P")
PAUSES = [15.0, 60.0]
"""Seconds before each further attempt at a task that the store or Prefect's server failed."""


@dataclass(frozen=True)
class Stage(Generic[P]):
    """A stage of the round: `(inputs…) -> Ref` in a flow; `body` is the function itself, for a test or a benchmark.

    Inputs are `Ref`s, settings, JSON values, or lists and dicts of these; they must not hold sets, whose order
    differs between processes.
    """

    name: str
    version: int
    """Part of the key: it rises when the stage's output would change for the same input."""
    body: Callable[Concatenate[Workplace, P], int]
    """Fills a stage and returns the rows of its main table."""
    layout: Collection[str] = ()
    """Inputs that are no part of the key: they lay out the work and do not change its result, as the number of shards.
    """
    task_run_name: str | None = None
    """In the UI, e.g. "evaluate-{name}" with the inputs' names; default: the stage's name and a number."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Ref:
        given = self._given(*args, **kwargs)
        made = _asset(self._uri(given))
        made_of: list[Asset | str] = [_asset(ref.uri) for ref in references(given).values()]
        run = _run.with_options(name=self.name, assets=[made], asset_deps=made_of)
        if self.task_run_name is not None:
            title = self.task_run_name.format(**given)
            run = run.with_options(task_run_name=lambda: title)
        done = run(self, given)
        return done.result() if isinstance(done, State) else done

    def key(self, *args: P.args, **kwargs: P.kwargs) -> str:
        """The cache key of the stage that these inputs make."""
        return self._key(self._given(*args, **kwargs))

    def find(self, store: Store, *args: P.args, **kwargs: P.kwargs) -> Ref | None:
        """The stage that these inputs made, if it is in the store."""
        return store.find(f"stages/{self.name}/{self.key(*args, **kwargs)}")

    def _uri(self, given: dict[str, Any]) -> str:
        """Where the manifest will lie: what Prefect knows the stage's asset by, and lineage its `Ref`."""
        return f"{environment().store.rstrip('/')}/stages/{self.name}/{self._key(given)}/{MANIFEST}"

    def run(self, given: dict[str, Any], store: Store, log: Log) -> tuple[Ref, bool]:
        """Does the work, unless the store holds its stage; says which."""
        workplace = Workplace(self.name, self._key(given), store, log)
        with workplace.alone():
            ref = store.find(workplace.prefix, log.warning)
            is_done = ref is not None
            if ref is None:
                workplace.timeline = Timeline()  # waiting for the work folder is none of its work
                with room_in(workplace.folder):
                    rows = self.body(workplace, **given)  # type: ignore[call-arg] # `given` was bound to its parameters
                ref = workplace.commit(self.version, given, rows, workplace.timeline.seconds)
            workplace.clear()
        return ref, is_done

    def _given(self, *args: P.args, **kwargs: P.kwargs) -> dict[str, Any]:
        """The inputs by name, with the defaults of those that were not given."""
        bound = inspect.signature(self.body).bind(None, *args, **kwargs)
        bound.apply_defaults()
        return dict(list(bound.arguments.items())[1:])

    def _key(self, given: dict[str, Any]) -> str:
        return cache_key(self.name, self.version, {k: v for k, v in given.items() if k not in self.layout})


def stage(
    name: str, version: int, layout: Collection[str] = (), task_run_name: str | None = None
) -> Callable[[Callable[Concatenate[Workplace, P], int]], Stage[P]]:
    """Makes a `Stage` of a function `(workplace, inputs…) -> rows`."""

    def decorate(body: Callable[Concatenate[Workplace, P], int]) -> Stage[P]:
        # Not `()`: Prefect knows results by identity, and a Ref without notes holds the same empty tuple.
        return Stage(name, version, body, frozenset(layout), task_run_name)

    return decorate


def may_pass(task: Any, run: Any, state: State[Any]) -> bool:
    """Whether a task failed for want of the store or of Prefect's server, which may be back in a minute."""
    return isinstance(state.result(raise_on_failure=False), (StoreDown, httpx.HTTPError))


@materialize(
    "s3://cpl/stages",  # each call names its own
    cache_policy=NO_CACHE,
    persist_result=False,
    retries=len(PAUSES),
    retry_delay_seconds=PAUSES,
    retry_condition_fn=may_pass,
)
def _run(stage: Stage[Any], given: dict[str, Any]) -> Ref | State[Ref]:
    """The Prefect task of every stage. Prefect keeps nothing of it: the stage's manifest says whether it is done.

    Of a stage that was made Prefect is told an asset: its manifest, made of those of its inputs.
    """
    log = get_run_logger()
    ref, is_done = stage.run(given, Store.open(environment()), log)
    if is_done:
        log.info("%s was done before: %s", stage.name, ref.uri)
        return Completed(name="Cached", message=f"done before: {ref.uri}", data=ref)
    add_asset_metadata(stage._uri(given), {"sha256": ref.sha256, "rows": ref.rows, **ref.counts})
    return ref


def _asset(manifest: str) -> Asset:
    """A stage as Prefect knows it, by its manifest's address: the same whether it is made or given."""
    *_, name, _, _ = manifest.split("/")
    return Asset(key=manifest, properties=AssetProperties(name=name))


def cache_key(name: str, version: int, given: dict[str, Any]) -> str:
    """Digest of a stage's identity and of all that it is given; a `Ref` counts by its digest, not by its place."""
    document = [name, version, {key: _identity(value) for key, value in given.items()}]
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()[:32]


def _identity(value: Any) -> Any:
    if isinstance(value, Ref):
        return value.sha256
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, dict):
        return {key: _identity(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_identity(item) for item in value]
    return value
