"""Real searches on the real engine: the micro policy with value rows that are not zero, and what must hold of the rows.

Grown by `grow` with `SearchPolicy`, as the stage *search* does it, on a few micro questions.
"""

import asyncio
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer

from infra.engine import Engine
from tasks.check import Checker
from tasks.language.format import PLANS, Kind
from tasks.micro.world import Problem, generate
from tasks.running.prompts import Prompts
from tasks.running.served import SearchPolicy, ServedPolicy, judge
from tasks.search.grow import Grown, Task, grow
from tasks.settings import Search
from tasks.stages.model import MICRO

PROBLEMS = generate("longer", 6, seed=11)
SETTINGS = Search(simulations=12, leaves=4, max_depth=10, max_step_tokens=160, temperature=1.0)


def make_micro(output: Path, seed: int = 5) -> Path:
    """The micro model's folder, as after a round that trained the value."""
    from infra.contract.model_folder import ValueWords
    from trainers.model_folder import load_model, load_tokenizer, make_probe, save, tokenizer_files
    from trainers.prepare import Prepare, prepare

    prepare(Prepare(model=str(MICRO), output=output / "prepared", style="trained"))
    prepared, folder = output / "prepared" / "model", output / "model"
    model, words = load_model(prepared), ValueWords.read(prepared)
    torch.manual_seed(seed)
    with torch.no_grad():
        head = model.get_output_embeddings().weight
        head[[words.good, words.bad]] = torch.randn(2, head.shape[1]) * 0.2
    probe = make_probe(
        lambda ids: model(input_ids=ids).logits,
        load_tokenizer(prepared),
        words,
        torch.float32,
        torch.device("cpu"),
    )
    save(folder, model, model.state_dict(), torch.float32, words, probe, tokenizer_files(prepared))
    return folder


def tokenizer(folder: Path) -> Tokenizer:
    return Tokenizer.from_file(str(folder / "tokenizer.json"))


def served_policy(engine: Engine, folder: Path) -> ServedPolicy:
    return ServedPolicy(engine, Prompts.read(folder, PLANS))


def question(problem: Problem) -> dict[str, Any]:
    return {"answer": problem.answer, "option": None, "is_exact": True}


async def search(engine: Engine, folder: Path) -> list[Grown]:
    """One tree a problem, all at once."""
    served = served_policy(engine, folder)
    policy = SearchPolicy(served, SETTINGS)
    async with Checker() as checker:
        tasks = [
            Task(
                question_id=str(place),
                question=problem.question,
                prompt_ids=tuple(served.prompts.question(problem.question)),
                judge=judge(checker, question(problem)),
                simulations=SETTINGS.simulations,
                priority=place,
            )
            for place, problem in enumerate(PROBLEMS)
        ]
        return list(await asyncio.gather(*(grow(task, policy, SETTINGS) for task in tasks)))


async def check_rewards(forest: list[Grown], folder: Path) -> None:
    """Every reward follows from its own node's text, and every text from its token ids; of failed trees as well."""
    text = tokenizer(folder)
    async with Checker() as checker:
        for problem, grown in zip(PROBLEMS, forest, strict=True):
            is_right = judge(checker, question(problem))
            for node in grown.node_rows[1:]:
                assert text.decode(node["token_ids"], skip_special_tokens=False) == node["text"]
                assert -math.inf < node["logprob"] <= 0.0
                position = node["depth"] - 1
                action = PLANS.parse_action(node["text"], position)
                kind = Kind.TOO_DEEP if position >= SETTINGS.max_depth else action.kind
                assert node["kind"] == kind
                if kind is Kind.PLAN:
                    assert node["reward"] is None
                elif kind is Kind.SOLUTION:
                    assert node["answer"] == action.answer is not None
                    assert node["reward"] == (1.0 if await is_right(action.answer) else -1.0)
                else:
                    assert node["reward"] == -1.0


def check_finished(forest: list[Grown], engine: Engine) -> None:
    """Every tree is searched to its end, and the rows account for every request of the engine's client."""
    for (row,) in (grown.tree_rows for grown in forest):
        assert row["state"] in ("budget", "exhausted"), row["error"]
        assert row["error"] is None
        assert row["expansions"] == SETTINGS.simulations or row["state"] == "exhausted"
    rows = [grown.tree_rows[0] for grown in forest]
    for name, used in asdict(engine.usage).items():
        assert sum(row[name] for row in rows) == pytest.approx(used)
