"""Which database the Prefect server keeps what it knows in: said once by variables, then kept in the stack's home.

So it is the same from whichever shell `cpl` runs next, and its password is in the server's environment alone.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from infra.contract import disk

PREFIX = "PREFECT_SERVER_DATABASE_"
PREFIXES = (PREFIX, "PREFECT_API_DATABASE_")
"""How variables begin that say which. Prefect reads both, and of two that differ the first."""
WHERE = ("CONNECTION_URL", "DRIVER", "HOST", "PORT", "NAME")
OWN_FILE = "a SQLite file of its home"
POSTGRES = "postgresql+asyncpg"


def said(environment: Mapping[str, str]) -> dict[str, str]:
    """What these variables say of the database, each by its name of the first prefix."""
    return {
        PREFIX + name.removeprefix(prefix): text
        for prefix in reversed(PREFIXES)
        for name, text in environment.items()
        if name.startswith(prefix) and text
    }


def place(variables: Mapping[str, str]) -> str:
    """Where the database of such variables is, without user and password. Two that are equal hold the same.

    Raises:
        ValueError: for an address that is none; it is not in the message, for its password.
    """
    address, driver, host, port, name = (variables.get(PREFIX + one) for one in WHERE)
    if address:
        from sqlalchemy.engine import make_url  # slow to import, and rarely needed
        from sqlalchemy.exc import ArgumentError

        try:
            url = make_url(address)
        except (ArgumentError, ValueError):
            raise ValueError(f"{PREFIX}CONNECTION_URL is no address of a database") from None
        driver, host, port, name = url.drivername, url.host, str(url.port or ""), url.database
    if driver == POSTGRES:
        return f"{driver}://{host}:{port or 5432}/{name}"
    return f"{driver}:///{name}" if driver and name else OWN_FILE


def kept(home: Path) -> dict[str, str]:
    """The server's variables of the stack in `home`; none, and it keeps a file of its own."""
    file = _file(home)
    found: dict[str, str] = json.loads(file.read_text()) if file.exists() else {}
    return found


def settle(home: Path, environment: Mapping[str, str], running: Mapping[str, str] | None) -> None:
    """Keeps what the environment says of the database, for every shell that says nothing. Its owner's to read.

    What names no place (a password, a limit) is added to what is kept. `running`: the variables of the server, where it
    runs: before anything was kept, they say which database is in use.

    Raises:
        ValueError: the environment names another database than the one that is kept, of whose runs that knows nothing;
            or an address that is none. Nothing was changed.
    """
    now, file = said(environment), _file(home)
    known = kept(home) if file.exists() else said(running) if running is not None else None
    if any(PREFIX + one in now for one in WHERE):
        there = place(now)
        if known is not None and there != place(known):
            variables = ", ".join(f"{prefix}*" for prefix in PREFIXES)
            raise ValueError(
                f"The Prefect server of {home} keeps runs, automations and blocks in {place(known)}. The variables "
                f"here ({variables}) name {there}, which has none of them. Unset these to go on with the first. To go "
                f"over to the second: `cpl down`, delete {file}, `cpl up`."
            )
        known = None
    found = (known or {}) | now
    if not file.exists() or found != kept(home):
        disk.write(file, json.dumps(found, indent=1), mode=0o600)


def _file(home: Path) -> Path:
    return home / "database.json"
