"""What a folder of images holds: its files, which of them are images, and the classes they form."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from duel import io
from duel.datasets._images import decode
from duel.errors import DataError

if TYPE_CHECKING:
    from PIL import Image

Reasons = tuple[tuple[str, str], ...]
"""Names of files and why each is not used."""


@dataclass(frozen=True)
class File:
    """A file below the folder: its path there (with "/") and the SHA-256 of its content (hexadecimal)."""

    name: str
    digest: str


@dataclass(frozen=True)
class Listing:
    """The readable files of a folder by name; those that cannot be read; what is left out on purpose."""

    root: Path
    files: tuple[File, ...]
    bad: Reasons
    ignored: Reasons


@dataclass(frozen=True)
class Found:
    """A usable image: its file, and the mode and width × height that it is stored with."""

    file: File
    mode: str
    size: tuple[int, int]


def list_folder(path: str) -> Listing:
    """Every file below the folder, with its content's hash. DataError where there is no file at all.

    Hidden files and folders and links to folders are left out, and listed as such.
    """
    root = Path(path).expanduser()
    if not root.is_dir():
        fault = "is no folder" if root.exists() else "does not exist"
        # A relative path in a recipe means another folder from another place.
        where = path if root.is_absolute() else f"{path} (that is {root.absolute()})"
        raise DataError(f"{where} {fault}: give a folder of images")
    names, ignored, bad = _walk(root)
    files: list[File] = []
    for name in sorted(names):
        try:
            files.append(File(name, _digest(root / name)))
        except OSError as error:
            bad.append((name, f"cannot be read: {error.strerror}"))
    if not files and not bad:
        raise DataError(f"{path} holds no files: give a folder of images")
    return Listing(root, tuple(files), tuple(sorted(bad)), tuple(sorted(ignored)))


def _walk(root: Path) -> tuple[list[str], list[tuple[str, str]], list[tuple[str, str]]]:
    """Names of the candidates; what is left out; folders that cannot be listed."""
    names: list[str] = []
    ignored: list[tuple[str, str]] = []
    bad: list[tuple[str, str]] = []

    def unreadable(error: OSError) -> None:
        bad.append((_name(root, error.filename), f"cannot be read: {error.strerror}"))

    for place, folders, files in os.walk(root, onerror=unreadable):
        ignored += [(_name(root, place, folder), reason) for folder, reason in _left_out(place, folders)]
        for file in files:
            if file.startswith("."):
                ignored.append((_name(root, place, file), "hidden file"))
            else:
                names.append(_name(root, place, file))
    return names, ignored, bad


def _left_out(place: str, folders: list[str]) -> Iterator[tuple[str, str]]:
    """The sub-folders that are not entered, and why; they are taken out of the list, as os.walk asks."""
    for folder in folders[:]:
        if folder.startswith("."):
            folders.remove(folder)
            yield folder, "hidden folder"
        elif Path(place, folder).is_symlink():
            folders.remove(folder)
            yield folder, "link to a folder, not followed"


def _name(root: Path, *parts: str) -> str:
    return Path(*parts).relative_to(root).as_posix()


def _digest(path: Path) -> str:
    # A pipe would block, a device never end.
    if path.exists() and not path.is_file():
        raise OSError(0, "not a regular file")
    return io.file_digest(path)


def scan(
    listing: Listing, keep: Callable[[Image.Image], None] | None = None
) -> tuple[tuple[Found, ...], Reasons]:
    """Decode every file: the usable images in order, and the others with the reason.

    `keep` is handed each usable image's centre square (mode L or RGB), one at a time, so that memory
    does not grow with the folder.
    """
    found: list[Found] = []
    bad: list[tuple[str, str]] = []
    for file in listing.files:
        try:
            image = decode(listing.root / file.name)
        except DataError as error:
            bad.append((file.name, str(error)))
            continue
        found.append(Found(file, image.mode, image.size))
        if keep is not None:
            keep(image.square)
    return tuple(found), tuple(bad)


def classes_of(root: Path, images: tuple[Found, ...]) -> tuple[str, ...]:
    """The first-level sub-folders that hold images, sorted; none for a flat folder.

    Raises DataError for a mixture of images in the folder itself and in sub-folders.
    """
    loose = [image.file.name for image in images if not class_of(image)]
    classes = sorted({class_of(image) for image in images} - {""})
    if loose and classes:
        raise DataError(
            f"{root} holds images both itself ({len(loose)}, such as {loose[0]}) and in sub-folders "
            f"({', '.join(classes[:3])}{', …' if len(classes) > 3 else ''}): put all into it, "
            "or all into sub-folders, one per class"
        )
    return tuple(classes)


def class_of(image: Found) -> str:
    """The first-level sub-folder, or "" for an image in the folder itself."""
    return image.file.name.rpartition("/")[0].partition("/")[0]
