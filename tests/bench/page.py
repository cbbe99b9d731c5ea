"""`make bench-page`: the page of a large round, and how fast it is in a browser.

A round of 5,000 questions: one tree of 10,000 nodes, one of 2,000 nodes in a chain, 20 trees of 1,000 nodes, all others
of 40, their steps made of words at random. The seconds in which the page is made, its size, how many questions it has.
Of every turn in headless Chromium, offline: the seconds from the address to the open explorer, then to each large tree
drawn, to all of its nodes unfolded and the last in sight, and to a filtered list.
"""

import argparse
import json
import platform
import random
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from hashlib import md5
from pathlib import Path
from typing import Any

from infra.desk.page.document import document
from infra.warehouse import build
from tests.infra.desk.test_page import read
from tests.infra.stack.browser import Browser, browser
from tests.sql.handmade import ROUND, node, parquet, question, tree

OUTPUT = Path("build/bench/page.json")
WORDS = [f"{start}{end}" for start in ("add", "take", "share", "count", "so", "then", "the") for end in range(200)]
Row = dict[str, Any]


def sizes(questions: int) -> Iterator[tuple[str, int, int]]:
    """(question id, nodes, children a node) of each tree."""
    names = sorted((f"q{number}" for number in range(questions)), key=lambda name: md5(name.encode()).hexdigest())
    for number, name in enumerate(names):  # the large ones first in the page's own draw, so that it holds them
        yield name, *{0: (10_000, 4), 1: (2_000, 1)}.get(number, (1_000, 3) if number < 22 else (40, 3))


def grown(draw: random.Random, name: str, nodes: int, children: int) -> Iterator[Row]:
    """A tree in the order of its nodes' breadth; the last have rewards."""
    depth = [0]
    yield node(name, 0, None, 0, "root", "?", q=0.0, visits=nodes)
    for number in range(1, nodes):
        parent = (number - 1) // children
        depth.append(depth[parent] + 1)
        is_end = number * children + 1 >= nodes
        text = " ".join(draw.choices(WORDS, k=40 if is_end else 15))
        reward = draw.choice((-1.0, 1.0)) if is_end else None
        q = reward if is_end else draw.uniform(-1, 1)
        learned: Row = {"q": q, "visits": max(1, nodes // number), "value": draw.uniform(-1, 1)}
        kind = "solution" if is_end else "plan"
        yield node(name, number, parent, depth[-1], kind, text, **learned, **({"reward": reward} if is_end else {}))


def large_round(seed: int, questions: int) -> dict[str, list[Row]]:
    draw = random.Random(seed)
    rows: list[Row] = []
    trees: list[Row] = []
    nodes: list[Row] = []
    for name, size, children in sizes(questions):
        text = " ".join(draw.choices(WORDS, k=50))
        rows.append(question("q1", [draw.choice(("add", "div", "mul"))]) | {"question_id": name, "question": text})
        figures = {
            "expansions": size // 3,
            "nodes": size,
            "visits": size,
            "value": 0.0,
            "is_solved": draw.random() < 0.8,
        }
        trees.append(tree(f"trees/{name}", name, "budget", **figures))
        nodes += grown(draw, f"trees/{name}", size, children)
    none: dict[str, list[Row]] = {"preferences": [], "imitations": []}
    return ROUND | none | {"questions": rows, "trees": trees, "nodes": nodes}


DRAWN = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
OPENED = """
(async (name) => {
  const begin = performance.now()
  location.hash = "question=" + name
  while (document.getElementById("question-id").textContent !== name) await new Promise(requestAnimationFrame)
  await DRAWN
  const opened = performance.now()
  document.getElementById("unfold").click()
  document.getElementById("outline").scrollTop = 1e9
  await DRAWN
  return [opened - begin, performance.now() - opened]
})
""".replace("DRAWN", DRAWN)
FILTERED = """
(async () => {
  const begin = performance.now()
  document.getElementById("search").value = "add1"
  document.getElementById("search").dispatchEvent(new Event("input"))
  await DRAWN
  return performance.now() - begin
})()
""".replace("DRAWN", DRAWN)


def turn(window: Browser, page: Path, questions: int) -> dict[str, float]:
    started = time.perf_counter()
    window.open(page.as_uri())
    window.until("document.documentElement.dataset.explorer === 'ready'")
    told = {"explorer": time.perf_counter() - started}
    whats = ("of_10000_nodes", "of_depth_2000", "of_1000_nodes")
    for (name, _, _), what in zip(sizes(questions), whats, strict=False):
        opened, unfolded = window.run(f"({OPENED})('{name}')")
        told |= {what: opened / 1000, f"{what}_unfolded": unfolded / 1000}
    return told | {"filtered": window.run(FILTERED) / 1000}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--questions", type=int, default=5000)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="cpl-page-"))
    build(folder / "factory.duckdb", parquet(folder, large_round(asked.seed, asked.questions)))
    started = time.perf_counter()
    read_of = read(folder / "factory.duckdb")
    path = folder / "page.html"
    path.write_text(document(read_of))
    made = time.perf_counter() - started
    with browser(folder) as window:
        window.go_offline()
        turns = [turn(window, path, asked.questions) for _ in range(asked.turns)]
    report = {
        "questions": asked.questions,
        "shown": len(read_of.explorer.questions),
        "seed": asked.seed,
        "machine": platform.processor() or platform.machine(),
        "made_seconds": round(made, 2),
        "bytes": path.stat().st_size,
        "turns": turns,
        "mean": {name: round(statistics.mean(one[name] for one in turns), 3) for name in turns[0]},
    }
    shutil.rmtree(folder)
    OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    OUTPUT.write_text(json.dumps(report, indent=1))
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
