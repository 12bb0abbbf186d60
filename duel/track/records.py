"""A run's event log as records that any tracker takes: named numbers, pictures and texts at a step."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from duel import events
from duel.errors import DuelError, RunError
from duel.markdown import escaped
from duel.run import Run

_LONGEST = 1 << 22  # bytes of a line; a longer one is no event
_PICTURE = 1 << 26  # bytes of a picture
_NOT_SHOWN = ("event", "step", "time")


@dataclass(frozen=True)
class Record:
    """What one event says.

    step     generator updates
    time     seconds since 1970: the run's beginning and the seconds of training since; pauses are left out
    scalars  finite numbers: "train/loss_d", "signal/diversity", "metric/fid", "metric/fid/low"
    images   PNG files: "samples", "film"
    texts    Markdown: "recipe", "finding/mode-collapse", "warning", "end"
    """

    step: int
    time: float
    scalars: Mapping[str, float] = field(default_factory=dict)
    images: Mapping[str, bytes] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Begun:
    """The records begin here: at first, and again whenever the log has been written anew."""


class Tracker(Protocol):
    """What writes records for another program. Made with the folder to write to, where it begins anew."""

    def add(self, record: Record) -> None:
        """Write a record. OSError where that cannot be."""

    def flush(self) -> None:
        """Let others see what was written."""

    def close(self) -> None:
        """No more records come."""


def once() -> bool:
    """Do not look again."""
    return False


def records(run: Run, goes_on: Callable[[], bool] = once) -> Iterator[Record | Begun]:
    """A run's records in the order of its log, a `Begun` first; and those to come for as long as `goes_on`.

    Of a run that is taken up at an earlier step, a second `Begun` is followed by all records that now stand:
    whoever cannot forget what came before it lets go of what has a later step.
    """
    begun, past, now = _begun(run), 0.0, 0.0
    for event in _logged(run.events_file, goes_on):
        if event is None:
            past = now = 0.0
            yield Begun()
            continue
        if event["event"] == "start":
            past = now  # each session counts its own seconds
        now = past + max(0.0, float(event.get("time", 0.0)))
        step: Any = event.get("step")
        if not events.is_step(step):
            continue
        record = Record(step, begun + now, _scalars(event), _images(run, event), _texts(run, event))
        if record.scalars or record.images or record.texts:
            yield record


def _begun(run: Run) -> float:
    """When the run was begun, in seconds since 1970; 0 where that is not known."""
    try:
        return datetime.fromisoformat(str(run.provenance["started"])).astimezone(UTC).timestamp()
    except (DuelError, KeyError, ValueError, OverflowError):
        return 0.0


# ---------------------------------------------------------------- the log as it grows


def _logged(log: Path, goes_on: Callable[[], bool]) -> Iterator[dict[str, Any] | None]:
    """The whole events of a log as they come; None at the start, and where the log is another file now."""
    place, file, last = 0, None, False
    yield None
    while True:
        try:
            with log.open("rb") as opened:
                status = os.fstat(opened.fileno())
                if file is not None and (file != status.st_ino or status.st_size < place):
                    place = 0
                    yield None
                file = status.st_ino
                opened.seek(place)
                while (line := opened.readline(_LONGEST)).endswith(b"\n") or len(line) == _LONGEST:
                    place += len(line)
                    if (event := _event(line)) is not None:
                        yield event
        except FileNotFoundError:
            pass  # the run was removed
        except OSError as error:
            raise RunError(f"{log} cannot be read ({error.strerror or error}): look at its rights") from error
        if last:
            return
        last = not goes_on()


def _event(line: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return events.checked(value)[0] if isinstance(value, dict) else None


# ---------------------------------------------------------------- what an event says


def _scalars(event: Mapping[str, Any]) -> dict[str, float]:
    if event["event"] == "step":
        return _numbers("train", {name: value for name, value in event.items() if name not in _NOT_SHOWN})
    if event["event"] == "signal":
        return _numbers("signal", event.get("values", {}))
    if event["event"] == "metric":
        name = f"metric/{event['name']}"
        return {**_numbers("metric", {event["name"]: event["value"]}), **_numbers(name, _bounds(event))}
    return {}


def _bounds(event: Mapping[str, Any]) -> dict[str, Any]:
    return {name: event[name] for name in ("low", "high")}


def _numbers(name: str, value: Any) -> dict[str, float]:
    """The finite numbers in nested tables and lists, each by its path."""
    if isinstance(value, Mapping):
        parts = [_numbers(f"{name}/{key}", each) for key, each in value.items()]
        return {key: each for part in parts for key, each in part.items()}
    if isinstance(value, list):
        return _numbers(name, dict(enumerate(value)))
    return {name: float(value)} if events.is_number(value) else {}


def _images(run: Run, event: Mapping[str, Any]) -> dict[str, bytes]:
    """The picture of an event, where it is still there; its place is known, whatever the log says."""
    if event["event"] == "sample":
        return _picture("samples", run.samples_folder / f"{event['step']:08d}.png")
    return _picture("film", run.path / "film.png") if event["event"] == "end" else {}


def _picture(name: str, file: Path) -> dict[str, bytes]:
    try:
        with file.open("rb") as opened:
            content = opened.read(_PICTURE)
    except OSError:
        return {}
    return {name: content} if content.startswith(b"\x89PNG\r\n\x1a\n") else {}


def _texts(run: Run, event: Mapping[str, Any]) -> dict[str, str]:
    kind = event["event"]
    if kind == "start":
        return {"recipe": _block(run)} if event["step"] == 0 else {}
    if kind == "finding":
        said = f"{event['severity']}: {event.get('explanation', '')}"
        return {f"finding/{event['name']}": escaped(said, 2000)}
    if kind == "warning":
        return {"warning": escaped(event.get("message", ""), 2000)}
    if kind == "end":
        said = ": ".join(str(event[name]) for name in ("reason", "message") if name in event)
        return {"end": escaped(said, 2000)}
    return {}


def _block(run: Run) -> str:
    """recipe.toml as a block of code."""
    try:
        text = (run.path / "recipe.toml").read_text("utf-8", errors="replace")
    except OSError:
        return ""
    return "\n".join(f"    {line}" for line in text.splitlines())
