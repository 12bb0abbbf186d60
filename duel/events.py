"""A run's event log, read back: what is of another kind than duel writes is left out and said.

Who judges a run relies on this: events of the kinds that are judged have the fields that they need, and these
are what they should be.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from duel.errors import RunError

SEVERITIES = ("severe", "warning", "info")

_LARGEST_STEP = 2**53
_LARGEST = 1e300  # sums of such numbers are still numbers
_SHOWN = 40  # characters of a value in a message
_TABLES = ("layer_gradient", "update_ratio", "dead")
_LISTS = ("class_shares", "class_diversity")

Event = dict[str, Any]


def read(path: Path, faults: list[tuple[int, str]] | None = None) -> Iterator[Event]:
    """The events of a log, in order, without what is damaged; nothing where there is no log.

    faults: is filled with (number of the line, what is wrong with it). RunError for what cannot be read.
    """
    if not path.exists():
        return
    if not path.is_file():
        raise RunError(f"{path} is no file: the run's log was there, copy the run again from where it came")
    with open(path, encoding="utf-8", errors="replace") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            event, wrong = _parsed(line)
            if faults is not None:
                faults += [(number, each) for each in wrong]
            if event is not None:
                yield event


def note(path: Path) -> str | None:
    """What of a log is left out: how many lines, and the first; None where all is well."""
    faults: list[tuple[int, str]] = []
    for _ in read(path, faults):
        pass
    if not faults:
        return None
    number, wrong = faults[0]
    lines = len({line for line, _ in faults})
    first = f"line {number} of {path.name}: {wrong}; left out"
    return first if lines == 1 else f"{lines:,} lines of {path.name} are damaged; the first: {first}"


def _parsed(line: str) -> tuple[Event | None, list[str]]:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        value = None
    return checked(value) if isinstance(value, dict) else (None, ["it is cut off or no JSON object"])


def checked(event: Mapping[str, Any]) -> tuple[Event | None, list[str]]:
    """An event without values of the wrong kind, and what they were; None for one without use."""
    if not isinstance(event.get("event"), str):
        return None, [_wrong(event, "event")]
    if not is_number(event.get("time", 0)):
        found, wrong = checked({name: value for name, value in event.items() if name != "time"})
        return found, [_wrong(event, "time"), *wrong]
    kind = _KINDS.get(event["event"])
    if kind is None:
        return dict(event), []
    if not is_step(event.get("step")):
        return None, [_wrong(event, "step")]
    return kind(event)


def _step(event: Mapping[str, Any]) -> tuple[Event | None, list[str]]:
    """Whoever draws curves of the steps' numbers wants all of them, so one that is wrong costs the line."""
    names = [name for name in event if name != "event"]
    return _all_or_nothing(event, [name for name in names if not is_number(event[name])])


def _metric(event: Mapping[str, Any]) -> tuple[Event | None, list[str]]:
    wrong = [name for name in ("value", "low", "high") if not _is_float(event.get(name))]
    wrong += [] if isinstance(event.get("name"), str) else ["name"]
    wrong += [] if event.get("better") in ("lower", "higher") else ["better"]
    return _all_or_nothing(event, wrong)


def _finding(event: Mapping[str, Any]) -> tuple[Event | None, list[str]]:
    wrong = [] if isinstance(event.get("name"), str) else ["name"]
    wrong += [] if event.get("severity") in SEVERITIES else ["severity"]
    return _all_or_nothing(event, wrong)


def _signal(event: Mapping[str, Any]) -> tuple[Event | None, list[str]]:
    """Facts and signals lose single values: there are many, and what they say does not hang together."""
    found, wrong = dict(event), []
    for name, fits in (("values", _fits_signal), ("facts", _fits_fact)):
        if name not in event:
            continue
        if not isinstance(event[name], dict):
            return None, [_wrong(event, name)]
        found[name] = {key: value for key, value in event[name].items() if fits(key, value)}
        wrong += [_wrong(event[name], key) for key in event[name] if key not in found[name]]
    return found, wrong


_KINDS: dict[str, Callable[[Mapping[str, Any]], tuple[Event | None, list[str]]]] = {
    "step": _step,
    "signal": _signal,
    "metric": _metric,
    "finding": _finding,
}


def _all_or_nothing(event: Mapping[str, Any], wrong: Sequence[str]) -> tuple[Event | None, list[str]]:
    return (None, [_wrong(event, wrong[0])]) if wrong else (dict(event), [])


def _wrong(event: Mapping[str, Any], name: str) -> str:
    if name not in event:
        return f"{name} is missing"
    said = ascii(event[name])
    return f"{name[:_SHOWN]} is {said if len(said) <= _SHOWN else said[:_SHOWN] + '…'}"


# ---------------------------------------------------------------- what a value should be


def _fits_signal(name: str, value: Any) -> bool:
    """Whether a signal is of its kind; None stands for a number that is none."""
    if name in _TABLES:
        return isinstance(value, dict) and all(map(_is_number_or_none, value.values()))
    if name in _LISTS:
        return isinstance(value, list) and bool(value) and all(map(_is_number_or_none, value))
    return _is_number_or_none(value)


def _fits_fact(name: str, value: Any) -> bool:
    if name == "held_out":
        return isinstance(value, dict) and all(map(_is_number_or_none, value.values()))
    if name in ("class_counts", "constant_channels"):
        return isinstance(value, list) and all(map(is_step, value))
    return _is_number_or_none(value)


def _is_number_or_none(value: Any) -> bool:
    return value is None or is_number(value)


def is_number(value: Any) -> bool:
    """Whether it is a finite number that one can go on with."""
    return _is_float(value) and abs(value) <= _LARGEST


def _is_float(value: Any) -> bool:
    """Whether it is a number, infinite or NaN perhaps; no truth value, and no integer beyond all floats."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return isinstance(value, float) or abs(value) <= _LARGEST


def is_step(value: Any) -> bool:
    """Whether it is a count: of steps, of samples, of a channel."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _LARGEST_STEP


def finding_fits(value: Any) -> bool:
    """Whether it is a finding as findings.json holds them."""
    if not isinstance(value, dict):
        return False
    named = all(isinstance(value.get(name), str) for name in ("name", "severity", "explanation"))
    said = is_number(value.get("confidence"))
    parts = (value.get("evidence"), _is_evidence), (value.get("advice"), _is_advice)
    return named and said and all(isinstance(part, list) and all(map(fits, part)) for part, fits in parts)


def _is_evidence(value: Any) -> bool:
    if not isinstance(value, dict) or not isinstance(value.get("signal"), str):
        return False
    steps = value.get("steps")
    both = [value.get(name) for name in ("value", "threshold")]
    said = all(isinstance(each, str) or is_number(each) for each in both)
    return said and isinstance(steps, list) and bool(steps) and all(map(is_step, steps))


def _is_advice(value: Any) -> bool:
    if not isinstance(value, dict) or not isinstance(value.get("set"), dict):
        return False
    source = value.get("source")
    return isinstance(value.get("reason"), str) and (source is None or isinstance(source, str))
