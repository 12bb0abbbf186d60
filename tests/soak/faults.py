"""Every writing call, made to fail in turn: with an error, half-way, for good, or by the process's end."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from duel import io, loop
from duel import run as runs
from duel.errors import DuelError
from duel.run import Run
from soak import runs as tiny
from soak.report import Report, first, progress

CRASHED = 13  # the status of a process that ended in the middle of a call
_CALLS = ("open", "fsync", "replace", "rename", "mkdir", "unlink", "rmdir", "write", "ftruncate")
ACTS = ("ENOSPC", "EIO", "short", "dead", "crash", "short-crash")


class Faults:
    """Counts the calls that reach the disk; the one with number `at` (from 0) meets `act`.

    ENOSPC, EIO  an error in place of the call
    short        half of the bytes are written, then ENOSPC; of calls that write nothing: ENOSPC
    dead         EIO from that call on, clean-up included
    crash        the process ends in place of the call
    short-crash  half of the bytes are written, then the process ends
    """

    def __init__(self, at: int | None = None, act: str = "") -> None:
        self.at, self.act = at, act
        self.calls: list[str] = []

    def call(self, name: str, real: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        number = len(self.calls)
        self.calls.append(name)
        due = number == self.at or (self.act == "dead" and self.at is not None and number > self.at)
        if due:
            self._meet(name, real, arguments)
        return real(*arguments, **named)

    def _meet(self, name: str, real: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        if self.act.startswith("short") and name == "write":
            data = arguments[-1]
            real(*arguments[:-1], data[: len(data) // 2])
        if self.act.endswith("crash"):
            os._exit(CRASHED)
        if name == "close":
            real()
        code = errno.EIO if self.act in ("EIO", "dead") else errno.ENOSPC
        raise OSError(code, os.strerror(code))


class _File:
    """A file whose writes, flushes and closing are counted; unbuffered, so that each write arrives."""

    def __init__(self, faults: Faults, file: Any) -> None:
        self._faults, self._file = faults, file

    def __enter__(self) -> _File:
        return self

    def __exit__(self, *_: object) -> None:
        self._faults.call("close", self._file.close)

    def write(self, data: bytes) -> int:
        written: int = self._faults.call("write", self._file.write, data)
        return written

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


@contextmanager
def injected(at: int | None = None, act: str = "") -> Iterator[Faults]:
    """While it lasts, the calls of `duel.io` and of `os` go through a `Faults`; nothing is really synced."""
    faults = Faults(at, act)
    originals = {name: getattr(os, name) for name in _CALLS}
    really = {**originals, "fsync": lambda descriptor: None}

    def counted(name: str) -> Callable[..., Any]:
        return lambda *arguments, **named: faults.call(name, really[name], *arguments, **named)

    def opened(path: Any, mode: str = "r", **options: Any) -> Any:
        if not set(mode) & set("wa+x"):
            return open(path, mode, **options)
        return _File(faults, faults.call("open", open, path, mode, buffering=0, **options))

    for name in _CALLS:
        setattr(os, name, counted(name))
    io.open = opened  # type: ignore[attr-defined]
    try:
        yield faults
    finally:
        for name, original in originals.items():
            setattr(os, name, original)
        del io.open  # type: ignore[attr-defined]


def crashing(work: Callable[[], object], at: int, act: str) -> bool:
    """Do the work in a child whose call `at` ends it; whether it did."""
    child = os.fork()
    if not child:
        status = 1
        try:
            with injected(at, act):
                work()
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == CRASHED


def failing(work: Callable[[], object], at: int, act: str) -> BaseException | None:
    """Do the work with the fault; the error that came out."""
    try:
        with injected(at, act):
            work()
    except Exception as error:
        return error
    return None


def attempt(work: Callable[[], object], at: int, act: str) -> str:
    """The fault's trace: "crashed", "error", "unharmed", or what should not have come out."""
    if act.endswith("crash"):
        return "crashed" if crashing(work, at, act) else "did not crash"
    error = failing(work, at, act)
    if error is None:
        return "unharmed"
    return "error" if isinstance(error, OSError | DuelError) else f"came out: {error!r}"


class Scene:
    """A run at step 10 with checkpoints 5 and 10, and in memory what its checkpoint 15 will hold."""

    def __init__(self, folder: Path) -> None:
        self.base, self.folder = folder / "base", folder
        tiny.train(self.base, 10)
        it = Run(self.base)
        self.recipe, self.data = it.recipe, it.recipe.data.load()
        self.now = loop.resume(self.recipe, self.data, it)
        engine = loop.engine_of(self.recipe)
        while self.now.step < 15:
            engine.play_step(self.recipe, self.now)
            self.now.step += 1
        self.old = tiny.content(self.base)
        done = self.copy("done")
        self.save(done)
        self.new = tiny.content(done)
        tiny.train(folder / "whole", 20)
        self.end = tiny.content(folder / "whole")

    def copy(self, name: str) -> Path:
        """A fresh copy of the run."""
        place = self.folder / name
        shutil.rmtree(place, ignore_errors=True)
        return shutil.copytree(self.base, place)

    def save(self, path: Path) -> None:
        """The write under test: checkpoint 15 and all that belongs to it."""
        it = Run(path)
        it.record(loop.save(self.recipe, self.now, it))

    def calls(self) -> list[str]:
        """The calls of one such write, in order."""
        path = self.copy("counted")
        with injected() as faults:
            self.save(path)
        return faults.calls

    def what_is_wrong(self, at: int, act: str, take_up: bool) -> str | None:
        """Write with the fault and look; None where the old or the new state is there."""
        path = self.copy("hurt")
        trace = attempt(lambda: self.save(path), at, act)
        if trace not in ("crashed", "error", "unharmed"):
            return trace
        found = tiny.content(path)
        if found not in (self.old, self.new):
            return "another state was loaded"
        if tiny.content(path, Run(path).state["last"]) not in (self.old, self.new):
            return "the checkpoint that run.json names is another state"
        if take_up:
            events = tiny.train(path, 20)
            if tiny.content(path) != self.end:
                return "taken up, it ended elsewhere"
            if events[0]["step"] != (10 if found == self.old else 15):
                return f"it was taken up from step {events[0]['step']}"
            if left := sorted(entry.name for entry in path.rglob(".*.part")):
                return f"taken up, it kept the fragments {left}"
        return None


class Beginning:
    """A run folder that is about to be made."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        tiny.train(folder / "first", 2)
        it = Run(folder / "first")
        self.recipe, self.data = it.recipe, it.recipe.data.load()
        self.end = tiny.content(folder / "first")

    def make(self, path: Path) -> None:
        """The write under test."""
        runs.create(path, self.recipe, self.data, 2, "duel train")[1].release()

    def calls(self) -> list[str]:
        path = self.folder / "counted"
        shutil.rmtree(path, ignore_errors=True)
        with injected() as faults:
            self.make(path)
        return faults.calls

    def what_is_wrong(self, at: int, act: str) -> str | None:
        """Make it with the fault, then give the same command again."""
        path = self.folder / "hurt"
        shutil.rmtree(path, ignore_errors=True)
        trace = attempt(lambda: self.make(path), at, act)
        if trace not in ("crashed", "error", "unharmed"):
            return trace
        try:
            tiny.train(path, 2)
        except DuelError as error:
            return f"the same command was refused: {error}"
        if left := sorted(entry.name for entry in path.rglob(".*.part")):
            return f"it kept the fragments {left}"
        return None if tiny.content(path) == self.end else "it ended elsewhere"


def main(report: Report, folder: Path, takes: int) -> None:
    """Every act at every call; every `takes`-th one is also trained to the end."""
    tiny.without_curves()
    scene = Scene(folder)
    calls = scene.calls()
    report.say(f"a checkpoint makes {len(calls)} calls; {len(ACTS)} acts at each: {', '.join(ACTS)}")
    wrong: list[str] = []
    tried = 0
    for act in ACTS:
        progress(act)
        for at, call in enumerate(calls):
            tried += 1
            fault = scene.what_is_wrong(at, act, take_up=tried % takes == 0)
            wrong += [f"{act} at call {at} ({call}): {fault}"] if fault else []
    report.check(not wrong, f"{tried} faults in a checkpoint's write leave the old or the new", first(wrong))
    beginning = Beginning(folder)
    calls, wrong, tried = beginning.calls(), [], 0
    for act in ACTS:
        for at, call in enumerate(calls):
            tried += 1
            if tried % takes == 0:
                fault = beginning.what_is_wrong(at, act)
                wrong += [f"{act} at call {at} ({call}): {fault}"] if fault else []
    said = f"{tried // takes} faults in the making of a run folder: the same command begins or goes on"
    report.check(not wrong, said, first(wrong))
