"""A disk that fills up, and one that may only be read: a small tmpfs, which root alone may mount."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from duel.run import Run
from soak import runs as tiny
from soak.report import Report

_PAGE = 4096


class NoMount(Exception):
    """Why there is no small disk here."""


@contextmanager
def small_disk(place: Path, size: int) -> Iterator[Path]:
    """A disk of so many bytes at `place` while it lasts. NoMount where that is not allowed."""
    if os.geteuid() != 0:
        raise NoMount("only root may mount a tmpfs: run it as root to try them")
    place.mkdir(parents=True, exist_ok=True)
    try:
        mounted = _mount("mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place))
    except OSError as error:
        raise NoMount(str(error)) from error
    if mounted:
        raise NoMount(mounted)
    try:
        yield place
    finally:
        _mount("umount", str(place))


def read_only(place: Path, on: bool) -> None:
    """Forbid, or allow again, to write to the disk."""
    if said := _mount("mount", "-o", f"remount,{'ro' if on else 'rw'}", str(place)):
        raise NoMount(said)


def _mount(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True)
    return (
        "" if done.returncode == 0 else done.stderr.strip().partition("\n")[0] or f"status {done.returncode}"
    )


def fill(disk: Path, leave: int) -> Path:
    """A file that takes all room but `leave` bytes."""
    filler = disk / "filler"
    with open(filler, "wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(_PAGE))
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
        file.truncate(max(0, file.tell() - leave))
    return filler


def command(*arguments: object) -> tuple[int, str]:
    """`duel …` in a process of its own: status and standard error."""
    done = subprocess.run(
        [sys.executable, "-m", "duel", *map(str, arguments)], capture_output=True, text=True, check=False
    )
    return done.returncode, done.stderr


def is_sentence(said: str) -> bool:
    """One line that begins as the command's errors do."""
    return said.startswith("duel: ") and said.count("\n") == 1


def main(report: Report, folder: Path, step: int) -> None:
    """Fill the disk up to every `step` bytes short of what a session needs. SKIP where there is none."""
    tiny.without_curves()
    try:
        with small_disk(folder / "disk", 1 << 21) as disk:
            tiny.train(folder / "whole", 20)
            _try_rooms(report, disk, step, tiny.content(folder / "whole"))
            _try_read_only(report, disk)
    except NoMount as reason:
        report.skip("a disk that fills up, and one that may only be read", str(reason))


def _try_rooms(report: Report, disk: Path, step: int, end: str) -> None:
    path = disk / "run"
    tiny.train(path, 5)
    start = tiny.content(path)
    failed, room = 0, 0
    wrong: list[str] = []
    reached = {start}
    while True:
        filler = fill(disk, room)
        status, said = command("train", "--resume", path, "--steps", 20, "--quiet")
        filler.unlink()
        reached.add(tiny.content(path))
        if status == 0:
            break
        failed += 1
        if status != 1 or not is_sentence(said) or "No space left" not in said:
            wrong.append(f"with {room} bytes: status {status}, {said!r}")
        room += step
    report.say(f"{failed} times the disk was full, with 0 to {room - step} bytes of room; then it was enough")
    report.check(failed > 0 and not wrong, "a full disk is one sentence and status 1", "; ".join(wrong))
    tiny.train(path, 20)
    said = f"after each of them a checkpoint loads ({len(reached)} states); with room the end is the same"
    report.check(tiny.content(path) == end, said)


def _try_read_only(report: Report, disk: Path) -> None:
    path = disk / "run"
    try:
        read_only(disk, True)
    except NoMount as reason:
        report.skip("a disk that may only be read", str(reason))
        return
    try:
        for name, arguments in {
            "new": ("train", "gan", "--out", disk / "new", "--steps", 1, "--quiet", *tiny.settings()),
            "old": ("train", "--resume", path, "--steps", 30, "--quiet"),
        }.items():
            status, said = command(*arguments)
            holds = status == 2 and is_sentence(said) and "cannot be written" in said
            report.check(
                holds, f"a read-only disk, {name} run: one sentence and status 2", f"{status}, {said!r}"
            )
        samples = len(Run(path).sample(3))
        report.check(samples == 3 and command("runs", disk)[0] == 0, "a run on a read-only disk can be used")
    finally:
        read_only(disk, False)
