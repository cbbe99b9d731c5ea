"""The files of containers and of a cluster: as their schemas want them, of one mind, and without a secret."""

import json
import os
import re
import stat
import subprocess
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jsonschema
import kubernetes_validate
import pytest
import yaml
from check_jsonschema.builtin_schemas import get_builtin_schema
from prefect.settings import Settings
from prefect.settings.legacy import _get_settings_fields
from prefect.utilities.schema_tools import validate
from prefect.utilities.templating import apply_values

from infra.environment import Environment
from infra.stack import weed
from infra.stack.local import WORKERS

ROOT = Path(__file__).parents[2]
TOPOLOGIES = ROOT / "infra/topologies"
KUBERNETES = "1.37"
COMPOSE = yaml.safe_load((TOPOLOGIES / "compose.yaml").read_text())
KUSTOMIZATION = yaml.safe_load((TOPOLOGIES / "kustomization.yaml").read_text())
MANIFESTS = [one for name in KUSTOMIZATION["resources"] for one in yaml.safe_load_all((TOPOLOGIES / name).read_text())]
TEMPLATE = json.loads((TOPOLOGIES / "kubernetes/job-template.json").read_text())
DEPLOYMENTS = {one["name"]: one for one in yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]}
SECRET = re.compile("PASSWORD|AUTH_STRING|KEY|TOKEN")


def told(file: Path) -> dict[str, str]:
    """The variables of an env file."""
    lines = [line for line in file.read_text().splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def containers() -> Iterator[tuple[str, dict[str, Any]]]:
    """Of the manifests, with the name of what they belong to."""
    for manifest in MANIFESTS:
        if "template" in manifest.get("spec", {}):
            for container in manifest["spec"]["template"]["spec"]["containers"]:
                yield manifest["metadata"]["name"], container


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the secrets that `make compose` and `make cluster` make first."""
    folder = tmp_path_factory.mktemp("topologies")
    made = ["make", f"TOPOLOGIES={folder}", f"{folder}/runs.secrets.env"]
    subprocess.run(made, cwd=ROOT, check=True, capture_output=True)
    return folder


LOGIN, KEYS = {"PREFECT_API_AUTH_STRING"}, {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}
READERS = {
    "postgres": {"POSTGRES_PASSWORD"},
    "server": {"PREFECT_SERVER_API_AUTH_STRING", "PREFECT_SERVER_DATABASE_PASSWORD"},
    "store": KEYS,
    "deploy": LOGIN,
    "watch": LOGIN,
    "worker": LOGIN,  # of a cluster: it makes jobs of runs
    "job": LOGIN | KEYS,
}
"""The secrets that each part reads."""


def test_compose_takes_the_file() -> None:
    jsonschema.validate(COMPOSE, get_builtin_schema("vendor.compose-spec"))


@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda one: f"{one['kind']} {one['metadata']['name']}")
def test_kubernetes_takes_every_manifest(manifest: dict[str, Any]) -> None:
    kubernetes_validate.validate(manifest, KUBERNETES, strict=True)


def test_every_manifest_is_applied() -> None:
    assert set(KUSTOMIZATION["resources"]) == {
        path.relative_to(TOPOLOGIES).as_posix() for path in TOPOLOGIES.glob("kubernetes/*.yaml")
    }


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"gpus": 8, "memory": "256Gi", "env": {"CPL_ENGINE_GPUS": "2"}},
        *(one["work_pool"].get("job_variables", {}) for one in DEPLOYMENTS.values()),
    ],
    ids=str,
)
def test_a_run_becomes_a_job_that_kubernetes_takes(given: dict[str, Any]) -> None:
    """The pool's template with its variables, as Prefect puts them in; its Kubernetes worker adds name and command."""
    usual = {name: one["default"] for name, one in TEMPLATE["variables"]["properties"].items() if "default" in one}
    values = usual | {"name": "round"} | given
    job = apply_values(TEMPLATE["job_configuration"]["job_manifest"], values)
    pod = job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    container |= {
        "args": ["prefect", "flow-run", "execute"],
        "env": [{"name": name, "value": value} for name, value in values["env"].items()],
    }
    # Prefect's worker refuses a template without these two here, where Kubernetes ignores them.
    assert (pod.pop("parallelism"), pod.pop("completions")) == (1, 1)
    kubernetes_validate.validate(job, KUBERNETES, strict=True)
    assert container["resources"]["limits"]["nvidia.com/gpu"] == given.get("gpus", 1)
    assert pod["volumes"][0] == given.get("home", {"name": "home", "persistentVolumeClaim": {"claimName": "home"}})


@pytest.mark.parametrize(
    ("home", "is_taken"),
    [
        ({"persistentVolumeClaim": {"claimName": "other"}}, True),
        ({"emptyDir": {"sizeLimit": "2Ti"}}, True),
        ({"secret": {"secretName": "server"}}, False),
        ({"projected": {"sources": [{"secret": {"name": "server"}}]}}, False),
        ({"hostPath": {"path": "/"}}, False),
        ({"name": "shared", "emptyDir": {}}, False),
    ],
    ids=str,
)
def test_the_home_of_a_job_is_a_volume_for_data(home: dict[str, Any], is_taken: bool) -> None:
    """By Prefect's own check of job variables: the volume of a Secret would show it to whoever starts a run."""
    variables = {"home": {"name": "home"} | home}
    errors = validate(variables, TEMPLATE["variables"], preprocess=False, ignore_required=True)
    assert (not errors) == is_taken


def test_what_a_job_mounts_and_reads_is_there() -> None:
    pod = TEMPLATE["job_configuration"]["job_manifest"]["spec"]["template"]["spec"]
    read = {name for one in pod["containers"][0]["envFrom"] for name in (next(iter(one.values()))["name"],)}
    made = {one["name"] for kind in ("configMapGenerator", "secretGenerator") for one in KUSTOMIZATION[kind]}
    claims = {one["metadata"]["name"] for one in MANIFESTS if one["kind"] == "PersistentVolumeClaim"}
    home = TEMPLATE["variables"]["properties"]["home"]["default"]
    assert read <= made
    assert home["persistentVolumeClaim"]["claimName"] in claims
    assert home["name"] in {one["name"] for one in pod["containers"][0]["volumeMounts"]}


def test_every_variable_of_a_job_says_what_it_is_and_is_used() -> None:
    variables = TEMPLATE["variables"]["properties"]
    assert [name for name, one in variables.items() if not one["description"]] == []
    assert set(re.findall(r"\{\{ (\w+) \}\}", json.dumps(TEMPLATE["job_configuration"]))) == set(variables)


def test_every_queue_that_runs_wait_in_is_served() -> None:
    """Else a round waits for ever for what it started. The cluster's worker takes from all queues of its pool."""
    queues = {one["work_pool"].get("work_queue_name", "default") for one in DEPLOYMENTS.values()}
    here = [word for words in WORKERS.values() for word in words]
    in_compose = re.findall(r"--work-queue (\S+)", " ".join(COMPOSE["services"]["worker"]["command"]))
    assert {name for option, name in pairwise(here) if option == "--work-queue"} == queues
    assert sorted(in_compose) == sorted(queues)
    assert "--work-queue" not in dict(containers())["worker"]["args"]


@pytest.mark.parametrize(("given", "device"), [([], "cuda"), (["DEVICE=cpu"], "cpu")], ids=str)
def test_an_image_is_for_gpus_whether_its_builder_has_one_or_not(
    given: list[str], device: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "nvidia-smi").write_text("#!/bin/sh\nexit 9\n")
    (tmp_path / "nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    told = subprocess.run(["make", "--dry-run", "image", *given], cwd=ROOT, check=True, capture_output=True, text=True)
    assert f"--build-arg DEVICE={device} " in told.stdout


def test_one_image_is_meant_everywhere() -> None:
    (named,) = KUSTOMIZATION["images"]
    ours = {one["image"] for one in COMPOSE["services"].values()} | {one["image"] for _, one in containers()}
    assert {one for one in ours if not one.startswith(("postgres:", "prefecthq/prefect:"))} == {named["name"]}
    assert TEMPLATE["variables"]["properties"]["image"]["default"] == f"{named['newName']}:{named['newTag']}"


def test_the_cluster_s_worker_is_of_the_factory_s_prefect() -> None:
    (prefect,) = re.findall(r"(?m)^prefect==(\S+)$", (ROOT / "infra/locks/factory-cuda.txt").read_text())
    images = dict(containers())
    assert images["worker"]["image"] == f"prefecthq/prefect:{prefect}-python3.11-kubernetes"


def test_addresses_lead_to_parts_that_are_there() -> None:
    runs, server = told(TOPOLOGIES / "runs.env"), told(TOPOLOGIES / "server.env")
    addresses = [urlsplit(runs[name]).netloc for name in ("PREFECT_API_URL", "AWS_ENDPOINT_URL")]
    addresses.append(f"{server['PREFECT_SERVER_DATABASE_HOST']}:{server['PREFECT_SERVER_DATABASE_PORT']}")
    services = {one["metadata"]["name"]: one["spec"] for one in MANIFESTS if one["kind"] == "Service"}
    assert {address.partition(":")[0] for address in addresses} == set(services)
    assert set(services) <= set(COMPOSE["services"])
    assert sorted(addresses) == sorted(f"{name}:{spec['ports'][0]['port']}" for name, spec in services.items())
    assert f"store:{weed.PORTS['s3']}" in addresses


def test_what_reads_the_variables_knows_them(secrets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Prefect ignores a variable that it does not know: a misspelt login would leave the server open."""
    files = [TOPOLOGIES / "runs.env", TOPOLOGIES / "server.env", *secrets.iterdir()]
    names = {name: value for file in files for name, value in told(file).items()}
    known = set(_get_settings_fields(Settings))
    assert {name for name in names if name.startswith("PREFECT_")} <= known
    assert {name for name in names if name.startswith("CPL_")} <= {
        f"CPL_{one.upper()}" for one in Environment.model_fields
    }
    for name, value in names.items():
        monkeypatch.setenv(name, value)
    settings = Settings()
    assert settings.server.api.auth_string == settings.api.auth_string
    assert settings.server.api.auth_string is not None
    assert settings.server.database.connection_url is not None
    password = names["PREFECT_SERVER_DATABASE_PASSWORD"]
    assert settings.server.database.connection_url.get_secret_value() == (
        f"postgresql+asyncpg://cpl:{password}@postgres:5432/cpl"
    )
    assert names["POSTGRES_PASSWORD"] == password


def test_secrets_are_made_for_their_owner_and_stand_in_no_file_of_ours(secrets: Path) -> None:
    made = {path.name: told(path) for path in secrets.iterdir()}
    assert set(made) == {f"{name}.secrets.env" for name in ("postgres", "runs", "server", "store")}
    assert {stat.S_IMODE(path.stat().st_mode) for path in secrets.iterdir()} == {0o600}
    assert all(len(value) >= 48 for one in made.values() for value in one.values())
    assert len({value for one in made.values() for value in one.values()}) == 4, "login, password and two keys"

    ours = [*told(TOPOLOGIES / "runs.env"), *told(TOPOLOGIES / "server.env")]
    ours += [name for one in COMPOSE["services"].values() for name in one.get("environment", ())]
    ours += [one["name"] for _, container in containers() for one in container.get("env", ()) if "value" in one]
    assert [name for name in ours if SECRET.search(name) and "_SECRET_" not in name] == []
    worker = {one["name"]: one["value"] for one in dict(containers())["worker"]["env"]}
    secret = "PREFECT_INTEGRATIONS_KUBERNETES_WORKER_API_AUTH_STRING_SECRET_"
    assert {worker[f"{secret}NAME"]: worker[f"{secret}KEY"]} == {"runs": "PREFECT_API_AUTH_STRING"}
    ignored = subprocess.run(
        ["git", "check-ignore", *(TOPOLOGIES / name for name in made)], cwd=ROOT, capture_output=True
    )
    assert ignored.returncode == 0 or not (ROOT / ".git").exists()
    assert "**/*.secrets.env" in (TOPOLOGIES / "Dockerfile.dockerignore").read_text().splitlines()


def test_each_part_is_told_the_secrets_that_it_reads_and_no_other(secrets: Path) -> None:
    made = {path.name: set(told(path)) for path in secrets.iterdir()}
    for name, one in COMPOSE["services"].items():
        files = [one["env_file"]] if isinstance(one["env_file"], str) else one["env_file"]
        in_compose = set().union(*(made.get(file, ()) for file in files))
        assert in_compose == READERS["job" if name == "worker" else name], name  # there the worker's runs are its own

    generated = {one["name"]: one["envs"] for one in KUSTOMIZATION["secretGenerator"]}
    (job,) = TEMPLATE["job_configuration"]["job_manifest"]["spec"]["template"]["spec"]["containers"]
    for name, container in (*containers(), ("job", job)):
        whole = [one["secretRef"]["name"] for one in container.get("envFrom", ()) if "secretRef" in one]
        keys = [one["valueFrom"]["secretKeyRef"] for one in container.get("env", ()) if "valueFrom" in one]
        in_cluster = {variable for secret in whole for file in generated[secret] for variable in made[file]}
        assert all(made[file] >= {one["key"]} for one in keys for file in generated[one["name"]])
        assert in_cluster | {one["key"] for one in keys} == READERS[name], name


def test_no_container_has_a_privilege() -> None:
    """Compose's of our image are of the user that the Dockerfile ends with, those of others say whose."""
    assert re.findall(r"(?m)^USER (.+)$", (TOPOLOGIES / "Dockerfile").read_text()) == ["factory"]
    for name, service in COMPOSE["services"].items():
        assert (service["cap_drop"], service["security_opt"]) == (["ALL"], ["no-new-privileges:true"]), name
        user = service.get("user", "factory" if service["image"] == "cpl-factory" else "root")
        assert user.partition(":")[0] not in ("", "0", "root"), name
        assert not {"privileged", "cap_add", "pid", "ipc", "network_mode", "devices"} & set(service), name
    for name, container in containers():
        assert container["securityContext"] == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}, (
            name
        )
    pods = [one["spec"]["template"]["spec"] for one in MANIFESTS if "template" in one.get("spec", {})]
    pods.append(TEMPLATE["job_configuration"]["job_manifest"]["spec"]["template"]["spec"])
    assert all(pod["securityContext"]["runAsNonRoot"] for pod in pods)
    published = [port for one in COMPOSE["services"].values() for port in one.get("ports", ())]
    assert published == ["127.0.0.1:4200:4200"]


def test_of_the_store_only_the_gateway_listens_to_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And of the keys weed reads only what is written for it: from those in its environment it would make others."""
    started: list[Any] = []
    for name, value in {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.argv", ["weed", str(tmp_path / "store")])
    monkeypatch.setattr("os.execve", lambda *given: started.extend(given))
    monkeypatch.chdir(tmp_path)
    weed.main()
    _, words, environment = started
    assert [word for word in words if "bind" in word] == ["-ip.bind=127.0.0.1", "-s3.ip.bind=0.0.0.0"]
    assert f"-s3.port={weed.PORTS['s3']}" in words
    assert not {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} & set(environment)
    assert "secret" in (tmp_path / "store/identities.json").read_text()
