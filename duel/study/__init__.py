"""Studies: recipes × seeds at equal budgets, played in parallel, taken up where they stopped."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from duel.study.campaign import Campaign


def study(
    file: str | Path,
    out: str | Path | None = None,
    *,
    size: str | None = None,
    workers: int | None = None,
    cluster: str | None = None,
    allow_code: bool | Collection[str] = False,
) -> Campaign:
    """The study of a TOML file, checked and ready: iterate over it to play it.

    out         its folder, runs/study-NAME by default; a study there is taken up
    size        one of the file's sizes; as written by default
    workers     runs at a time on this machine; one for each core by default
    cluster     address of a Dask scheduler whose workers play the runs in place of this machine
    allow_code  whether variants from outside ("module:Class") may be imported, or which

    Raises RecipeError, DataError or RunError, with nothing written.
    """
    from duel.study.campaign import Campaign
    from duel.study.file import read

    found = read(file, size)
    place = Path("runs") / f"study-{found.name}" if out is None else Path(out)
    return Campaign(found, place, workers=worker_count(workers), cluster=cluster, allow_code=allow_code)


def worker_count(asked: int | None) -> int:
    """How many runs at a time: as many as asked for, or as there are cores. InputError below 1."""
    import os

    from duel.errors import InputError

    if asked is not None and asked < 1:
        raise InputError(f"--workers is {asked}, allowed are integers from 1")
    return asked or len(os.sched_getaffinity(0))
