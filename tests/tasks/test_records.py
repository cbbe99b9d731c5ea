"""The tables of a round as frames: what stages write, typed once."""

import subprocess
import sys

import pytest

from tasks.records import frame, structs

ROW = {"stage": "trees", "name": "nodes.parquet", "uri": "s3://cpl/x", "size": 3, "sha256": "0", "rows": None}


def test_a_row_is_typed_by_its_table() -> None:
    rows = frame("artifacts", [ROW, ROW | {"rows": 7}])
    assert rows["rows"].to_list() == [None, 7]
    assert rows.to_dicts()[0] == ROW
    assert frame("artifacts", []).schema == rows.schema


def test_a_row_that_no_table_takes_is_refused() -> None:
    with pytest.raises(ValueError, match=r"a row of artifacts has the wrong columns: \['sice', 'size'\]"):
        structs("artifacts", [{"sice" if name == "size" else name: value for name, value in ROW.items()}])
    with pytest.raises((TypeError, ValueError)):
        structs("artifacts", [ROW | {"size": "three"}])


def test_who_imports_the_factory_can_fork() -> None:
    """Threads end where a process forks: had polars computed anything on import, its fork would wait for ever."""
    script = (
        "import importlib, multiprocessing, pkgutil\n"
        "for package in ('tasks', 'flows', 'infra'):\n"
        "    for found in pkgutil.walk_packages([package], package + '.'):\n"
        "        if not found.name.endswith('__main__'):\n"
        "            importlib.import_module(found.name)\n"
        "import polars\n"
        "def sort():\n"
        "    polars.DataFrame({'a': [2, 1]}).sort('a')\n"
        "fork = multiprocessing.get_context('fork').Process(target=sort, daemon=True)\n"
        "fork.start()\n"
        "fork.join(20)\n"
        "print(fork.exitcode)"
    )
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert said.splitlines()[-1] == "0"
