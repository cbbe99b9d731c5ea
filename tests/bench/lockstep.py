"""The same search as public CPL code runs it: in lockstep, the value asked apart (methods.md 1.3, peers.md B1).

All trees select one leaf each; one batch asks V of every leaf (n = 1, one token), one batch samples the
continuations of every leaf; each batch is waited for to its slowest reply. The tree is ours, so that only the
scheduling differs. The released code also had no prefix cache, and its value model shared none with the policy:
with `ForgetfulEngine` every request computes its whole prompt.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import uuid4

from infra.engine import Engine
from tasks.policy import SearchPolicy, ServedPolicy
from tasks.search.grow import Task, judged
from tasks.search.tree import Tree
from tasks.settings import Search


async def search_in_lockstep(served: ServedPolicy, tasks: Sequence[Task], settings: Search) -> list[Tree]:
    """One tree a task, all with the same number of simulations unless exhausted before."""
    policy = SearchPolicy(served, settings)
    trees = {
        task.tree_id: Tree("", task.prompt_ids, c_puct=settings.c_puct, seed=f"{settings.seed}/{task.tree_id}")
        for task in tasks
    }
    for _ in range(settings.simulations):
        leaves = [(task, trees[task.tree_id], leaf) for task in tasks if (leaf := trees[task.tree_id].select())]
        states = [tree.state_ids(leaf) for _, tree, leaf in leaves]
        values = await served.values(states)
        for (_, tree, leaf), value in zip(leaves, values, strict=True):
            if leaf is not tree.root:
                leaf.action = replace(leaf.action, value=value)
        replies = await asyncio.gather(
            *(
                policy.sample(
                    state, settings.root_children if leaf is tree.root else settings.children, session=task.tree_id
                )
                for (task, tree, leaf), state in zip(leaves, states, strict=True)
            )
        )
        for (task, tree, leaf), reply in zip(leaves, replies, strict=True):
            children = [await judged(sample, leaf, task.judge, settings.max_depth) for sample in reply.samples]
            tree.expand(leaf, children)
    return list(trees.values())


class ForgetfulEngine(Engine):
    """The same client under a second name, whose requests find nothing in the engine's prefix cache."""

    def __init__(self, engine: Engine) -> None:
        self.__dict__ = engine.__dict__

    def _request(self, prompt_ids: Sequence[int], logprob_token_ids: Sequence[int]) -> dict[str, Any]:
        return super()._request(prompt_ids, logprob_token_ids) | {"cache_salt": uuid4().hex}
