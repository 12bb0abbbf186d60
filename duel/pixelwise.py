"""What can be measured of images while they pass by in chunks, pixel by pixel.

Beside 8 bytes per image, memory does not depend on how many there are: a folder larger than memory,
mapped from a file, is measured in the same space as a small one.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

_CHUNK = 1 << 22  # bytes of images looked at together


@dataclass(frozen=True)
class Pixels:
    """What was measured of the images of a training split (N×C×H×W).

    mean, variance  float64 C×H×W, of values in [0, 1]
    values          int64 C×256: how often each value stands anywhere in a channel
    column          int64 C×H×256: how often in each row of the column W // 2
    spot            row and column of the pixel of largest variance, summed over the channels
    spot_values     int64 C×256: how often each value stands there
    drawn           uint8 K×C×H×W: images drawn pixel by pixel
    keys            uint64 N: a hash of each image
    """

    mean: np.ndarray
    variance: np.ndarray
    values: np.ndarray
    column: np.ndarray
    spot: tuple[int, int]
    spot_values: np.ndarray
    drawn: np.ndarray
    keys: np.ndarray


def measure(images: np.ndarray, rng: np.random.Generator, draws: int) -> Pixels:
    """All of `Pixels` from uint8 images N×C×H×W, in one pass and a second one over one pixel."""
    shape = images.shape[1:]
    channels, height, width = shape
    moments = Moments(shape)
    values = Counts(channels, lambda chunk: np.moveaxis(chunk, 1, -1).reshape(-1, channels))
    column = Counts(channels * height, lambda chunk: chunk[..., width // 2].reshape(len(chunk), -1))
    drawn = PixelByPixel(draws, len(images), shape, rng)
    keys = Keys()
    _pass(images, [moments, values, column, drawn, keys])
    variance = moments.variance() / 255**2
    y, x = (int(i) for i in np.unravel_index(variance.sum(axis=0).argmax(), (height, width)))
    spot = Counts(channels, lambda chunk: chunk[..., y, x])
    _pass(images, [spot])
    column_table = column.table.reshape(channels, height, 256)
    return Pixels(
        moments.mean / 255, variance, values.table, column_table, (y, x), spot.table, drawn.images, keys.all()
    )


class Part(Protocol):
    """Something that is gathered while chunks of samples pass by."""

    def add(self, start: int, chunk: np.ndarray) -> None:
        """Take in the samples start, start + 1, … of the pass."""


def _pass(samples: np.ndarray, parts: Sequence[Part]) -> None:
    for start, chunk in _chunks(samples):
        for part in parts:
            part.add(start, chunk)


def _chunks(samples: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    step = max(1, _CHUNK // max(1, samples[:1].nbytes))
    for start in range(0, len(samples), step):
        yield start, np.asarray(samples[start : start + step])


class Moments:
    """Mean and variance (divided by N) of every pixel, merged chunk by chunk.

    T. Chan, G. Golub, R. LeVeque, "Updating formulae and a pairwise algorithm for computing sample
    variances", 1979: nothing cancels, however large the mean is beside the variance.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.count = 0
        self.mean = np.zeros(shape)
        self._spread = np.zeros(shape)

    def add(self, start: int, chunk: np.ndarray) -> None:
        """Merge the moments of a chunk into those of all before it."""
        wide = chunk.astype(np.float64)
        mean = wide.mean(axis=0)
        wide -= mean
        shift, total = mean - self.mean, self.count + len(chunk)
        self._spread += np.square(wide, out=wide).sum(axis=0) + shift**2 * (self.count * len(chunk) / total)
        self.mean += shift * (len(chunk) / total)
        self.count = total

    def variance(self) -> np.ndarray:
        """Of the same shape as the mean."""
        return self._spread / self.count


class Counts:
    """How often each value 0 … 255 stands at each of some places: `table`, int64 places×256.

    `select` takes from a chunk the values at these places, N×places.
    """

    def __init__(self, places: int, select: Callable[[np.ndarray], np.ndarray]) -> None:
        self.table: np.ndarray = np.zeros((places, 256), np.int64)
        self._select = select

    def add(self, start: int, chunk: np.ndarray) -> None:
        """Count the values of a chunk."""
        cells = self._select(chunk) + 256 * np.arange(len(self.table))
        self.table += np.bincount(cells.ravel(), minlength=self.table.size).reshape(self.table.shape)


class PixelByPixel:
    """Images whose every pixel is that of a training image chosen for this pixel alone, uniformly.

    So each pixel (its channels together) is an exact draw from its own distribution, independent of all
    other pixels. `images`: uint8 count×C×H×W, complete when all `total` images have passed.
    """

    def __init__(self, count: int, total: int, shape: tuple[int, ...], rng: np.random.Generator) -> None:
        self._places = (count, *shape[1:])
        chosen = rng.integers(total, size=math.prod(self._places))
        self._order = np.argsort(chosen, kind="stable")
        self._chosen = chosen[self._order]
        self.images = np.empty((count, *shape), np.uint8)

    def add(self, start: int, chunk: np.ndarray) -> None:
        """Copy what was chosen of this chunk."""
        first, last = np.searchsorted(self._chosen, (start, start + len(chunk)))
        image, y, x = np.unravel_index(self._order[first:last], self._places)
        self.images[image, :, y, x] = chunk[self._chosen[first:last] - start, :, y, x]


class Keys:
    """A 64-bit hash of every sample's bytes: among 10 million, two agree by chance once in 400,000 sets."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def add(self, start: int, chunk: np.ndarray) -> None:
        """Hash each sample of a chunk."""
        self._parts += [hashlib.blake2b(sample.tobytes(), digest_size=8).digest() for sample in chunk]
        self._parts = [b"".join(self._parts)]

    def all(self) -> np.ndarray:
        """uint64, one per sample, in order."""
        return np.frombuffer(b"".join(self._parts), np.uint64)


def keys_of(samples: np.ndarray) -> np.ndarray:
    """uint64 N: a hash of each sample's bytes."""
    keys = Keys()
    _pass(samples, [keys])
    return keys.all()
