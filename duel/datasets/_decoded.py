"""Images decoded once and kept in the cache, memory-mapped: more of them than fit into memory."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from duel import io
from duel.datasets._base import SPLITS, Spec, Split, SplitName
from duel.datasets._scan import Reasons
from duel.errors import DataError, DuelError

if TYPE_CHECKING:
    import numpy as np

_IMAGES = "images.npy"
_INDEX = "index.json"


@dataclass(frozen=True)
class Stored:
    """Decoded images (uint8 N×C×R×R) and labels, ordered so that each split is one slice.

    `pixels` is the SHA-256 of the file of images, where the writer has put it down.
    """

    images: np.ndarray
    labels: np.ndarray | None
    counts: dict[SplitName, int]
    classes: tuple[str, ...]
    bad: Reasons
    pixels: str

    def splits(self) -> dict[SplitName, Split]:
        """Views of the memory map; nothing is read yet."""
        splits: dict[SplitName, Split] = {}
        start = 0
        for name in SPLITS:
            rows = slice(start, start + self.counts[name])
            splits[name] = Split(self.images[rows], None if self.labels is None else self.labels[rows])
            start = rows.stop
        return splits


def kept(place: Path, write: Callable[[Path], None]) -> Stored:
    """What the cache holds at `place`; where that is nothing, what `write` puts into a new folder.

    The finished folder appears in one step. Raises DataError where it cannot be kept.
    """
    return read(place) or _make(place, write)


def read(place: Path) -> Stored | None:
    """What the cache holds at `place`; None where that is nothing, or damaged."""
    import numpy as np

    try:
        index = io.read_json(place / _INDEX)
        images = np.load(place / _IMAGES, mmap_mode="r", allow_pickle=False)
        labels = np.array(index["labels"], np.int64) if index["classes"] else None
        bad = tuple((name, reason) for name, reason in index["bad"])
        classes, counts = tuple(index["classes"]), {name: index["splits"][name] for name in SPLITS}
        if sum(counts.values()) != len(images) or (labels is not None and len(labels) != len(images)):
            return None
    except (DuelError, OSError, ValueError, EOFError, KeyError, TypeError):
        return None
    return Stored(images, labels, counts, classes, bad, index.get("pixels", ""))


def _make(place: Path, write: Callable[[Path], None]) -> Stored:
    try:
        io.make_folder(place, write, lambda: read(place) is not None)
    except OSError as error:
        raise DataError(
            f"the decoded images cannot be kept in {place.parent} ({error}): make room there, "
            "or set XDG_CACHE_HOME to another folder"
        ) from error
    stored = read(place)
    if stored is None:
        raise DataError(
            f"the decoded images in {place} cannot be read back: remove that folder and try again"
        )
    return stored


def write_images(folder: Path, shape: tuple[int, ...], images: Iterable[tuple[int, bytes]]) -> None:
    """images.npy: uint8 N×C×R×R from pairs (row, bytes of that image), in any order.

    Written as a stream: the pages of a writable memory map would count as this process's memory.
    """
    import math

    import numpy as np

    header: dict[str, Any] = {"descr": "|u1", "fortran_order": False, "shape": shape}
    with (folder / _IMAGES).open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        start, size = file.tell(), math.prod(shape[1:])
        for row, image in images:
            file.seek(start + row * size)
            file.write(image)
        file.flush()
        os.fsync(file.fileno())


def write_index(
    folder: Path,
    counts: dict[SplitName, int],
    classes: tuple[str, ...] = (),
    labels: Iterable[int] = (),
    bad: Iterable[tuple[str, str]] = (),
    pixels: bool = False,
) -> None:
    """index.json: what belongs to the images. With `pixels` also their SHA-256, once they are written."""
    index: dict[str, Any] = {
        "classes": list(classes),
        "labels": list(labels),
        "splits": counts,
        "bad": [list(pair) for pair in bad],
    }
    if pixels:
        index["pixels"] = io.file_digest(folder / _IMAGES)
    io.write_json(folder / _INDEX, index)


def fingerprint_of(pixels: str, spec: Spec, splits: dict[SplitName, Split]) -> str:
    """SHA-256 over the spec, the pixels' own SHA-256 and every label: the images are not read again."""
    import hashlib

    digest = hashlib.sha256(f"{spec!r} {pixels}".encode())
    for name in SPLITS:
        part = splits[name]
        digest.update(f"{name} {len(part)}".encode())
        if part.labels is not None:
            digest.update(part.labels.tobytes())
    return digest.hexdigest()
