"""Growing trees: one coroutine a tree, many trees in flight, the engine batches continuously (design D3).

A reply is an immutable fact that the pure tree (`tasks.search.tree`) takes in; a request that fails for good
fails its tree and is never a reward (design D4).
"""

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from tasks.format import Action, Kind, parse_action, question_prompt
from tasks.search.tree import Child, Node, Tree
from tasks.settings import Search


@dataclass(frozen=True, slots=True)
class Sample:
    """One sampled action: `logprob` summed over `token_ids`; `value` is V at its closing delimiter (design D2)."""

    text: str
    token_ids: tuple[int, ...]
    logprob: float
    value: float


@dataclass(frozen=True, slots=True)
class Expansion:
    """The policy's reply, with what it cost in tokens and in requests that failed before one was answered."""

    samples: Sequence[Sample]
    prompt_tokens: int
    cached_tokens: int
    generated_tokens: int
    failed_requests: int = 0


class Policy(Protocol):
    """Samples actions. Raises `PolicyError` when it can not, however often it tried."""

    async def sample(self, state_ids: Sequence[int], n: int, *, session: str) -> Expansion: ...


class PolicyError(RuntimeError):
    """The policy or the answer check gave no reply: the tree fails, and no reward is invented."""


Judge = Callable[[str], Awaitable[bool]]
"""Whether an answer is right; raises `PolicyError` when it can not be decided."""


@dataclass(frozen=True, slots=True)
class Task:
    """A question to be searched: its prompt's token ids, and the expansions that it may cost."""

    tree_id: str
    question_id: str
    question: str
    prompt_ids: tuple[int, ...]
    judge: Judge
    simulations: int
    is_held_out: bool
    pass_rate: float | None


@dataclass(frozen=True, slots=True)
class GrownTree:
    """A finished tree as rows of tables `trees` (one) and `nodes` (all of its nodes)."""

    tree: dict[str, Any]
    nodes: list[dict[str, Any]]


async def grow(task: Task, policy: Policy, settings: Search) -> GrownTree:
    """Simulations of one tree until its budget is spent, it is exhausted, or a request fails for good."""
    tree = Tree(
        question_prompt(task.question),
        task.prompt_ids,
        c_puct=settings.c_puct,
        seed=f"{settings.seed}/{task.tree_id}",
    )
    started = time.monotonic()
    requests = failed_requests = prompt_tokens = cached_tokens = generated_tokens = 0
    error: str | None = None
    while tree.expansions < task.simulations and (leaf := tree.select()) is not None:
        n = settings.root_children if leaf is tree.root else settings.children
        try:
            requests += 1
            reply = await policy.sample(tree.state_ids(leaf), n, session=task.tree_id)
            requests += reply.failed_requests
            failed_requests += reply.failed_requests
            prompt_tokens += reply.prompt_tokens
            cached_tokens += reply.cached_tokens
            generated_tokens += reply.generated_tokens
            children = [await judged(sample, leaf, task.judge, settings.max_depth) for sample in reply.samples]
        except PolicyError as problem:
            tree.release(leaf)
            failed_requests += 1
            error = str(problem)
            break
        tree.expand(leaf, children)
    return GrownTree(
        tree={
            "tree_id": task.tree_id,
            "question_id": task.question_id,
            "state": _state(tree, task, error),
            "simulations": task.simulations,
            "expansions": tree.expansions,
            "nodes": len(tree.nodes),
            "visits": tree.root.visits,
            "value": tree.root.q,
            "is_solved": any(node.action.reward == 1.0 for node in tree.nodes),
            "is_held_out": task.is_held_out,
            "pass_rate": task.pass_rate,
            "prompt_ids": list(task.prompt_ids),
            "requests": requests,
            "failed_requests": failed_requests,
            "prompt_tokens": prompt_tokens,
            "cached_tokens": cached_tokens,
            "generated_tokens": generated_tokens,
            "seconds": time.monotonic() - started,
            "error": error,
        },
        nodes=tree.rows(task.tree_id),
    )


def _state(tree: Tree, task: Task, error: str | None) -> str:
    if error is not None:
        return "failed"
    if task.simulations == 0:
        return "skipped"
    return "exhausted" if tree.is_exhausted else "budget"


async def judged(sample: Sample, parent: Node, judge: Judge, max_depth: int) -> Child:
    """The child that a sampled action becomes: parsed, and rewarded if it ends the trajectory.

    The depth is tested before the answer, as in the released code: a right solution at depth `max_depth + 1` gets
    -1, so the deepest rewarded trajectory has `max_depth - 1` plan steps and the solution (methods.md 1.3).
    """
    action = Action(Kind.TOO_DEEP) if parent.depth >= max_depth else parse_action(sample.text, position=parent.depth)
    is_plan = action.kind is Kind.PLAN
    is_right = action.kind is Kind.SOLUTION and action.answer is not None and await judge(action.answer)
    return Child(
        kind=action.kind,
        text=sample.text,
        token_ids=sample.token_ids,
        logprob=sample.logprob,
        value=sample.value if is_plan else None,
        reward=None if is_plan else 1.0 if is_right else -1.0,
        answer=action.answer,
    )
