"""The factory's environment: `CPL_*` variables, and the addresses and keys that `cpl up` wrote (design D1, D6)."""

import os
import shlex
import shutil
import subprocess
from collections.abc import Mapping, MutableMapping, Sequence
from functools import cache
from itertools import takewhile
from pathlib import Path
from typing import Literal

import psutil
from pydantic import PositiveInt, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

ROOT = Path(__file__).parent.parent
"""The folder of flows/, tasks/, trainers/, sql/ and infra/: a checkout, or where they are installed."""


class Environment(BaseSettings):
    """Of this machine, never of a round: nothing here may change what a stage computes.

    Endpoint and keys of the object store are boto3's own variables: AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID,
    AWS_SECRET_ACCESS_KEY, AWS_REGION.
    """

    model_config = SettingsConfigDict(env_prefix="CPL_", frozen=True)

    home: Path = Path(".cpl")
    """Everything local: state of the stack, caches, work folders."""
    store: str = "s3://cpl"
    """Bucket, with an optional prefix."""
    store_encryption: str | None = None
    """How the server encrypts what is written: AES256, aws:kms, or a KMS key's ARN. Default: as its bucket says."""
    engine_urls: list[str] = []
    """Engines that somebody else runs (JSON list); empty: the factory starts its own."""
    value_engine_urls: list[str] = []
    """The same for the engines that serve a separate value model while the policy searches."""
    engines: int | None = None
    """The factory's own engines. Default: as many as the GPUs make, or one on a CPU."""
    engine_gpus: int = 1
    """GPUs of each of these (tensor parallel)."""
    engine_servers: PositiveInt | None = None
    """Processes that answer the requests of each of these (vLLM's `--api-server-count`). Default: one on a CPU, up to
    four on a GPU, as it has cores."""
    engine_memory: float = 0.85
    """Share of a GPU's memory for the factory's own engines together."""
    engine_key: SecretStr | None = None
    """Key that those engines ask for (vLLM's `--api-key`)."""
    engine_python: Path = Path(".venv-engine/bin/python")
    """Interpreter of the engine's environment."""
    metrics: Path | None = None
    """Folder for the stack's metrics, read by Prometheus's node exporter (its textfile collector); without it none."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto: the GPU where an NVIDIA driver answers."""


def environment() -> Environment:
    """The environment now, after the addresses of the running stack were added to `os.environ`."""
    add_stack(os.environ, stack_variables(Path(os.environ.get("CPL_HOME", ".cpl"))))
    return Environment()


def stack_variables(home: Path) -> dict[str, str]:
    """What `cpl up` wrote to `stack.env` in its home: addresses, keys and the login. Empty where it never ran.

    Read as a shell reads it, since `source` is the other way to use it: a home may be named with quotes and dollars.
    """
    kept = home / "stack.env"
    words = shlex.split(kept.read_text(), comments=True) if kept.exists() else []
    return {name: text for name, _, text in (word.partition("=") for word in words)}


def device(here: Environment | None = None) -> Literal["cpu", "cuda"]:
    """What to compute on. `auto` looks for the driver's tool, so that torch need not be imported."""
    wanted = (here or environment()).device
    if wanted == "auto":
        return "cuda" if shutil.which("nvidia-smi") else "cpu"
    return wanted


def cores() -> int:
    """Of the CPU, that this process may use."""
    return len(os.sched_getaffinity(0))


def cores_for(weights: int) -> int:
    """That a model of so many bytes makes use of: one for every 64 MiB. Small models lose by every one more."""
    return max(1, min(cores(), weights >> 26))


class NoDriver(RuntimeError):
    """GPUs are to be used, and the driver's tool does not tell which there are."""


def gpus() -> list[str]:
    """The GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them: those in it, else all.

    What CUDA takes for no device (-1, or Slurm's word) hides itself and all that follow.

    Raises:
        NoDriver: with what the driver's tool said.
    """
    if (visible := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        names = [name.strip() for name in visible.split(",") if name.strip()]
        return list(takewhile(lambda name: not name.startswith("-") and name != "NoDevFiles", names))
    return list(_installed(shutil.which("nvidia-smi") or "nvidia-smi"))


@cache
def _installed(tool: str) -> tuple[str, ...]:
    """Asked once in a process: were one lost meanwhile, those behind it would change their places, though engines run
    there. It also takes seconds while many GPUs are being used for the first time."""
    listed = [tool, "--query-gpu=index", "--format=csv,noheader"]
    try:
        return tuple(subprocess.run(listed, capture_output=True, text=True, check=True).stdout.split())
    except (OSError, subprocess.CalledProcessError) as problem:
        said = " ".join(getattr(problem, "stdout", "").split()) or str(problem)
        raise NoDriver(
            f"the NVIDIA driver's tool lists no GPUs: {said}. Mend the driver, or set CPL_DEVICE=cpu"
        ) from problem


def is_part(name: str) -> bool:
    """Whether it is a part of a GPU (MIG). A process sees the first that it is shown and no other, so that nothing can
    be shared out to several."""
    return name.startswith("MIG")


def gpu_memory(names: Sequence[str]) -> int | None:
    """Bytes of the smallest of these GPUs. None: the driver's tool does not tell, as of a part of a GPU (MIG), of one
    that shares the machine's memory, or by a UUID that is cut short."""
    if any(map(is_part, names)):
        return None
    asked = ["nvidia-smi", f"--id={','.join(names)}", "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
    told = subprocess.run(asked, capture_output=True, text=True, check=False)
    sizes = told.stdout.split()
    if told.returncode or not sizes or not all(size.isdecimal() for size in sizes):
        return None
    return min(int(size) << 20 for size in sizes)


def memory(limit: Path = Path("/sys/fs/cgroup/memory.max")) -> int:
    """Bytes of this machine, or of the container that this process is in."""
    most = limit.read_text().strip() if limit.is_file() else "max"
    total: int = psutil.virtual_memory().total
    return total if most == "max" else min(total, int(most))


def add_stack(environment: MutableMapping[str, str], stack: Mapping[str, str]) -> None:
    """Adds the stack's variables where the user has not set their own.

    The store's settings belong together. With CPL_STORE or AWS_ENDPOINT_URL set, the user brings the keys; with
    neither, the stack's keys hold, also beside keys of another service. The Prefect server's settings belong together,
    too: the stack's login is sent to no other server. A second call changes nothing.
    """
    own_store = any(
        environment.get(name, stack.get(name)) != stack.get(name) for name in ("CPL_STORE", "AWS_ENDPOINT_URL")
    )
    if not own_store and stack:
        environment.pop("AWS_SESSION_TOKEN", None)  # it belongs to other keys than the stack's
    own_server = environment.get("PREFECT_API_URL", stack.get("PREFECT_API_URL")) != stack.get("PREFECT_API_URL")
    for name, value in stack.items():
        if (own_store and name.startswith("AWS_")) or (own_server and name.endswith("_AUTH_STRING")):
            continue
        if name.startswith("AWS_"):
            environment[name] = value
        else:
            environment.setdefault(name, value)
