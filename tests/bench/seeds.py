"""`make bench-seeds`: the micro round again with other questions, samples and shuffles, so that one run's luck shows.

Every seed is a campaign of its own on the local stack. The test questions are the same for all; what is learnt from is
drawn anew, and so are all samples. Figures are means over seeds with their standard deviation behind ±, the settings
those of the recipe: nothing is chosen here.
"""

import argparse
import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import mean
from typing import Any

from flows.parameters import BY_MODEL, chosen
from tests.bench.report import deviation

CPL = Path(sys.executable).parent / "cpl"
RECIPE = chosen(BY_MODEL, "micro").plain()
SHUFFLED = ["questions"] + [
    f"{part}.{name}"
    for part, named in (("evidence", RECIPE.evidence), ("lessons", RECIPE.lessons), ("arms", RECIPE.arms))
    for name, settings in named.items()
    if "seed" in type(settings).model_fields
]
"""What of the recipe is drawn by a seed; the benchmarks' questions stay."""


def round(seed: int) -> dict[str, Any]:
    """The summary of the round of this seed; found if it is published already."""
    campaign = f"seed-{seed}"
    seeds = [word for part in SHUFFLED for word in ("--set", f"{part}.seed={seed}")]
    subprocess.run([CPL, "round", "--campaign", campaign, "--round", "1", "--repeat", str(seed), *seeds], check=True)
    shown = subprocess.run(
        [CPL, "show", "1", "--campaign", campaign, "--json"], check=True, capture_output=True, text=True
    )
    summary: dict[str, Any] = json.loads(shown.stdout)
    return summary


def shuffled() -> list[str]:
    """The fields of the micro recipe that choose questions, paths and the order of rows."""
    recipe = chosen(BY_MODEL, "micro").read()
    parts = [f"{group}.{name}" for group in ("evidence", "lessons", "arms") for name in getattr(recipe, group)]
    of_parts = {part: getattr(recipe, part.split(".")[0])[part.split(".")[1]] for part in parts}
    return ["questions.seed", *(f"{part}.seed" for part, settings in of_parts.items() if hasattr(settings, "seed"))]


def over_seeds(
    rounds: Iterable[dict[str, Any]], table: str, of: Callable[[dict[str, Any]], str | None], number: str
) -> dict[str, list[float]]:
    """The numbers of a table's rows, seed by seed, under the name that `of` gives the row (None: left out)."""
    found = defaultdict(list)
    for one in rounds:
        for row in one[table]:
            if (name := of(row)) is not None:
                found[name].append(row[number])
    return dict(found)


def figures(rounds: list[dict[str, Any]]) -> dict[str, dict[str, list[float]]]:
    return {
        "accuracy": over_seeds(rounds, "evaluations", lambda row: f"{row['benchmark']} {row['model']}", "accuracy"),
        "difference, question by question": over_seeds(
            rounds, "comparisons", lambda row: f"{row['benchmark']} {row['model']} - {row['other']}", "difference"
        ),
        "AUC of V between siblings": over_seeds(
            rounds,
            "value_rankings",
            lambda row: f"{row['model']} {row['kind']} steps" if row["sibling_pairs"] else None,
            "sibling_auc",
        ),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="make bench-seeds", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3], help="default: 1 2 3")
    parser.add_argument("--output", type=Path, default=Path("build/bench/seeds.json"), help="default: %(default)s")
    given = parser.parse_args()
    found = figures([round(seed) for seed in given.seeds])
    given.output.parent.mkdir(parents=True, exist_ok=True)
    given.output.write_text(json.dumps({"seeds": given.seeds, **found}, indent=1) + "\n")
    print(f"\nSeeds {', '.join(map(str, given.seeds))}: mean ± standard deviation")
    for title, rows in found.items():
        print(f"\n{title}")
        for name, values in rows.items():
            spread = "" if (of := deviation(values)) is None else f" ± {of:.3f}"
            print(f"  {name:44}{mean(values):+.3f}{spread}   {', '.join(f'{value:.3f}' for value in values)}")


if __name__ == "__main__":
    main()
