"""Rows of a file of examples: TSV without quotes (GLUE's), CSV with them (RFC 4180), or a JSON object a line."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from radio.errors import InputError

FORMATS = (".tsv", ".csv", ".jsonl")

Row = dict[str, str]


def read_rows(path: Path, columns: Iterable[str], advice: str) -> list[tuple[str, Row]]:
    """Every row as (where it stands, its `columns` as text); JSON's truth values are `true` and `false`, numbers as written.

    Raises InputError, ending with `advice` where the file is missing, at the first bad line: its number, content and what is
    allowed.
    """
    if path.suffix not in FORMATS:
        raise InputError(f"{path}: a file of examples ends in {', '.join(FORMATS)}")
    if not path.is_file():
        raise InputError(f"{path} not found; {advice}")
    wanted = list(dict.fromkeys(columns))
    lines = _lines(path)
    rows = list(_json(lines, wanted) if path.suffix == ".jsonl" else _table(lines, wanted, path))
    if not rows:
        raise InputError(f"{path} holds no examples; allowed: at least one row with {', '.join(wanted)}")
    return rows


def _lines(path: Path) -> list[tuple[str, str]]:
    """(where, line) of every line."""
    # Split at line feeds only: str.splitlines would also cut at the odd Unicode separators inside a sentence.
    raw = path.read_bytes().split(b"\n")
    if not raw[-1]:
        raw.pop()
    found = []
    for number, one in enumerate(raw, start=1):
        where = f"{path}, line {number}"
        try:
            found.append((where, one.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r")))
        except UnicodeDecodeError as error:
            raise InputError(f"{where}: byte {one[error.start]:#04x} is not UTF-8; save the file as UTF-8") from error
    return found


def _table(lines: list[tuple[str, str]], wanted: list[str], path: Path) -> Iterator[tuple[str, Row]]:
    rows = _quoted(lines, path) if path.suffix == ".csv" else ((where, line.split("\t")) for where, line in lines)
    header: list[str] | None = None
    for where, fields in rows:
        if header is None:
            header = fields
            if missing := [column for column in wanted if column not in header]:
                raise InputError(
                    f"{where}: no column {missing[0]!r} in the header {header}; needed: {', '.join(wanted)}"
                )
        elif len(fields) != len(header):
            between = "," if path.suffix == ".csv" else "<TAB>"
            raise InputError(f"{where}: {len(fields)} fields in {fields}; allowed: {between.join(header)}")
        else:
            values = dict(zip(header, fields, strict=True))
            yield where, {column: values[column] for column in wanted}


def _quoted(lines: list[tuple[str, str]], path: Path) -> Iterator[tuple[str, list[str]]]:
    reader = csv.reader(io.StringIO("\n".join(line for _, line in lines), newline=""), strict=True)
    try:
        for fields in reader:
            yield f"{path}, line {reader.line_num}", fields
    except csv.Error as error:
        raise InputError(f"{path}, line {reader.line_num}: {error}; quote fields as RFC 4180 does") from error


def _json(lines: list[tuple[str, str]], wanted: list[str]) -> Iterator[tuple[str, Row]]:
    for where, line in lines:
        try:
            values = json.loads(line)
        except ValueError as error:
            raise InputError(f"{where}: {line[:80]!r} is not JSON ({error}); a line holds one object") from error
        if not isinstance(values, dict):
            raise InputError(f"{where}: {line[:80]!r} is not an object; allowed: {{{', '.join(wanted)}}}")
        if missing := [column for column in wanted if column not in values]:
            raise InputError(f"{where}: no {missing[0]!r} among {list(values)}; needed: {', '.join(wanted)}")
        yield where, {column: as_text(values[column]) for column in wanted}


def as_text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
