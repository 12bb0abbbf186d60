from __future__ import annotations

from typing import TYPE_CHECKING

from duel.augmentations._base import Augmentation
from duel.options import options

if TYPE_CHECKING:
    from torch import Tensor


@options
class Noise(Augmentation):
    """Gaussian noise on every sample that the discriminator sees (instance noise).

    Sønderby et al. 2017 (arXiv:1610.04490); Arjovsky, Bottou 2017 (arXiv:1701.04862). `sigma` is the
    standard deviation on the scale [−1, 1] of the samples.
    """

    sigma: float = 0.1

    def apply(self, samples: Tensor) -> Tensor:
        import torch

        return samples + self.sigma * torch.randn_like(samples)

    def __post_init__(self) -> None:
        if not self.sigma >= 0:
            raise ValueError(f"sigma is {self.sigma}, allowed are numbers from 0")
