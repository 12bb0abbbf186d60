"""The user's own images."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path
from typing import IO, TYPE_CHECKING, Literal

from duel import io
from duel.datasets._base import SPLITS, Data, ImageSet, Spec, SplitName, split_by_digest
from duel.datasets._decoded import kept, write_images, write_index
from duel.datasets._images import is_grey, pixels
from duel.datasets._scan import Found, Listing, Reasons, class_of, classes_of, list_folder, scan, shown
from duel.errors import DataError
from duel.options import options

if TYPE_CHECKING:
    import numpy as np

_VERSION = 2  # of decoding: raise it when the same files would give other pixels, splits or labels
_NAMED = 3  # bad files that an error names


@options
class Folder(ImageSet):
    """A folder of your own images (PNG, JPEG, WebP, BMP, GIF, TIFF, PPM) of any sizes.

    Images directly in the folder have no labels; where they are in sub-folders, the first-level
    sub-folders, sorted, are the classes. The centre square of each image is resized with Lanczos; the
    result is RGB unless all images are grey. EXIF orientation is obeyed, transparency is laid on white,
    of an animation the first frame is used. Split 80/10/10 by the hash of each file, so that copies of
    an image stay together. The images are decoded once and kept in the cache.

    path        the folder
    resolution  side of the square images in pixels
    fit         always "resize"
    on_bad      what happens when files cannot be used: "skip" lists them in the run's provenance and goes on,
                "fail" stops and names them. docs/data.md has the rules for each kind of file
    """

    path: str
    resolution: int = 64
    fit: Literal["resize"] = "resize"
    on_bad: Literal["skip", "fail"] = "skip"

    def load(self) -> Data:
        """uint8 N×3×R×R, or N×1×R×R where all images are grey, memory-mapped from the cache."""
        listing = list_folder(self.path)
        key = _key(listing, self.resolution)
        place = io.cache_folder() / "folders" / key
        stored = kept(place, lambda folder: _write(listing, self.resolution, folder))
        bad = tuple(sorted(listing.bad + stored.bad))
        if bad and self.on_bad == "fail":
            raise DataError(_refusal(self.path, bad))
        spec = Spec("image", stored.images.shape[1:], stored.classes)
        return Data(listing.root.resolve().name, spec, stored.splits(), key, skipped=bad + listing.ignored)


def _refusal(path: str, bad: Reasons) -> str:
    first = ", ".join(f"{shown(name)} cannot be used ({reason})" for name, reason in bad[:_NAMED])
    others = f" and {len(bad) - _NAMED:,} other files cannot" if len(bad) > _NAMED else ""
    return (
        f"{path}: {first}{others}: `duel data check` lists them all; remove what is bad, or use "
        'data.on_bad="skip"'
    )


def _key(listing: Listing, resolution: int) -> str:
    """The SHA-256 of all that decides the result: names, contents, resolution, rules."""
    digest = hashlib.sha256(f"{_VERSION} {resolution} {len(listing.files)}\n".encode())
    for file in listing.files:
        digest.update(os.fsencode(file.name) + b"\0" + file.digest.encode() + b"\n")
    return digest.hexdigest()


def _write(listing: Listing, side: int, folder: Path) -> None:
    """images.npy and index.json. Images pass through a file, one by one: memory does not grow."""
    with tempfile.TemporaryFile(dir=folder) as draft:
        images, bad = scan(listing, lambda square: _append(draft, pixels(square, side)))
        classes, order = classes_of(listing.root, images), _order(listing, images, bad)
        rows = [row for name in SPLITS for row in order[name]]
        channels = 1 if all(is_grey(image.mode) for image in images) else 3
        _copy(draft, folder, rows, channels, side)
    number = {name: label for label, name in enumerate(classes)}
    labels = [number[class_of(images[row])] for row in rows] if classes else []
    write_index(folder, {name: len(order[name]) for name in SPLITS}, classes, labels, bad)


def _append(draft: IO[bytes], image: np.ndarray) -> None:
    draft.write(image.data)


def _order(listing: Listing, images: tuple[Found, ...], bad: Reasons) -> dict[SplitName, list[int]]:
    """The images of each split. Raises DataError where there is none to train on."""
    if not images:
        name, reason = (bad + listing.bad)[0]
        raise DataError(
            f"{listing.root} holds no usable image: {shown(name)} cannot be used ({reason}): "
            "give a folder of images"
        )
    chosen = split_by_digest([bytes.fromhex(image.file.digest) for image in images])
    if not len(chosen["train"]):
        raise DataError(
            f"{listing.root} holds {len(images)} usable images, of which none falls into the training split: "
            "add more"
        )
    return {name: rows.tolist() for name, rows in chosen.items()}


def _copy(draft: IO[bytes], folder: Path, rows: list[int], channels: int, side: int) -> None:
    """The draft's images in the order of `rows`; of grey ones the first channel."""
    plane = side * side

    def image(row: int) -> bytes:
        draft.seek(row * 3 * plane)
        return draft.read(channels * plane)

    shape = (len(rows), channels, side, side)
    write_images(folder, shape, ((place, image(row)) for place, row in enumerate(rows)))
