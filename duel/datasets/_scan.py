"""What a folder of images holds: its files, which of them are images, and the classes they form."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from duel import io
from duel.datasets._images import check_file, decode
from duel.errors import DataError

if TYPE_CHECKING:
    from PIL import Image

Reasons = tuple[tuple[str, str], ...]
"""Names of files and why each is not used."""


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
class Found:
    """A usable image: its file, and the mode and width × height that it is stored with."""

    file: File
    mode: str
    size: tuple[int, int]


def list_folder(path: str) -> Listing:
    """Every file below the folder, with its content's hash. DataError where there is no file at all.

    Hidden files and folders and links to folders are left out, and listed as such. Time and memory grow
    with the number of files; one folder and one file are open at a time.
    """
    root = Path(path).expanduser()
    if not root.is_dir():
        fault = "is no folder" if root.exists() else "does not exist"
        # A relative path in a recipe means another folder from another place.
        where = path if root.is_absolute() else f"{path} (that is {root.absolute()})"
        raise DataError(f"{where} {fault}: give a folder of images")
    names, ignored, bad = walk(root)
    files: list[File] = []
    for name in sorted(names):
        try:
            files.append(File(name, _digest(root / name)))
        except DataError as error:
            bad.append((name, str(error)))
        except OSError as error:
            bad.append((name, f"cannot be read: {error.strerror}"))
    if not files and not bad:
        raise DataError(f"{path} holds no files: give a folder of images")
    return Listing(root, tuple(files), tuple(sorted(bad)), tuple(sorted(ignored)))


def walk(root: Path) -> tuple[list[str], list[tuple[str, str]], list[tuple[str, str]]]:
    """Names of the candidates; what is left out on purpose; folders that cannot be listed.

    Names are paths below `root` with "/"; in no particular order. No recursion: folders may lie as deep
    as the system allows.
    """
    names: list[str] = []
    ignored: list[tuple[str, str]] = []
    bad: list[tuple[str, str]] = []
    folders = [""]
    while folders:
        folder = folders.pop()
        try:
            with os.scandir(root / folder) as entries:
                for entry in entries:
                    name = f"{folder}/{entry.name}" if folder else entry.name
                    is_folder, reason = _kind(entry)
                    if reason:
                        ignored.append((name, reason))
                    else:
                        (folders if is_folder else names).append(name)
        except OSError as error:
            bad.append((folder or ".", f"cannot be read: {error.strerror}"))
    return names, ignored, bad


def _kind(entry: os.DirEntry[str]) -> tuple[bool, str]:
    """Whether it is a folder, and why it is left out ("" where it is not)."""
    try:
        is_folder = entry.is_dir()
    except OSError:  # a link that leads to itself: reading the file says so
        is_folder = False
    if entry.name.startswith("."):
        return is_folder, "hidden folder" if is_folder else "hidden file"
    if is_folder and entry.is_symlink():
        return is_folder, "link to a folder, not followed"
    return is_folder, ""


def _digest(path: Path) -> str:
    check_file(path)
    return io.file_digest(path)


def shown(name: str) -> str:
    """A file's name for a message: as it is, or quoted and escaped where it could not be printed as it is.

    Names may hold line breaks, terminal commands, marks that turn the direction of writing, and bytes
    that are no text.
    """
    return name if name.isprintable() else repr(name)


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
            f"{root} holds images both itself ({len(loose)}, such as {shown(loose[0])}) and in sub-folders "
            f"({', '.join(map(shown, classes[:3]))}{', …' if len(classes) > 3 else ''}): put all into it, "
            "or all into sub-folders, one per class"
        )
    return tuple(classes)


def class_of(image: Found) -> str:
    """The first-level sub-folder, or "" for an image in the folder itself."""
    return image.file.name.rpartition("/")[0].partition("/")[0]
