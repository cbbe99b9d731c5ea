"""What `cpl up` puts on a fresh Prefect server: work pool, automations and deployments.

Runs as a process of its own, `python -m infra.stack.deploy` in the folder of prefect.yaml, so that importing Prefect
and waiting for the server overlap. Every part of it may be done again. Given a base job template, a file in JSON, it
makes the pool one of Kubernetes, whose jobs are like that.
"""

import json
import sys
import time
from pathlib import Path

import httpx
import yaml
from prefect.cli import app
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.events.schemas.automations import AutomationCore
from prefect.exceptions import ObjectAlreadyExists
from prefect.settings import PREFECT_API_URL
from prefect.utilities.importtools import import_object
from prefect.workers.process import ProcessWorker

from infra.certificates import certificates

POOL = "cpl"
AUTOMATIONS = Path(__file__).with_name("automations.yaml")
SERVER_SECONDS = 120.0


def main() -> None:
    import_flows(Path("prefect.yaml"))
    wait_for_server()
    create_pool(Path(sys.argv[1]) if sys.argv[1:] else None)
    create_automations()
    drop_silence_automation()
    sys.argv = ["prefect", "--no-prompt", "deploy", "--all"]
    app()


def import_flows(deployments: Path) -> None:
    """Fails on a flow that cannot be imported; `prefect deploy` would deploy it without its parameters' form."""
    for deployment in yaml.safe_load(deployments.read_text())["deployments"]:
        import_object(deployment["entrypoint"])


def wait_for_server() -> None:
    health, deadline = f"{PREFECT_API_URL.value()}/health", time.monotonic() + SERVER_SECONDS
    while True:
        try:
            httpx.get(health, timeout=5, trust_env=False, verify=certificates()).raise_for_status()
            return
        except httpx.HTTPError as problem:
            if time.monotonic() > deadline:
                sys.exit(f"{health}: {problem}")
            time.sleep(0.1)


def create_pool(job_template: Path | None) -> None:
    """One round at a time: its engine and its trainers want all of a machine's memory. (In the UI it can be changed.)

    The queue has the limit, not the worker: a worker with a limit exits when somebody retries a run that it is still
    ending.
    """
    if job_template:
        pool = WorkPoolCreate(name=POOL, type="kubernetes", base_job_template=json.loads(job_template.read_text()))
    else:
        template = ProcessWorker.get_default_base_job_template()
        pool = WorkPoolCreate(name=POOL, type="process", base_job_template=template)
    with get_client(sync_client=True) as client:
        try:
            client.create_work_pool(pool)
        except ObjectAlreadyExists:
            return
        rounds = client.read_work_queue_by_name("default", work_pool_name=POOL)
        client.update_work_queue(rounds.id, concurrency_limit=1)


def create_automations() -> None:
    """Those that the server does not have by name yet: of the others the user decides whether they are on, and more."""
    with get_client(sync_client=True) as client:
        for automation in map(AutomationCore.model_validate, yaml.safe_load(AUTOMATIONS.read_text())["automations"]):
            if not client.read_automations_by_name(automation.name):
                client.create_automation(automation)


def drop_silence_automation() -> None:
    """Removes an earlier version's automation: after an outage of the server it called living runs crashed."""
    with get_client(sync_client=True) as client:
        for automation in client.read_automations_by_name("Crash runs whose process is gone"):
            client.delete_automation(automation.id)


if __name__ == "__main__":
    main()
