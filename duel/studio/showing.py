"""Data sets as the studio shows them: `duel data inspect` and `duel data check`, with the portrait kept."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from duel import io, recipe
from duel.datasets._check import check_folder
from duel.errors import InputError, one_of
from duel.studio import form, paths


def place_of(root: Path, name: str) -> str | Path:
    """A listed data set, or a folder of images beneath root. InputError for anything else."""
    if name in form.placeless():
        return name
    try:
        return paths.images_at(root, name)
    except paths.NotHere:
        known = one_of(form.placeless(), name)
        raise paths.NotHere(f"there are no data {name[:100]!r}: {known}, or a folder") from None


def portrait_facts(root: Path, name: str) -> dict[str, Any]:
    """The numbers of `duel data inspect`, drawn and kept until the files change."""
    from duel.portrait import portrait

    place = place_of(root, name)
    facts = _kept(root, place, "json")
    if not facts.is_file():
        picture = _kept(root, place, "png")
        found = portrait(recipe.data_set(place).load(), picture)
        io.write_atomic(
            facts, json.dumps({key: value for key, value in found.items() if key != "picture"}).encode()
        )
    found_again: dict[str, Any] = json.loads(facts.read_bytes())
    return found_again


def portrait_picture(root: Path, name: str) -> bytes:
    """The picture of `duel data inspect`."""
    portrait_facts(root, name)
    return _kept(root, place_of(root, name), "png").read_bytes()


def _kept(root: Path, place: str | Path, kind: str) -> Path:
    mark = place if isinstance(place, str) else f"{place.relative_to(root)} {_state(place)}"
    digest = hashlib.sha256(mark.encode()).hexdigest()[:24]
    return paths.own_folder(root, "portraits") / f"{digest}.{kind}"


def _state(folder: Path) -> str:
    """Changes when a file of the folder does."""
    marks = []
    for where, _, names in os.walk(folder):
        for name in sorted(names):
            status = os.stat(os.path.join(where, name))
            marks.append(f"{os.path.join(where, name)} {status.st_size} {status.st_mtime_ns}")
    return hashlib.sha256("\n".join(sorted(marks)).encode()).hexdigest()


def advised(root: Path, name: str) -> dict[str, Any]:
    """What `duel advise` says of the data: the recipe to start from, its reasons, its cost here."""
    from duel.advise import advise

    return advise(place_of(root, name))


def checked(root: Path, name: str) -> dict[str, Any]:
    """What `duel data check` says of a folder. InputError for a listed data set, which has no loose files."""
    place = place_of(root, name)
    if isinstance(place, str):
        raise InputError(f"{name} is a published data set: only folders are checked file by file")
    return check_folder(str(place)).to_dict()
