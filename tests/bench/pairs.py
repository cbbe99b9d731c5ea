"""What `make bench-training` trains on: pairs of steps, by the product's own rule, in token ids of the model.

    paper   trees as the paper searches them (methods.md 1.3: 5 children at the root, 3 elsewhere, depth 6, 200
            simulations), by the product's driver from a scripted policy
    round   the preferences of a whole round of cpl-micro, run once on a local stack in a home of its own

Both write in the words of the embedded word problems. Of a round, a model of other words gets the same texts.
"""

import asyncio
import json
import os
import random
import subprocess
import sys
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
from tokenizers import Tokenizer

from infra.engine.usage import Usage
from tasks.language.format import PLAN_CLOSE, PLANS, SOLUTION_CLOSE, SOLUTION_OPEN, STEP_CLOSE
from tasks.lessons.searched import by_question
from tasks.lessons.siblings import Siblings, siblings
from tasks.micro.world import generate
from tasks.records import frame
from tasks.search.grow import Grown, Task, grow
from tasks.search.method import Draw
from tasks.search.policy import Expansion, Sample
from tasks.settings import Search

CPL = Path(sys.executable).parent / "cpl"
SETTINGS = Search(simulations=200)
RULE = Siblings(evidence=("search",), min_outcomes=0)  # as in the released code
SOLVED = 0.15
"""Share of solutions among the actions below the root: enough, and trees still grow to their full depth."""
PROBLEMS = 500

Row = dict[str, Any]


class Writer:
    """`tasks.search.policy.Policy`: a state's actions follow from its token ids and the seed alone."""

    has_room = True

    def __init__(self, tokenizer: Tokenizer, seed: int) -> None:
        self._tokenizer, self._seed = tokenizer, seed
        problems = generate("train", PROBLEMS, seed)
        self.questions = [problem.question for problem in problems]
        self._moves = sorted(
            {move.text for problem in problems for step in problem.steps for move in (step.right, step.wrong)}
        )
        self._calculations = sorted({"\n".join(problem.solution) for problem in problems})

    def encode(self, text: str) -> tuple[int, ...]:
        return tuple(self._tokenizer.encode(text, add_special_tokens=False).ids)

    async def sample(self, state_ids: Sequence[int], draw: Draw, *, session: str, priority: int) -> Expansion:
        state = self._tokenizer.decode(list(state_ids), skip_special_tokens=False)
        depth = state.count(STEP_CLOSE.strip())
        rng = random.Random(zlib.crc32(repr((self._seed, list(state_ids))).encode()))
        bodies = rng.sample(self._moves, draw.n)
        texts = [
            self._solution(rng) if depth and rng.random() < SOLVED else PLANS.offered_step(depth, body) + STEP_CLOSE
            for body in bodies
        ]
        return Expansion([self._sampled(rng, text) for text in texts], Usage(requests=1))

    def _solution(self, rng: random.Random) -> str:
        calculation, answer = rng.choice(self._calculations), rng.randrange(10_000)
        return f"{PLAN_CLOSE}{SOLUTION_OPEN}{calculation}\nThe final answer is \\boxed{{{answer}}}.\n{SOLUTION_CLOSE}"

    def _sampled(self, rng: random.Random, text: str) -> Sample:
        ids = self.encode(text)
        return Sample(text, ids, logprob=-12 * rng.random(), value=rng.uniform(-1, 1), sampled=len(ids))


async def _is_even(answer: str) -> bool:
    return int(answer) % 2 == 0


def of_paper(tokenizer: Tokenizer, count: int, seed: int) -> list[Row]:
    """The first `count` pairs of as many trees as it takes."""
    policy = Writer(tokenizer, seed)

    def searched(number: int) -> Grown:
        question = policy.questions[number]
        task = Task(str(number), question, policy.encode(PLANS.prompt(question)), _is_even, SETTINGS.simulations)
        return asyncio.run(grow(task, policy, SETTINGS))

    rows: list[Row] = []
    for number in range(len(policy.questions)):
        grown = searched(number)
        if grown.error:
            raise RuntimeError(f"tree {number} failed: {grown.error}")
        (found,) = by_question(frame("trees", grown.tree_rows), frame("nodes", grown.node_rows))
        rows += siblings(found, RULE)[0]
        if len(rows) >= count:
            return rows[:count]
    raise RuntimeError(f"{PROBLEMS} trees have {len(rows)} pairs only")


def of_round(tokenizer: Tokenizer, folder: Path, seed: int) -> list[Row]:
    """All pairs of the round of this seed in the home `folder`, which is run where it is not published yet."""
    kept = folder / f"pairs-{seed}.json"
    if not kept.exists():
        environment = os.environ | {"CPL_HOME": str(folder.absolute())}
        told = ["--campaign", f"pairs-{seed}", "--round", "1", "--set", f"questions.seed={seed}"]
        asked = "select * from pairs where lesson = 'pairs' order by pair_id"
        try:
            subprocess.run([CPL, "round", "--model", "micro", *told], env=environment, check=True)
            found = subprocess.run(
                [CPL, "sql", "--campaign", f"pairs-{seed}", "--json", asked],
                env=environment, check=True, capture_output=True, text=True,
            )  # fmt: skip
        finally:
            subprocess.run([CPL, "down"], env=environment, check=True)
        kept.write_text(found.stdout)

    def ids(text: str) -> list[int]:
        encoded: list[int] = tokenizer.encode(text, add_special_tokens=False).ids
        return encoded

    rows: list[Row] = json.loads(kept.read_text())
    return [row | {f"{name}_ids": ids(row[name]) for name in ("prompt", "chosen", "rejected")} for row in rows]


def write(rows: list[Row], path: Path) -> None:
    """As a trainer reads them."""
    lists = ("prompt_ids", "chosen_ids", "rejected_ids")
    numbers = ("chosen_q", "rejected_q", "chosen_value", "rejected_value")
    kept = [{name: row[name] for name in ("question_id", *lists, *numbers)} for row in rows]
    path.parent.mkdir(parents=True, exist_ok=True)
    pl.DataFrame(kept, schema_overrides={name: pl.List(pl.Int32) for name in lists}).write_parquet(path)
