"""A log as duel's own step and metric events: its format is told by its content, its columns by their names.

Numbers that are none are left out and counted in the notes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from duel.datasets._scan import shown
from duel.diagnoses._base import Series
from duel.errors import DataError, InputError, one_of
from duel.foreign.event_file import HEAD, starts_record
from duel.foreign.finite import Ending, ending, finite
from duel.foreign.log import Log, check
from duel.foreign.names import LOSSES, METRICS, STEP_FIELDS, Rank, listed, meaning, step_rank
from duel.foreign.tensorboard import event_files, read_events
from duel.foreign.text import read_text

_ENTRIES = 20_000  # of a log that are looked at


def logged(
    path: Path, columns: Mapping[str, str], notes: list[str]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]], Ending | None]:
    """The step and the metric events of a log, and how it ends where that is with no number.

    Adds notes on what was taken for what. InputError for columns that are named wrong, DataError for what is
    no log of losses.
    """
    allowed = ["step", *STEP_FIELDS, *METRICS]
    for wanted in columns:
        if wanted not in allowed:
            raise InputError(f"there is no {shown(wanted)} to name a column for: {one_of(allowed, wanted)}")
    try:
        log = _read(path, columns, notes)
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error}): give a log file") from error
    chosen = _chosen(log, notes)
    if not any(known in chosen for known in (*LOSSES, *METRICS)):
        raise DataError(
            f"neither player's loss nor a metric is known in {path}, whose columns are: {listed(log.names)}; "
            "name one with --column loss_d=NAME or --column loss_g=NAME"
        )
    found = {wanted: log.series.get(name, []) for wanted, name in chosen.items()}
    kept = {wanted: finite(chosen[wanted], series, notes) for wanted, series in found.items()}
    return _step_events(kept, notes), _metric_events(kept, notes), ending(found)


def _read(path: Path, columns: Mapping[str, str], notes: list[str]) -> Log:
    """The log, with steps. DataError for what is none."""
    log = Log(path, columns)
    if path.is_dir():
        read_events(log, event_files(path), notes)
        return log
    if not path.exists():
        raise DataError(f"{path} does not exist: give a CSV, JSON-lines or TensorBoard log")
    check(path)
    with path.open("rb") as file:
        start = file.read(HEAD)
    if "tfevents" in path.name or starts_record(start):
        read_events(log, [("", path)], notes)
    else:
        read_text(log, start, notes)
    return log


def _chosen(log: Log, notes: list[str]) -> dict[str, str]:
    """The column of each meaning. DataError where one that was named is not there."""
    for wanted, name in log.columns.items():
        if name not in log.names:
            raise DataError(
                f"{log.path} has no column {shown(name)} for {wanted}; its columns are: {listed(log.names)}"
            )
    chosen = {wanted: name for wanted, name in log.columns.items() if wanted != "step"}
    ranks: dict[str, Rank] = {}
    for name in log.series:
        found = meaning(name)
        if found is None or name in log.columns.values() or found[0] in log.columns:
            continue
        wanted, rank = found
        if wanted not in chosen or rank < ranks[wanted]:
            chosen[wanted], ranks[wanted] = name, rank
    taken = [f"{wanted}: {shown(chosen[wanted])}" for wanted in (*STEP_FIELDS, *METRICS) if wanted in chosen]
    if taken:
        notes.append(f"columns taken from {log.path}: {', '.join(taken)}")
    used = {*chosen.values(), log.columns.get("step")}
    rest = [name for name in log.names if name not in used and step_rank(name) is None]
    if rest:
        notes.append(f"columns not used: {listed(rest)}")
    return chosen


def _step_events(series: Mapping[str, Series], notes: list[str]) -> list[dict[str, Any]]:
    """One event for each step; where a step stands in the log several times, for each of its entries."""
    events: dict[tuple[int, int], dict[str, Any]] = {}
    for name in STEP_FIELDS:
        before, again = None, 0
        for step, value in series.get(name, []):
            again = again + 1 if step == before else 0
            before = step
            events.setdefault((step, again), {"event": "step", "step": step})[name] = value
    ordered = [events[key] for key in sorted(events)]
    every = math.ceil(len(ordered) / _ENTRIES)
    if every > 1:
        notes.append(f"of the log's {len(ordered):,} entries one in {every} is looked at")
        ordered = ordered[(len(ordered) - 1) % every :: every]
    return ordered


def _metric_events(series: Mapping[str, Series], notes: list[str]) -> list[dict[str, Any]]:
    """One event for each value of a metric, in the order of their steps."""
    rows = [(step, name, value) for name in METRICS for step, value in series.get(name, [])]
    rows.sort(key=lambda row: row[0])
    if rows:
        notes.append("the log gives no intervals of its metrics: each value counts as exact")
    return [
        {
            "event": "metric",
            "step": step,
            "name": name,
            **dict.fromkeys(("value", "low", "high"), value),
            "better": METRICS[name],
        }
        for step, name, value in rows
    ]
