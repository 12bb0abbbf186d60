from __future__ import annotations

from typing import TYPE_CHECKING

from duel.augmentations._base import Augmentation, need_images
from duel.options import options

if TYPE_CHECKING:
    from torch import Tensor

    from duel.datasets._base import Spec


@options
class Flip(Augmentation):
    """Left and right exchanged in a random share of the images.

    The usual doubling of the data where both sides are equally likely, as for faces; not for digits or
    letters. Fakes are flipped too: at one half the discriminator cannot tell a mirrored image from an
    upright one, so the generator may make both; below, it still learns the data's own side (Karras et al.
    2020, arXiv:2006.06676, on which augmentations leak).

    probability  that an image is flipped
    """

    probability: float = 0.5

    def check(self, spec: Spec) -> None:
        need_images("flip", spec)

    def apply(self, samples: Tensor, state: Tensor) -> Tensor:
        import torch

        chosen = torch.rand(len(samples), 1, 1, 1, device=samples.device) < self.probability
        return torch.where(chosen, samples.flip(3), samples)

    def __post_init__(self) -> None:
        if not 0 <= self.probability <= 1:
            raise ValueError(f"probability is {self.probability}, allowed are numbers from 0 to 1")
