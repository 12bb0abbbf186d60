"""The tidy table of a study: one row for each run, checkpoint and metric; as CSV; and what is asked of it.

A row is a dict from column to text, number or None. Nothing here needs torch or the runs themselves.
"""

from __future__ import annotations

import csv
import io as streams
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from duel import io
from duel.errors import InputError, one_of

Row = dict[str, Any]
Pair = tuple[str, int]  # data set and seed: what two configurations must share to be a pair
Better = Literal["lower", "higher"]

# What is measured of whole runs (checkpoint "run"): `study.trial.of_the_run`.
OF_RUNS = (
    "collapsed", "severe", "fluctuation", "estimate-correlation", "balance", "jumps",
    "loss-goes-with-accuracy", "found-checkerboard", "found-oversmooth",
)  # fmt: skip
# What it rests on that a study's budget made a cost equal.
COST_BY = {
    "seconds": "seconds, by a step's time measured once before the runs",
    "flops": "FLOPs, counted on one step",
}

# One column for each factor stands between them.
_FIRST = ("study", "size", "configuration")
_LAST = (
    "recipe", "data", "seed", "state", "checkpoint", "step", "metric", "value", "low", "high", "better",
    "split", "samples", "features", "steps", "images", "seconds", "run",
)  # fmt: skip
_NEEDED = ("configuration", "data", "seed", "state", "checkpoint", "metric", "value")


# ---------------------------------------------------------------- reading


def is_study(path: Path) -> bool:
    """Whether the folder holds a study: one that has rows, or one that has just begun."""
    return (path / "rows").is_dir() or (path / "plan.json").is_file()


def read(study: str | Path) -> list[Row]:
    """All rows of a study's folder, in the order of its plan, then by seed; each has every column.

    A study under way gives the rows of the runs that have ended. InputError for another folder.
    """
    folder = Path(study)
    if not is_study(folder):
        raise InputError(
            f"{study} is not a study: it has neither rows nor a plan; `duel study FILE` makes one"
        )
    files = sorted((folder / "rows").glob("*.json"), key=_natural)
    rows = [row for file in files for row in _rows_of(file)]
    place = {label: number for number, label in enumerate(planned_labels(folder))}
    rows.sort(key=lambda row: place.get(row["configuration"], len(place)))  # stable: seeds stay in order
    return complete(rows)


def planned_labels(folder: Path) -> list[str]:
    """The labels of a study's configurations as its plan has them; none without a plan."""
    file = folder / "plan.json"
    planned = io.read_json(file).get("configurations", []) if file.is_file() else []
    return [str(each["label"]) for each in planned if isinstance(each, dict) and "label" in each]


def _natural(file: Path) -> list[str | int]:
    """A name as text and numbers by turns: seed-2 comes before seed-10."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", file.name)]


def _rows_of(file: Path) -> list[Row]:
    rows = io.read_json(file).get("rows")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise InputError(f"{file} holds no list of rows: it is damaged, remove it and take up the study")
    for row in rows:
        if lacking := [column for column in _NEEDED if column not in row]:
            raise InputError(f"{file} has a row without {lacking[0]}: remove it and take up the study")
    return rows


def columns(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """The columns in their order: what every table has, and between that the factors as they come."""
    known = {*_FIRST, *_LAST}
    factors = dict.fromkeys(key for row in rows for key in row if key not in known)
    return [*_FIRST, *factors, *_LAST]


def complete(rows: Sequence[Mapping[str, Any]]) -> list[Row]:
    """The rows with every column of the table, in order; None where a row had no such value."""
    names = columns(rows)
    return [{name: row.get(name) for name in names} for row in rows]


# ---------------------------------------------------------------- CSV


def to_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """The table as CSV with a header; `from_csv` gives the same rows back, each with every column.

    Empty is None (for a metric: no name). Numbers have all their digits; lists and tables are JSON.
    """
    text = streams.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = columns(rows)
    writer.writerow(names)
    for row in rows:
        writer.writerow([_cell(name, row.get(name)) for name in names])
    return text.getvalue()


def from_csv(text: str) -> list[Row]:
    """The rows of `to_csv`'s text. InputError where a line has not as many cells as the header."""
    lines = csv.reader(streams.StringIO(text, newline=""))
    names = next(lines, [])
    rows = []
    for cells in lines:
        if len(cells) != len(names):
            raise InputError(f"line {lines.line_num} has {len(cells)} cells, the header has {len(names)}")
        rows.append({name: _value(name, cell) for name, cell in zip(names, cells, strict=True)})
    return rows


def _cell(column: str, value: Any) -> str:
    if value is None or (column == "metric" and value == ""):
        return ""
    return value if isinstance(value, str) and _is_plain(value) else json.dumps(value)


def _value(column: str, cell: str) -> Any:
    if cell == "":
        return "" if column == "metric" else None
    return cell if _is_plain(cell) else json.loads(cell)


def _is_plain(text: str) -> bool:
    """Whether a text stands for itself in a cell: not empty, not what a number or JSON looks like."""
    if not text or not text.isprintable():
        return False
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return True
    return False


# ---------------------------------------------------------------- questions


def configurations(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """The labels of the configurations, in the order of the rows."""
    return list(dict.fromkeys(str(row["configuration"]) for row in rows))


def pair_of(row: Mapping[str, Any]) -> Pair:
    """The data set and the seed of a row's run."""
    return str(row["data"]), int(row["seed"])


def without_data(rows: Sequence[Mapping[str, Any]]) -> list[Row]:
    """The rows with configurations that go by one label on all data sets.

    Where the data set is a factor, "norm=batch, data=mnist" and "norm=batch, data=svhn" are one
    configuration on two data sets: only within one of those can values be compared.
    """
    if len({row["data"] for row in rows}) < 2:
        return [dict(row) for row in rows]
    return [{**row, "configuration": _undated(row)} for row in rows]


def _undated(row: Mapping[str, Any]) -> str:
    label = str(row["configuration"])
    parts = [part for part in label.split(", ") if part != f"data={row['data']}"]
    return ", ".join(parts) or "the recipe"


def runs(rows: Iterable[Mapping[str, Any]]) -> dict[str, dict[Pair, Row]]:
    """By configuration, then by data set and seed: one row of each run, for its state and its budget."""
    found: dict[str, dict[Pair, Row]] = {}
    for row in rows:
        found.setdefault(str(row["configuration"]), {}).setdefault(pair_of(row), dict(row))
    return found


def within_a_step(images: Sequence[float], steps: Sequence[float]) -> bool:
    """Whether runs drew equally many images, up to those of one step: no budget can be met more closely.

    images, steps: of each run, positive
    """
    return max(images) - min(images) <= max(all_ / count for all_, count in zip(images, steps, strict=True))


def select(rows: Iterable[Mapping[str, Any]], metric: str, checkpoint: str = "last") -> list[Row]:
    """The rows of one metric at one checkpoint, of the test split unless they are of whole runs ("run").

    A number of the validation split, which chose the checkpoint, is never among those of the test split.
    InputError where there is no such metric, or where the numbers were not measured in one way.
    """
    there = [dict(row) for row in rows if row["checkpoint"] == checkpoint]
    named = [row for row in there if row["metric"] == metric]
    chosen = [row for row in named if checkpoint == "run" or row.get("split") == "test"]
    if not chosen:
        if named:
            raise InputError(
                f"{metric} was measured on the {named[0].get('split')} split only: what is compared is the "
                "test split's"
            )
        names = list(dict.fromkeys(str(row["metric"]) for row in there if row["metric"]))
        raise InputError(
            f"there is no metric {metric!r} of the {checkpoint} checkpoint: {one_of(names, metric)}"
        )
    for data in dict.fromkeys(row["data"] for row in chosen):
        _check_one_way([row for row in chosen if row["data"] == data and row["value"] is not None], metric)
    return chosen


def _check_one_way(rows: Sequence[Row], metric: str) -> None:
    """InputError unless all values of one data set were measured alike."""
    for column in ("better", "features", "samples"):
        ways = list(dict.fromkeys(row.get(column) for row in rows))
        if len(ways) > 1:
            raise InputError(
                f"{metric} was not measured in one way: {column} is {ways[0]} for {rows[0]['configuration']} "
                f"and {ways[1]} elsewhere"
            )


def values(
    rows: Iterable[Mapping[str, Any]], metric: str, checkpoint: str = "last"
) -> dict[str, dict[Pair, float]]:
    """By configuration, then by data set and seed: the values that are finite numbers.

    InputError where one configuration has two runs with the same data and seed.
    """
    found: dict[str, dict[Pair, float]] = {}
    seen: dict[tuple[str, Pair], Any] = {}
    for row in select(rows, metric, checkpoint):
        label, pair = str(row["configuration"]), pair_of(row)
        if (label, pair) in seen:
            raise InputError(
                f"{label} ran twice with seed {pair[1]} on {pair[0]} ({seen[label, pair]} and "
                f"{row.get('run')}): leave one of them out"
            )
        seen[label, pair] = row.get("run")
        of_label = found.setdefault(label, {})
        if row["value"] is not None and math.isfinite(row["value"]):
            of_label[pair] = float(row["value"])
    return found


def better(rows: Iterable[Mapping[str, Any]], metric: str, checkpoint: str = "last") -> Better:
    """Which values of a metric are better. InputError where the rows do not say it."""
    said = next((row["better"] for row in select(rows, metric, checkpoint) if row.get("better")), None)
    if said not in ("lower", "higher"):
        raise InputError(f'better is {said!r} in the rows of {metric}, allowed are "lower" and "higher"')
    return "lower" if said == "lower" else "higher"
