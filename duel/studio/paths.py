"""What may be read: run folders, studies and folders of images beneath one folder, and nothing by a link."""

from __future__ import annotations

import os
from pathlib import Path

from duel import table
from duel.errors import InputError
from duel.run import Run, is_run

OWN = ".studio"  # what the studio itself keeps, beneath the folder that it serves
_LONGEST = 1000


class NotHere(InputError):
    """There is nothing of that name, or it may not be read: the same answer for both."""


def folder_at(root: Path, name: str) -> Path:
    """The folder `name` ("a" or "study/runs/b/seed-1") beneath root. NotHere for anything else.

    Names begin with no dot, so that there is no way up and nothing hidden; links are not followed.
    """
    parts = name.split("/")
    if not name or len(name) > _LONGEST or any(not _is_plain(part) for part in parts):
        raise NotHere(f"there is no {name[:100]!r} here")
    path = root
    for part in parts:
        path = path / part
        try:
            fine = path.is_dir() and not path.is_symlink()
        except OSError:  # a name that is too long for the file system
            fine = False
        if not fine:
            raise NotHere(f"there is no {name[:100]!r} here")
    return path


def _is_plain(part: str) -> bool:
    return bool(part) and not part.startswith(".") and "\\" not in part and "\0" not in part


def run_at(root: Path, name: str) -> Run:
    """The run of that name. NotHere where there is none, or where it has a link in it."""
    path = folder_at(root, name)
    inside = [path / "samples", path / "checkpoints"]
    if not is_run(path) or any(has_link(each) for each in (path, *inside) if each.is_dir()):
        raise NotHere(f"there is no run {name[:100]!r} here")
    return Run(path)


def study_at(root: Path, name: str) -> Path:
    """The study of that name. NotHere where there is none."""
    path = folder_at(root, name)
    if not table.is_study(path) or has_link(path):
        raise NotHere(f"there is no study {name[:100]!r} here")
    return path


def images_at(root: Path, name: str) -> Path:
    """A folder of images. NotHere where there is none, or where it has a link anywhere in it."""
    path = folder_at(root, name)
    for folder, folders, files in os.walk(path):
        if any(os.path.islink(os.path.join(folder, each)) for each in (*folders, *files)):
            raise NotHere(
                f"{name[:100]!r} has links in it, which are not followed: put the files themselves there"
            )
    return path


def has_link(folder: Path) -> bool:
    """Whether an entry of a folder is a link: a run that was copied from elsewhere may point anywhere."""
    with os.scandir(folder) as entries:
        return any(entry.is_symlink() for entry in entries)


def file_at(folder: Path, name: str) -> Path:
    """A regular file directly in a folder (which was found here) or one folder deeper. NotHere otherwise."""
    path = folder / name
    if any(part.is_symlink() for part in (path, path.parent)) or not path.is_file():
        raise NotHere(f"there is no {Path(name).name!r} here yet")
    return path


def own_folder(root: Path, *names: str) -> Path:
    """A folder of the studio's own, made where it is not there yet."""
    path = root.joinpath(OWN, *names)
    path.mkdir(parents=True, exist_ok=True)
    return path
