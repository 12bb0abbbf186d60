"""Logs that are text: a table with a header line, or one JSON object a line.

Steps need not be there: rows are numbered where no step column is, or where each of them goes back. Cells
that hold no number are passed over; of "0.48 / 0.10" the first is taken.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import IO, Any

from duel.datasets._scan import shown
from duel.errors import DataError
from duel.foreign.log import NAME_LENGTH, NAMES, Log
from duel.foreign.names import listed, step_rank

_BYTES = 1 << 28  # of a log
_LINE = 1 << 20  # characters
_LARGEST_STEP = 2**63 - 1


def read_text(log: Log, start: bytes, notes: list[str]) -> None:
    """Fill the log from its file, which begins with these bytes. DataError for what is none."""
    path = log.path
    size = path.stat().st_size
    if size > _BYTES:
        raise DataError(
            f"{path} is too large: {size:,} bytes, at most {_BYTES:,} of a text are read: log every tenth "
            "step"
        )
    encoding = "utf-16" if start[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    with path.open(encoding=encoding, errors="replace", newline="") as text:
        first = next((line for line in _lines(log, text) if line.strip()), "")
        text.seek(0)
        read = _json_rows if first.lstrip().startswith("{") else _table_rows
        rows = read(log, _lines(log, text))
    _give_steps(log, rows, notes)


def _lines(log: Log, text: IO[str]) -> Iterator[str]:
    """The lines of a text, none of them too long."""
    while line := text.readline(_LINE + 1):
        if len(line) > _LINE:
            raise DataError(f"{log.path} has a line of more than {_LINE:,} characters: it is no log")
        yield line


def _number(cell: str) -> float | None:
    """The number in a cell, of "[3/25]" or "0.48 / 0.10" the first; None where there is none."""
    try:
        return float(cell.strip(" \t[]").partition("/")[0].partition("±")[0].replace("_", "?"))
    except ValueError:
        return None


def _table_rows(log: Log, lines: Iterator[str]) -> int:
    """Read a table with a header line; the number of its rows."""
    header = next((text for line in lines if (text := line.strip().lstrip("#").strip())), "")
    if not header:
        raise DataError(f"{log.path} is empty: give a log with a header line")
    separator = max(",;\t|", key=header.count)
    separator = separator if separator in header else " "
    comma = separator in ";\t|"  # then a comma is a decimal one
    number = 0
    try:
        # Not strict: a table of another program may quote as it likes.
        names = _distinct(next(csv.reader([header], delimiter=separator, skipinitialspace=True)))
        wanted = [(place, name) for place, name in enumerate(names) if log.see(name)]
        if all(_number(name) is not None for name in names):
            raise DataError(
                f"the first line of {log.path} holds numbers only: give the columns names, such as "
                "step,loss_d,loss_g"
            )
        for row in csv.reader(lines, delimiter=separator, skipinitialspace=True):
            if not row:
                continue
            number += 1
            for place, name in wanted:
                cell = row[place] if place < len(row) else ""
                value = _number(cell.replace(",", ".") if comma else cell)
                if value is not None:
                    log.add(name, number, value)
    except csv.Error as error:
        raise DataError(f"{log.path} cannot be read as a table after row {number}: {error}") from error
    return number


def _distinct(names: Sequence[str]) -> list[str]:
    """Column names, cut to a length and made different."""
    found: dict[str, None] = {}
    for place, name in enumerate(names[: NAMES + 1], 1):
        short = name.strip()[:NAME_LENGTH] or f"column {place}"
        found[short if short not in found else f"{short} (column {place})"] = None
    return list(found)


def _json_rows(log: Log, lines: Iterator[str]) -> int:
    """Read one JSON object a line; the number of lines. A last line that is cut off is left out."""
    number, broken = 0, 0
    for place, line in enumerate(lines, 1):
        if not line.strip():
            continue
        if broken:
            raise DataError(f"line {broken} of {log.path} is no JSON object: write one in each line")
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        if not isinstance(row, dict):
            broken = place
            continue
        number += 1
        for name, value in _flat(row):
            if log.see(name):
                log.add(name, number, value)
    if broken and not number:
        raise DataError(f"{log.path} holds no JSON object in its first line: write one in each line")
    return number


def _flat(row: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """The numbers of an object, and of those in it as group/name."""
    for name, value in row.items():
        inner = value.items() if isinstance(value, dict) else [("", value)]
        for key, each in inner:
            found = _json_number(each)
            if found is not None:
                yield (f"{name}/{key}" if key else name)[:NAME_LENGTH], found


def _json_number(value: Any) -> float | None:
    """The number that a JSON value is, or that a text holds; None where there is none."""
    if isinstance(value, str):
        return _number(value[:NAME_LENGTH])
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _give_steps(log: Log, rows: int, notes: list[str]) -> None:
    """Replace the numbers of rows by steps, where a column says them and never goes back."""
    back = []
    for name in _step_columns(log):
        known = {row: int(value) for row, value in log.series[name] if abs(value) < _LARGEST_STEP}
        if any(after < before for before, after in pairwise(known.values())):
            back.append(name)
            continue
        last, of_row = 0, [0]
        for row in range(1, rows + 1):
            last = known.get(row, last)
            of_row.append(last)
        log.series = {
            each: [(of_row[row], value) for row, value in series]
            for each, series in log.series.items()
            if each != name
        }
        notes.append(f"steps are those of the column {shown(name)}")
        return
    why = f"the column {listed(back)} goes back" if back else "no column of steps is known"
    notes.append(f"{why}: the rows of {log.path} are numbered instead")


def _step_columns(log: Log) -> list[str]:
    """The columns that may hold steps: the one that was named, else those with a usual name, best first."""
    named = log.columns.get("step")
    if named is not None and named in log.series:
        return [named]
    ranked = [(rank, name) for name in log.series if (rank := step_rank(name)) is not None]
    return [name for _, name in sorted(ranked, key=lambda pair: pair[0])]
