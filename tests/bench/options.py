"""`make bench-options`: what the options of plan MCTS change on the micro world, on one engine.

Each option is switched on alone, on the same questions, and compared with the plain search (CPL's): right answers
found, preference pairs, right paths for SFT, expansions and tokens. `by origin` tells how the steps did that an option
began: their number, how many were visited, and their mean Q. The early stops are not searched: the plain trees are
replayed under every rule, so that rule and plain search see the very same samples, and what a rule loses is exact.

The library is filled by a plain search over other questions.
"""

import argparse
import asyncio
import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import polars as pl

from infra.engine import serving, stop_local_engines
from infra.environment import environment
from tasks.check import Checker
from tasks.language.format import PLANS, Origin
from tasks.lessons.right_paths import RightPaths
from tasks.lessons.searched import SearchedTree
from tasks.lessons.siblings import Siblings, step_pairs
from tasks.records import frame
from tasks.running.prompts import Prompts
from tasks.running.served import ServedPolicy
from tasks.search.grow import Grown, Task
from tasks.search.library import Library
from tasks.search.puct import Puct
from tasks.search.tree import Node, Tree
from tasks.settings import Search
from tests.bench.models import prepared
from tests.bench.product import make_tasks, search

BUILD = Path("build/bench")
OPTIONS: dict[str, dict[str, int]] = {
    "plain": {},
    "one child more": {"root_children": 6, "children": 4},
    "readings 1": {"readings": 1},
    "readings 2": {"readings": 2},
    "corrections 1": {"corrections": 1},
    "library 1": {"library": 1},
    "library 2": {"library": 2},
    "4 leaves out": {"leaves": 4},
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


def yields(trees: Sequence[Tree]) -> dict[str, float]:
    """What searched trees give to learn from, and what they cost."""
    paths = RightPaths(evidence=("search",)).most
    pairs: list[dict[str, Any]] = []
    for number, tree in enumerate(trees):
        about = {"tree_id": str(number), "question_id": "", "backup": "values", "steps": 0, "state": "finished"}
        searched = SearchedTree(about, tree.rows(str(number)))
        pairs += step_pairs(searched, Siblings(evidence=("search",)))
    return {
        "solved": sum(tree.right > 0 for tree in trees) / len(trees),
        "plan_pairs": sum(pair["kind"] == "plan" for pair in pairs),
        "solution_pairs": sum(pair["kind"] == "solution" for pair in pairs),
        "trees_with_pairs": len({pair["tree_id"] for pair in pairs}),
        "paths": sum(min(paths, tree.right) for tree in trees),
        "expansions": sum(node.is_expanded for tree in trees for node in tree.nodes),
        "generated_tokens": sum(tree.cost.generated_tokens for tree in trees),
    }


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


def replayed(tree: Tree, task: Task, settings: Search) -> Tree:
    """The same tree, grown under other stopping rules from the samples that it already has."""
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
    return again.tree


async def run(seed: int, count: int, simulations: int) -> dict[str, Any]:
    """All options and rules on the questions of one seed."""
    folder = prepared("micro", BUILD / "models")
    plain = Search(simulations=simulations, max_depth=10, max_step_tokens=160, leaves=1)
    async with serving(folder, environment(), print) as engine, Checker() as checker:
        served = ServedPolicy(engine, Prompts.read(folder, PLANS))

        def tasks(of: int, number: int) -> list[Task]:
            return make_tasks(served, checker, plain, count=number, seed=of)

        def trees(grown: Sequence[Grown]) -> list[Tree]:
            assert not any(one.error for one in grown), "a failed tree spoils a benchmark"
            return [tree for one in grown for tree in one.trees]

        asked = tasks(seed, count)
        known = {task.question for task in asked}
        others = [task for task in tasks(seed + 1000, 2 * count) if task.question not in known]
        earlier = await search(served, others, plain)
        library = Library(
            pl.DataFrame({"question_id": [t.question_id for t in others], "question": [t.question for t in others]}),
            frame("trees", [row for one in earlier for row in one.tree_rows]),
            frame("nodes", [row for one in earlier for row in one.node_rows]),
        )
        options: dict[str, Any] = {}
        for name, option in OPTIONS.items():
            settings = plain.model_copy(update=option)
            offered = [
                replace(task, offers=library.offers(task.question, settings.library)) if settings.library else task
                for task in asked
            ]
            grown = trees(await search(served, offered, settings))
            options[name] = yields(grown) | {"by_origin": by_origin(grown)}
            if name == "plain":
                plain_trees = grown
            print(f"seed {seed}, {name}: {options[name]['solved']:.3f} solved", flush=True)
        rules = {
            name: yields(
                [replayed(t, task, plain.model_copy(update=rule)) for t, task in zip(plain_trees, asked, strict=True)]
            )
            for name, rule in RULES.items()
        }
    return {"options": options, "rules": rules}


def table(seeds: Sequence[dict[str, Any]], part: str) -> str:
    """Mean over seeds, with the spread behind ±; rules as shares of the plain search."""

    def plain(seed: dict[str, Any], column: str) -> float:
        return max(seed["options"]["plain"][column], 1e-9)

    columns = ["solved", "plan_pairs", "solution_pairs", "trees_with_pairs", "paths", "expansions"]
    columns += ["generated_tokens"] if part == "options" else []
    lines = [f"{'':36s}" + "".join(f"{column:>20s}" for column in columns)]
    for name in seeds[0][part]:
        cells = []
        for column in columns:
            of = [seed[part][name][column] / (plain(seed, column) if part == "rules" else 1) for seed in seeds]
            digits = 0 if mean(of) >= 1000 else 1 if mean(of) >= 10 else 3
            spread = f" ± {stdev(of):,.{digits}f}" if len(of) > 1 else ""
            cells.append(f"{mean(of):,.{digits}f}{spread}".rjust(20))
        lines.append(f"{name:36s}" + "".join(cells))
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="make bench-options", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--questions", type=int, default=200, help="default: %(default)s")
    parser.add_argument("--simulations", type=int, default=24, help="expansions a tree; default: %(default)s")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3], help="of the questions; default: 1 2 3")
    parser.add_argument("--output", type=Path, default=BUILD / "options.json", help="default: %(default)s")
    given = parser.parse_args()
    os.environ.setdefault("CPL_HOME", str(BUILD / "home"))
    try:
        seeds = [asyncio.run(run(seed, given.questions, given.simulations)) for seed in given.seeds]
    finally:
        stop_local_engines(environment())
    given.output.parent.mkdir(parents=True, exist_ok=True)
    given.output.write_text(json.dumps(dict(zip(map(str, given.seeds), seeds, strict=True)), indent=1) + "\n")
    print(f"\n{given.questions} questions, {given.simulations} simulations, seeds {given.seeds}: mean ± spread\n")
    print(table(seeds, "options"))
    print("\nSteps by origin, first seed")
    for name, found in seeds[0]["options"].items():
        for origin, figures in found["by_origin"].items():
            print(f"{name:20s} {origin:12s} " + ", ".join(f"{key} {value:.3g}" for key, value in figures.items()))
    print("\nEarly stops, as shares of the plain search\n")
    print(table(seeds, "rules"))
    print(f"\n{given.output}")


if __name__ == "__main__":
    main()
