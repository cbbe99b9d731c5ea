"""`make bench-programs`: how long HumanEval's programs take to be judged in their sandboxes, and whether rightly.

Four programs a task: its canonical solution twice, one that returns None, and one that raises; of every 20th task the
last one never ends, and costs all the work that it may. Seconds are told for 164 tasks, whatever the file holds.

    seconds         of all programs, judged at once
    cpu_seconds     of this process and all that it started and that ended by itself
    start_ms        of one sandbox that does nothing, the interpreter included; bare_ms: the interpreter alone

The tasks are those of openai/human-eval (data/HumanEval.jsonl.gz). Aim: 60 s on two cores.
"""

import argparse
import asyncio
import ctypes
import gzip
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from infra.sandbox import Sandbox
from tasks.check.programs import Judgement, Program, ProgramVerdict, judge
from tasks.running.workplace import code_version
from tests.bench.report import deviation

TASKS, AIM = 164, 60.0
STARTS = 50
PR_SET_CHILD_SUBREAPER = 36


def tasks_of(file: Path) -> list[dict[str, str]]:
    """Rows with the fields of openai/human-eval; `meta` may hold some, and prompt and solution may be called question
    and answer."""
    with gzip.open(file, "rt") as lines:
        rows = [json.loads(line) for line in lines]
    renamed = ({"prompt": row.get("question"), "canonical_solution": row.get("answer")} | row for row in rows)
    return [row | row.get("meta", {}) for row in renamed]


def programs_of(tasks: list[dict[str, str]]) -> list[tuple[str, Program]]:
    """Four a task, each with its kind."""
    found = []
    for number, task in enumerate(tasks):
        last = ("endless", "    while True: pass\n") if number % 20 == 0 else ("raises", "    raise ValueError\n")
        solution = ("right", task["canonical_solution"])
        for kind, completion in (solution, solution, ("returns None", "    return None\n"), last):
            test = f"{task['test']}\ncheck({task['entry_point']})\n"
            found.append((kind, Program(task["prompt"], completion, test, task["entry_point"])))
    return found


async def all_judged(programs: list[tuple[str, Program]]) -> list[Judgement]:
    sandbox = Sandbox()
    return await asyncio.gather(*(judge(program, sandbox) for _, program in programs))


def turn(programs: list[tuple[str, Program]]) -> dict[str, Any]:
    began, cpu = time.perf_counter(), cpu_seconds()
    judgements = asyncio.run(all_judged(programs))
    seconds, cpu = time.perf_counter() - began, cpu_seconds() - cpu
    verdicts = Counter((kind, str(found.verdict)) for (kind, _), found in zip(programs, judgements, strict=True))
    return {
        "seconds": seconds,
        "cpu_seconds": cpu,
        "verdicts": {f"{kind}: {verdict}": count for (kind, verdict), count in sorted(verdicts.items())},
        "rightly": all(
            (found.verdict == ProgramVerdict.PASSED) == (kind == "right")
            for (kind, _), found in zip(programs, judgements, strict=True)
        ),
    }


def cpu_seconds() -> float:
    """Of orphans, too, once they are waited for: bubblewrap leaves the namespace's first process to others."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def starts() -> dict[str, float]:
    """Medians, in ms."""

    async def one_after_another() -> list[float]:
        sandbox, found = Sandbox(), []
        for _ in range(STARTS):
            began = time.perf_counter()
            await sandbox.run("")
            found.append(1000 * (time.perf_counter() - began))
        return found

    bare = []
    for _ in range(STARTS):
        began = time.perf_counter()
        subprocess.run([os.path.realpath(sys.executable), "-s", "-S", "-P", "-c", ""], check=True)
        bare.append(1000 * (time.perf_counter() - began))
    return {"start_ms": statistics.median(asyncio.run(one_after_another())), "bare_ms": statistics.median(bare)}


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="make bench-programs", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", type=Path, help="HumanEval.jsonl.gz of openai/human-eval")
    parser.add_argument("--repeats", type=int, default=3, help="default: %(default)s")
    parser.add_argument("--output", type=Path, default=Path("build/bench/programs.json"), help="default: %(default)s")
    given = parser.parse_args()
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
    tasks = tasks_of(given.file)
    programs = programs_of(tasks)
    started = starts()
    turns = [turn(programs) for _ in range(given.repeats)]
    scaled = [TASKS / len(tasks) * one["seconds"] for one in turns]
    report = {
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "code": code_version(),
        "machine": {
            "cores": len(os.sched_getaffinity(0)),
            "platform": platform.platform(),
            "cpu": psutil.cpu_percent(interval=1.0),
        },
        "tasks": len(tasks),
        "programs": len(programs),
        "seconds": {"mean": statistics.fmean(scaled), "spread": deviation(scaled), "for_tasks": TASKS},
        "aim": AIM,
        **started,
        "turns": turns,
    }
    given.output.parent.mkdir(parents=True, exist_ok=True)
    given.output.write_text(json.dumps(report, indent=1) + "\n")
    print(json.dumps(report, indent=1))
    print(f"written to {given.output}")


if __name__ == "__main__":
    main()
