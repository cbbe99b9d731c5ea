"""`make mutants`: changes the code in one place at a time, and names each change that no unit test notices.

    python -m tests.mutants                        every module of [tool.mutmut] in pyproject.toml
    python -m tests.mutants tasks.search.puct …    those modules (or packages) only, and all of their changes again

A change that no test can notice, for nothing that anybody sees depends on it, stands in `equivalent.toml` with
the reason. The exit status is 1 while other survivors are left, or while that file lists one that is none.

What came out is kept in `mutants/`, so that a run that was stopped goes on, and which test reaches what, too: remove
that folder when tests reach other code.
What mutmut leaves as it is: decorated functions (properties, stages), constants, and the text of errors and logs.
"""

import argparse
import os
import subprocess
import sys
import tomllib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from mutmut.mutation.data import SourceFileMutationData
from mutmut.mutation.diff_apply import get_diff_for_mutant
from mutmut.stats import status_by_exit_code
from mutmut.utils.file_utils import walk_mutatable_files

EQUIVALENT = Path(__file__).with_name("equivalent.toml")
UNSEEN = ("survived", "no tests", "suspicious")


@dataclass(frozen=True, slots=True, order=True)
class Change:
    """One changed line of a module: what is there, and what stood there while the tests ran."""

    module: str
    line: str
    changed: str


def main() -> int:
    parser = argparse.ArgumentParser(description="Mutation tests over the unit tests.")
    parser.add_argument("modules", nargs="*", metavar="MODULE", help="tasks.search, tasks.lessons, … (default: all)")
    two_a_core = 2 * (os.cpu_count() or 1)  # some only wait
    parser.add_argument("--processes", type=int, default=two_a_core, help="changes at a time (default: two a core)")
    asked = parser.parse_args()
    patterns = [f"{module}.*" for module in asked.modules]  # these are tried again; else those that were not tried yet
    command = [sys.executable, "-m", "mutmut", "run", "--max-children", str(asked.processes), *patterns]
    environment = os.environ | {"CI": "1"}  # Hypothesis then tries the same examples every time
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # tests are compiled once, and not for every mutant
    if subprocess.run(command, env=environment).returncode:
        return 2
    return report(asked.modules)


def report(modules: list[str]) -> int:
    """Prints the survivors, less those that are known to change nothing, and what became of all."""
    statuses, survivors = outcomes(modules)
    listed = {change for change in equivalent() if not modules or _within(change.module, modules)}
    untried = statuses["not checked"]
    stale = set() if untried else listed - {change for change, _ in survivors.values()}
    left = {name: found for name, found in survivors.items() if found[0] not in listed}
    for name, (change, status) in left.items():
        print(f"{name} ({status})\n  - {change.line}\n  + {change.changed}")
    for change in sorted(stale):
        print(f"{EQUIVALENT.name} lists no survivor: {change.module}\n  - {change.line}\n  + {change.changed}")
    print(
        f"{statuses.total()} changes: {statuses['killed']} noticed, {statuses['timeout']} out of time, "
        f"{len(survivors) - len(left)} equivalent, {untried} not tried yet"
    )
    print(f"survivors that change behaviour: {len(left)}")
    return 1 if left or stale or untried else 0


def outcomes(modules: list[str]) -> tuple[Counter[str], dict[str, tuple[Change, str]]]:
    """What became of the mutants of these modules, counted, and what those changed that no test noticed, by mutant."""
    statuses = Counter[str]()
    survivors = {}
    for path in walk_mutatable_files():
        module = ".".join(path.with_suffix("").parts).removesuffix(".__init__")
        if modules and not _within(module, modules):
            continue
        data = SourceFileMutationData(path=path)
        data.load()
        for name, code in data.exit_code_by_key.items():
            status = status_by_exit_code[code]
            statuses[status] += 1
            if status in UNSEEN:
                survivors[name] = (_change(module, get_diff_for_mutant(name, path=path)), status)
    return statuses, survivors


def equivalent() -> set[Change]:
    """The changes that nobody can see."""
    listed = tomllib.loads(EQUIVALENT.read_text())["mutant"]
    return {Change(one["module"], one["line"], one["changed"]) for one in listed if one["reason"]}


def _change(module: str, diff: str) -> Change:
    """From a unified diff: its removed and its added lines, each joined into one."""
    lines = diff.splitlines()[2:]
    removed, added = ([line[1:].strip() for line in lines if line.startswith(sign)] for sign in "-+")
    return Change(module, " ".join(removed), " ".join(added))


def _within(module: str, modules: list[str]) -> bool:
    return any(module == one or module.startswith(f"{one}.") for one in modules)


if __name__ == "__main__":
    sys.exit(main())
