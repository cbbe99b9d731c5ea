"""Serves one model folder, by engines that have proved which model they serve (design D1b).

A home has an engine for each of its GPUs, or groups of them (`launch.berths`), behind one client. One that runs with a
model of the same architecture takes the new weights in place (0.05 s instead of a start of 20 to 45 s). Engines that
somebody else runs are used as they are, if they pass.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, cast

import httpx

from infra.certificates import certificates
from infra.engine.client import Engine
from infra.engine.connections import bearer
from infra.engine.launch import berths, dtype, launch_signature, seats
from infra.engine.model_folder import ModelFolder
from infra.engine.proof import WrongModel, prove
from infra.engine.reply import EngineError
from infra.engine.server import (
    LocalEngine,
    Progress,
    answers,
    end_local_engine,
    end_local_engines,
    engine_to_ourselves,
    local_engine,
    start_local_engine,
    stop_local_engines,
)
from infra.engine.supervision import supervised
from infra.environment import Environment

SWAP_SECONDS = 600.0
OVERBOOKED = 1.5
"""Sequences let in for each that the local engine runs at once. A request holds the seats of all its samples until the
longest is done; with a few requests waiting inside, the engine's batch stays full."""
ADVICE = (
    "Start it with `--model` of this folder and the probe's `--dtype`, or with VLLM_SERVER_DEV_MODE=1 where it can "
    "read the folder; or unset CPL_ENGINE_URLS to let the factory start its own"
)


class ModelChanged(WrongModel):
    """It served the model at first and does not any more: nobody knows since when."""


@asynccontextmanager
async def serving(
    model_dir: Path,
    here: Environment,
    progress: Progress = lambda message: None,
    *,
    without: Environment | None = None,
) -> AsyncIterator[Engine]:
    """An engine that serves the model folder (read `infra.engine.model_folder` for what is in it).

    Until the context ends no other flow of this home uses an engine. A local engine is started again when it dies, and
    stays up after the context (`stop_local_engines`). An engine that somebody else runs proves the model at the end,
    too. `progress` gets one line of text now and then while the engine starts. `without`: whose engines end first, as
    these take their memory. Raises ValueError: the folder is no
    model folder. EngineError: the engine does not start or answer. WrongModel: it fails the probe. ModelChanged: it
    fails the probe at the end.
    """
    folder = ModelFolder.read(model_dir)
    async with engine_to_ourselves(here, progress):
        if here.engine_urls:
            async with _others(folder, here, progress) as engine:
                yield engine
        else:
            if without:
                stop_local_engines(without)
            local = await _serve_locally(folder, here, progress)
            addresses, key = [one.url for one in local], local[0].key
            async with (
                _client(addresses, folder, key, seats=round(OVERBOOKED * seats(here)), supervised=True) as own,
                AsyncExitStack() as watches,
            ):
                for berth, one in enumerate(local):
                    restart = partial(_serve_afresh, folder, here, progress, berth, key, one)
                    await watches.enter_async_context(supervised(own, one, restart, here, berth, progress))
                yield own


@asynccontextmanager
async def _others(folder: ModelFolder, here: Environment, progress: Progress) -> AsyncIterator[Engine]:
    """Engines that somebody else runs."""
    key = here.engine_key.get_secret_value() if here.engine_key else None
    async with _client(here.engine_urls, folder, key) as engine:
        for address in engine.addresses:
            # Those that do not find the folder must keep their weights: they are tried before they are emptied.
            if not (await _load(address, folder, key) and await _swap(address, folder, key)):
                progress(
                    f"the engine at {address} takes no weights: that it serves this model is for its probe to show"
                )
            try:
                await prove(engine, address, folder, folder.probe.dtype)
            except WrongModel as problem:
                raise WrongModel(f"{problem}. {ADVICE}") from None
        yield engine
        for address in engine.addresses:
            try:
                await prove(engine, address, folder, folder.probe.dtype)
            except WrongModel as problem:
                raise ModelChanged(f"somebody else changed its weights meanwhile: {problem}") from None


def _client(addresses: list[str], folder: ModelFolder, key: str | None, **options: Any) -> Engine:
    return Engine(addresses, folder.words, folder.vocabulary, key=key, **options)


async def _serve_locally(folder: ModelFolder, here: Environment, progress: Progress) -> list[LocalEngine]:
    """This home's engines, by berth, with one key. Raises what the first of them raises that does not serve."""
    count = len(berths(here))
    found = {berth: one for berth in range(count) if (one := local_engine(here, berth))}
    able = {berth: one for berth, one in found.items() if _fits(one, folder, here, berth)}
    # All others end before one starts: what a GPU was to one may now belong to an engine at another berth.
    end_local_engines(here, but=able)
    key = next((one.key for one in able.values()), None) or secrets.token_urlsafe(32)
    served = await asyncio.gather(
        *(_serve_at(folder, here, progress, berth, key, able.get(berth)) for berth in range(count)),
        return_exceptions=True,
    )
    for outcome in served:
        if isinstance(outcome, BaseException):
            raise outcome
    return cast(list[LocalEngine], served)


def _fits(running: LocalEngine, folder: ModelFolder, here: Environment, berth: int) -> bool:
    """Whether the engine takes these weights in place."""
    # An engine swaps tied embeddings by half, and does not say so (design section 4).
    return running.signature == launch_signature(folder, here, berth) and not folder.is_tied


async def _serve_at(
    folder: ModelFolder, here: Environment, progress: Progress, berth: int, key: str, running: LocalEngine | None
) -> LocalEngine:
    if running and running.key == key and await answers(running) and await _swap(running.url, folder, key):
        try:
            async with _client([running.url], folder, key) as engine:
                await prove(engine, running.url, folder, dtype(here))
            return running
        except EngineError as problem:
            progress(f"starting a fresh engine, the running one failed: {problem}")
    return await _serve_afresh(folder, here, progress, berth, key)


async def _serve_afresh(
    folder: ModelFolder,
    here: Environment,
    progress: Progress,
    berth: int,
    key: str,
    before: LocalEngine | None = None,
) -> LocalEngine:
    """An engine that has just loaded this model, in place of the one that runs or ran at this berth."""
    await asyncio.to_thread(end_local_engine, here, berth)  # others start meanwhile
    started = await start_local_engine(folder, here, progress, berth, key=key, before=before)
    async with _client([started.url], folder, started.key) as engine:
        try:
            await prove(engine, started.url, folder, dtype(here))
        except WrongModel as problem:
            raise WrongModel(f"{problem}, although it just loaded this folder: was probe.json made of it?") from None
    return started


async def _swap(address: str, folder: ModelFolder, key: str | None) -> bool:
    """Empties a running engine and loads the folder's weights into it. False: it could not.

    Old weights could pass for new ones: vLLM only warns of a tensor that the folder lacks, and bfloat16 hides small
    updates. Zeros cannot pass.
    """
    return await _asked(address, "weight_checker", {"action": "reset"}, key) and await _load(address, folder, key)


async def _load(address: str, folder: ModelFolder, key: str | None) -> bool:
    reload = {"method": "reload_weights", "kwargs": {"weights_path": str(folder.path)}}
    return await _asked(address, "collective_rpc", reload, key)


async def _asked(address: str, endpoint: str, body: dict[str, Any], key: str | None) -> bool:
    """Asks one of vLLM's development endpoints for something. False: it has no such endpoint, or could not."""
    async with httpx.AsyncClient(
        headers=bearer(key), timeout=SWAP_SECONDS, trust_env=False, verify=certificates()
    ) as http:
        try:
            return (await http.post(f"{address}/{endpoint}", json=body)).status_code == 200
        except httpx.RequestError:
            return False
