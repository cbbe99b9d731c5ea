"""How a local engine is launched: vLLM's arguments and environment for this model on this device (design section 4)."""

import os
from pathlib import Path

import httpx

from infra.engine.model_folder import ModelFolder
from infra.environment import Environment, cores, cores_for, device, gpus, is_part

KV_GIB = 1
"""Memory for the KV cache of a CPU engine, GiB, float32: 262,000 tokens at micro's size, 23,000 of SmolLM2-135M."""

POLICY_AS_IT_IS = "--generation-config vllm --logprobs-mode raw_logprobs"
"""No sampling defaults of the checkpoint; log-probs of the model's own logits, before temperature and bias."""

SEATS = {"cpu": 256, "cuda": 512}
"""Sequences in one batch, stated because the engine does not tell. CUDA graphs are captured for up to 512; vLLM's own
defaults are 128 on a CPU, 256 or 1024 by a GPU's memory."""

SERVERS = 4
"""At most, that answer the requests of a GPU's engine. One takes 140 us of a core for each token with its log-probs; a
small model's search on an H100 came to 6,451 a second with one (docs/models-and-gpus.md)."""

ON_CPU = "--enforce-eager --block-size 32 --gpu-memory-utilization 0.1"
"""32 tokens is the smallest block the CPU's attention takes: the shorter, the more of a prefix is reused."""


INSIDE = Path(__file__).parent / "inside"
GUARD, SERVER = "cpl_guard.Guard", "cpl_server"
"""What of ours runs inside the engine's server, and what starts it."""


def seats(here: Environment) -> int:
    """Sequences that the local engine runs at once."""
    return SEATS[device(here)]


def servers(here: Environment) -> int:
    """Processes that answer the requests of each engine; one core of its share stays the engine's own."""
    if device(here) == "cpu":
        return here.engine_servers or 1
    return here.engine_servers or max(1, min(SERVERS, cores() // len(berths(here)) - 1))


class NotEnoughGPUs(ValueError):
    """The settings ask for more engines, or larger ones, than the visible GPUs make, or for none."""


def refuse_engines_without_gpus(here: Environment) -> None:
    """Before a round begins: the factory can start its own engines, where it has to.

    Raises:
        NotEnoughGPUs
    """
    if not here.engine_urls:
        berths(here)


def berths(here: Environment) -> list[list[str]]:
    """The places of this home's engines, each with the GPUs that it has; on a CPU with none.

    Raises:
        NotEnoughGPUs
    """
    each = here.engine_gpus
    if min(each, 1 if here.engines is None else here.engines) < 1:
        raise NotEnoughGPUs("CPL_ENGINES and CPL_ENGINE_GPUS count from 1 on; unset them for an engine on each GPU")
    if device(here) == "cpu":
        return [[] for _ in range(here.engines or 1)]
    visible = gpus()
    count = len(visible) // each if here.engines is None else here.engines
    if not 0 < count * each <= len(visible):
        raise NotEnoughGPUs(
            f"{max(count, 1)} engines of our own are wanted, each on {each} GPU{'s' if each > 1 else ''}, and "
            f"{len(visible)} GPUs are visible; change CPL_ENGINES, CPL_ENGINE_GPUS or CUDA_VISIBLE_DEVICES, or compute "
            "on the CPU (CPL_DEVICE=cpu)"
        )
    if each > 1 and any(map(is_part, visible)):
        raise NotEnoughGPUs(f"CPL_ENGINE_GPUS={each}: no engine runs on several parts of GPUs (MIG); set it to 1")
    return [visible[each * n : each * (n + 1)] for n in range(count)]


def launch_signature(folder: ModelFolder, here: Environment, berth: int = 0) -> str:
    """What must be equal for a running engine to take this model's weights: whatever it was told that settings say, but
    for its threads on a CPU, which are not worth another start."""
    on_gpus = ",".join(berths(here)[berth])
    place = f"cuda {on_gpus} {here.engine_memory:g}" if device(here) == "cuda" else "cpu"
    return f"{GUARD}/{place}/{servers(here)}/{dtype(here)}/{here.engine_python}/{folder.signature}"


def arguments(folder: ModelFolder, here: Environment, url: httpx.URL) -> list[str]:
    """The server's arguments. `--max-model-len auto`: the model's context, or as much of it as the KV cache holds."""
    return [
        *("--host", url.host, "--port", str(url.port)),
        *("--model", str(folder.path), "--served-model-name", "policy", "--dtype", dtype(here)),
        *["--max-model-len", "auto", "--enable-prefix-caching", "--enable-prompt-tokens-details"],
        *POLICY_AS_IT_IS.split(),
        *("--max-num-seqs", str(seats(here)), "--api-server-count", str(servers(here))),
        *(ON_CPU.split() if device(here) == "cpu" else ("--gpu-memory-utilization", f"{here.engine_memory:g}")),
        *(("--tensor-parallel-size", str(here.engine_gpus)) if device(here) == "cuda" else ()),
        *("--middleware", GUARD, "--disable-uvicorn-access-log"),
    ]


def environment(folder: ModelFolder, here: Environment, key: str, berth: int = 0) -> dict[str, str]:
    """This process's variables and the engine's. `key`: without it the server answers nobody."""
    # Byte code is what makes the second start fast, so it is always written.
    variables = {name: text for name, text in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    # In development mode there are endpoints that swap weights; all of them are behind the guard.
    variables |= {"VLLM_SERVER_DEV_MODE": "1", "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}
    variables |= {"CPL_ENGINE_KEY": key, "PYTHONPATH": _before(str(INSIDE), variables.get("PYTHONPATH"))}
    if device(here) == "cpu":
        variables |= {"VLLM_CPU_KVCACHE_SPACE": str(KV_GIB), "VLLM_CPU_OMP_THREADS_BIND": "nobind"}
        if servers(here) == 1:
            # The model runs inside the server's process: one process less, and a third more tokens a CPU second.
            variables |= {"VLLM_ENABLE_V1_MULTIPROCESSING": "0"}
        variables.setdefault("OMP_NUM_THREADS", str(_threads(folder, len(berths(here)))))
    else:
        # FlashInfer's sampler is compiled while the engine starts, which fails where there is no CUDA toolkit. It
        # serves top-k and top-p, which are never used here. Other kernels may call tools of the engine's environment.
        tools = str(here.engine_python.absolute().parent)
        variables |= {"VLLM_USE_FLASHINFER_SAMPLER": "0", "PATH": _before(tools, variables.get("PATH"))}
        variables["CUDA_VISIBLE_DEVICES"] = ",".join(berths(here)[berth])
    return variables


def _before(first: str, others: str | None) -> str:
    return os.pathsep.join(filter(None, [first, others]))


def dtype(here: Environment) -> str:
    """Whatever the checkpoint was saved in: float32 is faster on most CPUs, and no GPU's attention takes it."""
    return "float32" if device(here) == "cpu" else "bfloat16"


def _threads(folder: ModelFolder, engines: int) -> int:
    """Of each engine: as many as the model makes use of, and a core left to servers and client."""
    weights = sum(path.stat().st_size for path in folder.path.glob("*.safetensors"))
    return max(1, min((cores() - 1) // engines, cores_for(weights)))
