from __future__ import annotations

from typing import TYPE_CHECKING

from duel.errors import RecipeError
from duel.networks import _init
from duel.networks._base import Network
from duel.options import options

if TYPE_CHECKING:
    import numpy as np
    from torch.nn import Module

    from duel.datasets._base import Spec


@options
class Dcgan(Network):
    """The all-convolutional networks of DCGAN, for images of 8 to 128 pixels.

    Radford, Metz, Chintala 2016 (arXiv:1511.06434), section 3: transposed and strided convolutions in
    place of pooling, no hidden dense layer, batch norm everywhere but at the generator's output and
    the discriminator's input, ReLU and tanh in the generator, LeakyReLU in the discriminator.
    The side must be 4 to 7 times a power of two (8, 28, 32, 48, 64, 96, 128, …): the generator starts
    from 4×4 to 7×7 and doubles.

    width  feature maps at the last hidden layer of the generator and the first of the discriminator
           (64 in the paper); each layer nearer to the latent vector has twice as many
    slope  of LeakyReLU below zero
    std    of the initial weights
    """

    width: int = 64
    slope: float = 0.2
    std: float = 0.02

    def __post_init__(self) -> None:
        if self.width < 1:
            raise ValueError(f"width is {self.width}, allowed are integers from 1")
        if not self.std > 0:
            raise ValueError(f"std is {self.std}, allowed are positive numbers")

    def check(self, spec: Spec) -> None:
        if spec.kind != "image":
            raise RecipeError(
                'the network "dcgan" makes images and these data are points: use network.name=dense '
                "(recipe gan)"
            )
        seed_side(spec.shape[-1])

    def generator(self, spec: Spec, latent_size: int) -> Module:
        from torch import nn

        channels, _, side = spec.shape
        start, doublings = seed_side(side)
        width = self.width << (doublings - 1)
        layers: list[Module] = [
            nn.Unflatten(1, (latent_size, 1, 1)),
            nn.ConvTranspose2d(latent_size, width, start, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
        ]
        while width > self.width:
            layers += [
                nn.ConvTranspose2d(width, width // 2, 4, 2, 1, bias=False),
                nn.BatchNorm2d(width // 2),
                nn.ReLU(inplace=True),
            ]
            width //= 2
        return nn.Sequential(*layers, nn.ConvTranspose2d(width, channels, 4, 2, 1, bias=False), nn.Tanh())

    def discriminator(self, spec: Spec) -> Module:
        from torch import nn

        channels, _, side = spec.shape
        start, doublings = seed_side(side)
        width = self.width
        layers: list[Module] = [
            nn.Conv2d(channels, width, 4, 2, 1, bias=False),
            nn.LeakyReLU(self.slope, inplace=True),
        ]
        for _ in range(doublings - 1):
            layers += [
                nn.Conv2d(width, 2 * width, 4, 2, 1, bias=False),
                nn.BatchNorm2d(2 * width),
                nn.LeakyReLU(self.slope, inplace=True),
            ]
            width *= 2
        return nn.Sequential(*layers, nn.Conv2d(width, 1, start, bias=False), nn.Flatten(0))

    def initialise(self, module: Module, rng: np.random.Generator) -> None:
        _init.dcgan(module, rng, self.std)


def seed_side(side: int) -> tuple[int, int]:
    """(start, doublings) with side = start · 2^doublings and 4 ≤ start ≤ 7.

    RecipeError for any other side, with the nearest that works.
    """
    allowed = sorted(start << k for start in (4, 5, 6, 7) for k in range(1, 6) if 8 <= start << k <= 128)
    if side not in allowed:
        near = min(allowed, key=lambda value: (abs(value - side), -value))
        raise RecipeError(
            f'the network "dcgan" cannot make images of {side}×{side} pixels: the side must be 4 to 7 times '
            f"a power of two, from 8 to 128; the nearest is data.resolution={near}"
        )
    start, doublings = side, 0
    while start > 7:
        start, doublings = start // 2, doublings + 1
    return start, doublings
