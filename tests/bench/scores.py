"""`make scores MODEL=smollm2`: asks a model what docs/scores.md has published figures for, and writes ours beside them.

A row of the table says what is asked: rows of one form and number of shots are one `cpl evaluate`. They match where the
published figure lies in the 95 % interval of ours.
"""

import argparse
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

DOCUMENT = Path("docs/scores.md")
COLUMNS = ("model", "benchmark", "form", "shots", "metric", "published", "its settings", "ours", "n", "match?")
ASKED = ("benchmark", "form", "shots", "metric")
Row = dict[str, str]
Key = tuple[str, ...]


def rows(document: str, columns: tuple[str, ...] = COLUMNS) -> Iterator[Row]:
    """Those of a Markdown table that has these columns first; nothing of other tables."""
    is_inside = False
    for line in document.splitlines():
        cells = _cells(line)
        if cells[: len(columns)] == list(columns):
            is_inside = True
        elif not cells:
            is_inside = False
        elif is_inside and set(cells[0]) != {"-"}:
            yield dict(zip(columns, cells, strict=False))


def commands(document: str, model: str, count: int) -> list[list[str]]:
    """Arguments of `cpl evaluate`, by which the rows of a model are asked, in their order."""
    asked: dict[tuple[str, str], dict[str, None]] = {}
    for row in rows(document):
        if row["model"] == model:
            asked.setdefault((row["form"], row["shots"]), {})[row["benchmark"]] = None
    return [
        [model, "--count", str(count)]
        + (["--shots", shots] if form == "standard" else [])
        + [word for benchmark in benchmarks for word in (f"--{form}", benchmark)]
        for (form, shots), benchmarks in asked.items()
    ]


def told(page: str) -> dict[Key, Row]:
    """What `cpl evaluate` printed, by what was asked."""
    found = rows(page, (*ASKED[:2], "metric", "shots", "n", "accuracy", "95 %"))
    return {tuple(row[name] for name in ASKED): row for row in found}


def filled(document: str, model: str, scores: Mapping[Key, Row]) -> str:
    """The document with ours, in percent, in the rows of a model that were asked."""
    lines = document.splitlines()
    for place, line in enumerate(lines):
        row = dict(zip(COLUMNS, _cells(line), strict=False))
        score = scores.get(tuple(row.get(name, "") for name in ASKED))
        if row.get("model") == model and score is not None:
            ours = 100 * float(score["accuracy"].split()[0])
            low, high = (100 * float(end) for end in score["95 %"].split(" to "))
            published = float(row["published"].split()[0])
            row |= {
                "ours": f"{ours:.1f} ({low:.1f} to {high:.1f})",
                "n": score["n"],
                "match?": "yes" if low <= published <= high else f"no, by {ours - published:+.1f}",
            }
            lines[place] = "| " + " | ".join(row.values()) + " |"
    return "\n".join(lines) + "\n"


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")] if line.startswith("|") else []


def evaluated(arguments: list[str]) -> str:
    """What `cpl evaluate` prints, which is shown while it runs; where it fails, so does this."""
    print("cpl evaluate", *arguments, flush=True)
    command = [str(Path(sys.executable).with_name("cpl")), "evaluate", *arguments]
    printed = ""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout
        for line in running.stdout:
            print(line, end="", flush=True)
            printed += line
    if running.returncode:
        sys.exit(running.returncode)
    return printed


def main() -> None:
    parser = argparse.ArgumentParser(prog="make scores", description=__doc__.partition("\n")[0])
    parser.add_argument("model", help="as docs/scores.md has it")
    parser.add_argument("--count", type=int, default=0, help="questions of each at most (default: all)")
    given = parser.parse_args()
    if not (asked := commands(DOCUMENT.read_text(), given.model, given.count)):
        parser.error(f"{DOCUMENT} has no row of {given.model}")
    for arguments in asked:
        page = evaluated(arguments)
        DOCUMENT.write_text(filled(DOCUMENT.read_text(), given.model, told(page)))


if __name__ == "__main__":
    main()
