"""`cpl sql`'s process: what a query may do, and that it ends."""

import os
import signal
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import duckdb
import psutil
import pyarrow as pa
import pytest

from infra.desk.query import Limits, QueryFailed, QueryRefused, answered, answers, asked, one_statement
from infra.warehouse import Answer


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("query") / "factory.duckdb"
    with duckdb.connect(path) as connection:
        connection.execute("create table numbers as select range as i, [1, 2] as pair from range(1000)")
    return path


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Path]:
    secret = tmp_path / "secret.txt"
    secret.write_text("for nobody")
    yield tmp_path
    assert [path.name for path in tmp_path.iterdir()] == ["secret.txt"], "a query wrote a file"
    assert secret.read_text() == "for nobody"


def answer(path: Path, sql: str, most: int | None = None, **limits: float) -> Answer:
    with asked(path, sql, most, Limits(**limits)) as batches:
        return answered(batches)


def test_an_answer_has_names_and_python_values(warehouse: Path) -> None:
    assert answer(warehouse, "select i, pair from numbers order by i", most=2) == (
        ["i", "pair"],
        [(0, [1, 2]), (1, [1, 2])],
    )
    assert answer(warehouse, "select i from numbers where false") == (["i"], [])
    assert answer(warehouse, "select sum(i) as total, 1 as a, 2 as a from numbers") == (
        ["total", "a", "a_1"],
        [(499500, 1, 2)],
    )
    assert len(answer(warehouse, "from numbers").rows) == 1000


@pytest.mark.parametrize(
    ("names", "shown"), [("a a a_1", "a a_2 a_1"), ("a_1 a a a", "a_1 a a_2 a_3"), ("a a b b", "a a_1 b b_1")]
)
def test_no_column_is_lost_under_the_name_of_another(names: str, shown: str) -> None:
    batch = pa.RecordBatch.from_arrays([pa.array([1]) for _ in names.split()], names=names.split())
    assert answered(iter([batch])).columns == shown.split()


def test_bits_and_numbers_of_any_length_are_text(warehouse: Path) -> None:
    asked_for = f"""
        select '101'::bit as bits, '{10**30}'::bignum as "a""b", ['1'::bit, null] as l, {{'BIT': 1::bignum}} as s,
        2 as a, 3 as a, 'BIT'::enum('BIT') as e from numbers limit 2; -- and no more"""
    assert answer(warehouse, asked_for) == (
        ["bits", 'a"b', "l", "s", "a", "a_1", "e"],
        [("101", str(10**30), ["1", None], {"BIT": "1"}, 2, 3, "BIT")] * 2,
    )


@pytest.mark.parametrize(
    "sql", ["", " ; ", "-- nothing", "select 1; select 2", "select 1; drop table numbers", "selec 1"]
)
def test_anything_but_one_statement_is_refused_in_words(sql: str) -> None:
    with pytest.raises(QueryRefused, match=r"statement|Parser Error"):
        one_statement(sql)


WRITES = [
    "delete from numbers",
    "create temp table mine as from numbers",
    "copy numbers to '{0}/out.csv'",
    "export database '{0}/out'",
    "attach '{0}/other.duckdb' as other",
    "set memory_limit = '100GB'",
    "set temp_directory = '{0}'",
    "pragma profiling_output = '{0}/profile'",
    "install httpfs",
    "load parquet",
    "call enable_profiling()",
    "prepare p as select 1",
    "vacuum",
]


@pytest.mark.parametrize("sql", WRITES)
def test_what_does_not_ask_is_refused(warehouse: Path, outside: Path, sql: str) -> None:
    with pytest.raises(QueryRefused, match="read-only"):
        answer(warehouse, sql.format(outside))


READS = [
    "from read_text('{0}/secret.txt')",
    "from read_csv('{0}/secret.txt')",
    "from read_blob('{0}/*')",
    "from glob('{0}/*')",
    "from '{0}/secret.txt'",
    "from read_parquet('http://127.0.0.1:9/x.parquet')",
    "from duckdb_secrets()",
    "explain analyze from read_text('{0}/secret.txt')",
]


@pytest.mark.parametrize("sql", READS)
def test_a_query_reaches_no_file_and_no_network(warehouse: Path, outside: Path, sql: str) -> None:
    with pytest.raises(QueryFailed) as refused:
        answer(warehouse, sql.format(outside))
    assert "for nobody" not in str(refused.value)


ENDLESS = "with recursive r as (select 1 as i union all select i + 1 from r) select count(*) from r"


@pytest.mark.parametrize("sql", ["select count(*) from range(1000000000000)", ENDLESS])
def test_a_query_ends_when_its_time_is_up(warehouse: Path, sql: str) -> None:
    started = time.monotonic()
    with pytest.raises(QueryFailed, match="after 2 seconds"):
        answer(warehouse, sql, seconds=2)
    assert time.monotonic() - started < 20
    assert not [child for child in psutil.Process().children() if "infra.desk.query" in child.cmdline()]


def test_a_query_that_wants_too_much_memory_is_told_so(warehouse: Path) -> None:
    with pytest.raises(QueryFailed, match="3 GiB"):
        answer(warehouse, "select repeat('x', 4000000000) as x, repeat('y', 4000000000) as y", gib=3)


def test_an_answer_of_any_length_is_read_in_little_memory(warehouse: Path) -> None:
    sql = "select range, [range, range] as pair, 'row ' || range as text from range(300000)"
    with asked(warehouse, sql) as batches:
        tracemalloc.start()
        assert sum(len(answer.rows) for answer in answers(batches)) == 300_000
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 32 << 20, "all at once would be some 120 MiB"


def test_the_time_in_which_an_answer_is_read_is_not_the_querys(warehouse: Path) -> None:
    with asked(warehouse, "from range(1000000)", limits=Limits(seconds=4)) as batches:
        rows = next(batches).num_rows
        time.sleep(5)
        assert rows + sum(batch.num_rows for batch in batches) == 1_000_000


def test_a_value_that_python_does_not_know_is_told_in_words(warehouse: Path) -> None:
    for sql in ("from test_all_types()", "select timestamp '290000-01-01' as t", "select date '-infinity' as d"):
        with pytest.raises(QueryFailed, match="cast it"):
            answer(warehouse, sql)


def test_ctrl_c_ends_a_query_that_duckdb_would_not_end(warehouse: Path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom infra.desk.query import asked\n"
        f"with asked(Path({str(warehouse)!r}), {ENDLESS!r}) as batches:\n"
        "    print('asked', flush=True)\n    list(batches)"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment
    ) as user:
        assert user.stdout is not None
        assert user.stdout.readline() == b"asked\n"
        (child,) = psutil.Process(user.pid).children()
        time.sleep(1)
        user.send_signal(signal.SIGINT)
        user.wait(timeout=10)
        child.wait(timeout=5)
