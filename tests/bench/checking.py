r"""`make bench-checking`: answers a second, and what hostile ones cost.

Two loads of distinct pairs. `mixed`, 100,000: answers to integers of GSM8K's size, in the ways of
`tests.bench.answers`, right and wrong, most of them decided at sight. `algebra`, 10,000: formulas in two ways or
slightly off, each of which needs a worker. Then hostile answers one after another, made at random of the pieces below:
megabytes, nested braces, huge exponents, any character. None may be taken for the gold answer, none may cost more than
the limits of `tasks.check.pool`, and after each a plain formula is judged as ever.
"""

import argparse
import itertools
import json
import os
import platform
import random
import statistics
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tasks.check import Checker, Verdict
from tasks.check.pool import LAST_RESORT, PROCESSOR_TIME, TIMEOUT, Pair, _at_sight
from tests.bench.answers import written

OUTPUT = Path("build/bench/checking.json")
PLAIN = (r"\sqrt{8}", r"2\sqrt{2}")
# fmt: off
PIECES = [
    "{", "}", "(", ")", "[", "]", "\\frac{1}{", "\\sqrt{", "^{", "_{", "9", "10^", "^9", "!", "x", "+", "-", "*", "/",
    "\\begin{pmatrix}", "\\end{pmatrix}", "\\boxed{", "\\text{", "$", "\\", "&", "\\\\", "\\pm", "\\cup", "\\infty",
    "e", "i", "\x00", "\ud800", "\u202e", "٣", "½", "²", "√", "𝟓", "🍎", "\u0301", " ", "\n", "=", "<", "≤", "%", ":",
    ";", ".", ",",
]
# fmt: on
LONG = 1_000_000


def mixed(draw: random.Random) -> Iterator[Pair]:
    while True:
        gold = str(draw.choice((draw.randint(1, 200), draw.randint(1, 100_000))))
        yield from ((gold, answer) for _, answer, _ in written(gold))


def algebra(draw: random.Random) -> Iterator[Pair]:
    """Right and, with d = 1, wrong."""
    while True:
        a, b, c, d = draw.randint(2, 99), draw.randint(2, 99), draw.randint(2, 29), draw.randint(0, 1)
        yield from (
            (rf"{a}\sqrt{{{b}}}", rf"\frac{{{a * b + d}}}{{\sqrt{{{b}}}}}"),
            (rf"\frac{{{a}+\sqrt{{{b}}}}}{{{c}}}", rf"\frac{{{a}}}{{{c}}}+\frac{{\sqrt{{{b + d}}}}}{{{c}}}"),
            (rf"(x+{a})^2-{b}", rf"x^2+{2 * a}x+{a * a - b + d}"),
            (rf"\frac{{{a}\pi}}{{{b}}}", rf"{a}\cdot\frac{{\pi}}{{{b + d}}}"),
            (rf"{c}^{{{a}}}\sqrt{{{b}}}", rf"{c}\cdot {c}^{{{a - 1 + d}}}\sqrt{{{b}}}"),
        )


def hostile(draw: random.Random) -> Iterator[str]:
    while True:
        piece, other = draw.choices(PIECES, k=2)
        size, depth = draw.choice((30, 300, 3_000)), draw.randint(5, 60)
        yield "".join(draw.choices(PIECES, k=size))
        yield (piece + other) * (LONG // len(piece + other))
        yield "9" * size + other
        yield f"{piece}{{" * depth + "1" + "}" * depth
        yield "^{".join(str(draw.randint(2, 10**9)) for _ in range(depth % 7 + 2)) + "}" * (depth % 7 + 1)
        yield rf"\frac{{{draw.randint(1, 9)}}}{{10^{{{draw.randint(1, 10**12)}}}}}{piece}"
        yield "".join(chr(draw.randrange(1, 0x110000)) for _ in range(size))


def distinct(pairs: Iterator[Pair], count: int) -> list[Pair]:
    found: dict[Pair, None] = {}
    while len(found) < count:
        found[next(pairs)] = None
    return list(found)


def throughput(pairs: list[Pair]) -> dict[str, Any]:
    """Of a new checker, the start of its workers included."""
    with Checker() as checker:
        started = time.perf_counter()
        verdicts = checker.check_many(pairs)
        seconds = time.perf_counter() - started
    at_sight = sum(_at_sight(*pair, exact=False) is not None for pair in pairs)
    counts = {str(verdict): count for verdict, count in Counter(verdicts).items()}
    return {"pairs_per_second": len(pairs) / seconds, "seconds": seconds, "at_sight": at_sight, "verdicts": counts}


def cost_of_hostile(answers: list[str]) -> dict[str, Any]:
    costs, verdicts, broken = [], Counter[str](), 0
    with Checker() as checker:
        checker.check_many([PLAIN])
        for number, answer in enumerate(answers, 1):
            started = time.perf_counter()
            [verdict] = checker.check_many([("5", answer)])
            costs.append(time.perf_counter() - started)
            verdicts[verdict] += 1
            again = (f"{number}\\sqrt{{8}}", f"{2 * number}\\sqrt{{2}}")
            broken += checker.check_many([again]) != [Verdict.RIGHT]
    costs.sort()
    return {
        "answers": len(answers),
        "verdicts": dict(verdicts),
        "seconds": {"median": statistics.median(costs), "p99": costs[len(costs) * 99 // 100], "most": costs[-1]},
        "over_processor_time": sum(cost > PROCESSOR_TIME for cost in costs),
        "plain_formulas_misjudged_after_one": broken,
    }


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument("--mixed", type=int, default=100_000)
    arguments.add_argument("--algebra", type=int, default=10_000)
    arguments.add_argument("--hostile", type=int, default=2_000)
    arguments.add_argument("--turns", type=int, default=2)
    arguments.add_argument("--seed", type=int, default=1)
    given = arguments.parse_args()
    loads = {
        "mixed": distinct(mixed(random.Random(given.seed)), given.mixed),
        "algebra": distinct(algebra(random.Random(given.seed)), given.algebra),
    }
    found: dict[str, Any] = {name: [] for name in loads}
    for _ in range(given.turns):
        for name, pairs in loads.items():
            found[name].append(throughput(pairs))
            print(name, json.dumps(found[name][-1]), flush=True)
    found["hostile"] = cost_of_hostile(list(itertools.islice(hostile(random.Random(given.seed)), given.hostile)))
    print("hostile", json.dumps(found["hostile"]), flush=True)
    limits = {"processor_time": PROCESSOR_TIME, "last_resort": LAST_RESORT, "timeout": TIMEOUT}
    about = {
        "pairs": {name: len(pairs) for name, pairs in loads.items()},
        "seed": given.seed,
        "cores": os.cpu_count(),
        "machine": platform.processor(),
    }
    OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    OUTPUT.write_text(json.dumps(about | {"limits": limits} | found, indent=2))


if __name__ == "__main__":
    main()
