"""Two local engines of one home, on the CPU as on GPUs: one client, one key, each watched and started again alone.

And one that has two API servers, as a GPU's has.
"""

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from infra.engine import serving, stop_local_engines
from infra.engine.server import LocalEngine, local_engine
from infra.environment import Environment
from tests.infra.engine.engine_search import check_finished, check_rewards, make_micro, search

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    settings = Environment(home=tmp_path_factory.mktemp("fleet"), engine_urls=[], device="cpu", engines=2)
    yield settings
    assert stop_local_engines(settings)
    assert [local_engine(settings, berth) for berth in range(2)] == [None, None]


def both(here: Environment) -> list[LocalEngine]:
    """Those of the two that run."""
    found = [local_engine(here, berth) for berth in range(2)]
    return [one for one in found if one]


def started(micro: Path, here: Environment) -> list[LocalEngine]:
    """Both, whichever test comes first."""

    async def served() -> None:
        async with serving(micro, here):
            pass

    asyncio.run(served())
    return both(here)


def test_a_search_on_two_engines_outlives_one_of_them(micro: Path, home: Environment) -> None:
    """Its trees go on at the other while it is started again, and no action is lost or asked for twice."""
    messages: list[str] = []

    async def story() -> None:
        async with serving(micro, home, messages.append) as engine:
            first, second = both(home)
            assert engine.addresses == [first.url, second.url]
            assert first.key == second.key
            searching = asyncio.create_task(search(engine, micro))
            while engine.usage.requests < 15:
                await asyncio.sleep(0.01)
            assert not searching.done()
            os.kill(second.pid, signal.SIGKILL)
            forest = await searching
            check_finished(forest, engine)
            await check_rewards(forest, micro)
            async with asyncio.timeout(120.0):
                while len(both(home)) < 2 or not engine._admissions[second.url].is_open:
                    await asyncio.sleep(0.1)
            again = both(home)
            assert again[0] == first
            assert again[1].pid != second.pid
            assert (again[1].url, again[1].key) == (second.url, second.key)

    asyncio.run(story())
    assert [message.startswith("engine 2 of 2 died") for message in messages if " died (" in message] == [True]
    assert any(message.startswith("engine 2 of 2 is ready") for message in messages)


def test_both_take_the_weights_of_another_model_in_place(micro: Path, home: Environment, tmp_path: Path) -> None:
    """Each is asked for V: it is the other model's at both."""
    before = started(micro, home)
    assert len(before) == 2

    async def values(folder: Path) -> list[float]:
        async with serving(folder, home) as engine:
            return [
                (await engine.logprobs(address, [5, 6, 7], [engine.words.good], cache_salt="a"))[0]
                for address in engine.addresses
            ]

    old = asyncio.run(values(micro))
    new = asyncio.run(values(make_micro(tmp_path, seed=6)))
    assert both(home) == before
    assert old[0] == pytest.approx(old[1])
    assert new[0] == pytest.approx(new[1])
    assert abs(new[0] - old[0]) > 0.1


def test_a_home_that_wants_fewer_engines_ends_the_others(micro: Path, home: Environment) -> None:
    first, _ = started(micro, home)

    async def story() -> list[str]:
        async with serving(micro, home.model_copy(update={"engines": 1})) as engine:
            return engine.addresses

    assert asyncio.run(story()) == [first.url]
    assert both(home) == [first]


def test_two_servers_of_an_engine_answer_take_weights_and_end_with_it(
    micro: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Connections are shared out to both, so one that kept the old model's words would be heard."""
    here = Environment(
        home=tmp_path_factory.mktemp("servers"), engine_urls=[], device="cpu", engines=1, engine_servers=2
    )
    processes: list[psutil.Process] = []

    async def values(folder: Path) -> set[float]:
        found = set[float]()
        async with serving(folder, here) as engine:
            (running,) = both(here)
            processes.extend(psutil.Process(running.pid).children(recursive=True))
            for prompt in range(8):
                asked = engine.logprobs(engine.addresses[0], [5, 6, 7], [engine.words.good], cache_salt=str(prompt))
                found.add(round((await asked)[0], 3))
        return found

    old, new = (asyncio.run(values(one)) for one in (micro, make_micro(tmp_path_factory.mktemp("other"), seed=6)))
    assert (len(old), len(new), old & new) == (1, 1, set())
    names = [" ".join(one.cmdline()) for one in processes]
    assert all(any(f"APIServer_{n}" in name for name in names) for n in range(2)), names
    assert stop_local_engines(here)
    assert not any(process.is_running() for process in processes)
