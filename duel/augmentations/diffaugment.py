from __future__ import annotations

from typing import TYPE_CHECKING

from duel.augmentations._base import Augmentation, need_images
from duel.options import options

if TYPE_CHECKING:
    from torch import Tensor

    from duel.datasets._base import Spec


@options
class DiffAugment(Augmentation):
    """Random colours, a shift and a hidden square, in every image that the discriminator sees.

    Zhao et al. 2020, "Differentiable Augmentation for Data-Efficient GAN Training" (arXiv:2006.10738), with
    its strengths on the scale [−1, 1], drawn for each image.

    color        brightness: plus −0.5 to 0.5; saturation (RGB only): each pixel's distance from its own
                 mean times 0 to 2; contrast: the distance from the image's mean times 0.5 to 1.5
    translation  a shift by whole pixels, up to 1/8 of each side; what comes in is 0 (middle grey)
    cutout       0 in a rectangle of half of each side with its middle anywhere in the image, so that a part
                 of it may lie outside
    """

    color: bool = True
    translation: bool = True
    cutout: bool = True

    def check(self, spec: Spec) -> None:
        need_images("diffaugment", spec)

    def apply(self, samples: Tensor, state: Tensor) -> Tensor:
        if self.color:
            samples = _recoloured(samples)
        if self.translation:
            samples = _moved(samples)
        if self.cutout:
            samples = _cut(samples)
        return samples

    def __post_init__(self) -> None:
        if not (self.color or self.translation or self.cutout):
            raise ValueError("color, translation and cutout are all false: set one of them to true")


def _recoloured(samples: Tensor) -> Tensor:
    samples = samples + _uniform(samples, -0.5, 0.5)
    if samples.shape[1] > 1:
        samples = _spread(samples, (1,), _uniform(samples, 0, 2))
    return _spread(samples, (1, 2, 3), _uniform(samples, 0.5, 1.5))


def _spread(samples: Tensor, axes: tuple[int, ...], factor: Tensor) -> Tensor:
    """The distance from the mean over some axes times a factor (N×1×1×1)."""
    mean = samples.mean(axes, keepdim=True)
    return mean + (samples - mean) * factor


def _moved(samples: Tensor) -> Tensor:
    from duel.augmentations._pixels import moved

    height, width = samples.shape[2:]
    down = _integers(samples, -(height // 8), height // 8)
    right = _integers(samples, -(width // 8), width // 8)
    return moved(samples, down, right)


def _cut(samples: Tensor) -> Tensor:
    from duel.augmentations._pixels import without_rectangle

    (height, top), (width, left) = (_half(samples, side) for side in samples.shape[2:])
    return without_rectangle(samples, top, left, height, width)


def _half(samples: Tensor, side: int) -> tuple[int, Tensor]:
    """Half of a side, and where it begins (int64 N): its middle is anywhere from edge to edge."""
    half = side // 2
    # An even half has its middle between two pixels: there is one such place more than pixels.
    middle = _integers(samples, 0, side - half % 2)
    return half, middle - half // 2


def _uniform(samples: Tensor, low: float, high: float) -> Tensor:
    """A number for each image (N×1×1×1)."""
    import torch

    drawn = torch.rand(len(samples), 1, 1, 1, dtype=samples.dtype, device=samples.device)
    return low + (high - low) * drawn


def _integers(samples: Tensor, low: int, high: int) -> Tensor:
    """An integer for each image (int64 N), both ends included."""
    import torch

    return torch.randint(low, high + 1, (len(samples),), device=samples.device)
