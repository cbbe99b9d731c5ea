"""What was made of what, as OpenLineage events: a start and an end of every stage of a round (openlineage.io).

Made from the manifests alone. A data set is a stage as its manifest names it, or one of its tables; its version is its
digest. The run of a stage belongs to the flow run that made it, which may be of an earlier round.
"""

import json
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import quote
from uuid import NAMESPACE_URL, UUID, uuid5

from infra.desk.export.tables import Table
from infra.store import Ref, Store

SPEC = "https://openlineage.io/spec"
JOBS = "cpl-factory"
Event = dict[str, Any]


def events(store: Store, stages: Mapping[str, Ref], tables: list[Table]) -> Iterator[Event]:
    """Two events a stage, in the order of `stages`. `tables`: those whose columns are told."""
    known = {f"{table.name}.parquet": table for table in tables}
    for name, ref in stages.items():
        yield from _events(store, name, ref, known)


def _events(store: Store, name: str, ref: Ref, tables: Mapping[str, Table]) -> Iterator[Event]:
    manifest = store.manifest(ref)
    producer = f"urn:cpl-factory:{quote(manifest.code, safe='')}"

    def facet(spec: str, **fields: Any) -> dict[str, Any]:
        where = spec.partition("/")[2]
        return {"_producer": producer, "_schemaURL": f"{SPEC}/facets/{spec}.json#/$defs/{where}", **fields}

    def dataset(one: Ref) -> dict[str, Any]:
        namespace, place = _place(one.uri)
        version = facet("1-0-1/DatasetVersionDatasetFacet", datasetVersion=one.sha256)
        return {"namespace": namespace, "name": place, "facets": {"version": version}}

    def whole() -> dict[str, Any]:
        size = sum(item.size for item in manifest.objects)
        made = facet("1-0-2/OutputStatisticsOutputDatasetFacet", rowCount=ref.rows, size=size)
        return dataset(ref) | {"outputFacets": {"outputStatistics": made}}

    def table(item_name: str, uri: str, sha256: str, rows: int, size: int) -> dict[str, Any]:
        namespace, place = _place(uri)
        about = tables[item_name]
        fields = [
            {"name": column.name, "type": column.kind.ducklake + "[]" * column.is_list, "description": column.comment}
            for column in about.columns
            if column.name not in ("campaign", "round")  # the warehouse adds them
        ]
        facets = {
            "version": facet("1-0-1/DatasetVersionDatasetFacet", datasetVersion=sha256),
            "schema": facet("1-2-0/SchemaDatasetFacet", fields=fields),
            "documentation": facet("1-1-0/DocumentationDatasetFacet", description=about.comment),
        }
        made = facet("1-0-2/OutputStatisticsOutputDatasetFacet", rowCount=rows, size=size)
        return {"namespace": namespace, "name": place, "facets": facets, "outputFacets": {"outputStatistics": made}}

    parent = {"run": {"runId": _uuid(manifest.run_id)}, "job": {"namespace": JOBS, "name": "cpl"}}
    settings = [{"key": key, "value": _text(value)} for key, value in manifest.config.items()]
    run_facets = {
        "parent": facet("1-2-0/ParentRunFacet", **parent),
        "processing_engine": facet("1-1-1/ProcessingEngineRunFacet", name="CPL Factory", version=manifest.code),
        "executionParameters": facet("1-0-0/ExecutionParametersRunFacet", parameters=settings),
    }
    batch = {"processingType": "BATCH", "integration": "CPL_FACTORY", "jobType": "STAGE"}
    event = {
        "producer": producer,
        "schemaURL": f"{SPEC}/2-0-2/OpenLineage.json#/$defs/RunEvent",
        "run": {"runId": _uuid(f"{ref.uri}#{ref.sha256}"), "facets": run_facets},
        "job": {"namespace": JOBS, "name": name, "facets": {"jobType": facet("2-0-4/JobTypeJobFacet", **batch)}},
        "inputs": [dataset(one) for one in manifest.inputs.values()],
    }
    ended = manifest.created_at
    started = ended - timedelta(seconds=manifest.seconds)
    yield {"eventType": "START", "eventTime": started.isoformat()} | event | {"outputs": []}
    made_tables = [
        table(item.name, store.uri_of(ref, item), item.sha256, item.rows or 0, item.size)
        for item in manifest.objects
        if item.name in tables
    ]
    yield {"eventType": "COMPLETE", "eventTime": ended.isoformat()} | event | {"outputs": [whole(), *made_tables]}


def _place(uri: str) -> tuple[str, str]:
    """Namespace and name of an object in S3."""
    bucket, _, name = uri.removeprefix("s3://").partition("/")
    return f"s3://{bucket}", name


def _uuid(name: str) -> str:
    """The UUID that it is, as Prefect's flow runs have one, or one made of it."""
    try:
        return str(UUID(name))
    except ValueError:
        return str(uuid5(NAMESPACE_URL, name))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
