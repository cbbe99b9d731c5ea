"""Files of questions as people have them: every container, broken ones named by their line, bombs refused."""

import csv
import datetime
import gzip
import io
import json
import tracemalloc
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.questions import QuestionError, load_questions

DEEP = "[" * 600 + "]" * 600
ROW = '{"question": "a?", "answer": 1}\n'


def load(path: Path, columns: Mapping[str, str] | None = None) -> pl.DataFrame:
    return load_questions(str(path), count=10, seed=1, columns=columns).frame


def written(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def parquet(path: Path, **columns: Any) -> Path:
    pq.write_table(pa.table(columns), path, compression="zstd")
    return path


# --- containers

TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=30).map(str.strip)
NUMBER = st.one_of(
    st.integers(-(10**18), 10**18), st.floats(allow_nan=False, allow_infinity=False, min_value=-1e18, max_value=1e18)
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(
    texts=st.lists(TEXT.filter(lambda text: text.lower() != "nan"), min_size=1, max_size=4),
    answer=NUMBER,
    level=st.integers(0, 2**31 - 1),
)
def test_what_is_written_to_any_container_is_read_from_it(
    tmp_path: Path, texts: list[str], answer: float, level: int
) -> None:
    rows = [{"question": f"{n}. {text} x", "answer": answer, "level": level} for n, text in enumerate(texts)]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    table = io.StringIO(newline="")
    writer = csv.DictWriter(table, ["question", "answer", "level"])
    writer.writeheader()
    writer.writerows(rows)
    pl.DataFrame(rows, strict=False).write_parquet(tmp_path / "q.parquet")
    first, *others = [
        load(path)
        for path in (
            written(tmp_path, "q.jsonl", lines),
            written(tmp_path, "q.jsonl.gz", gzip.compress(lines.replace("\n", "\r\n").encode("utf-8-sig"), mtime=0)),
            written(tmp_path, "q.json", json.dumps(rows, ensure_ascii=False, indent=1)),
            written(tmp_path, "q.csv", table.getvalue()),
            tmp_path / "q.parquet",
        )
    ]
    assert first.height == len(rows)
    assert all(other.equals(first) for other in others)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("name", ["q.csv", "q.tsv"])
def test_the_header_says_what_parts_the_fields(tmp_path: Path, name: str, separator: str) -> None:
    content = f'question{separator}"answer"\n"One, two; three\t?"{separator}3\n\na?{separator}1\n'
    rows = load(written(tmp_path, name, content))
    assert rows.select("question", "answer").rows() == [("One, two; three\t?", "3"), ("a?", "1")]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_text_is_read_in_the_encodings_that_say_what_they_are(tmp_path: Path, encoding: str) -> None:
    content = '{"question": "Wie groß ist π?", "answer": "größer als 3"}\r\n'
    assert load(written(tmp_path, "q.jsonl", content.encode(encoding)))["answer"].item() == "größer als 3"


@pytest.mark.parametrize(
    "content",
    [
        ROW + '{"question": "b?", "answer": 2}\n',
        '[{"question": "a?", "answer": 1}, {"question": "b?", "answer": 2}]',
        '{"canary": "x", "examples": [{"question": "a?", "answer": 1}, {"question": "b?", "answer": 2}]}',
    ],
)
def test_a_json_file_holds_lines_or_an_array(tmp_path: Path, content: str) -> None:
    assert load(written(tmp_path, "q.json", content))["answer"].to_list() == ["1", "2"]
    assert load(written(tmp_path, "q.json.gz", gzip.compress(content.encode(), mtime=0)))["answer"].to_list() == [
        "1",
        "2",
    ]


def test_one_object_with_a_list_is_a_row(tmp_path: Path) -> None:
    rows = load(written(tmp_path, "q.json", '{"question": "Which?", "choices": ["x", "y"], "answer": "B"}'))
    assert rows["question"].item() == "Which?\nA. x\nB. y"


def test_parquet_columns_of_every_type_are_read_as_people_write_them(tmp_path: Path) -> None:
    types: dict[str, tuple[Any, str]] = {
        "bytes": (pa.array([b"4"]), "4"),
        "float32": (pa.array([0.1], pa.float32()), "0.1"),
        "float64": (pa.array([145.0]), "145"),
        "decimal": (pa.array([Decimal("1.50")]), "1.5"),
        "int": (pa.array([2**62]), str(2**62)),
        "dictionary": (pa.array(["x"]).dictionary_encode(), "x"),
        "large": (pa.array(["x"], pa.large_string()), "x"),
        "list": (pa.array([["7"]]), "7"),
        "list of float32": (pa.array([[0.1]], pa.list_(pa.float32())), "0.1"),
    }
    for name, (answer, text) in types.items():
        path = parquet(tmp_path / f"{name}.parquet", question=pa.array([b"What is it?"]), answer=answer)
        assert load(path).select("question", "answer").row(0) == ("What is it?", text)
    rows = load(parquet(tmp_path / "q.parquet", question=["Which?"], choices=[["x", "y"]], answer=["B"], kind=[["k"]]))
    assert rows.select("question", "answer", "kinds").row(0) == ("Which?\nA. x\nB. y", "B", ["k"])


@pytest.mark.parametrize(
    ("number", "text"),
    [
        ("145.0", "145"),
        ("2.50", "2.5"),
        ("-0.0", "0"),
        ("1e5", "100000"),
        ("1E-7", "0.0000001"),
        ("12345678901234567890.5", "12345678901234567890.5"),
        ("0.1234567890123456789", "0.1234567890123456789"),
        ("9" * 900, "9" * 900),
    ],
)
def test_a_number_is_written_out(tmp_path: Path, number: str, text: str) -> None:
    assert load(written(tmp_path, "q.jsonl", f'{{"question": "a?", "answer": {number}}}'))["answer"].item() == text


# --- broken files


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("q.jsonl", "", r"q\.jsonl is empty"),
        ("q.jsonl", "\n\n", "there is no question"),
        ("q.jsonl", ROW + '{"question": ', r"q\.jsonl, line 2: this is no JSON object.* at column 14"),
        ("q.jsonl", '["a?", 1]\n', r"line 1: expected a JSON object, found list"),
        ("q.jsonl", ROW + '{"question": "b?", "answer": " "}\n',
         r"1 row has a question but no answer: .*q\.jsonl, line 2"),
        ("q.jsonl", ROW + '{"question": "b?", "answer": null}\n{"question": "c?", "answer": NaN}',
         r"2 rows have a question but no answer: .*line 2; .*line 3"),
        ("q.jsonl", '{"question": "a?", "answer": "nan"}\n', r"no answer: .*line 1"),
        ("q.jsonl", '{"question": "", "answer": "1"}\n', r"1 row has no question: .*line 1"),
        ("q.jsonl", ROW + '{"question": "b?", "answer": Infinity}', r"line 2: the answer is Infinity"),
        ("q.jsonl", ROW + '{"question": "b?", "answer": -1e9999}', r"line 2: the answer is"),
        ("q.jsonl", '{"question": "a?", "answer": 1e999999999}', r"line 1: the answer is a number of more than"),
        ("q.jsonl", '{"question": "a?", "answer": 1e-2000}', r"line 1: the answer is a number of more than"),
        ("q.jsonl", '{"question": "a?", "answer": ' + "9" * 5000 + "}", "line 1: the answer is a number of more than"),
        ("q.jsonl", '{"question": "a?", "answer": true}', "line 1: the answer is True"),
        ("q.jsonl", '{"question": "a?", "answer": ["1", "2"]}\n', "the answer is a list of several .*line 1"),
        ("q.jsonl", '{"question": "a?", "answer": []}\n', "line 1: the answer is a list"),
        ("q.jsonl", '{"question": "a?", "answer": ' + DEEP + "}", "line 1: the answer is a list"),
        ("q.jsonl", '{"question": "a?", "choices": ' + DEEP + ', "answer": 1}', "line 1: the option 1 is"),
        ("q.jsonl", '{"question": "a?", "answer": 1, "kind": ' + DEEP + "}", "line 1: the kind is a list"),
        ("q.jsonl", '{"q": "a?", "answer": "1"}\n', r"line 1: .*no column 'question'.*columns are 'q', 'answer'"),
        ("q.jsonl", ROW + '{"question": "b \\ud83d", "answer": 2}', "line 2: the question holds a broken character"),
        ("q.jsonl", ROW + '{"question": "b", "answer": "\\u0000"}', "line 2: the answer holds a broken character"),
        ("q.jsonl", '{"question": "a?", "answer": 1, "kind": "\\ud83d"}', "line 1: the kind holds a broken"),
        ("q.jsonl", '{"question": "a?", "answer": 1, "solution": {"a": 1}}', "line 1: the solution is a dict"),
        ("q.jsonl", '{"question": "a?", "answer": 1, "level": 20240501123}', "line 1: the level is 20240501123"),
        ("q.jsonl", '{"question": "a?", "answer": 1, "level": "' + "3" * 30 + '"}', "line 1: the level is '333"),
        ("q.jsonl", '{"question": "a?", "answer": 1, "level": 2147483648}', "line 1: the level is 2147483648"),
        ("q.jsonl", ROW + '{"a": ' + "[" * 100_000 + "]" * 100_000 + "}", "line 2: the JSON is nested too deep"),
        ("q.json", '{"a": ' + "[" * 100_000 + "]" * 100_000 + "}", "line 1: the JSON is nested too deep"),
        ("q.jsonl", ROW + '{"question": "b?", "answer": 1, "answer": 2}', "line 2: the JSON object has 'answer' twice"),
        ("q.json", "[1, 2]", "row 1: expected a JSON object, found int"),
        ("q.json", "[]", "there is no question"),
        ("q.json", "7", "line 1: expected a JSON object, found int"),
        ("q.jsonl", json.dumps({"question": "a" * 1_000_001, "answer": 1}), "line 1: the question has 1000001 char"),
        ("q.csv", "question,answer\n", "there is no question"),
        ("q.csv", "question,answer\na?,1\nb?\n", r"q\.csv, line 3: expected 2 fields"),
        ("q.csv", "question,answer\na?,1\nb?,2,3\n", r"q\.csv, line 3: expected 2 fields as in the header, found 3"),
        ("q.csv", 'question,answer\n"a\n?",1\n\nb?\n', r"q\.csv, line 5: expected 2 fields"),
        ("q.csv", 'question,answer\nb?,2\n"a?,1\n', r"q\.csv, line 3: "),
        ("q.csv", "question,answer,answer\na?,1,2\n", r"line 1: the header names 'answer' twice"),
        ("q.csv", "question,answer\na?,\n", r"no answer: .*line 2"),
        ("q.csv", "question,answer\na?,NaN\n", r"no answer: .*line 2"),
        ("q.csv", "question,answer\na?,<NA>\nb?,#N/A\nc?,\\N\n", r"3 rows have .* no answer: .*line 2; .*3; .*line 4"),
        ("q.csv", b"question,answer\na?,\0\n", r"q\.csv, line 2: "),
        ("q.jsonl", r'{"question": "a?", "answer": "\frac{1}{2}"}', r"line 1: the answer holds '.x0c', which"),
        ("q.jsonl", r'{"question": "a?", "answer": "\beta"}', r"line 1: the answer holds '.x08', which a backslash"),
        ("q.jsonl", r'{"question": "Is 2 \times 3 it?", "answer": 6}', r"line 1: the question holds '.t', which"),
        ("q.jsonl", r'{"question": "a?", "answer": "\text{yes}"}', r"line 1: the answer holds '.t', which"),
        ("q.jsonl", r'{"question": "Is a \neq b?", "answer": "yes"}', r"line 1: the question holds '.n', which"),
        ("q.jsonl", ROW.encode("utf-16-le"), "line 1: this is no JSON object"),
        ("q.jsonl", ROW.encode() + b'{"question": "\xff\xfe"}', "line 2: this is not UTF-8"),
        ("q.parquet", "no parquet", r"q\.parquet: this is no Parquet file"),
        ("q.parquet", "PAR1" + "x" * 90 + "PAR1", r"q\.parquet: this is no Parquet file"),
        ("q.jsonl.gz", "no gzip", r"q\.jsonl\.gz: this is no complete gzip file"),
        ("q.jsonl.gz", gzip.compress(ROW.encode() * 99, mtime=0)[:-20], r"q\.jsonl\.gz: this is no complete gzip file"),
        ("q.jsonl.gz", gzip.compress(ROW.encode(), mtime=0)[:12] + b"\xff" * 30, r"gz: this is no complete gzip file"),
        ("q.txt", "a?", r"q\.txt: unknown format; give one of \*\.jsonl"),
    ],
)  # fmt: skip
def test_a_broken_file_is_named_with_its_line(tmp_path: Path, name: str, content: str | bytes, message: str) -> None:
    with pytest.raises(QuestionError, match=message) as refused:
        load(written(tmp_path, name, content))
    assert len(str(refused.value)) < 700


def test_a_broken_parquet_file_is_named_with_its_row(tmp_path: Path) -> None:
    for name, answers, message in (
        ("nan", [1.0, float("nan")], r"no answer: .*nan\.parquet, row 2"),
        ("bytes", [b"1", b"\xff"], r"row 2: the answer is bytes that are no UTF-8"),
        ("dates", [datetime.date(2024, 5, 1)] * 2, r"row 1: the answer is a date \(datetime.date\(2024, 5, 1\)\)"),
        ("bools", [True, False], "row 1: the answer is True"),
    ):
        path = parquet(tmp_path / f"{name}.parquet", question=["a?", "b?"], answer=answers)
        with pytest.raises(QuestionError, match=message):
            load(path)
    data = bytearray(parquet(tmp_path / "q.parquet", question=["a?" * 99], answer=["1"]).read_bytes())
    data[10:40] = bytes(30)
    with pytest.raises(QuestionError, match=r"q\.parquet"):
        load(written(tmp_path, "q.parquet", bytes(data)))


def test_a_folder_and_a_file_that_may_not_be_read_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(QuestionError, match="is a folder: name a file in it"):
        load(tmp_path)

    def forbidden(_: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    path = written(tmp_path, "q.jsonl", ROW)
    monkeypatch.setattr(Path, "read_bytes", forbidden)
    with pytest.raises(QuestionError, match=r"q\.jsonl cannot be read: Permission denied"):
        load(path)


# --- bombs

MEGABYTES = 100


def bomb(folder: Path, kind: str) -> Path:
    """A small file that would become 100 MB of questions in memory."""
    line = json.dumps({"question": "a" * 1000, "answer": 1}).encode() + b"\n"
    text = "a" * 1_000_000
    if kind == "gzip":
        return written(folder, "q.jsonl.gz", gzip.compress(line * (MEGABYTES * 10**6 // len(line))))
    if kind == "one value":
        return parquet(folder / "q.parquet", question=[text * MEGABYTES], answer=["1"])
    if kind == "one text, again and again":
        return parquet(folder / "q.parquet", question=[text] * MEGABYTES, answer=["1"] * MEGABYTES)
    if kind == "in lists":
        return parquet(folder / "q.parquet", question=["a"] * 3, answer=["1"] * 3, x=[[text] * (MEGABYTES // 3)] * 3)
    if kind == "in structs":
        return parquet(folder / "q.parquet", question=["a"] * MEGABYTES, x=[{"y": text}] * MEGABYTES)
    if kind == "in maps":
        maps = pa.array([[("y", text)]] * MEGABYTES, pa.map_(pa.string(), pa.string()))
        return parquet(folder / "q.parquet", question=["a"] * MEGABYTES, x=maps)
    return parquet(folder / "q.parquet", question=pa.nulls(50_000_000, pa.int64()))


@pytest.mark.parametrize(
    "kind", ["gzip", "one value", "one text, again and again", "in lists", "in structs", "in maps", "nulls"]
)
def test_a_file_that_becomes_far_larger_in_memory_is_refused(tmp_path: Path, kind: str) -> None:
    path = bomb(tmp_path, kind)
    assert path.stat().st_size < 1_000_000
    tracemalloc.start()
    try:
        with pytest.raises(QuestionError, match=rf"{path.name}: its rows take more than \d+ MiB in memory"):
            load(path)
        assert tracemalloc.get_traced_memory()[1] < 200_000_000
    finally:
        tracemalloc.stop()


def test_text_that_is_packed_well_is_no_bomb(tmp_path: Path) -> None:
    rows = [{"question": f"{'What is the sum of ' * 20}{n} and {n + 1}?", "answer": 2 * n + 1} for n in range(500)]
    path = written(tmp_path, "q.jsonl.gz", gzip.compress("".join(map("{}\n".format, map(json.dumps, rows))).encode()))
    assert load(path).height == 500
    pl.DataFrame(rows).write_parquet(tmp_path / "q.parquet")
    assert load(tmp_path / "q.parquet").height == 500


@pytest.mark.parametrize("name", ["...jsonl", "..%2f.jsonl", "-.jsonl", "a b.jsonl", ".jsonl"])
def test_an_id_is_a_plain_path(tmp_path: Path, name: str) -> None:
    number = load(written(tmp_path, name, ROW))["question_id"].item()
    assert not {"", ".", ".."} & set(number.split("/"))
    assert len(number.split("/")) == 3
    assert not set(number) & set(" %")
