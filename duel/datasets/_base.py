"""What a data set is: options in, samples of three disjoint splits out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from duel.errors import DataError
from duel.options import options

if TYPE_CHECKING:
    import numpy as np

    from duel.datasets._modes import Modes

SplitName = Literal["train", "validation", "test"]
SPLITS: tuple[SplitName, ...] = ("train", "validation", "test")


@dataclass(frozen=True)
class Spec:
    """What a network must know of the data, without the data.

    kind     "image" (uint8, N×C×H×W) or "points" (float32, N×2 in [-1, 1])
    shape    of one sample: (C, H, W), or (2,)
    classes  names of the labels 0, 1, …; empty where there are none
    scale    points only: original units = stored value × scale
    """

    kind: Literal["image", "points"]
    shape: tuple[int, ...]
    classes: tuple[str, ...] = ()
    scale: float = 1.0


@dataclass(frozen=True)
class Split:
    """Samples (uint8 N×C×H×W or float32 N×2) and their labels (int64 N), or None without labels."""

    samples: np.ndarray
    labels: np.ndarray | None

    def __len__(self) -> int:
        return len(self.samples)


@dataclass(frozen=True)
class Data:
    """A loaded data set.

    `fingerprint` is a SHA-256 over what was loaded: equal fingerprints mean equal training data.
    `notes` are sentences that every result made with these data has to carry (a subset, say);
    `skipped` lists the files that could not be used, each with its reason; `modes` is where the
    Gaussians of a set of points are.
    """

    name: str
    spec: Spec
    splits: dict[SplitName, Split]
    fingerprint: str
    notes: tuple[str, ...] = ()
    skipped: tuple[tuple[str, str], ...] = ()
    modes: Modes | None = None


class DataSet(ABC):
    """Base of the data sets. A subclass is an options class; `load` does the work.

    A data set with labels says in its docstring what they mean.
    """

    @abstractmethod
    def load(self) -> Data:
        """Read all splits. Raises DataError (missing, damaged or unusable files)."""


@options
class ImageSet(DataSet):
    """Base of image data sets: how each image is brought to the resolution that is asked for.

    resolution  side of the square images in pixels; the data's own where it is not given
    fit         how another resolution is reached: "resize" (Lanczos) or "pad" (with the value 0,
                larger resolutions only)
    """

    resolution: int | None = None
    fit: Literal["resize", "pad"] = "resize"

    def __post_init__(self) -> None:
        if self.resolution is not None and not 4 <= self.resolution <= 1024:
            raise ValueError(f"resolution is {self.resolution}, allowed are 4 to 1024 pixels")


def fingerprint(spec: Spec, splits: dict[SplitName, Split]) -> str:
    """SHA-256 over the spec and every sample and label, split by split."""
    import hashlib

    digest = hashlib.sha256(repr(spec).encode())
    for name in SPLITS:
        part = splits[name]
        digest.update(f"{name} {part.samples.shape} {part.samples.dtype}".encode())
        for array in (part.samples, part.labels):
            if array is not None and array.size:
                digest.update(_bytes_of(array))
    return digest.hexdigest()


def _bytes_of(array: np.ndarray) -> memoryview:
    """The array's memory, without a copy where it is contiguous."""
    import numpy as np

    return np.ascontiguousarray(array).data.cast("B")


def fit_images(images: np.ndarray, resolution: int | None, fit: str) -> np.ndarray:
    """uint8 images N×C×H×W at `resolution` (None: unchanged), resized with Lanczos or padded with 0.

    Raises DataError when padding would have to cut.
    """
    import numpy as np
    from PIL import Image

    side = images.shape[-1]
    if resolution is None or resolution == side:
        return images
    if fit == "pad":
        if resolution < side:
            raise DataError(
                f"images of {side}×{side} pixels cannot be padded to {resolution}×{resolution}: "
                'use data.fit="resize", or a larger resolution'
            )
        before = (resolution - side) // 2
        after = resolution - side - before
        return np.pad(images, ((0, 0), (0, 0), (before, after), (before, after)))
    out = np.empty((*images.shape[:2], resolution, resolution), np.uint8)
    for source, target in zip(images, out, strict=True):
        for channel, plane in zip(source, target, strict=True):
            resized = Image.fromarray(channel).resize((resolution, resolution), Image.Resampling.LANCZOS)
            plane[:] = np.asarray(resized)
    return out


def split_by_hash(contents: list[bytes]) -> dict[SplitName, np.ndarray]:
    """Indices of an 80/10/10 split decided by the SHA-256 of each sample's content.

    Equal contents fall into the same split, and adding samples moves no other sample.
    """
    import hashlib

    return split_by_digest([hashlib.sha256(content).digest() for content in contents])


def split_by_digest(digests: list[bytes]) -> dict[SplitName, np.ndarray]:
    """As `split_by_hash`, from the SHA-256 digests themselves (contents too large to hold together)."""
    import numpy as np

    bucket = np.array([int.from_bytes(digest[:8], "big") % 10 for digest in digests], np.int64)
    return {
        "train": np.flatnonzero(bucket < 8),
        "validation": np.flatnonzero(bucket == 8),
        "test": np.flatnonzero(bucket == 9),
    }
