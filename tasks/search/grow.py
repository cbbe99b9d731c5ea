"""The driver of every search: one coroutine a question, many in flight, the engine batches continuously (design D3).

A reply is an immutable fact that a pure method (`tasks.search.method`) takes in; a request that fails for good fails
its trees and is never a reward (design D4). Nor is an answer that can not be decided, or a state that fills the
policy's context: these end their own branch, without a visit, and the tree lives. No clock runs here: what things cost
comes with the replies.
"""

import asyncio
import dataclasses
import math
from dataclasses import dataclass
from typing import Any

from infra.together import together
from tasks.language.format import FORMATS, PLAN_CLOSE, STEPS, Action, Kind, Origin, format_of
from tasks.search.actions import Offers, draws, no_offers
from tasks.search.beam import Beam
from tasks.search.method import Ask, Backup, Draw, Method
from tasks.search.pits import Pits
from tasks.search.policy import ContextFull, Judge, Leaks, Policy, PolicyError, Sample, Undecided, no_leaks
from tasks.search.puct import Puct
from tasks.search.reflect import Reflect
from tasks.search.sampling import Sampling
from tasks.search.stepwise import Stepwise
from tasks.search.tree import Child, Tree
from tasks.settings import Search


@dataclass(frozen=True, slots=True)
class Task:
    """A question to be searched, for the evidence of that name.

    `simulations`: its budget; `priority`: its place in the queue, the first is 0. `gold`: the right answer, for methods
    whose hints tell it; `told_ids`: token ids of the verdict that tells it, up to where a new plan begins. `copy`: of a
    question that is searched several times, which one, from 0.
    `entry_point`: of a question that asks for a program, the function that it is to define.
    """

    question_id: str
    question: str
    prompt_ids: tuple[int, ...]
    judge: Judge
    simulations: int
    is_held_out: bool = False
    pass_rate: float | None = None
    priority: int = 0
    offers: Offers = no_offers
    gold: str = ""
    told_ids: tuple[int, ...] = ()
    leaks: Leaks = no_leaks
    evidence: str = "search"
    copy: int = 0
    entry_point: str = ""

    @property
    def tree_id(self) -> str:
        """Of its first tree."""
        return f"{self.evidence}/{self.question_id}" + (f"/tree-{self.copy}" if self.copy else "")


@dataclass(frozen=True, slots=True)
class Grown:
    """A finished search: the trees, and their rows in the tables `trees` and `nodes`. `error`: why it failed."""

    trees: list[Tree]
    tree_rows: list[dict[str, Any]]
    node_rows: list[dict[str, Any]]
    error: PolicyError | None


async def grow(task: Task, policy: Policy, settings: Search, tree: Tree | None = None) -> Grown:
    """Searches one question until its method is done, or a request fails for good. `tree`: it goes on from there.

    While the engine has room, up to `settings.leaves` asks of the question are out at once. With one of them a tree
    depends on what was sampled alone; with more, on the machine's load as well.
    """
    search = method(task, settings, tree)
    out: set[asyncio.Task[tuple[Ask, list[Child] | None]]] = set()
    error: PolicyError | None = None
    try:
        while task.simulations:
            while not out or (policy.has_room and len(out) < settings.leaves):
                if (ask := search.ask()) is None:
                    break
                out.add(asyncio.create_task(_answer(ask, task, policy, settings)))
            if not out:
                break
            done, _ = await asyncio.wait(out, return_when=asyncio.FIRST_COMPLETED)
            for one in done:
                ask, children = one.result()
                if children is None:
                    search.close(ask)
                else:
                    search.take(ask, children)
            out -= done
    except PolicyError as problem:
        error = problem
    finally:
        for one in out:
            one.cancel()
        await asyncio.gather(*out, return_exceptions=True)
    state = "failed" if error else search.state if task.simulations else "skipped"
    told = None if error is None else str(error)
    named = [(_tree_id(task, tree), tree) for tree in search.trees]
    return Grown(
        search.trees,
        [_row(task, tree, name, state, search.backup, settings, told) for name, tree in named],
        [row for name, tree in named for row in tree.rows(name)],
        error,
    )


def method(task: Task, settings: Search, tree: Tree | None = None) -> Method:
    """The search that the settings name, at the start of a question, or of a tree that was grown before."""
    tree = tree or Tree(FORMATS[settings.steps].prompt(task.question), task.prompt_ids)
    seed = f"{settings.seed}/{task.question_id}" + (f"/{task.copy}" if task.copy else "")
    match settings.method:
        case "puct":
            return Puct(
                tree,
                draws(settings, task.offers),
                simulations=task.simulations,
                c=settings.c_puct,
                seed=seed,
                enough_right=settings.enough_right,
                hopeless_after=settings.hopeless_after,
            )
        case "stepwise":
            return Stepwise(
                tree,
                rollouts=task.simulations,
                root_children=settings.root_children,
                children=settings.children,
                c=settings.c_ucb,
                max_steps=settings.max_depth - 1,
            )
        case "beam":
            return Beam(tree, width=settings.beams, samples=settings.children)
        case "sampling":
            return Sampling(tree, n=settings.root_children)
        case "reflect":
            told = task.told_ids if settings.hint == "answer" else None
            return Reflect(tree, n=settings.root_children, trials=settings.trials, gold=task.gold, told_ids=told)
        case "pits":
            return Pits(tree, n=settings.root_children, k=settings.children, wrong=settings.wrong, seed=seed)


async def _answer(ask: Ask, task: Task, policy: Policy, settings: Search) -> tuple[Ask, list[Child] | None]:
    """The judged answers to all draws of an ask, None where the state fills the context; its tree bears the cost."""
    position, first = ask.tree.position(ask.node), ask.draws[0]
    if position >= settings.max_depth and not first.reflects:
        return ask, [too_deep(sum(draw.n for draw in ask.draws), first.origin)]
    state_ids = ask.tree.state_ids(ask.node)

    async def one(draw: Draw) -> list[Child] | ContextFull:
        seen = state_ids
        if draw.hint is not None:
            seen = [*draw.hint.prompt_ids, *state_ids[len(ask.tree.root.action.token_ids) :]]
        try:
            reply = await policy.sample(seen, draw, session=task.question_id, priority=task.priority)
        except ContextFull as full:
            return full
        except PolicyError as problem:
            ask.tree.cost.add(problem.spent)
            raise
        ask.tree.cost.add(reply.cost)
        children = [
            await judged(sample, draw, position, task.judge, settings, task.entry_point) for sample in reply.samples
        ]
        if draw.hint is not None and children[0].text == PLAN_CLOSE:
            if not await task.leaks(ask.tree.plan(ask.node)):
                return await one(Draw(1, draw.origin, start=PLAN_CLOSE))
            children = [dataclasses.replace(children[0], kind=Kind.LEAKED, reward=None)]
        return children

    replies = await together(one(draw) for draw in ask.draws)
    children = [child for reply in replies if not isinstance(reply, ContextFull) for child in reply]
    if not children and isinstance(full := replies[0], ContextFull):
        if not position and first.hint is None:
            raise full  # the question alone is too long: nothing can be learnt of it
        return ask, None
    return ask, children


def too_deep(samples: int, origin: Origin = Origin.POLICY) -> Child:
    """What every sample at depth `max_depth` becomes, whatever it says: asked of nobody, for all of them at once.

    The released code has the policy write them and gives each -1. So the leaf's V counts once and -1 `samples` times,
    as if all had differed.
    """
    return Child(Kind.TOO_DEEP, "", (), logprob=0.0, prior=1.0, reward=-1.0, origin=origin, times=samples)


async def judged(
    sample: Sample, draw: Draw, position: int, judge: Judge, settings: Search, entry_point: str = ""
) -> Child:
    """The child that a sampled action becomes after `position` steps: parsed, and rewarded if it ends there.

    `position` is below `max_depth`: a right solution at depth `max_depth + 1` would get -1, so the deepest rewarded
    trajectory has `max_depth - 1` steps and the solution, as in the released code (methods.md 1.3).
    """
    format = format_of(settings.steps, entry_point)
    if draw.reflects:
        action = Action(Kind.REFLECTION)
    elif draw.to_the_end:
        action = format.parse_ending(sample.text, position, settings.max_depth)
    else:
        action = format.parse_action(sample.text, position)
    reward = None if action.kind in (*STEPS, Kind.REFLECTION) else -1.0
    if action.answer is not None:
        try:
            reward = 1.0 if await judge(action.answer) else -1.0
        except Undecided:
            action, reward = Action(Kind.UNDECIDED, action.answer), None
    return Child(
        kind=action.kind,
        text=sample.text,
        token_ids=sample.token_ids,
        logprob=sample.logprob,
        prior=math.exp(sample.logprob / sample.sampled),
        value=None if draw.hint is not None or action.kind in (Kind.MALFORMED, Kind.TOO_DEEP) else sample.value,
        reward=reward,
        answer=action.answer,
        origin=draw.origin,
        hint=None if draw.hint is None else draw.hint.text,
    )


def _tree_id(task: Task, tree: Tree) -> str:
    return task.tree_id + (f"/step-{tree.steps}" if tree.steps else "")


def _row(
    task: Task, tree: Tree, tree_id: str, state: str, backup: Backup, settings: Search, error: str | None
) -> dict[str, Any]:
    return {
        "tree_id": tree_id,
        "question_id": task.question_id,
        "evidence": task.evidence,
        "method": settings.method,
        "backup": backup,
        "state": state,
        "steps": tree.steps,
        "simulations": task.simulations,
        "expansions": sum(node.is_expanded for node in tree.nodes),
        "nodes": len(tree.nodes),
        "visits": tree.root.visits,
        "value": tree.root.q,
        "undecided": tree.undecided,
        "is_solved": tree.right > 0,
        "is_held_out": task.is_held_out,
        "pass_rate": task.pass_rate,
        "prompt_ids": list(tree.root.action.token_ids),
        **dataclasses.asdict(tree.cost),
        "error": error,
    }
