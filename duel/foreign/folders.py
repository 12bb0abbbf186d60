"""Which files of a folder of samples belong to which step, and which class each was drawn for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from duel.datasets._scan import shown, walk
from duel.errors import DataError
from duel.export import class_folders
from duel.foreign.names import listed

FEWEST = 20  # images of a look
_LOOKS = 100


@dataclass(frozen=True)
class Sample:
    """A file's path and the label that its folder asks for."""

    path: Path
    label: int | None


def folders(root: Path, classes: Sequence[str], now: int, notes: list[str]) -> dict[int, list[Sample]]:
    """The files of each step, in order; of a folder without steps all at the step `now`.

    Sub-folders that are all named as classes of the real data are these. DataError for what is no folder or
    empty, and for two folders of one step.
    """
    if not root.is_dir():
        fault = "is no folder" if root.exists() else "does not exist"
        raise DataError(f"{root} {fault}: give a folder of samples")
    found, _, bad = walk(root)
    names = sorted(found)
    closed = ", ".join(f"{shown(name)}: {reason}" for name, reason in sorted(bad)[:1])
    if not names:
        fault = f"cannot be read ({closed})" if bad else "holds no files"
        raise DataError(f"{root} {fault}: give a folder of samples")
    if bad:
        folders = "1 folder" if len(bad) == 1 else f"{len(bad):,} folders"
        notes.append(f"{folders} of {root} cannot be listed and left out ({closed})")
    inside = sorted({_folder(name) for name in names} - {""})
    number = {name: label for label, name in [*enumerate(class_folders(classes)), *enumerate(classes)]}
    if inside and all(_folder(name) in number for name in names):
        notes.append(f"the sub-folders of {root} are taken for classes of the data: {listed(inside)}")
        return {now: [Sample(root / name, number[_folder(name)]) for name in names]}
    steps = {folder: step for folder in inside if (step := step_of(folder)) is not None}
    if not steps:
        return {now: [Sample(root / name, None) for name in names]}
    return _by_step(root, names, steps, notes)


def _folder(name: str) -> str:
    """The first folder of a path below the root; empty for a file beside the folders."""
    return name.partition("/")[0] if "/" in name else ""


def _by_step(
    root: Path, names: Sequence[str], steps: dict[str, int], notes: list[str]
) -> dict[int, list[Sample]]:
    """The files of each step, without steps that have too few, and not too many of them."""
    found: dict[int, list[Sample]] = {}
    owner: dict[int, str] = {}
    for name in names:
        folder = _folder(name)
        if folder not in steps:
            continue
        step = steps[folder]
        if owner.setdefault(step, folder) != folder:
            raise DataError(
                f"{root} has two folders of step {step}, {shown(owner[step])} and {shown(folder)}: give "
                "each a step of its own"
            )
        found.setdefault(step, []).append(Sample(root / name, None))
    left = len(names) - sum(map(len, found.values()))
    if left:
        notes.append(f"{left:,} files of {root} lie in no step's folder and are left out")
    few = [step for step, files in found.items() if len(files) < FEWEST]
    if len(few) < len(found):
        for step in few:
            notes.append(f"step {step} has {len(found[step])} files, fewer than {FEWEST}: it is left out")
            del found[step]
    ordered = sorted(found)
    if len(ordered) > _LOOKS:
        last = len(ordered) - 1
        ordered = [ordered[round(n * last / (_LOOKS - 1))] for n in range(_LOOKS)]
        notes.append(f"of {last + 1:,} steps' folders {_LOOKS} are looked at")
    return {step: found[step] for step in ordered}


def step_of(name: str) -> int | None:
    """The step in a folder's name: the number after step, iter or epoch, else the last one."""
    named = re.findall(r"(?:step|iter|iteration|epoch|kimg)s?[ _=-]*(\d{1,18})(?!\d)", name.lower(), re.ASCII)
    numbers = named or re.findall(r"(?<!\d)\d{1,18}(?!\d)", name, re.ASCII)
    return int(numbers[-1]) if numbers else None
