"""Images out of a stream, each looked at once: into the cache, in the order of their splits."""

from __future__ import annotations

import hashlib
import os
import tempfile
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING

from duel.datasets._base import SPLITS, SplitName, split_by_digest
from duel.datasets._decoded import write_images, write_index
from duel.datasets._images import Decoded, decode, is_grey, pixels
from duel.datasets._scan import Reasons, shown
from duel.errors import DataError

if TYPE_CHECKING:
    import numpy as np

MAX_FILE = 1 << 26  # bytes of one image file; it is held in memory, as the files of a folder are not
NAMED = 3  # bad samples that an error names
_MAX_LABEL = 200  # characters of a label's name
_MAX_CLASSES = 1 << 16  # ImageNet-21k has 21,841


@dataclass(frozen=True, slots=True)
class Item:
    """One sample of a stream.

    name     what it is called in messages
    content  the bytes of its image file
    label    a number or a name; None where it has none
    bad      why it cannot be used, where that is known already
    """

    name: str
    content: bytes = b""
    label: int | str | None = None
    bad: str = ""


@dataclass
class _Read:
    """What is kept of each sample beside its pixels: a byte and eight, so that memory stays flat."""

    parts: bytearray = field(default_factory=bytearray)
    codes: array[int] = field(default_factory=lambda: array("q"))
    known: dict[int | str, int] = field(default_factory=dict)
    bad: list[tuple[str, str]] = field(default_factory=list)
    first: dict[bool, str] = field(default_factory=dict)
    grey: bool = True


def write_stream(
    items: Iterable[Item], side: int, folder: Path, where: str, classes: tuple[str, ...] | None = None
) -> None:
    """images.npy and index.json of all usable items, in splits by their files' hash; the others are listed.

    where    what the stream is called in messages
    classes  names of the labels 0, 1, …, where the stream has them. Else the labels that occur are the
             classes: numbers by size where all are numbers, else names, sorted

    Each image goes through a file, so that memory does not grow. Raises DataError where no image can be
    used or trained on, where only some have labels, or where too many labels differ.
    """
    import numpy as np

    with tempfile.TemporaryFile(dir=folder) as draft, _memory_file() as one:
        read = _Read()
        for item in items:
            image = _decoded(item, one, read.bad)
            if image is not None:
                _note(read, item, image, where)
                draft.write(pixels(image.square, side).data)
        order = _order(read, where)
        rows = np.concatenate([order[name] for name in SPLITS])
        channels = 1 if read.grey else 3
        write_images(folder, (len(rows), channels, side, side), _copied(draft, rows, channels, side))
    names, number = _classes(read, classes)
    labels = [number[read.codes[row]] for row in rows] if names else []
    write_index(folder, {name: len(order[name]) for name in SPLITS}, names, labels, read.bad, pixels=True)


def refusal(where: str, bad: Reasons) -> str:
    """The error of on_bad="fail"."""
    first = ", ".join(f"{shown(name)} cannot be used ({reason})" for name, reason in bad[:NAMED])
    others = f" and {len(bad) - NAMED:,} others cannot" if len(bad) > NAMED else ""
    return f'{where}: {first}{others}: remove what is bad, or use data.on_bad="skip", which lists them all'


def label_of(text: str) -> int | str:
    """A label from text: a whole number, or a name. Raises DataError for what is neither."""
    text = text.strip()
    digits = text.removeprefix("-")
    if digits.isascii() and digits.isdigit() and len(digits) < 19:
        return int(text)
    if not text or len(text) > _MAX_LABEL:
        raise DataError(f"its label has {len(text):,} characters, allowed are 1 to {_MAX_LABEL}")
    return text


def _memory_file() -> IO[bytes]:
    """A file that lies in memory: on a disk each image would cost more than to decode it (ext4: 3 ms)."""
    return os.fdopen(os.memfd_create("image"), "r+b", buffering=0)


def _decoded(item: Item, one: IO[bytes], bad: list[tuple[str, str]]) -> Decoded | None:
    """The item's image by the rules for files, from the file `one`; None with the reason noted."""
    reason = item.bad
    if not reason and len(item.content) > MAX_FILE:
        reason = f"too large: {len(item.content):,} bytes, at most {MAX_FILE:,} are read"
    if not reason:
        one.truncate(0)
        one.seek(0)
        one.write(item.content)
        try:
            return decode(Path(f"/proc/self/fd/{one.fileno()}"))
        except DataError as error:
            reason = str(error)
    bad.append((item.name, reason))
    return None


def _note(read: _Read, item: Item, image: Decoded, where: str) -> None:
    read.first.setdefault(item.label is not None, item.name)
    if len(read.first) == 2:
        raise DataError(
            f"{where}: {shown(read.first[True])} has a label and {shown(read.first[False])} has none: give "
            "all of them one, or use data.label=none"
        )
    part = split_by_digest([hashlib.sha256(item.content).digest()])
    read.parts.append(next(place for place, name in enumerate(SPLITS) if len(part[name])))
    read.grey = read.grey and is_grey(image.mode)
    if item.label is not None:
        read.codes.append(read.known.setdefault(item.label, len(read.known)))
        if len(read.known) > _MAX_CLASSES:
            raise DataError(
                f"{where}: the labels have more than {_MAX_CLASSES:,} different values, such as "
                f"{shown(str(item.label))}: name another one with data.label, or use data.label=none"
            )


def _order(read: _Read, where: str) -> dict[SplitName, np.ndarray]:
    """The images of each split (int64). Raises DataError where there is none to train on."""
    import numpy as np

    if not read.parts:
        why = f": {shown(read.bad[0][0])} cannot be used ({read.bad[0][1]})" if read.bad else ""
        raise DataError(f"{where} holds no usable image{why}: name what holds images")
    parts: np.ndarray = np.frombuffer(bytes(read.parts), np.uint8)
    order: dict[SplitName, np.ndarray] = {
        name: np.flatnonzero(parts == place) for place, name in enumerate(SPLITS)
    }
    if not len(order["train"]):
        raise DataError(
            f"{where} holds {len(parts)} usable images, of which none falls into the training split: add more"
        )
    return order


def _copied(draft: IO[bytes], rows: np.ndarray, channels: int, side: int) -> Iterator[tuple[int, bytes]]:
    """The draft's images in the order of `rows`; of grey ones the first channel."""
    plane = side * side
    for place, row in enumerate(rows):
        draft.seek(int(row) * 3 * plane)
        yield place, draft.read(channels * plane)


def _classes(read: _Read, given: tuple[str, ...] | None) -> tuple[tuple[str, ...], dict[int, int]]:
    """The names of the classes, and which of them each code of a label is."""
    if given is not None and read.known:
        return given, {code: int(label) for label, code in read.known.items()}
    # A name among numbers makes names of all of them.
    values = read.known if all(isinstance(value, int) for value in read.known) else map(str, read.known)
    ordered = sorted(set(values))
    place = {str(value): number for number, value in enumerate(ordered)}
    return tuple(place), {code: place[str(label)] for label, code in read.known.items()}
