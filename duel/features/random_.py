"""A random convolutional network."""

from __future__ import annotations

import hashlib
from functools import partial
from typing import TYPE_CHECKING

from duel.features._base import ClassifierTrainer, Embedded, Extractor, FeatureSpace
from duel.features._images import in_chunks, need_images, normalised
from duel.options import options

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from duel.datasets._base import Data

_RULE = b"random 1: 3x3, He, ReLU, stride 2 above 4 pixels, mean and deviation of each map"
_WIDTHS = (16, 32, 32, 48)  # of the layers: 128 maps, 256 features
_AT_ONCE = 64


@options
class Random(FeatureSpace):
    """A fixed random convolutional network: for images with neither labels nor a network of their own.

    Four layers of 3×3 convolutions and ReLU whose weights are drawn once from the seed; the features are
    mean and standard deviation of every map of every layer, 256 numbers. Distances between them put
    generators into a sensible order, but their size means nothing outside this space (M. F. Naeem et al.,
    "Reliable fidelity and diversity metrics for generative models", 2020, measure with random
    networks where trained ones have nothing to say).

    seed  of the network's weights
    """

    seed: int = 0

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise ValueError(f"seed is {self.seed}, allowed are 0 and above")

    def prepare(self, data: Data, trainer: ClassifierTrainer) -> Extractor:
        """The network for these images' channels. DataError for points."""
        need_images(data.spec, "random")
        kernels = _kernels(self.seed, data.spec.shape[0])
        return Extractor(
            embed=partial(_embed, kernels),
            name="random",
            dimension=2 * sum(_WIDTHS),
            digest=_digest(kernels),
            notes=("random features: orderings, not absolute values",),
        )


def _kernels(seed: int, channels: int) -> list[np.ndarray]:
    """Weights of each layer (out × in × 3 × 3), N(0, 2 / inputs) (He et al. 2015, equation 10)."""
    import numpy as np

    rng = np.random.Generator(np.random.PCG64(seed))
    shapes = [(wide, before, 3, 3) for before, wide in zip((channels, *_WIDTHS), _WIDTHS, strict=False)]
    return [
        rng.standard_normal(shape, np.float32) * np.float32((2 / (9 * shape[1])) ** 0.5) for shape in shapes
    ]


def _digest(kernels: list[np.ndarray]) -> str:
    digest = hashlib.sha256(_RULE)
    for kernel in kernels:
        digest.update(kernel.tobytes())
    return digest.hexdigest()


def _embed(kernels: list[np.ndarray], samples: np.ndarray) -> Embedded:
    return in_chunks(partial(_embed_few, kernels), samples, _AT_ONCE)


def _embed_few(kernels: list[np.ndarray], samples: np.ndarray) -> Embedded:
    """float32 N×256: mean and standard deviation of each layer's maps."""
    import torch

    maps, parts = normalised(samples), []
    with torch.inference_mode():
        for kernel in kernels:
            maps = _layer(maps, torch.from_numpy(kernel))
            parts += [maps.mean((2, 3)), maps.std((2, 3), correction=0)]
        return Embedded(torch.cat(parts, 1).numpy(), None)


def _layer(maps: Tensor, kernel: Tensor) -> Tensor:
    """3×3 convolution and ReLU; halves maps of more than 4 pixels, so that the smallest images go through."""
    from torch.nn import functional

    stride = 2 if min(maps.shape[2:]) > 4 else 1
    return functional.conv2d(maps, kernel, stride=stride, padding=1).relu_()
