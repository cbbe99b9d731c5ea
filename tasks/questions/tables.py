"""Rows of JSON, JSONL, CSV, TSV and Parquet files, also gzip'd, each with its place ("questions.jsonl, line 7").

A file is hostile until it is read: its size in memory is limited. Whatever is wrong is a QuestionError with file and
line.
"""

import csv
import gzip
import io
import json
import zlib
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tasks.questions.values import LONGEST_TEXT, QuestionError, Row, short

TEXTS = (".jsonl", ".json", ".csv", ".tsv")
FORMATS = (*(one for text in TEXTS for one in (text, f"{text}.gz")), ".parquet")
FREE_BYTES = 64 * 2**20
GROWTH = 50
MOST_BYTES = 2 * 2**30
"""A file may become FREE_BYTES in memory, or GROWTH times its size (text packs 3 to 20 times), at most MOST_BYTES."""


def read_file(path: Path) -> bytes:
    """The bytes of a file of questions.

    Raises:
        QuestionError: no such file, a folder, unknown format, empty, too large, or not to be read.
    """
    if path.is_dir():
        raise QuestionError(f"{path} is a folder: name a file in it")
    if not path.is_file():
        raise QuestionError(f"there is no file {path.absolute()}")
    if not path.name.lower().endswith(FORMATS):
        raise QuestionError(f"{path}: unknown format; give one of {', '.join('*' + one for one in FORMATS)}")
    size = path.stat().st_size
    if size == 0:
        raise QuestionError(f"{path} is empty")
    if size > MOST_BYTES:
        raise _too_large(path, MOST_BYTES)
    try:
        return path.read_bytes()
    except OSError as problem:
        raise QuestionError(f"{path} cannot be read: {problem.strerror}") from problem


def rows_of(path: Path, data: bytes) -> Iterator[tuple[str, Row]]:
    """Rows of a file's bytes, each with its place.

    Raises:
        QuestionError: a malformed row (named by its line), or more in memory than the file's size promises.
    """
    name = path.name.lower().removesuffix(".gz")
    read = _parquet if name.endswith(".parquet") else _csv if name.endswith((".csv", ".tsv")) else _json
    try:
        yield from read(path, data)
    except QuestionError:
        raise
    except Exception as problem:  # the libraries below raise errors of every kind for a broken file
        said = str(problem).splitlines()[:1] or [""]
        raise QuestionError(f"{path} cannot be read: {type(problem).__name__}: {said[0][:200]}") from problem


def json_row(text: str | bytes, where: str) -> Row:
    """One JSON object, its numbers as they are written.

    Raises:
        QuestionError: it is none; the message has the place.
    """
    row = _parsed(text, where)
    if not isinstance(row, dict):
        raise QuestionError(f"{where}: expected a JSON object, found {type(row).__name__}")
    return row


def _parsed(text: str | bytes, where: str) -> Any:
    try:
        return _loads(text)
    except json.JSONDecodeError as problem:
        raise QuestionError(f"{where}: this is no JSON object: {problem.msg} at column {problem.colno}") from problem
    except KeyError as problem:
        raise QuestionError(f"{where}: the JSON object has {short(problem.args[0])} twice") from problem
    except RecursionError as problem:
        raise QuestionError(f"{where}: the JSON is nested too deep") from problem


def _loads(text: str | bytes) -> Any:
    return json.loads(text, parse_float=Decimal, parse_int=_integer, object_pairs_hook=_object)


def _object(members: list[tuple[str, Any]]) -> Row:
    found = dict(members)
    if len(found) < len(members):  # of two answers JSON would take the last
        names = [name for name, _ in members]
        raise KeyError(next(name for name in names if names.count(name) > 1))
    return found


def _integer(digits: str) -> int | Decimal:
    return int(digits) if len(digits) < 1000 else Decimal(digits)  # int() refuses more than 4,300 digits


def _json(path: Path, data: bytes) -> Iterator[tuple[str, Row]]:
    """Lines of objects; in a .json file also an array, or an object that holds one (BBH)."""
    text = _text(path, data)
    if ".jsonl" not in path.name.lower() and (whole := _whole(text)) is not None:
        lists = [one for one in whole.values() if _holds_rows(one)] if isinstance(whole, dict) else [whole]
        rows = lists[0] if len(lists) == 1 else [whole]
        for number, row in enumerate(rows, 1):
            if not isinstance(row, dict):
                raise QuestionError(f"{path}, row {number}: expected a JSON object, found {type(row).__name__}")
            yield f"{path}, row {number}", row
        return
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield (where := f"{path}, line {number}"), json_row(line, where)


def _whole(text: str) -> Any:
    """The JSON array or object that the whole text is, None where it is none (lines of objects, perhaps)."""
    try:
        whole = _loads(text)
    except (ValueError, KeyError, RecursionError):
        return None
    return whole if isinstance(whole, list | dict) else None


def _holds_rows(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(one, dict) for one in value)


def _csv(path: Path, data: bytes) -> Iterator[tuple[str, Row]]:
    """Records below a header; it says whether comma, semicolon or tab part the fields."""
    text = _text(path, data)
    separator = max(",;\t", key=text.split("\n", 1)[0].count)
    csv.field_size_limit(LONGEST_TEXT)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=separator)
    header: list[str] = []
    line = 1
    try:
        for fields in reader:
            where, line = f"{path}, line {line}", reader.line_num + 1
            if not fields:
                continue
            if not header:
                header = [name.strip() for name in fields]
                if repeated := {name for name in header if header.count(name) > 1}:
                    raise QuestionError(f"{where}: the header names {short(repeated.pop())} twice")
            elif len(fields) != len(header):
                raise QuestionError(f"{where}: expected {len(header)} fields as in the header, found {len(fields)}")
            else:
                yield where, dict(zip(header, fields, strict=True))
    except csv.Error as problem:
        raise QuestionError(f"{path}, line {line}: {problem}") from problem


def _text(path: Path, data: bytes) -> str:
    """The text of a file: UTF-8, with or without a mark, or UTF-16 with one (as Excel writes it)."""
    if path.suffix.lower() == ".gz":
        limit = _limit(len(data))
        try:
            with gzip.open(io.BytesIO(data)) as file:
                data = file.read(limit + 1)
        except (OSError, EOFError, zlib.error) as problem:
            raise QuestionError(f"{path}: this is no complete gzip file ({problem})") from problem
        if len(data) > limit:
            raise _too_large(path, limit)
    is_wide = data.startswith((b"\xff\xfe", b"\xfe\xff"))
    try:
        return data.decode("utf-16" if is_wide else "utf-8-sig")
    except UnicodeDecodeError as problem:
        line = problem.object[: problem.start].count(b"\n") + 1
        raise QuestionError(f"{path}, line {line}: this is not UTF-8 text") from problem


def _parquet(path: Path, data: bytes) -> Iterator[tuple[str, Row]]:
    """Rows of a Parquet file. Its texts stay in their dictionaries until what they become in memory is known."""
    limit = _limit(len(data))
    try:
        file = pq.ParquetFile(pa.BufferReader(data))
    except (pa.ArrowException, OSError) as problem:
        raise QuestionError(f"{path}: this is no Parquet file: {str(problem).splitlines()[0][:200]}") from problem
    groups = [file.metadata.row_group(number) for number in range(file.metadata.num_row_groups)]
    chunks = [group.column(number) for group in groups for number in range(group.num_columns)]
    size = sum(chunk.total_uncompressed_size + 8 * chunk.num_values for chunk in chunks)
    if size > limit:
        raise _too_large(path, limit)
    texts = sorted({chunk.path_in_schema for chunk in chunks if chunk.physical_type == "BYTE_ARRAY"})
    file = pq.ParquetFile(pa.BufferReader(data), read_dictionary=texts)
    number = 0
    for group in range(len(groups)):
        table = file.read_row_group(group)
        size += sum(_repeated_bytes(chunk) for column in table.columns for chunk in column.chunks)
        if size > limit:
            raise _too_large(path, limit)
        for place, field in enumerate(table.schema):
            if (written := _written(field.type)) != field.type:
                table = table.set_column(place, field.name, table.column(place).cast(written))
        for batch in table.to_batches(max_chunksize=1024):
            for row in batch.to_pylist():
                number += 1
                yield f"{path}, row {number}", row


def _written(kind: pa.DataType) -> pa.DataType:
    """The type in which short floats, also those of a list, are texts: 0.1 is not 0.10000000149011612."""
    if pa.types.is_float32(kind) or pa.types.is_float16(kind):
        return pa.string()
    return pa.list_(_written(kind.value_type)) if pa.types.is_list(kind) else kind


def _repeated_bytes(array: pa.Array) -> int:
    """Bytes of the texts of an array when each is written out."""
    if pa.types.is_dictionary(array.type):
        lengths = pc.binary_length(array.dictionary)
        return int(pc.sum(lengths.take(array.indices)).as_py() or 0)
    if pa.types.is_struct(array.type):
        return sum(map(_repeated_bytes, array.flatten()))
    if pa.types.is_map(array.type):
        return _repeated_bytes(array.keys) + _repeated_bytes(array.items)
    return _repeated_bytes(array.flatten()) if pa.types.is_nested(array.type) else 0


def _limit(size: int) -> int:
    return min(max(FREE_BYTES, GROWTH * size), MOST_BYTES)


def _too_large(path: Path, limit: int) -> QuestionError:
    return QuestionError(
        f"{path}: its rows take more than {limit // 2**20} MiB in memory, which is refused: a file of this size may "
        f"not become more. Split it, or store it with less compression"
    )
