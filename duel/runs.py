"""The runs beneath a folder: what they are, how far they got, what they weigh; removing them on request."""

from __future__ import annotations

import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from duel import io, run
from duel.errors import DuelError, RunError


@dataclass(frozen=True)
class Listed:
    """One run.

    state  "done", "interrupted", "stopped" or "nonfinite" as its end says; "failed" where an error ended it;
           "training" while a process holds it; "killed" where it has no end and nobody holds it; "unreadable"
    step   of its last checkpoint, of `steps`; None where there is none
    size   bytes in its folder
    """

    name: str
    state: str
    recipe: str
    data: str
    step: int | None
    steps: int | None
    started: str
    size: int

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)


def listed(folder: Path) -> list[Listed]:
    """Every run directly beneath a folder, by name. RunError where there is no such folder."""
    if not folder.is_dir():
        raise RunError(f"there is no folder {folder}: name one that holds runs, `runs` by default")
    return [_described(path) for path in sorted(folder.iterdir()) if run.is_run(path)]


def chosen(folder: Path, name: str) -> Path:
    """The run `name` directly beneath the folder. RunError where there is none, or where it is a link."""
    bare = name.rstrip("/")
    path = folder / bare
    if bare and bare == Path(bare).name and path.is_symlink():
        raise RunError(f"{path} is a link to {path.readlink()}: remove the link by hand, or the run there")
    if bare != Path(bare).name or not bare or not run.is_run(path):
        known = ", ".join(each.name for each in listed(folder)) or "none"
        raise RunError(f"there is no run {name!r} in {folder}: allowed: {known}")
    return path


def delete(folder: Path, name: str) -> Path:
    """Remove the run `name` beneath the folder, all of it.

    RunError for what is no run, lies elsewhere, or is being trained.
    """
    path = chosen(folder, name)
    lock = run.Lock(path)  # refuses where somebody trains there
    try:
        shutil.rmtree(path)
    finally:
        lock.release()
    return path


def _described(path: Path) -> Listed:
    size = run.weight(path)
    try:
        provenance, state = io.read_json(path / "provenance.json"), io.read_json(path / "run.json")
        return Listed(
            name=path.name,
            state=_state(path, str(state["state"])),
            recipe=run.Run(path, allow_code=False).name,
            data=str(provenance["data"]["name"]),
            step=state["last"],
            steps=state["steps"],
            started=str(provenance["started"]),
            size=size,
        )
    except (DuelError, OSError, KeyError, TypeError, ValueError):
        return Listed(path.name, "unreadable", "", "", None, None, "", size)


def _state(path: Path, written: str) -> str:
    if written != "running":
        return written
    return "training" if run.held(path) else "killed"
