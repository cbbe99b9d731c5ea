"""`cpl trace`: a round over time, as Perfetto and chrome://tracing open it (Chrome's trace-event format).

Made of manifests alone: a stage's tells when it was made, in how many seconds, of what, and how the work went on
(`timeline`). Of a stage that was killed and retried they know the last attempt. A flow run is a process of the trace,
and a stage a thread of it. Time in which no run worked on the round is left out between two runs.
"""

import sys
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Annotated, Any

import orjson
import typer

from infra.desk.display import plain_errors
from infra.store import Manifest, Ref

Event = dict[str, Any]
Series = Mapping[str, list[float]]
RATES = {
    "tokens a second": "generated_tokens",
    "requests a second": "requests",
    "sequences in the engine": "sequence_seconds",
    "share of the time busy": "busy_seconds",
}
"""By counter, the sum of an engine's series whose growth a second it is."""


def trace(
    round: Annotated[int | None, typer.Argument(help="Number of the round. Default: the campaign's latest.")] = None,
    campaign: Annotated[str | None, typer.Option(help="Default: that of the round that ran last.")] = None,
) -> None:
    """Print a round over time, for Perfetto (ui.perfetto.dev) and chrome://tracing: cpl trace > trace.json"""
    from infra.desk.published import published
    from infra.environment import environment
    from infra.store import Store, rounds

    with plain_errors():
        store = Store.open(environment())
        found = published(store, campaign, round)
        stages = rounds.stages_of(store.manifest(found.manifest)) | {"publish": found.manifest}
        told = document({name: (ref, store.manifest(ref)) for name, ref in stages.items()})
    sys.stdout.buffer.write(orjson.dumps(told, option=orjson.OPT_APPEND_NEWLINE))


def document(stages: Mapping[str, tuple[Ref, Manifest]]) -> dict[str, Any]:
    """The trace of a round whose stages, by name, are these. Times in microseconds, from the beginning of the first."""
    names = {ref.uri: name for name, (ref, _) in stages.items()}
    ordered = dict(sorted(stages.items(), key=lambda one: _start(one[1][1])))
    runs: dict[str, dict[str, tuple[Ref, Manifest]]] = {}
    for name, (ref, manifest) in ordered.items():
        runs.setdefault(manifest.run_id, {})[name] = (ref, manifest)
    events: list[Event] = []
    ends: dict[str, Event] = {}  # by address, the slice of a stage
    zero, ended = _start(next(iter(ordered.values()))[1]), None
    for number, (run, made) in enumerate(runs.items(), 1):
        begun = _start(next(iter(made.values()))[1])
        if ended is not None and begun > ended:
            zero += begun - ended
        last = max(manifest.created_at for _, manifest in made.values())
        ended = max(ended or last, last)
        events.append(_named("process_name", number, 0, f"flow run {run}, from {begun:%Y-%m-%d %H:%M:%S} UTC"))
        events += _of_run(number, made, names, zero, ends)
    events += _arrows(stages, ends)
    return {"traceEvents": events, "displayTimeUnit": "ms"}


def _of_run(
    run: int, made: Mapping[str, tuple[Ref, Manifest]], names: Mapping[str, str], zero: datetime, ends: dict[str, Event]
) -> Iterator[Event]:
    """The stages that a flow run made, and the time between them."""
    yield _named("thread_name", run, 0, "no stage at work")
    busy_until = _start(next(iter(made.values()))[1])
    for thread, (name, (ref, manifest)) in enumerate(made.items(), 1):
        begun = _start(manifest)
        if begun > busy_until:
            yield _slice("no stage at work", "wait", run, 0, _at(busy_until, zero), _at(begun, zero))
        busy_until = max(busy_until, manifest.created_at)
        yield _named("thread_name", run, thread, name)
        ends[ref.uri] = _slice(name, "stage", run, thread, _at(begun, zero), _at(manifest.created_at, zero))
        ends[ref.uri]["args"] = _told(ref, manifest, names)
        yield ends[ref.uri]
        for series, points in manifest.timeline.items():
            yield from _course(f"{name}: ", series, points, run, thread, _at(begun, zero))


def _course(prefix: str, series: str, points: Series, run: int, thread: int, begun: float) -> Iterator[Event]:
    """How the work of a stage went on: from `begun` (us) on."""
    moments = [begun + 1e6 * at for at in points["at"]]

    def counter(name: str, at: float, value: float) -> Event:
        return {"ph": "C", "name": prefix + name, "pid": run, "tid": thread, "ts": at, "args": {"value": value}}

    if "sequence_seconds" not in points:  # of parts or updates
        for place, at in enumerate(moments):
            yield from (counter(f"{series} {key}", at, points[key][place]) for key in points if key != "at")
        return
    yield _slice(f"until the {series} serves", "wait", run, thread, begun, moments[0])
    yield _slice(series, "engine", run, thread, moments[0], moments[-1])
    for (place, at), (_, after) in pairwise(enumerate(moments)):
        for name, key in RATES.items() if after > at else ():
            yield counter(f"{series}, {name}", at, 1e6 * (points[key][place + 1] - points[key][place]) / (after - at))
        yield counter(f"{series}, requests waiting", at, points["waiting"][place])
    yield from (counter(f"{series}, {name}", moments[-1], 0.0) for name in (*RATES, "requests waiting"))


def _told(ref: Ref, manifest: Manifest, names: Mapping[str, str]) -> dict[str, Any]:
    """What a stage was made of and came to. Inputs by the name of their stage, those of other rounds by address."""
    return {
        "made of": {given: names.get(one.uri, one.uri) for given, one in manifest.inputs.items()},
        "rows": ref.rows,
        **ref.counts,
        "created at": manifest.created_at.isoformat(),
        "seconds": manifest.seconds,
        "version": manifest.version,
        "code": manifest.code,
        "uri": ref.uri,
        "sha256": ref.sha256,
    }


def _arrows(stages: Mapping[str, tuple[Ref, Manifest]], ends: Mapping[str, Event]) -> Iterator[Event]:
    """From the end of each stage to the beginning of those that were made of it."""
    made_of = [
        (ends[one.uri], ends[ref.uri]) for ref, m in stages.values() for one in m.inputs.values() if one.uri in ends
    ]
    for number, (source, target) in enumerate(made_of, 1):
        arrow = {"name": "made of", "cat": "lineage", "id": number}
        yield arrow | {"ph": "s", "pid": source["pid"], "tid": source["tid"], "ts": source["ts"] + source["dur"]}
        yield arrow | {"ph": "f", "bp": "e", "pid": target["pid"], "tid": target["tid"], "ts": target["ts"]}


def _slice(name: str, kind: str, run: int, thread: int, begun: float, ended: float) -> Event:
    place = {"pid": run, "tid": thread, "ts": begun, "dur": ended - begun}
    return {"ph": "X", "name": name, "cat": kind, **place, "args": {}}


def _named(what: str, run: int, thread: int, name: str) -> Event:
    return {"ph": "M", "name": what, "pid": run, "tid": thread, "args": {"name": name}}


def _start(manifest: Manifest) -> datetime:
    return manifest.created_at - timedelta(seconds=manifest.seconds)


def _at(moment: datetime, zero: datetime) -> float:
    return (moment - zero) / timedelta(microseconds=1)
