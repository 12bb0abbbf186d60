"""A run for other programs' eyes: its events as numbers, pictures and texts, written by a tracker.

A tracker reads the run folder, as everything after training does: it works while a run trains and afterwards,
for any engine, and training knows nothing of it. One file here for each tracker that comes along; others are
fed from `records` in a few lines, or given as `module:Class`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path

from duel.errors import InputError, RunError, one_of
from duel.run import Run
from duel.track.records import Begun, Record, Tracker, once, records

__all__ = ["NAMES", "Begun", "Record", "Tracker", "load", "mirror", "once", "records"]

_TRACKERS = {"csv": "duel.track.csv_:Csv", "tensorboard": "duel.track.tensorboard:TensorBoard"}
NAMES = tuple(_TRACKERS)

Make = Callable[[Path], Tracker]


def load(name: str) -> Make:
    """The tracker of a name, or of `module:Class` from outside, which imports that module.

    InputError for one that is not there.
    """
    if name not in _TRACKERS and ":" not in name:
        raise InputError(f"there is no tracker {name!r}: {one_of(NAMES, name)}; or give module:Class")
    module, _, attribute = _TRACKERS.get(name, name).partition(":")
    try:
        found: Make = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise InputError(f"the tracker {name!r} cannot be loaded: {error}") from error
    return found


def mirror(run: Run, make: Make, out: Path, goes_on: Callable[[], bool] = once) -> int:
    """Write all of a run's events to `out` with a tracker, and those to come for as long as `goes_on`.

    What the tracker wrote there before is replaced, so it may be killed and started again at any time:
    nothing is there twice. The same where the run is taken up and forgets what came after its checkpoint.

    goes_on  asked whenever all is written that there is; it waits, and says whether to look again

    Returns how many records there are. RunError where the run has no log; InputError for an `out` that
    cannot be written or holds others' files.
    """
    if not run.events_file.is_file():
        raise RunError(f"{run.path} has no events.jsonl: there is nothing to show of it")
    tracker, count = None, 0

    def written() -> bool:
        if tracker is not None:
            tracker.flush()
        return goes_on()

    try:
        for record in records(run, written):
            if isinstance(record, Begun):
                if tracker is not None:
                    tracker.close()
                tracker, count = make(out), 0
            elif tracker is not None:
                tracker.add(record)
                count += 1
    except OSError as error:
        raise InputError(
            f"--out {out} cannot be written ({error.strerror or error}): choose another place"
        ) from error
    finally:
        if tracker is not None:
            tracker.close()
    return count
