"""The environment of the local stack's parts and of a user's commands: addresses, keys, the login."""

import json
import secrets
import shlex
from collections.abc import Mapping
from pathlib import Path

from infra.contract import disk
from infra.environment import stack_variables

OURS = "# Written by `cpl up`: `prefect` commands in this folder talk to the local stack.\n"

LEAN_SERVER = {
    "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "20",  # 60 by default: so long a new schedule shows no run
    "PREFECT_SERVER_SERVICES_SCHEDULER_RECENT_DEPLOYMENTS_LOOP_SECONDS": "20",
    "PREFECT_SERVER_SERVICES_LATE_RUNS_LOOP_SECONDS": "10",
    "PREFECT_SERVER_SERVICES_PAUSE_EXPIRATIONS_LOOP_SECONDS": "60",
    "PREFECT_SERVER_SERVICES_CLEANUP_RECONCILER_LOOP_SECONDS": "30",
    "PREFECT_SERVER_SERVICES_CANCELLATION_CLEANUP_LOOP_SECONDS": "30",
    "PREFECT_SERVER_SERVICES_FOREMAN_LOOP_SECONDS": "30",
    "PREFECT_SERVER_SERVICES_REPOSSESSOR_LOOP_SECONDS": "30",
    "PREFECT_SERVER_DATABASE_TIMEOUT": "60",  # SQLite has one writer; after 10 s of a busy disk it answered 503
    "MALLOC_ARENA_MAX": "2",  # glibc would keep memory for every thread that ever asked for some
    "PREFECT_SERVER_UI_V2_ENABLED": "false",  # it would open under "/", and all other addresses the first UI
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
}
"""What a Prefect server of one machine is told, where the user sets nothing else: its own loops are set for a server of
many."""

LEAN_WORKER = {
    "PREFECT_LOGGING_FORMATTERS_JSON_CLASS": "infra.stack.log_lines.JsonLines",
    "PREFECT_LOGGING_HANDLERS_CONSOLE_FORMATTER": "json",
    "PREFECT_LOGGING_HANDLERS_CONSOLE_CLASS": "infra.stack.log_lines.Console",
}
"""What workers, and with them flows, are told, where the user sets nothing else: their logs are for programs; people
read the UI."""


def settle(home: Path, root: Path, ports: Mapping[str, int]) -> None:
    """Writes `home`/stack.env, and prefect.toml in `root` unless that is the user's own. Both are the owner's to read.

    Keys are made once. A new address gets a new login: another program may have listened at the old one and received
    it. No browser sends the login's header by itself, so a page of another origin cannot use it. Only the UI's own
    pages may read the server's answers.
    """
    known = stack_variables(home)
    server = f"127.0.0.1:{ports['prefect']}"
    address = f"http://{server}/api"
    login = known.get("PREFECT_API_AUTH_STRING") if known.get("PREFECT_API_URL") == address else None
    login = login or f"cpl:{secrets.token_urlsafe(24)}"
    variables = {
        "PREFECT_API_URL": address,
        "PREFECT_API_AUTH_STRING": login,
        "PREFECT_SERVER_API_AUTH_STRING": login,
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": f"http://{server},http://localhost:{ports['prefect']}",
        "PREFECT_HOME": str(home / "prefect"),
        "PREFECT_RESULTS_DEFAULT_SERIALIZER": "json",
        "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
        "PREFECT_WORKER_QUERY_SECONDS": "5",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{ports['s3']}",
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": known.get("AWS_ACCESS_KEY_ID") or secrets.token_hex(10),
        "AWS_SECRET_ACCESS_KEY": known.get("AWS_SECRET_ACCESS_KEY") or secrets.token_hex(20),
    }
    lines = "".join(f"{name}={shlex.quote(text)}\n" for name, text in variables.items())
    disk.write(home / "stack.env", lines, mode=0o600)
    for_prefect = root / "prefect.toml"
    if not for_prefect.exists() or for_prefect.read_text().startswith(OURS):
        api = {"url": variables["PREFECT_API_URL"], "auth_string": login}
        fields = "".join(f"{name} = {json.dumps(text)}\n" for name, text in api.items())
        disk.write(for_prefect, f"{OURS}[api]\n{fields}", mode=0o600)
