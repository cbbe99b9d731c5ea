"""An engine that answers by a script, in the place of vLLM: started, watched and swapped by the product as vLLM is.

`CPL_ENGINE_PYTHON` names a launcher of this module. What it answers follows from the weights' probe, the prompt and the
request alone. So a round that was killed, and went on, holds row by row what one holds that was not; and a wrong model
answers otherwise.

A file beside it (`SpoiltAnswers`) spoils a share of its answers, as a bad network would.
"""

import argparse
import asyncio
import contextlib
import hashlib
import json
import os
import random
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from infra.contract.model_folder import Probe, ValueWords
from infra.environment import ROOT
from tasks.language.format import (
    PLAN_CLOSE,
    PLAN_OPEN,
    PLANS,
    REFLECTION_CLOSE,
    SOLUTION_CLOSE,
    SOLUTION_OPEN,
    STEP_CLOSE,
)
from tasks.micro.world import Problem, calculate, generate, numbered

CONTEXT, CACHE = 1024, 200_000
"""Tokens of a prompt and its completion, and of the KV cache."""
SECONDS = 0.04
"""That an answer takes, so that a stage has a middle."""
RIGHT = 0.75
"""Share of moves that are right: some trajectories end right, and some wrong."""
KNOWN = (("train", 40, 1), ("test", 40, 7))
"""Questions of the micro world that it can answer: split, count and seed. To any other it answers 0."""
SPOILING = "CPL_CHAOS_SPOILING"
"""The variable that names the file."""
SPOILT_LOG = "spoilt.log"
"""Beside the engine's own: a byte for each answer that was spoilt."""


@dataclass(frozen=True)
class SpoiltAnswers:
    """`share` of the answers are spoilt in one way: error (500), half (broken off), cut (no answer), slow (2 s)."""

    kind: str
    share: float

    @classmethod
    def now(cls) -> "SpoiltAnswers":
        with contextlib.suppress(OSError, ValueError):
            return cls(**json.loads(Path(os.environ[SPOILING]).read_text()))
        return cls("", 0.0)


def launcher(folder: Path) -> Path:
    """A program in this folder that starts the engine, as vLLM's interpreter would."""
    path = folder / "scripted-python"
    path.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" -m tests.chaos.engine "$@"\n')
    path.chmod(0o755)
    return path


class Policy:
    """What the engine answers with the weights that were loaded last. `empty`: between two models it has none."""

    def __init__(self, folder: Path) -> None:
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.words = ValueWords.read(folder)
        self.problems = {one.question: one for split, count, seed in KNOWN for one in generate(split, count, seed)}
        self.load(folder)

    def load(self, folder: Path) -> None:
        probe = Probe.read(folder)
        self.probed = {
            tuple(one.prompt): dict(zip(one.token_ids, one.logprobs, strict=True)) for one in probe.sequences
        }
        self.weights = hashlib.sha256(probe.model_dump_json().encode()).hexdigest()

    def empty(self) -> None:
        self.probed, self.weights = {}, "none"

    def complete(self, asked: dict[str, Any]) -> dict[str, Any]:
        prompt = asked["prompt"]
        if asked["max_tokens"] == 1 and tuple(prompt) in self.probed:
            known = self.probed[tuple(prompt)]
            choices = [self._choice([asked["logprob_token_ids"][0]], "", "length", known)]
        else:
            choices = [self._sampled(asked, number) for number in range(asked["n"])]
        written = sum(len(one["token_ids"]) for one in choices)
        return {"choices": choices, "usage": {"prompt_tokens": len(prompt), "completion_tokens": written}}

    def _sampled(self, asked: dict[str, Any], number: int) -> dict[str, Any]:
        drawn = [self.weights, asked["prompt"], asked["temperature"], sorted(asked["stop"]), number]
        rng = random.Random(json.dumps(drawn))
        state = self.tokenizer.decode(asked["prompt"], skip_special_tokens=False)
        text = self._written(state, asked["stop"], rng)
        ids = self.tokenizer.encode(text, add_special_tokens=False).ids
        reason = "stop"
        if len(ids) > asked["max_tokens"]:
            ids, reason = ids[: asked["max_tokens"]], "length"
            text = self.tokenizer.decode(ids, skip_special_tokens=False)
        return self._choice(ids, text, reason, rng)

    def _written(self, state: str, stop: list[str], rng: random.Random) -> str:
        """What follows a state, up to the first of the stop strings."""
        if stop == [REFLECTION_CLOSE]:
            return f"The {rng.choice(('first', 'second', 'last'))} step was wrong.\n{REFLECTION_CLOSE}"
        question = re.findall(r"<question>\n(.*?)\n</question>", state, re.DOTALL)[-1]
        problem = self.problems.get(question)
        steps = re.findall(r"Plan \d+: *(.*?)\n</step>", state.rpartition(PLAN_OPEN)[2], re.DOTALL)
        plan = state.rpartition(PLAN_OPEN)[2]
        text = ""
        while not any(one in text for one in stop):
            if PLAN_CLOSE in plan or len(steps) >= (problem.level if problem else 2):
                text += "".join(tag for tag in (PLAN_CLOSE, SOLUTION_OPEN) if tag not in plan)
                text += _solution(problem, steps)
            else:
                body = _move(problem, len(steps), rng)
                text += PLANS.offered_step(len(steps), body) + "\n" + STEP_CLOSE
                steps.append(body)
        end = min(text.index(one) + len(one) for one in stop if one in text)
        return text[:end]

    def _choice(
        self, ids: list[int], text: str, reason: str, scores: random.Random | dict[int, float]
    ) -> dict[str, Any]:
        """`scores`: drawn, or those that the probe knows."""
        tops = []
        for token in ids:
            known = (
                scores
                if isinstance(scores, dict)
                else {word: -scores.uniform(1, 9) for word in (self.words.good, self.words.bad)}
            )
            tops.append({f"token_id:{token}": -0.5} | {f"token_id:{one}": number for one, number in known.items()})
        told = {"token_logprobs": [-0.5] * len(ids), "top_logprobs": tops}
        return {"text": text, "token_ids": ids, "logprobs": told, "finish_reason": reason}


def _move(problem: Problem | None, place: int, rng: random.Random) -> str:
    if problem is None:
        return f"count what there is, {rng.randrange(9)} times"
    step = problem.steps[place]
    return (step.right if rng.random() < RIGHT else step.wrong).text


def _solution(problem: Problem | None, steps: list[str]) -> str:
    """Follows the plan, right or wrong."""
    if problem is None:
        return f"The final answer is \\boxed{{0}}.\n{SOLUTION_CLOSE}"
    moves = {move.text: move for step in problem.steps for move in (step.right, step.wrong)}
    found = calculate(problem.start, [moves[text] for text in steps if text in moves])
    lines = "\n".join(numbered(found.lines))
    return f"{lines}\nThe final answer is \\boxed{{{found.result}}}.\n{SOLUTION_CLOSE}"


async def serve(host: str, port: int, model: Path) -> None:
    policy, rng = Policy(model), random.Random(port)
    metrics = f'vllm:cache_config_info{{block_size="32",kv_cache_size_tokens="{CACHE}"}} 1.0\n'
    served = {"data": [{"id": "policy", "max_model_len": CONTEXT}]}
    written = 0

    def answer(path: str, body: bytes) -> bytes:
        nonlocal written
        if path == "/v1/completions":
            reply = policy.complete(json.loads(body))
            written += reply["usage"]["completion_tokens"]
            return json.dumps(reply).encode()
        if path == "/weight_checker":
            policy.empty()
        if path == "/collective_rpc":
            policy.load(Path(json.loads(body)["kwargs"]["weights_path"]))
        if path == "/metrics":
            return f'{metrics}vllm:generation_tokens_total{{engine="0"}} {written}\n'.encode()
        return json.dumps({"/v1/models": served, "/version": {"version": "scripted"}}.get(path, {})).encode()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = re.search(r"(?im)^content-length: (\d+)", head)
                body = await reader.readexactly(int(length[1]) if length else 0)
                path = head.split()[1]
                said = answer(path, body)
                whole = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(said), said)
                if path == "/v1/completions":
                    await asyncio.sleep(SECONDS)
                    spoilt = SpoiltAnswers.now()
                    if rng.random() < spoilt.share:
                        with Path(os.environ[SPOILING]).with_name("engine").joinpath(SPOILT_LOG).open("ab") as log:
                            log.write(b".")
                        if spoilt.kind == "error":
                            whole = b"HTTP/1.1 500 Oops\r\ncontent-length: 4\r\n\r\ndead"
                        elif spoilt.kind == "slow":
                            await asyncio.sleep(2)
                        else:
                            writer.write(whole[: len(whole) // 2] if spoilt.kind == "half" else b"")
                            break
                writer.write(whole)
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(talk, host, port)
    async with server:
        await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--host")
    parser.add_argument("--port", type=int)
    parser.add_argument("--model", type=Path)
    asked, _ = parser.parse_known_args(sys.argv[3:])  # "-m cpl_server" comes before
    asyncio.run(serve(asked.host, asked.port, asked.model))


if __name__ == "__main__":
    main()
