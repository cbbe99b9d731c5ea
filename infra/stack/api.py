"""The Prefect server's HTTP API as the stack's own commands use it: with the login, and without importing Prefect."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import httpx

from infra.certificates import certificates
from infra.environment import stack_variables

SECONDS = 5.0


def login(home: Path) -> str:
    """NAME:PASSWORD of the stack in `home`: what the UI asks for."""
    return stack_variables(home)["PREFECT_API_AUTH_STRING"]


def ask(home: Path, method: Literal["GET", "POST"], path: str, document: Any = None) -> Any:
    """The answer (JSON) of the Prefect server of the stack in `home`; where none was made, as in a container, of the
    one that this process's environment names. Raises httpx.HTTPError when there is none."""
    known: Mapping[str, str] = stack_variables(home) or os.environ
    name, _, password = known["PREFECT_API_AUTH_STRING"].partition(":")
    url = f"{known['PREFECT_API_URL']}{path}"
    # Not through a proxy of the environment: it would see the login.
    how: dict[str, Any] = {"timeout": SECONDS, "trust_env": False, "verify": certificates()}
    reply = httpx.request(method, url, json=document, auth=(name, password), **how)
    return reply.raise_for_status().json()


def answers(home: Path) -> bool:
    """Whether the server is up and takes the stack's login."""
    try:
        return bool(ask(home, "GET", "/admin/version"))
    except httpx.HTTPError:
        return False


def is_busy(home: Path, pool: str) -> bool:
    """Whether a flow run of the pool has a process or is about to; also where the server does not say."""
    alive = {"any_": ["PENDING", "RUNNING", "PAUSED", "CANCELLING"]}
    runs = {"flow_runs": {"state": {"type": alive}}, "work_pools": {"name": {"any_": [pool]}}}
    try:
        return bool(ask(home, "POST", "/flow_runs/count", runs))
    except httpx.HTTPError:
        return True
