"""Trainings as processes of their own: `duel train …`, a limited number at a time.

Their state is in their run folders. What the studio itself must know (which process it began, and what it
said) is in files beneath `.studio/jobs`, so that it finds them again after a restart; trainings go on.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from duel import io, recipe, run
from duel.errors import DuelError, InputError
from duel.recipe import Recipe
from duel.studio import paths

_PATIENCE = 10  # seconds
_LOG = 64 * 1024  # bytes of what a training has said that are shown


class Busy(InputError):
    """As many trainings are under way as are allowed."""


class Jobs:
    """Starts, stops and finds trainings beneath a folder."""

    def __init__(
        self, root: Path, most: int | None = None, environment: dict[str, str] | None = None
    ) -> None:
        """most: at a time; one for each core by default. environment: of the trainings."""
        self._root = root
        self.most = most or len(os.sched_getaffinity(0))
        self._environment = environment
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._lock = threading.Lock()

    # ------------------------------------------------------------ what is there

    def entries(self) -> list[dict[str, Any]]:
        """Every training that the studio has begun, the newest first, with whether it is alive."""
        found = []
        folder = self._root / paths.OWN / "jobs"
        for file in sorted(folder.glob("*.json")) if folder.is_dir() else []:
            with contextlib.suppress(DuelError, KeyError, TypeError):
                entry = io.read_json(file)
                found.append({**entry, "alive": self._is_alive(entry)})
        return sorted(found, key=lambda entry: entry["began"], reverse=True)

    def beginning(self) -> list[dict[str, Any]]:
        """Those that have no run folder: they are loading, or failed before the first step."""
        shown = []
        for entry in self.entries():
            if run.is_run(self._root / entry["name"]):
                self.note_run(entry)
            elif not entry.get("became_run"):  # else somebody has removed the run since
                said = self.said(entry["name"])
                shown.append({"name": entry["name"], "alive": entry["alive"], "said": said[-2000:]})
        return shown

    def gone(self) -> list[str]:
        """Those that were runs, and whose folder is no longer there under this name."""
        entries = (entry for entry in self.entries() if entry.get("became_run"))
        return [entry["name"] for entry in entries if not run.is_run(self._root / entry["name"])]

    def note_run(self, entry: dict[str, Any]) -> None:
        """Keep in mind that a training has become a run."""
        if not entry.get("became_run"):
            kept = {key: value for key, value in entry.items() if key not in ("alive", "format")}
            with contextlib.suppress(OSError):
                io.write_json(self._file(entry["name"], "json"), {**kept, "became_run": True})

    def alive(self) -> int:
        """How many are under way."""
        return sum(entry["alive"] for entry in self.entries())

    def said(self, name: str) -> str:
        """The end of what a training has printed."""
        file = self._file(name, "log")
        with contextlib.suppress(OSError), open(file, "rb") as opened:
            opened.seek(max(0, os.fstat(opened.fileno()).st_size - _LOG))
            return opened.read().decode("utf-8", "replace")
        return ""

    def forget(self, name: str) -> None:
        """Remove the trace of one that never became a run."""
        entry = next((each for each in self.beginning() if each["name"] == name), None)
        if entry is None or entry["alive"]:
            raise InputError(f"{name[:100]!r} is nothing that failed before its first step")
        for kind in ("json", "log", "toml"):
            self._file(name, kind).unlink(missing_ok=True)

    # ------------------------------------------------------------ begin and end

    def start(self, wanted: Recipe) -> str:
        """Begin a training of a recipe in a new folder; its name."""
        with self._lock:
            self._refuse_more()
            name = self._new_name(wanted)
            file = self._file(name, "toml")
            io.write_atomic(file, recipe.to_toml(wanted).encode())
            self._begin(name, ["train", str(file), "--out", str(self._root / name)])
        return name

    def resume(self, name: str, steps: int | None = None) -> str:
        """Take up a run, or train it longer."""
        path = paths.run_at(self._root, name).path
        self._let_end(name)
        with self._lock:
            self._refuse_more()
            if run.held(path) or any(each["name"] == name and each["alive"] for each in self.entries()):
                raise InputError(f"{name} is being trained already")
            longer = [] if steps is None else ["--steps", str(steps)]
            self._begin(name, ["train", "--resume", str(path), *longer])
        return name

    def advised(self, name: str, number: int) -> str:
        """Start again from a run's recipe with its N-th advice; the new run's name."""
        old = paths.run_at(self._root, name)
        with self._lock:
            self._refuse_more()
            new = self._new_name(old.recipe)
            self._begin(
                new,
                ["train", "--from", str(old.path), "--advice", str(number), "--out", str(self._root / new)],
            )
        return new

    def stop(self, name: str) -> None:
        """Ask a training to end after its step, with a checkpoint; only one that this studio has begun.

        Whoever else holds a run may be a notebook, or a study, that has more to lose.
        """
        for entry in self.entries():
            if entry["name"] == name and entry["alive"]:
                os.kill(entry["pid"], signal.SIGTERM)
                return
        path = self._root / name
        if run.is_run(path) and run.held(path):
            holder = (path / ".lock").read_text("utf-8", errors="replace")[:200]
            raise InputError(f"{name} was begun elsewhere, by {holder}: stop it there")
        raise InputError(f"{name[:100]!r} is not being trained")

    def _let_end(self, name: str) -> None:
        """A training has said that it ended a moment before its process is gone."""
        until = time.monotonic() + _PATIENCE
        while time.monotonic() < until:
            entry = next((each for each in self.entries() if each["name"] == name), None)
            state = run.Run(self._root / name).state["state"]
            if entry is None or not entry["alive"] or state == "running":
                return
            time.sleep(0.05)

    def _refuse_more(self) -> None:
        if self.alive() >= self.most:
            raise Busy(f"{self.most} trainings are under way, as many as are allowed here: wait, or stop one")

    def _new_name(self, wanted: Recipe) -> str:
        """The next free number, also past those that have no folder yet."""
        name = run.new_path(self._root, wanted).name
        number, _, label = name.partition("-")
        used = {entry["name"].partition("-")[0] for entry in self.entries()}
        free = next(each for each in itertools.count(int(number)) if f"{each:04d}" not in used)
        return f"{free:04d}-{label}"

    def _begin(self, name: str, arguments: Sequence[str]) -> None:
        command = [sys.executable, "-m", "duel", *arguments, "--quiet"]
        with open(self._file(name, "log"), "wb") as log:
            child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._environment,
                start_new_session=True,  # Ctrl-C at the studio is not meant for the training
            )
        self._children[name] = child
        entry = {"name": name, "pid": child.pid, "ticks": _ticks(child.pid), "began": time.time()}
        io.write_json(self._file(name, "json"), {**entry, "command": command[1:]})

    def _is_alive(self, entry: dict[str, Any]) -> bool:
        child = self._children.get(entry["name"])
        if child is not None and child.pid == entry["pid"]:
            return child.poll() is None
        # Of an earlier studio: the same process number and moment of birth, or it is another process.
        return entry["ticks"] is not None and _ticks(entry["pid"]) == entry["ticks"]

    def _file(self, name: str, kind: str) -> Path:
        folder = self._root / paths.OWN / "jobs"
        with contextlib.suppress(OSError):  # a folder that may only be read can still be looked at
            folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{name.replace('/', '~')}.{kind}"


def _ticks(pid: int) -> int | None:
    """When a process began, in the kernel's ticks; None where it has ended."""
    try:
        said = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    state, *rest = said.rpartition(")")[2].split()
    return None if state == "Z" else int(rest[18])
