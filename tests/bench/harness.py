"""`make bench-harness`: the same questions in standard prompts, answered by our engine and by the harness alone.

The harness alone is its own `hf` backend: transformers, float32, on the same rows and requests. Both are asked
greedily, so what differs is arithmetic: log-probs in their last digits, and a text from the first near tie on. Programs
of both are judged in the sandbox.
"""

import argparse
import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from infra.engine import serving
from infra.environment import Environment
from infra.sandbox import Sandbox
from tasks.harness import BENCHMARKS, Encoding, Question, Reply, load
from tasks.language.format import FORMATS
from tasks.running.prompts import Prompts
from tasks.running.served import ServedPolicy
from tasks.running.workplace import code_version
from tasks.stages.harness import Given, scored, weighed, written
from tests.bench.models import BUILD, engines_of_our_own, prepared

Replies = list[list[list[Reply]]]
"""By question and instance: the replies."""


@dataclass(frozen=True, slots=True)
class Row:
    """One benchmark by one metric. `differing`: answers that one of the two alone has right. `farthest`: log-probs of
    one continuation apart, nats. `texts`: outputs that are not the same to the last letter."""

    benchmark: str
    metric: str
    n: int
    engine: float
    harness: float
    differing: int
    texts: int | None
    farthest: float | None
    engine_seconds: float
    harness_seconds: float


def main() -> None:
    parser = argparse.ArgumentParser(description="Scores of one model by our engine and by the harness alone.")
    parser.add_argument("benchmarks", nargs="*", metavar="BENCHMARK", help=f"of {', '.join(BENCHMARKS)}")
    parser.add_argument("--model", default="smollm2", help="micro, smollm2, a model folder or a hub id")
    parser.add_argument("--count", type=int, default=100, help="questions of each (default: 100)")
    asked = parser.parse_args()
    BUILD.mkdir(parents=True, exist_ok=True)
    folder = prepared(asked.model, BUILD / "models")
    rows: list[Row] = []
    for name in asked.benchmarks or BENCHMARKS:
        questions = load(name, count=asked.count, seed=1)
        started = time.monotonic()
        with engines_of_our_own() as here:
            ours = asyncio.run(by_engine(folder, here, questions))
        between = time.monotonic()
        theirs = by_harness(folder, questions)
        ended = time.monotonic()
        rows += asyncio.run(compared(name, questions, ours, theirs, between - started, ended - between))
        for row in rows:
            if row.benchmark == name:
                print(json.dumps(asdict(row)), flush=True)
        (BUILD / "harness.json").write_text(
            json.dumps(
                {
                    "code": code_version(),
                    "model": asked.model,
                    "count": asked.count,
                    "rows": [asdict(row) for row in rows],
                },
                indent=1,
            )
        )


async def by_engine(folder: Path, here: Environment, questions: Sequence[Question]) -> Replies:
    async with serving(folder, here) as engine:
        policy = ServedPolicy(engine, Prompts.read(folder, FORMATS["plan"]))
        encoding = Encoding(policy.prompts.tokenizer, policy.prompts.start, engine.words.eos, engine.max_tokens)
        given = await asyncio.gather(
            *(
                (weighed if question.is_chosen else written)(question, place, policy, encoding)
                for place, question in enumerate(questions)
            )
        )
        return [one.replies for one in given]


def by_harness(folder: Path, questions: Sequence[Question]) -> Replies:
    from lm_eval.models.huggingface import HFLM

    is_chosen = questions[0].is_chosen
    # Of continuations it holds the logits of every token.
    model = HFLM(pretrained=str(folder), device="cpu", dtype="float32", batch_size=8 if is_chosen else 32)
    requests = [instance for question in questions for instance in question.instances]
    ask = model.loglikelihood if is_chosen else model.generate_until
    told = iter(ask(requests, disable_tqdm=True))
    return [[[next(told)] for _ in question.instances] for question in questions]


async def compared(
    name: str, questions: Sequence[Question], ours: Replies, theirs: Replies, engine: float, harness: float
) -> list[Row]:
    by_metric: dict[str, list[tuple[float, float]]] = {}
    pairs = list(zip(questions, ours, theirs, strict=True))
    sandbox = Sandbox() if BENCHMARKS[name].in_sandbox else None
    for question, *both in pairs:
        found = [await scored(question, Given(one, str(one[0][0]), 0, False, []), sandbox) for one in both]
        for (first, _), (second, _) in zip(*found, strict=True):
            by_metric.setdefault(first.metric, []).append((first.value, second.value))
    flat = [
        (a, b)
        for _, one, other in pairs
        for of_a, of_b in zip(one, other, strict=True)
        for a, b in zip(of_a, of_b, strict=True)
    ]
    apart = [abs(a[0] - b[0]) for a, b in flat if not isinstance(a, str) and not isinstance(b, str)]
    return [
        Row(
            name,
            metric,
            n=len(values),
            engine=sum(a for a, _ in values) / len(values),
            harness=sum(b for _, b in values) / len(values),
            differing=sum(a != b for a, b in values),
            texts=None if apart else sum(a != b for a, b in flat),
            farthest=max(apart, default=None),
            engine_seconds=engine,
            harness_seconds=harness,
        )
        for metric, values in by_metric.items()
    ]


if __name__ == "__main__":
    main()
