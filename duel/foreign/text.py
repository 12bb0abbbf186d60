"""Logs that are text: a table with a header line, JSON objects (one a line, or an array), or printed lines.

Printed lines are those of the PyTorch tutorial, `[0/5][50/1583] Loss_D: … Loss_G: … D(x): … D(G(z)): … / …`,
and duel's own. Steps need not be there: rows are numbered where no step column is, or where each of them
goes back or stands still. Cells that hold no number are passed over and counted; of "0.48 / 0.10" the first
is taken.
"""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import IO, Any

from duel.datasets._scan import shown
from duel.errors import DataError
from duel.foreign.log import NAME_LENGTH, NAMES, Log
from duel.foreign.names import listed, step_rank

_BYTES = 1 << 28  # of a log
_LINE = 1 << 20  # characters
_LARGEST_STEP = 2**63 - 1
_ARRAY = 1 << 26  # characters of a JSON array, which is read at once
_PEEKED = 50  # lines in which the kind of a text shows
_FEW_ROWS = 2  # with equal steps: they may be one entry in parts
_EMPTY = ("", "-", "none", "null", "n/a", "na")  # cells that hold nothing
_THOUSANDS = re.compile(r"[-+]?\d{1,3}(,\d{3})+(\.\d*)?")
_PRINTED = re.compile(r"\[(\d{1,9})/\d{1,9}\]\s*\[(\d{1,9})/(\d{1,9})\]\s.*Loss_D")
_FIELD = re.compile(r"(Loss_D|Loss_G|D\(x\)|D\(G\(z\)\)):?\s+(\S+)")


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
        rows = _reader(text)(log, text)
    if log.unread:
        cells = "1 cell is" if log.unread == 1 else f"{log.unread:,} cells are"
        first = "" if log.unread == 1 else "first "
        notes.append(f"{cells} no number and left out ({first}{log.first_unread})")
    _give_steps(log, rows, notes)


def _reader(text: IO[str]) -> Callable[[Log, IO[str]], int]:
    """What reads a text, told by its first lines; the text stays at its beginning."""
    peeked = [line for _ in range(_PEEKED) if (line := text.readline(_LINE)).strip()]
    text.seek(0)
    if any(_PRINTED.search(line) for line in peeked):
        return _printed_rows
    start = peeked[0].lstrip() if peeked else ""
    if re.match(r"\[\s*([{\]]|$)", start):
        return _array_rows
    return _json_rows if start.startswith("{") else _table_rows


def _lines(log: Log, text: IO[str]) -> Iterator[str]:
    """The lines of a text, none of them too long."""
    while line := text.readline(_LINE + 1):
        if len(line) > _LINE:
            raise DataError(f"{log.path} has a line of more than {_LINE:,} characters: it is no log")
        yield line


def _number(cell: str) -> float | None:
    """The number in a cell, of "[3/25]" or "0.48 / 0.10" the first; None where there is none.

    Commas between groups of three digits are passed over: 1,234.56.
    """
    alone = cell.strip(" \t[]").partition("/")[0].partition("±")[0].strip()
    if _THOUSANDS.fullmatch(alone):
        alone = alone.replace(",", "")
    try:
        return float(alone.replace("_", "?"))
    except ValueError:
        return None


def _with_point(cell: str) -> str:
    """A cell of a table whose decimals may follow a comma: 0,5 and 1.234,5 as 0.5 and 1234.5."""
    if _THOUSANDS.fullmatch(cell.strip()) and "." in cell:
        return cell
    if re.fullmatch(r"\s*[-+]?\d{1,3}(\.\d{3})+,\d*\s*", cell):
        cell = cell.replace(".", "")
    return cell.replace(",", ".")


def _printed_rows(log: Log, text: IO[str]) -> int:
    """Read printed lines; the number of those with losses. Their steps count from the first epoch on."""
    number = 0
    for line in _lines(log, text):
        found = _PRINTED.search(line)
        if found is None:
            continue
        number += 1
        epoch, batch, batches = (int(part) for part in found.groups())
        # Those of the tutorial have colons and count epochs from 0, duel's from 1.
        before = epoch if "Loss_D:" in line else max(0, epoch - 1)
        for name, said in [("step", str(before * batches + batch)), *_FIELD.findall(line)]:
            if not log.see(name):
                continue
            if (value := _number(said)) is None:
                log.pass_over(name, number, said)
            else:
                log.add(name, number, value)
    return number


def _table_rows(log: Log, text: IO[str]) -> int:
    """Read a table with a header line; the number of its rows."""
    lines = _lines(log, text)
    header = next((first for line in lines if (first := line.strip().lstrip("#").strip())), "")
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
                value = _number(_with_point(cell) if comma else cell)
                if value is not None:
                    log.add(name, number, value)
                elif cell.strip().lower() not in _EMPTY:
                    log.pass_over(name, number, cell)
    except csv.Error as error:
        raise DataError(f"{log.path} cannot be read as a table after row {number}: {error}") from error
    if not number and wanted:
        raise DataError(f"{log.path} has no rows below its header: is it of a training that has begun?")
    return number


def _distinct(names: Sequence[str]) -> list[str]:
    """Column names, cut to a length and made different."""
    found: dict[str, None] = {}
    for place, name in enumerate(names[: NAMES + 1], 1):
        short = name.strip()[:NAME_LENGTH] or f"column {place}"
        found[short if short not in found else f"{short} (column {place})"] = None
    return list(found)


def _array_rows(log: Log, text: IO[str]) -> int:
    """Read a JSON array of objects; the number of these."""
    try:
        rows = json.loads(text.read(_ARRAY + 1))
    except (ValueError, RecursionError) as error:
        fault = f"it is longer than {_ARRAY:,} characters" if text.read(1) else str(error)[:NAME_LENGTH]
        raise DataError(
            f"{log.path} cannot be read as a JSON array ({fault}): write one JSON object in each line"
        ) from error
    if not all(isinstance(row, dict) for row in rows):
        raise DataError(
            f"{log.path} is a JSON array of other things than objects: write one object for each entry"
        )
    if not rows:
        raise DataError(f"{log.path} has no rows: the JSON array is empty")
    for number, row in enumerate(rows, 1):
        _json_row(log, number, row)
    return len(rows)


def _json_row(log: Log, number: int, row: Mapping[str, Any]) -> None:
    """Take the numbers of one object."""
    for name, value in _flat(row):
        if not log.see(name):
            continue
        found = _json_number(value)
        if found is not None:
            log.add(name, number, found)
        elif str(value).strip().lower() not in _EMPTY:
            log.pass_over(name, number, value)


def _json_rows(log: Log, text: IO[str]) -> int:
    """Read one JSON object a line; the number of lines. A last line that is cut off is left out."""
    number, broken = 0, 0
    for place, line in enumerate(_lines(log, text), 1):
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
        _json_row(log, number, row)
    if broken and not number:
        raise DataError(f"{log.path} holds no JSON object in its first line: write one in each line")
    return number


def _flat(row: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """What an object holds that may be a number, and what those in it hold, as group/name."""
    for name, value in row.items():
        inner = value.items() if isinstance(value, dict) else [("", value)]
        for key, each in inner:
            if isinstance(each, str | int | float) and not isinstance(each, bool):
                yield (f"{name}/{key}" if key else name)[:NAME_LENGTH], each


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
    back, still = [], []
    for name in _step_columns(log):
        known = {row: int(value) for row, value in log.series[name] if abs(value) < _LARGEST_STEP}
        if len(known) > _FEW_ROWS and len(set(known.values())) == 1:
            still.append(name)
            continue
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
    if still:
        why = f"all steps are equal in the column {listed(still)}"
    notes.append(f"{why}: the rows of {log.path} are numbered instead")


def _step_columns(log: Log) -> list[str]:
    """The columns that may hold steps: the one that was named, else those with a usual name, best first."""
    named = log.columns.get("step")
    if named is not None and named in log.series:
        return [named]
    ranked = [(rank, name) for name in log.series if (rank := step_rank(name)) is not None]
    return [name for _, name in sorted(ranked, key=lambda pair: pair[0])]
