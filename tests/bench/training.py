"""`make bench-training`: preference training against TRL's own DPOTrainer, on the same pairs.

Two shapes of pairs (tests/bench/pairs.py): those of trees as the paper searches them, and those of a whole micro round.
Both train the same model on the same token ids, with the same batches in pairs, micro-batches, updates and optimiser,
from the model's folder to the last update, the reference pass included, without checkpoints.

    pairs_per_s_vs_dpo        pairs a second over those of DPOTrainer, of whose two ways to the reference the faster
                              counts: log-probs computed before the first update, or a second model (its default)
    cpu_vs_dpo                the same in CPU seconds: no aim, but what others do on the machine changes it less
    peak_memory_vs_dpo        peak resident memory over DPOTrainer's, less what either held before the model was loaded;
                              on a GPU that of its allocator
    token_ratio               tokens of all sequences over those computed
    max_relative_difference   of the log-probs, and of any parameter's gradient, from a row for each sequence (float32)
    float32_difference        the same of that row for each sequence, from float64: what float32 alone is off by

Every training is a process of its own, and the rivals take turns. Keep the machine quiet. `smollm2-1.7b` (random
weights) is for a GPU.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
from tokenizers import Tokenizer

from infra.environment import cores_for, device
from tasks.running.workplace import code_version
from tests.bench.models import BUILD, prepared
from tests.bench.pairs import Row, of_paper, of_round, write
from tests.bench.report import deviation

SHAPES = ("paper", "round")
BASELINES = {"dpo_precomputed": "precompute_ref_log_probs", "dpo": "a second model, TRL's default"}
EXACT = 1e-5


@dataclass(frozen=True, slots=True)
class Size:
    """Of the work for one model. `pairs` of either shape at most; `rate`: the learning rate."""

    pairs: dict[str, int]
    epochs: dict[str, float]
    batch_size: int
    micro_batch_size: int
    repeats: int
    rate: float
    max_length: int = 640


SIZES = {
    "micro": Size({"paper": 512, "round": 512}, {"paper": 1.0, "round": 3.0}, 32, 32, 3, 1e-4),
    "smollm2": Size({"paper": 16, "round": 16}, {"paper": 1.0, "round": 1.0}, 16, 8, 2, 1e-6),
    "smollm2-1.7b": Size({"paper": 1024, "round": 512}, {"paper": 1.0, "round": 6.0}, 32, 32, 3, 1e-6, 1024),
}
ON_A_CPU = ("micro", "smollm2")
AIMS = {
    "paper": {"pairs_per_s_vs_dpo": 4.0, "peak_memory_vs_dpo": 0.5, "max_relative_difference": EXACT},
    "round": {"pairs_per_s_vs_dpo": 1.5, "max_relative_difference": EXACT},
}
"""`pairs_per_s_vs_dpo` at least, the others at most."""


def trained(rival: str, told: dict[str, Any]) -> dict[str, Any]:
    """What a rival found, in a process of its own with as many threads as the product gives a model of this size."""
    folder = BUILD / "training" / "run"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(told))
    weights = sum(path.stat().st_size for path in Path(told["model"]).glob("*.safetensors"))
    subprocess.run(
        [sys.executable, "-m", "tests.bench.rivals", rival, str(folder / "config.json")],
        env=os.environ | {"OMP_NUM_THREADS": str(cores_for(weights))},
        stdout=subprocess.DEVNULL,
        check=True,
    )
    found: dict[str, Any] = json.loads((folder / "found.json").read_text())
    return found


def bench(name: str, shape: str, size: Size, seed: int) -> dict[str, Any]:
    """What training.json says of a model and a shape."""
    model = prepared(name, BUILD / "models")
    tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
    made = (
        of_paper(tokenizer, size.pairs[shape], seed)
        if shape == "paper"
        else of_round(tokenizer, BUILD / "training" / "home", seed)
    )
    rows = made[: size.pairs[shape]]
    lesson = BUILD / "training" / f"{name}-{shape}.parquet"
    write(rows, lesson)
    told = {
        "model": str(model),
        "lesson": str(lesson),
        "learning_rate": size.rate,
        "epochs": size.epochs[shape],
        "batch_size": size.batch_size,
        "micro_batch_size": size.micro_batch_size,
        "max_length": size.max_length,
        "seed": seed,
    }
    off = trained("difference", told)
    turns: list[dict[str, dict[str, Any]]] = []
    for turn in range(1, size.repeats + 1):
        turns.append({rival: trained(rival, told) for rival in ("ours", *BASELINES)})
        seconds = ", ".join(f"{rival} {one['seconds']:.1f} s" for rival, one in turns[-1].items())
        print(f"{name}, {shape}: turn {turn} of {size.repeats}: {seconds}", flush=True)
    return compared(turns) | {
        "token_ratio": turns[0]["ours"]["token_ratio"],
        "max_relative_difference": max(off["logprobs"], off["gradient"]),
        "float32_difference": max(off["float32"].values()),
        "difference": off,
        "aims": AIMS[shape],
        "pairs": len(rows),
        "questions": len({row["question_id"] for row in rows}),
        "mean_tokens": mean_tokens(rows),
        "seed": seed,
        "settings": asdict(size) | {"epochs": size.epochs[shape], "pairs": size.pairs[shape]},
        "turns": turns,
    }


def compared(turns: list[dict[str, dict[str, Any]]]) -> dict[str, Any]:
    """Means over the turns of ours against the baseline that was faster in them, and their spread."""
    baseline = min(BASELINES, key=lambda rival: statistics.fmean(turn[rival]["seconds"] for turn in turns))
    if any(turn["ours"]["updates"] != turn[baseline]["updates"] for turn in turns):
        raise RuntimeError("the rivals made different numbers of updates")
    over = {
        "pairs_per_s_vs_dpo": [turn[baseline]["seconds"] / turn["ours"]["seconds"] for turn in turns],
        "cpu_vs_dpo": [turn[baseline]["cpu_seconds"] / turn["ours"]["cpu_seconds"] for turn in turns],
        "peak_memory_vs_dpo": [turn["ours"]["peak_mib"] / turn[baseline]["peak_mib"] for turn in turns],
    }
    return {
        **{what: statistics.fmean(ratios) for what, ratios in over.items()},
        "spread": {what: deviation(ratios) for what, ratios in over.items()},
        "baseline": BASELINES[baseline],
        "repeats": len(turns),
    }


def mean_tokens(rows: list[Row]) -> dict[str, float]:
    return {
        part: statistics.fmean(len(row[f"{part}_ids"]) for row in rows) for part in ("prompt", "chosen", "rejected")
    }


def is_met(what: str, found: float, aim: float) -> bool:
    return found >= aim if what == "pairs_per_s_vs_dpo" else found <= aim


def table(name: str, shape: str, one: dict[str, Any]) -> str:
    """One comparison for a reader."""
    lengths = " + ".join(f"{tokens:.0f}" for tokens in list(one["mean_tokens"].values())[:2])
    lines = [
        f"{name}, {shape}: {one['pairs']} pairs of {one['questions']} questions, {lengths} tokens, batches of "
        f"{one['settings']['batch_size']}, seed {one['seed']}; {one['repeats']} turns against DPOTrainer with "
        f"{one['baseline']}"
    ]
    for what in (*one["spread"], "token_ratio", "max_relative_difference", "float32_difference"):
        spread, aim = one["spread"].get(what), one["aims"].get(what)
        text = f"{one[what]:.3g}" + ("" if spread is None else f" ± {spread:.2g}")
        told = "" if aim is None else f"   (aim {aim:g}: {'met' if is_met(what, one[what], aim) else 'missed'})"
        lines.append(f"  {what.replace('_', ' '):26}{text}{told}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="make bench-training", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", nargs="+", default=list(ON_A_CPU), choices=list(SIZES), help="default: %(default)s")
    parser.add_argument("--shapes", nargs="+", default=list(SHAPES), choices=SHAPES, help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=1, help="of pairs, round and order; default: %(default)s")
    parser.add_argument("--output", type=Path, default=BUILD / "training.json", help="default: %(default)s")
    given = parser.parse_args()

    report: dict[str, Any] = {
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "code": code_version(),
        "machine": {
            "cores": os.cpu_count(),
            "platform": platform.platform(),
            "device": device(),
            "busy_before_percent": psutil.cpu_percent(interval=1.0),
        },
    }
    tables = []
    for name in given.models:
        for shape in given.shapes:
            found = bench(name, shape, SIZES[name], given.seed)
            report.setdefault(name, {})[shape] = found
            tables.append(table(name, shape, found))
            given.output.parent.mkdir(parents=True, exist_ok=True)
            given.output.write_text(json.dumps(report, indent=1) + "\n")
    print("\n" + "\n\n".join(tables) + f"\n\nwritten to {given.output}")


if __name__ == "__main__":
    main()
