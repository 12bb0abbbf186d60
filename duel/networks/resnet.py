from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from duel.errors import RecipeError
from duel.networks._base import Convolutional, Linear, need_images, no_encoder
from duel.networks._sides import seed_side
from duel.options import options

if TYPE_CHECKING:
    import numpy as np
    from torch.nn import Module

    from duel.interface import Interface

_EQUAL = 3  # so many doublings with the same number of maps; with more the numbers double


@options
class Resnet(Convolutional, Linear):
    """The residual networks of WGAN-GP and SNGAN, for images of 8 to 128 pixels.

    Gulrajani et al. 2017 (arXiv:1704.00028); Miyato et al. 2018 (arXiv:1802.05957), appendix
    B.4, whose code fills in what the tables leave open. The generator: a dense layer to 4×4 to 7×7, one
    block per doubling of the side, batch norm, ReLU, 3×3 convolution, tanh. The discriminator: for up to
    three doublings (32 pixels) two blocks that halve the side and two that keep it, for more (64 pixels)
    one halving block per doubling and one more; ReLU, a sum over space, a linear layer. Initial weights
    are Glorot-uniform, times √2 in the residual branches. Labels come in by conditional batch norm in the
    generator and a projection in the discriminator (Miyato, Koyama 2018, arXiv:1802.05637).
    The side must be 4 to 7 times a power of two.

    generator_width      feature maps: of every layer for up to three doublings, of the layers at full
                         size for more, where each halving of the side doubles them. WGAN-GP has 128 and
                         SNGAN 256 at 32 pixels, and 64 at 64 pixels
    discriminator_width  the same for the discriminator: 128 in both at 32 pixels, 64 at 64 pixels
    generator_norm       "batch" or "none"
    discriminator_norm   "none", "layer" (which WGAN-GP recommends) or "spectral" (SNGAN). Never batch
                         norm, with which a gradient penalty is not one sample's own
    """

    generator_width: int = 64
    discriminator_width: int = 64
    generator_norm: Literal["batch", "none"] = "batch"
    discriminator_norm: Literal["none", "layer", "spectral"] = "none"

    def __post_init__(self) -> None:
        for name in ("generator_width", "discriminator_width"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}, allowed are integers from 1")

    def check(self, interface: Interface) -> None:
        need_images("resnet", interface)
        no_encoder("resnet", interface)
        seed_side(interface.spec.shape[-1], "resnet")
        if interface.generator_classes and self.generator_norm == "none":
            raise RecipeError(
                'the generator of the network "resnet" takes labels by conditional batch norm only: use '
                "network.generator_norm=batch"
            )

    def generator(self, interface: Interface) -> Module:
        from torch import nn

        from duel.networks import _layers, _residual

        channels, _, side = interface.spec.shape
        start, doublings = seed_side(side)
        seed, *widths = _widths(self.generator_width, doublings)
        layers: list[Module] = [
            nn.Linear(interface.latent_size, seed * start * start),
            nn.Unflatten(1, (seed, start, start)),
        ]
        width = seed
        for following in widths:
            layers.append(_residual.Up(width, following, self.generator_norm, interface.generator_classes))
            width = following
        return _layers.Labelled(
            *layers,
            *_layers.normalising(self.generator_norm, width),
            nn.ReLU(),
            nn.Conv2d(width, channels, 3, padding=1),
            nn.Tanh(),
        )

    def discriminator(self, interface: Interface) -> Module:
        from torch import nn

        from duel.networks import _layers, _residual

        channels, _, side = interface.spec.shape
        _, doublings = seed_side(side)
        norm = self.discriminator_norm
        width = channels
        blocks: list[Module] = []
        for following, halve in _halving(self.discriminator_width, doublings):
            blocks.append(_residual.Down(width, following, norm, halve, first=not blocks))
            width = following
        head = _layers.ProjectionHead(width, interface.outputs, interface.discriminator_classes, norm)
        return _layers.Labelled(
            *blocks, nn.ReLU(), _layers.SumPool(), head, _layers.logits(interface.outputs)
        )

    def initialise(self, module: Module, rng: np.random.Generator) -> None:
        from duel.networks import _residual

        _residual.initialise(module, rng)


def _widths(width: int, doublings: int) -> list[int]:
    """Feature maps from the seed to the full size."""
    if doublings <= _EQUAL:
        return [width] * (doublings + 1)
    return [width << power for power in reversed(range(doublings + 1))]


def _halving(width: int, doublings: int) -> list[tuple[int, bool]]:
    """Feature maps of the discriminator's blocks, and which of them halve the side."""
    if doublings <= _EQUAL:
        return [(width, number < min(2, doublings)) for number in range(4)]
    return [(maps, True) for maps in reversed(_widths(width, doublings))]
