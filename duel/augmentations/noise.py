from __future__ import annotations

from typing import TYPE_CHECKING

from duel.augmentations._base import Augmentation
from duel.options import options
from duel.schedule import Schedule, values_of

if TYPE_CHECKING:
    from torch import Tensor


@options
class Noise(Augmentation):
    """Gaussian noise on every sample that the discriminator sees (instance noise).

    Sønderby et al. 2017 (arXiv:1610.04490); Arjovsky, Bottou 2017 (arXiv:1701.04862). Drawn afresh for
    x and for G(z) in each player's pass; an encoder sees x without it (Casadei, Papa 2021).

    sigma  its standard deviation on the scale [−1, 1] of the samples; a number or a schedule
           ({values = [0.2, 0.0], at = [0, 5000], shape = "cosine"})
    """

    sigma: float | Schedule = 0.1

    def apply(self, samples: Tensor, state: Tensor) -> Tensor:
        import torch

        assert not isinstance(self.sigma, Schedule)  # the loop hands out the recipe of the step
        return samples + self.sigma * torch.randn_like(samples)

    def __post_init__(self) -> None:
        if min(values_of(self.sigma)) < 0:
            raise ValueError(f"sigma is {self.sigma}, allowed are numbers from 0")
