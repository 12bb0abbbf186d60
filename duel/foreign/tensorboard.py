"""Logs that are TensorBoard's: one event file, or a folder of them, as one log.

Where a training was taken up again at an earlier step, the later entries count.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from duel.datasets._scan import shown
from duel.diagnoses._base import Series
from duel.errors import DataError
from duel.foreign.event_file import scalars
from duel.foreign.log import Log, check

_FILES = 1_000


def event_files(root: Path) -> list[tuple[str, Path]]:
    """The event files below a folder by name: (folder below the root, file). No links are followed.

    DataError where there are none, or too many.
    """
    found: list[tuple[str, Path]] = []
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        below = Path(folder).relative_to(root).as_posix()
        found += [
            ("" if below == "." else below, Path(folder) / name)
            for name in sorted(files)
            if "tfevents" in name
        ]
        if len(found) > _FILES:
            raise DataError(f"{root} holds more than {_FILES:,} event files: give one training's folder")
    if not found:
        raise DataError(
            f"{root} holds no TensorBoard event files (…tfevents…): give such a folder, or a log file"
        )
    return found


def read_events(log: Log, files: Sequence[tuple[str, Path]], notes: list[str]) -> None:
    """Fill the log with the scalars of (folder below the root, file). DataError for what is damaged."""
    for below, path in files:
        check(path)
        with path.open("rb") as file:
            for scalar in scalars(path, file):
                if scalar is None:
                    notes.append(f"the last record of {path} is cut off and was left out")
                    continue
                step, tag, value = scalar
                name = _name(below, tag)
                if log.see(name):
                    log.add(name, step, value)
    log.series = {name: _in_order(name, series, notes) for name, series in log.series.items()}


def _name(below: str, tag: str) -> str:
    """The name of a tag in a sub-folder: folder/tag.

    torch's add_scalars("loss", {"D": …}) writes the tag "loss" to a folder "loss_D", tensorboardX's to
    "loss/D": both are loss/D.
    """
    if not below:
        return tag
    if f"/{tag}/" in f"/{below}/":
        return below
    folder, _, last = below.rpartition("/")
    start = tag.replace("/", "_") + "_"
    if last.startswith(start) and len(last) > len(start):
        name = f"{tag}/{last[len(start) :]}"
        return f"{folder}/{name}" if folder else name
    return f"{below}/{tag}"


def _in_order(name: str, series: Series, notes: list[str]) -> Series:
    """A series whose steps do not go back.

    A training that was taken up again at an earlier step has written the steps since then twice: the later
    ones count. Where that would leave less than half, or all have one step, the entries are numbered.
    """
    kept: Series = []
    for step, value in series:
        while kept and kept[-1][0] > step:
            kept.pop()
        kept.append((step, value))
    if 2 * len(kept) < len(series) or (len(series) > 1 and kept[0][0] == kept[-1][0]):
        notes.append(f"{shown(name)} has no steps of its own: its entries are numbered instead")
        return list(enumerate((value for _, value in series), 1))
    if len(kept) < len(series):
        lost = len(series) - len(kept)
        notes.append(f"{lost:,} of {len(series):,} entries of {shown(name)} are replaced by later ones")
    return kept
