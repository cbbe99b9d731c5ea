"""Serving one model folder: an engine that has proved that it serves this model, and no other (design D1b).

A running local engine of the same architecture takes the new weights in place (0.05 s instead of a start of 20 to
45 s). Engines that somebody else runs are used as they are, if they pass.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import httpx
from tenacity import AsyncRetrying, RetryError, retry_if_result, stop_after_attempt, wait_fixed

from infra.engine.client import Engine
from infra.engine.launch import launch_signature, seats
from infra.engine.model_folder import ModelFolder
from infra.engine.reply import EngineError
from infra.engine.server import (
    LocalEngine,
    Progress,
    answers,
    end_local_engine,
    engine_to_ourselves,
    local_engine,
    start_local_engine,
)
from infra.engine.supervision import supervised
from infra.settings import Settings

SWAP_SECONDS = 600.0
OVERBOOKED = 1.5
"""Sequences let in for each that the local engine runs at once. A request holds the seats of all its samples until the
longest is done; with a few requests waiting inside, the engine's batch stays full."""
ADVICE = (
    "Start it with `--model` of this folder and the probe's `--dtype`, or with VLLM_SERVER_DEV_MODE=1 where it can "
    "read the folder; or unset CPL_ENGINE_URLS to let the factory start its own"
)


class WrongModel(EngineError):
    """The engine does not reproduce the probe of the model that it should serve."""


class ModelChanged(WrongModel):
    """It served the model at first and does not any more: nobody knows since when."""


@asynccontextmanager
async def serving(
    model_dir: Path, settings: Settings, progress: Progress = lambda message: None
) -> AsyncIterator[Engine]:
    """An engine that serves the model folder (read `infra.engine.model_folder` for what is in it).

    Until the context ends no other flow of this home uses an engine. A local one is started again when it dies, and
    stays up after it (`stop_local_engine`); those of others prove at the end, too, that they serve the folder.
    `progress` gets one line of text now and then while the engine starts. Raises ValueError for a folder that is no
    model folder, EngineError for an engine that does not start or answer, WrongModel for one that fails the probe,
    ModelChanged for one that fails it in the end.
    """
    folder = ModelFolder.read(model_dir)
    async with engine_to_ourselves(settings, progress):
        if settings.engine_urls:
            async with _client(settings.engine_urls, folder) as engine:
                for address in engine.addresses:
                    await _swap(address, folder)
                    try:
                        await _prove(engine, address, folder)
                    except WrongModel as problem:
                        raise WrongModel(f"{problem}. {ADVICE}") from None
                yield engine
                for address in engine.addresses:
                    try:
                        await _prove(engine, address, folder)
                    except WrongModel as problem:
                        raise ModelChanged(f"somebody else changed its weights meanwhile: {problem}") from None
        else:
            local = await _serve_locally(folder, settings, progress)
            restart = partial(_serve_afresh, folder, settings, progress, httpx.URL(local.url).port)
            async with (
                Engine(
                    [local.url],
                    folder.words,
                    folder.vocabulary,
                    seats=round(OVERBOOKED * seats(settings)),
                    supervised=True,
                ) as engine,
                supervised(engine, local, restart, settings, progress),
            ):
                yield engine


async def probe_difference(engine: Engine, address: str, folder: ModelFolder) -> float:
    """Largest absolute difference between the engine's log-probs at one address and the probe's."""
    differences = [0.0]
    for sequence in folder.probe.sequences:
        served = await engine.logprobs(address, sequence.prompt, sequence.token_ids)
        differences += [abs(one - other) for one, other in zip(served, sequence.logprobs, strict=True)]
    return max(differences)


def _client(addresses: list[str], folder: ModelFolder) -> Engine:
    return Engine(addresses, folder.words, folder.vocabulary)


async def _serve_locally(folder: ModelFolder, settings: Settings, progress: Progress) -> LocalEngine:
    running = local_engine(settings)
    # An engine swaps tied embeddings by half, and does not say so (design section 4).
    is_alike = running and running.signature == launch_signature(folder, settings) and not folder.is_tied
    if running and is_alike and await answers(running) and await _swap(running.url, folder):
        try:
            async with _client([running.url], folder) as engine:
                await _prove(engine, running.url, folder)
            return running
        except EngineError as problem:
            progress(f"starting a fresh engine, the running one failed: {problem}")
    return await _serve_afresh(folder, settings, progress)


async def _serve_afresh(
    folder: ModelFolder, settings: Settings, progress: Progress, port: int | None = None
) -> LocalEngine:
    """An engine that has just loaded this model, in place of the one that runs or ran."""
    end_local_engine(settings)
    started = await start_local_engine(folder, settings, progress, port)
    async with _client([started.url], folder) as engine:
        try:
            await _prove(engine, started.url, folder)
        except WrongModel as problem:
            raise WrongModel(f"{problem}, although it just loaded this folder: was probe.json made of it?") from None
    return started


async def _prove(engine: Engine, address: str, folder: ModelFolder) -> None:
    difference = await probe_difference(engine, address, folder)
    if difference > folder.probe.tolerance:
        raise WrongModel(
            f"the engine at {address} does not serve {folder.path}: its log-probs differ from those of probe.json by "
            f"up to {difference:.3g} (allowed: {folder.probe.tolerance:g})"
        )


async def _swap(address: str, folder: ModelFolder) -> bool:
    """Loads the folder's weights into a running engine. False: it has no such endpoint, or could not."""
    reload = {"method": "reload_weights", "kwargs": {"weights_path": str(folder.path)}}
    async with httpx.AsyncClient(trust_env=False, timeout=SWAP_SECONDS) as http:

        async def forget() -> bool:
            # What the old weights cached must go; it is held while requests of a client that died are aborted.
            response = await http.post(f"{address}/reset_prefix_cache")
            return response.status_code == 200 and bool(response.json()["success"])

        try:
            if (await http.post(f"{address}/collective_rpc", json=reload)).status_code != 200:
                return False
            patiently = AsyncRetrying(
                retry=retry_if_result(lambda done: not done),
                stop=stop_after_attempt(60),
                wait=wait_fixed(0.5),
            )
            return await patiently(forget)
        except (httpx.RequestError, RetryError):
            return False
