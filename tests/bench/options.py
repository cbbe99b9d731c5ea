"""`make bench-options`: what the options of plan MCTS, and other searches, change on the micro world at equal tokens.

Each is compared with the plain search (CPL's) on the same questions and one engine. The plain trees are searched
further than the options' and replayed: so their yields are known for every number of simulations, and with them what
plain search gives for just as many generated tokens as an option took. Yields are given per 100,000 tokens; of what an
option gives more there is the 95 % interval over questions (bootstrap: the same questions in both, drawn together).
Where the plain trees are exhausted before so many tokens, the tokens that are left go to more such questions. `plain
again` tells what chance does.

`true_pairs` are plan pairs whose chosen step is worth more than the rejected one by the world's own calculation
(tests/bench/truth.py): noise gives pairs, too, but half of them the wrong way round.

`by origin` tells how the steps did that an option began: their number, how many were visited, and their mean Q. The
early stops are not searched: the plain trees are replayed under every rule, from the very same samples. The library is
filled by a plain search over other questions.

With `--model`, a model that a round trained searches, and one rule more is tried: questions that micro, which it was
trained from, solves in a plain search of its own are not searched again, at no cost and for nothing.
"""

import argparse
import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import polars as pl

from infra.engine import serving
from infra.environment import environment
from tasks.check import Checker
from tasks.language.format import PLANS, STEP_CLOSE, Kind, Origin, step_body
from tasks.lessons.right_paths import RightPaths
from tasks.lessons.searched import SearchedTree
from tasks.lessons.siblings import Siblings, siblings
from tasks.micro.world import generate
from tasks.records import frame
from tasks.running.prompts import Prompts
from tasks.running.served import SearchPolicy, ServedPolicy
from tasks.search.grow import Grown, Task, grow
from tasks.search.library import Library
from tasks.search.method import Backup, Draw
from tasks.search.policy import Expansion, Policy
from tasks.search.puct import Puct
from tasks.search.tree import Node, Tree
from tasks.settings import Search
from tests.bench.equal_tokens import COLUMNS, YIELDS, Table, compared
from tests.bench.models import BUILD, engines_of_our_own, prepared
from tests.bench.product import make_tasks, search
from tests.bench.truth import Truth

OPTIONS: dict[str, dict[str, Any]] = {
    "plain again": {},
    "one child more": {"root_children": 6, "children": 4},
    "readings 1": {"readings": 1},
    "readings 2": {"readings": 2},
    "corrections 1": {"corrections": 1},
    "library 1": {"library": 1},
    "library 2": {"library": 2},
    "4 leaves out": {"leaves": 4},
    "sampling 10": {"method": "sampling", "root_children": 10},
    "pits 8 + 4": {"method": "pits", "root_children": 8, "children": 4},
}
RULES: dict[str, dict[str, int]] = {
    "enough_right 1": {"enough_right": 1},
    "enough_right 2": {"enough_right": 2},
    "enough_right 4": {"enough_right": 4},
    "enough_right 8": {"enough_right": 8},
    "hopeless_after 6": {"hopeless_after": 6},
    "hopeless_after 12": {"hopeless_after": 12},
    "enough_right 4, hopeless_after 12": {"enough_right": 4, "hopeless_after": 12},
}
SKIPPING = "solved by micro: skipped"
FURTHER = 2
"""Times the options' simulations that plain search goes on for."""
EVERY = 2
"""Simulations between two points of plain search's line."""

SIBLINGS = Siblings(evidence=("search",))
PATHS = RightPaths(evidence=("search",)).most

Yields = dict[str, float]
"""What one question gives to learn from, and what it costs, by column."""


class Metered:
    """A policy that remembers what each state of a question cost, in generated tokens: plain search asks each once."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.tokens: dict[tuple[str, tuple[int, ...]], int] = {}

    @property
    def has_room(self) -> bool:
        return self.policy.has_room

    async def sample(self, state_ids: Sequence[int], draw: Draw, *, session: str, priority: int) -> Expansion:
        reply = await self.policy.sample(state_ids, draw, session=session, priority=priority)
        self.tokens[session, tuple(state_ids)] = reply.cost.generated_tokens
        return reply


def yields(tree: Tree, backup: Backup, truth: Truth) -> Yields:
    """What one searched tree gives to learn from, and what it cost."""
    about = {"tree_id": "tree", "question_id": "question", "backup": backup, "steps": 0}
    pairs, _ = siblings({"search": [SearchedTree(about, tree.rows("tree"))]}, SIBLINGS)
    plan_pairs = [pair for pair in pairs if pair["kind"] == Kind.PLAN]
    return {
        "solved": float(tree.right > 0),
        "plan_pairs": len(plan_pairs),
        "true_pairs": sum(is_true(pair, truth) for pair in plan_pairs),
        "solution_pairs": sum(pair["kind"] == Kind.SOLUTION for pair in pairs),
        "trees_with_pairs": float(bool(pairs)),
        "paths": min(PATHS, tree.right),
        "generated_tokens": tree.cost.generated_tokens,
    }


def is_true(pair: Mapping[str, Any], truth: Truth) -> float:
    """Whether the chosen step is worth more than the rejected one; a half where the habits never take one of them."""
    before = pair["prompt"][len(PLANS.prompt(truth.problem.question)) :]
    chosen, rejected = (truth.chance(steps_of(before + pair[side])) for side in ("chosen", "rejected"))
    return 0.5 if chosen is None or rejected is None else float(chosen > rejected)


def steps_of(plan: str) -> tuple[str, ...]:
    """The words of its steps."""
    return tuple(step_body(step + STEP_CLOSE) for step in plan.split(STEP_CLOSE)[:-1])


def by_origin(trees: Sequence[Tree]) -> dict[str, dict[str, float]]:
    """How the steps of each origin did."""
    found: dict[str, dict[str, float]] = {}
    for origin in Origin:
        steps = [node for tree in trees for node in tree.nodes[1:] if node.action.origin is origin]
        visited = [node for node in steps if node.visits]
        if steps:
            found[str(origin)] = {
                "steps": len(steps),
                "malformed": sum(node.action.kind == "malformed" for node in steps) / len(steps),
                "visited": len(visited) / len(steps),
                "mean_q": mean(node.q for node in visited) if visited else 0.0,
            }
    return found


def replayed(tree: Tree, task: Task, settings: Search, policy: Metered) -> Iterator[Tree]:
    """The same tree, grown under other stopping rules from the samples that it already has: after each expansion."""
    again = Puct(
        Tree(tree.root.action.text, tree.root.action.token_ids),
        lambda leaf: (),
        simulations=task.simulations,
        c=settings.c_puct,
        seed=f"{settings.seed}/{task.question_id}",
        enough_right=settings.enough_right,
        hopeless_after=settings.hopeless_after,
    )
    original: dict[Node, Node] = {again.tree.root: tree.root}
    while (ask := again.ask()) is not None:
        known = original[ask.node].children
        again.take(ask, [node.action for node in known])
        original |= zip(ask.node.children, known, strict=True)
        again.tree.cost.generated_tokens += policy.tokens.get((task.question_id, (*again.tree.state_ids(ask.node),)), 0)
        yield again.tree


def growth(tree: Tree, task: Task, settings: Search, policy: Metered, truth: Truth) -> list[Yields]:
    """Yields of a plain tree after 0, EVERY, … simulations; a tree that is exhausted yields what it has."""
    line: list[Yields] = [dict.fromkeys(COLUMNS, 0.0)]
    for expansions, grown in enumerate(replayed(tree, task, settings, policy), 1):
        if expansions % EVERY == 0:
            line.append(yields(grown, "values", truth))
    line.append(yields(grown, "values", truth))  # exhausted, or its budget is spent
    assert line[-1]["generated_tokens"] == tree.cost.generated_tokens
    points = task.simulations // EVERY + 1
    return (line + line[-1:] * points)[:points]


async def solved_by(folder: Path, plain: Search, count: int, seed: int) -> list[bool]:
    """Whether each question's plain tree has a right path."""
    async with serving(folder, environment(), print) as engine, Checker() as checker:
        served = ServedPolicy(engine, Prompts.read(folder, PLANS))
        grown = await search(served, make_tasks(served, checker, plain, count=count, seed=seed), plain)
    return [tree.right > 0 for tree in trees_of(grown)]


async def run(
    seed: int, count: int, simulations: int, names: Sequence[str], model: Path | None = None
) -> dict[str, Any]:
    """Plain search, options and rules on the questions of one seed: yields by question."""
    folder = prepared("micro", BUILD / "models")
    plain = Search(simulations=simulations, max_depth=10, max_step_tokens=160, leaves=1)
    further = plain.model_copy(update={"simulations": FURTHER * simulations})
    solved_before = await solved_by(folder, plain, count, seed) if model else None
    folder = model or folder
    async with serving(folder, environment(), print) as engine, Checker() as checker:
        served = ServedPolicy(engine, Prompts.read(folder, PLANS))
        asked = make_tasks(served, checker, plain, count=count, seed=seed)
        problems = {problem.question: problem for problem in generate("train", count, seed)}
        truths = [Truth(problems[task.question]) for task in asked]
        library: Library | None = None
        if any(OPTIONS[name].get("library") for name in names):
            known = {task.question for task in asked}
            others = make_tasks(served, checker, plain, count=2 * count, seed=seed + 1000)
            library = await searched_library(served, [task for task in others if task.question not in known], plain)

        metered = Metered(SearchPolicy(served, further))
        longer = [replace(task, simulations=further.simulations) for task in asked]
        trees = trees_of(await asyncio.gather(*(grow(task, metered, further) for task in longer)))
        lines = [
            growth(tree, task, further, metered, truth) for tree, task, truth in zip(trees, longer, truths, strict=True)
        ]
        print(f"seed {seed}: plain search is done", flush=True)
        options: dict[str, Any] = {}
        for name in names:
            settings = plain.model_copy(update=OPTIONS[name])
            offered = asked
            if library and settings.library:
                offered = [replace(task, offers=library.offers(task.question, settings.library)) for task in asked]
            grown = await search(served, offered, settings)
            found = trees_of(grown)
            backup = grown[0].tree_rows[0]["backup"]
            options[name] = {
                "questions": [yields(tree, backup, truth) for tree, truth in zip(found, truths, strict=True)],
                "by_origin": by_origin(found),
            }
            print(f"seed {seed}: {name} is done", flush=True)
    rules: dict[str, list[Yields]] = {}
    for name, rule in RULES.items():
        settings = plain.model_copy(update=rule)
        stopped = [[*replayed(*one, settings, metered)][-1] for one in zip(trees, asked, strict=True)]
        rules[name] = [yields(tree, "values", truth) for tree, truth in zip(stopped, truths, strict=True)]
    if solved_before:
        whole = [[*replayed(*one, plain, metered)][-1] for one in zip(trees, asked, strict=True)]
        rules[SKIPPING] = [
            dict.fromkeys(COLUMNS, 0.0) if is_solved else yields(tree, "values", truth)
            for is_solved, tree, truth in zip(solved_before, whole, truths, strict=True)
        ]
    return {"plain": lines, "options": options, "rules": rules}


async def searched_library(served: ServedPolicy, tasks: Sequence[Task], plain: Search) -> Library:
    """A library of these questions' right paths."""
    grown = await search(served, tasks, plain)
    return Library(
        pl.DataFrame({"question_id": [t.question_id for t in tasks], "question": [t.question for t in tasks]}),
        frame("trees", [row for one in grown for row in one.tree_rows]),
        frame("nodes", [row for one in grown for row in one.node_rows]),
    )


def trees_of(grown: Sequence[Grown]) -> list[Tree]:
    """One a question."""
    assert not any(one.error for one in grown), "a failed tree spoils a benchmark"
    return [one.trees[0] for one in grown]


def comparison(seeds: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Options and rules against plain search, over the questions of all seeds."""
    points = [[by_column(point) for point in zip(*seed["plain"], strict=True)] for seed in seeds]
    line = np.concatenate([np.stack(of_seed) for of_seed in points], axis=1)
    tables = {
        name: by_column([one for seed in seeds for one in seed["options"][name]["questions"]])
        for name in seeds[0]["options"]
    }
    tables |= {name: by_column([one for seed in seeds for one in seed["rules"][name]]) for name in seeds[0]["rules"]}
    return {
        name: {"tokens_a_question": of[:, -1].mean(), "solved_share": of[:, 0].mean(), **compared(of, line)}
        for name, of in tables.items()
    }


def by_column(questions: Sequence[Yields]) -> Table:
    return np.array([[one[column] for column in COLUMNS] for one in questions])


def table(found: dict[str, dict[str, Any]]) -> str:
    """By option: its tokens a question, its yields per 100,000 tokens, and the interval of what it gives more."""
    lines = [f"{'':34s}{'tokens':>7s}" + "".join(f"{column:>24s}" for column in YIELDS)]
    for name, of in found.items():
        cells = [f"{of[one]['option']:.1f} [{of[one]['low']:+.1f}, {of[one]['high']:+.1f}]" for one in YIELDS]
        lines.append(f"{name:34s}{of['tokens_a_question']:7,.0f}" + "".join(f"{cell:>24s}" for cell in cells))
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="make bench-options", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--questions", type=int, default=200, help="default: %(default)s")
    parser.add_argument("--simulations", type=int, default=24, help="expansions a tree; default: %(default)s")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3], help="of the questions; default: 1 2 3")
    parser.add_argument(
        "--options", nargs="*", choices=OPTIONS, default=[*OPTIONS], metavar="NAME", help="default: all"
    )
    parser.add_argument("--model", type=Path, help="the folder that `cpl export model` wrote; default: micro as it is")
    parser.add_argument("--output", type=Path, default=BUILD / "options.json", help="default: %(default)s")
    given = parser.parse_args()
    with engines_of_our_own():
        how = (given.questions, given.simulations, given.options, given.model)
        seeds = [asyncio.run(run(seed, *how)) for seed in given.seeds]
    found = comparison(seeds)
    given.output.parent.mkdir(parents=True, exist_ok=True)
    written = {"compared": found, "seeds": dict(zip(map(str, given.seeds), seeds, strict=True))}
    given.output.write_text(json.dumps(written) + "\n")
    print(
        f"\n{given.questions} questions, {given.simulations} simulations, seeds {given.seeds}. Per 100,000 tokens, and"
    )
    print("the 95 % interval of what it is more than plain search at as many tokens\n")
    print(table(found))
    print("\nSteps by origin, first seed")
    for name, of in seeds[0]["options"].items():
        for origin, figures in of["by_origin"].items():
            print(f"{name:20s} {origin:12s} " + ", ".join(f"{key} {value:.3g}" for key, value in figures.items()))
    print(f"\n{given.output}")


if __name__ == "__main__":
    main()
