"""Searches whose replies come in any order, after another one that was lost, or never: what is drawn stays the same."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.engine.usage import Usage
from tasks.search.grow import Grown, Task, grow
from tasks.search.method import Draw
from tasks.search.policy import Expansion, PolicyError
from tasks.settings import Search
from tests.tasks.search.scripted import ScriptedPolicy, is_even

QUESTIONS = 3
COMES, AGAIN, NEVER = range(3)
"""A reply comes; it comes to a second request, the first being lost; it is given up."""
FATES = st.lists(st.tuples(st.integers(0, 9), st.sampled_from([COMES] * 12 + [AGAIN] * 3 + [NEVER])), max_size=150)
SEARCHES = [
    {"method": "puct", "readings": 1, "corrections": 1},
    {"method": "stepwise"},
    {"method": "beam", "beams": 2},
    {"method": "sampling"},
    {"method": "reflect"},
    {"method": "pits"},
]


class Network(ScriptedPolicy):
    """A policy whose replies wait to be let through."""

    def __init__(self) -> None:
        super().__init__(seed=4)
        self.waiting: list[asyncio.Future[int]] = []

    async def sample(self, state_ids: Sequence[int], draw: Draw, *, session: str, priority: int) -> Expansion:
        reply = await super().sample(state_ids, draw, session=session, priority=priority)
        sent: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.waiting.append(sent)
        fate = await sent
        if fate == NEVER:
            raise PolicyError("no reply", Usage(requests=6, failed_requests=6))
        reply.cost.add(Usage(requests=fate, failed_requests=fate))
        return reply


async def searched(search: Search, fates: list[tuple[int, int]]) -> tuple[list[Grown], int]:
    """All questions at once, and how many requests nobody waited for in the end."""
    network = Network()
    tasks = [Task(f"q{number}", "How many?", (5, 6), is_even, 6) for number in range(QUESTIONS)]
    growing = asyncio.gather(*(grow(task, network, search) for task in tasks))
    left = iter(fates)
    while not growing.done():
        for _ in range(5):
            await asyncio.sleep(0)
        network.waiting = [one for one in network.waiting if not one.done()]
        if network.waiting:
            which, fate = next(left, (0, COMES))
            network.waiting.pop(which % len(network.waiting)).set_result(fate)
    await asyncio.sleep(0)
    return await growing, len(asyncio.all_tasks()) - 1


@pytest.mark.parametrize("method", SEARCHES, ids=lambda search: search["method"])
def test_a_tree_is_the_same_whatever_becomes_of_its_replies(method: dict[str, Any]) -> None:
    search = Search.model_validate(method | {"max_depth": 4, "root_children": 3})
    whole, _ = asyncio.run(searched(search, []))

    @settings(max_examples=12, deadline=None, database=None)
    @given(FATES)
    def holds(fates: list[tuple[int, int]]) -> None:
        found, open_requests = asyncio.run(searched(search, fates))
        assert open_requests == 0, "a search that is over waits for nothing"
        for one, other in zip(found, whole, strict=True):
            if one.error is None:
                assert one.node_rows == other.node_rows
                assert [without_cost(row) for row in one.tree_rows] == [without_cost(row) for row in other.tree_rows]
            else:
                assert {row["state"] for row in one.tree_rows} == {"failed"}
                assert sum(row["failed_requests"] for row in one.tree_rows) >= 6
                drawn = {(row["tree_id"], row["node_id"]): row for row in other.node_rows}
                for row in one.node_rows:
                    same = drawn[row["tree_id"], row["node_id"]]
                    assert (row["text"], row["reward"]) == (same["text"], same["reward"])

    holds()


def without_cost(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in ("requests", "failed_requests")}


def test_a_draw_that_fails_calls_back_those_beside_it() -> None:
    """A root's own actions and its reading are asked for at once."""

    async def failed() -> tuple[Grown, int]:
        network = Network()
        task = Task("q", "How many?", (5, 6), is_even, 6)
        growing = asyncio.ensure_future(grow(task, network, Search(readings=1)))
        while len(network.waiting) < 2:
            await asyncio.sleep(0)
        network.waiting[0].set_result(NEVER)
        return await growing, len(asyncio.all_tasks()) - 1

    found, open_requests = asyncio.run(failed())
    assert str(found.error) == "no reply"
    assert open_requests == 0
