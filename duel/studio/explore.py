"""A checkpoint to play with: its networks stay loaded, so that an image takes milliseconds.

look = Explorer(duel.load("runs/faces"))
found = look.directions()  # in which the image changes most
z = look.run.latent(1, seed=3)
images = look.images(z + 2 * found.vectors[:1])
"""

from __future__ import annotations

import io as bytes_io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from duel import latent as latents
from duel import pictures, sampling, streams
from duel.datasets._images import FORMATS, is_grey, pixels
from duel.errors import DataError, InputError, RunError
from duel.run import Run, Weights, inner
from duel.studio.origin import own_data

if TYPE_CHECKING:
    from PIL import Image
    from torch.nn import Module

_DRAWN = 512  # latent vectors whose features give the directions
_DIRECTIONS = 10
_MOST_PIXELS = 25_000_000  # of an uploaded image: a photograph has 12 to 24 million
_NEAR = 2000  # images among which the nearest in latent space are looked for


@dataclass(frozen=True)
class Directions:
    """Where the generator's first features vary most, as directions of the latent space.

    vectors  k×L float32: one standard deviation of each principal component; add multiples of them
    shares   k: which part of the features' variance each of them makes
    """

    vectors: np.ndarray
    shares: np.ndarray


class Explorer:
    """One checkpoint of a run."""

    def __init__(self, run: Run, checkpoint: str | int = "last", weights: Weights = "ema") -> None:
        """RunError where there is no such checkpoint."""
        self.run = run
        self.step = run.checkpoint_step(checkpoint)
        self.spec = run.spec
        self.size = run.recipe.latent.size
        self.prior = run.recipe.latent.prior
        self.conditional = run.conditional
        self._networks = run.networks(self.step, weights)

    def images(self, z: np.ndarray, label: int | None = None) -> np.ndarray:
        """The samples of latent vectors N×L: uint8 N×C×H×W, or points N×2 in original units.

        label: of a conditional run; by default class 0
        """
        made = sampling.generate(self._networks.generator, self._checked(z), self._labels(len(z), label))
        if self.spec.kind == "image":
            return pictures.to_uint8(made)
        return made * np.float32(self.spec.scale)

    def _checked(self, z: np.ndarray) -> np.ndarray:
        z = np.asarray(z, np.float32)
        if z.ndim != 2 or z.shape[1] != self.size or not len(z):
            given = "×".join(map(str, z.shape))
            raise InputError(f"latent vectors of shape {given} were given, this run takes N×{self.size}")
        if not np.isfinite(z).all():
            raise InputError("a latent vector has a number that is none")
        return z

    def _labels(self, count: int, label: int | None) -> np.ndarray | None:
        if not self.conditional:
            return None
        number = 0 if label is None else label
        if not 0 <= number < len(self.spec.classes):
            raise InputError(f"there is no class {number}, allowed are 0 to {len(self.spec.classes) - 1}")
        return np.full(count, number, np.int64)

    # ------------------------------------------------------------ directions

    @cached_property
    def found(self) -> Directions:
        """`directions()` of this checkpoint, computed once."""
        return self.directions()

    def directions(self, count: int = _DIRECTIONS, seed: int = 0) -> Directions:
        """Principal components of the generator's first features, brought back to the latent space.

        As Härkönen et al. 2020 (GANSpace, arXiv:2004.02546) find them: features of many latent vectors, their
        principal components, then the linear map from the components' coordinates to the latent vectors.
        """
        z = streams.draw_latent(streams.stream(seed, "eval", 9), _DRAWN, self.size, self.prior)
        features = self._first_features(z)
        features = features - features.mean(0)
        left, singular, _ = np.linalg.svd(features, full_matrices=False)
        count = min(count, self.size, len(singular))
        # The coordinates are orthogonal and of unit variance: least squares from them to z is one product.
        coordinates = left[:, :count] * np.sqrt(len(z))
        vectors = coordinates.T @ (z - z.mean(0)) / len(z)
        power = singular**2
        return Directions(vectors.astype(np.float32), power[:count] / max(power.sum(), 1e-12))

    def _first_features(self, z: np.ndarray) -> np.ndarray:
        """What the first layer with weights makes of the latent vectors: N×F float64."""
        kept: list[np.ndarray] = []
        layer = _first_layer(self._networks.generator)

        def keep(_module: Any, _inputs: Any, output: Any) -> None:
            kept.append(output.detach().float().flatten(1).cpu().numpy())

        handle = layer.register_forward_hook(keep)
        try:
            sampling.generate(self._networks.generator, z, self._labels(len(z), None))
        finally:
            handle.remove()
        return np.concatenate(kept).astype(np.float64)

    # ------------------------------------------------------------ encoding

    def encode(self, images: np.ndarray) -> np.ndarray:
        """E(x) of uint8 images N×C×H×W, float32 N×L. RunError without an encoder."""
        encoder = self.run.need_encoder(self._networks)
        return sampling.encode(encoder, inner(images))

    def fitted(self, content: bytes) -> np.ndarray:
        """Somebody's image file as this run takes it: uint8 1×C×H×W. DataError for what cannot be used."""
        if self.spec.kind != "image":
            raise RunError(f"{self.run.path.name} takes points, not images")
        channels, side = self.spec.shape[0], self.spec.shape[-1]
        square = decoded(content)
        return pixels(square.convert("L") if channels == 1 else square, side)[:channels][None]

    @cached_property
    def _known(self) -> tuple[np.ndarray, np.ndarray]:
        """Images of the run's training data (uint8) and their latent vectors."""
        samples = own_data(self.run).splits["train"].samples[:_NEAR]
        return samples, self.encode(samples)

    def neighbours(self, z: np.ndarray, count: int = 8) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The training images whose latent vectors are nearest to one: images, vectors, distances.

        Among the first 2,000. DataError where the run's data are not here.
        """
        images, vectors = self._known
        distance = np.linalg.norm(vectors - self._checked(z)[:1], axis=1)
        order = np.argsort(distance, kind="stable")[:count]
        return images[order], vectors[order], distance[order]


def _first_layer(generator: Module) -> Module:
    """The first module with a weight of its own that takes numbers: not the labels' embedding."""
    from torch import nn

    for module in generator.modules():
        own = list(module.parameters(recurse=False))
        if own and not isinstance(module, nn.Embedding):
            return module
    raise RunError("the generator has no layer with weights")


def decoded(content: bytes) -> Image.Image:
    """The centre square of an image that somebody has sent, upright, L or RGB.

    Size and type are looked at before a pixel is decoded. DataError for what cannot be used.
    """
    import tempfile
    from pathlib import Path

    from PIL import Image

    from duel.datasets._images import decode

    try:
        with Image.open(bytes_io.BytesIO(content), formats=FORMATS) as image:
            size, mode = image.size, image.mode
    except Exception as error:  # Pillow's readers raise many kinds for damaged headers
        raise DataError(
            f"this is no image of a known type ({', '.join(FORMATS)}), or it is damaged"
        ) from error
    if size[0] * size[1] > _MOST_PIXELS:
        raise DataError(f"the image has {size[0]}×{size[1]} pixels, at most {_MOST_PIXELS:,} are decoded")
    with tempfile.NamedTemporaryFile(prefix="duel-studio-") as file:
        file.write(content)
        file.flush()
        try:
            square = decode(Path(file.name)).square
        except DataError as error:
            raise DataError(f"the image cannot be used: {error}") from error
    return square.convert("L" if is_grey(mode) else "RGB")


# ---------------------------------------------------------------- latent vectors by name


def walk(stops: np.ndarray, steps: int, way: str) -> np.ndarray:
    """The way through several vectors (N×L), `steps` images from each to the next: M×L.

    way: "linear" or "spherical"
    """
    if len(stops) < 2:
        raise InputError("a walk needs two latent vectors at least")
    go = {"linear": latents.linear, "spherical": latents.spherical}.get(way)
    if go is None:
        raise InputError(f"the way is {way[:40]!r}, allowed are linear and spherical")
    parts = go(stops[:-1], stops[1:], steps)
    return np.concatenate([parts[:, :-1].reshape(-1, stops.shape[1]), stops[-1:]]).astype(np.float32)


# ---------------------------------------------------------------- pictures


def sprite(images: np.ndarray, columns: int) -> bytes:
    """uint8 images N×C×H×W without gaps, row by row, as PNG: the browser cuts it."""
    count, channels, height, width = images.shape
    rows = -(-count // columns)
    sheet = np.zeros((rows * columns, channels, height, width), np.uint8)
    sheet[:count] = images
    whole = sheet.reshape(rows, columns, channels, height, width).transpose(2, 0, 3, 1, 4)
    flat = whole.reshape(channels, rows * height, columns * width)
    return pictures.png(_picture(flat))


def gif(images: np.ndarray, side: int = 160) -> bytes:
    """A loop through the images and back again."""
    factor = max(1, round(side / images.shape[-1]))
    large = images.repeat(factor, axis=2).repeat(factor, axis=3)
    frames = [_picture(each) for each in (*large, *large[-2:0:-1])]
    buffer = bytes_io.BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:], duration=120, loop=0)
    return buffer.getvalue()


def npz(z: np.ndarray, samples: np.ndarray, label: int | None) -> bytes:
    """Latent vectors and samples (images in [0, 1]) as `duel sample --out FILE.npz` writes them."""
    buffer = bytes_io.BytesIO()
    values = samples / np.float32(255) if samples.dtype == np.uint8 else samples
    arrays: dict[str, Any] = {"latent": z, "samples": values.astype(np.float32)}
    if label is not None:
        arrays["labels"] = np.full(len(z), label, np.int64)
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def _picture(image: np.ndarray) -> Image.Image:
    from PIL import Image

    return Image.fromarray(image[0] if len(image) == 1 else np.moveaxis(image, 0, -1))


def scatter(points: Sequence[Any] | np.ndarray, limit: float) -> bytes:
    """Points as dots, as PNG."""
    return pictures.png(pictures.scatter(np.asarray(points), None, limit))
