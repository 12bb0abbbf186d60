from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from duel.errors import RecipeError
from duel.networks._base import Convolutional, Linear, need_images, no_encoder
from duel.networks._sides import seed_side
from duel.options import options

if TYPE_CHECKING:
    import numpy as np
    from torch.nn import Module

    from duel.interface import Interface

_WIDEST = 3  # so many doublings with the same number of maps; further ones halve it


@options
class R3gan(Convolutional, Linear):
    """The modern residual networks of R3GAN, small, for images of 8 to 128 pixels.

    Huang et al. 2024 (arXiv:2501.05441), section 3 (config E): no norm at all, inverted bottlenecks with
    grouped convolutions, Fixup initial weights, bilinear resampling between the stages. The generator
    starts from learnt 4×4 (to 7×7) maps, each multiplied by a linear function of the latent vector; the
    discriminator is its mirror image and ends in one filter per map over that seed and a linear layer.
    Labels: an embedding as long as the latent vector beside it, and a projection in the discriminator.
    The tanh at the generator's output is ours: the authors' samples are not bounded.
    The last convolution of every block starts at 0, as in the paper, so the first two get their first
    gradient after one update. The side must be 4 to 7 times a power of two.

    width       feature maps at up to 8 times the seed's side (32 pixels); larger sides have half as many
                per doubling (768 in the paper at 32 pixels)
    blocks      residual blocks per stage, of which each side has one (2 in the paper)
    group_size  feature maps per group of the 3×3 convolutions (16 in the paper); one group, where there
                are fewer
    expansion   by how much a block's inner feature maps are more than its outer ones (2 in the paper)
    """

    width: int = 32
    blocks: int = 1
    group_size: int = 16
    expansion: int = 2

    def __post_init__(self) -> None:
        for name in ("width", "blocks", "group_size", "expansion"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}, allowed are integers from 1")

    def check(self, interface: Interface) -> None:
        need_images("r3gan", interface)
        no_encoder("r3gan", interface)
        _, doublings = seed_side(interface.spec.shape[-1], "r3gan")
        for maps in self._widths(doublings):
            wide = maps * self.expansion
            if maps < 1 or (wide > self.group_size and wide % self.group_size):
                raise RecipeError(
                    f"with width={self.width} and expansion={self.expansion} a stage has {wide} feature maps "
                    f"inside, which are not whole groups of {self.group_size}: use network.width="
                    f"{self.group_size << max(0, doublings - _WIDEST)} or another network.group_size"
                )

    def generator(self, interface: Interface) -> Module:
        from torch import nn

        from duel.networks import _layers, _resnext

        channels, _, side = interface.spec.shape
        start, doublings = seed_side(side)
        widths = self._widths(doublings)
        size, classes = interface.latent_size, interface.generator_classes
        label = [_layers.LabelVector(classes, size)] if classes else []
        layers = [_resnext.Basis(size * (1 + len(label)), widths[0], start), *self._stage(widths, 0)]
        for stage, (inputs, outputs) in enumerate(pairwise(widths), start=1):
            layers += [*_resnext.linear_change(inputs, outputs), _resnext.Double()]
            layers += self._stage(widths, stage)
        out = nn.Conv2d(widths[-1], channels, 1, bias=False)
        return _layers.Labelled(*label, *layers, out, nn.Tanh())

    def discriminator(self, interface: Interface) -> Module:
        from torch import nn

        from duel.networks import _layers, _resnext

        channels, _, side = interface.spec.shape
        start, doublings = seed_side(side)
        widths = self._widths(doublings)[::-1]
        layers: list[Module] = [nn.Conv2d(channels, widths[0], 1, bias=False)]
        for stage, (inputs, outputs) in enumerate(pairwise(widths)):
            layers += self._stage(widths, stage)
            layers += [_resnext.Halve(), *_resnext.linear_change(inputs, outputs)]
        width, outputs, classes = widths[-1], interface.outputs, interface.discriminator_classes
        head: Module = (
            _resnext.Projection(width, width, outputs, classes)
            if classes
            else nn.Linear(width, outputs, bias=False)
        )
        return _layers.Labelled(
            *layers,
            *self._stage(widths, -1),
            nn.Conv2d(width, width, start, groups=width, bias=False),
            nn.Flatten(),
            head,
            _layers.logits(outputs),
        )

    def initialise(self, module: Module, rng: np.random.Generator) -> None:
        from duel.networks import _resnext

        _resnext.initialise(module, rng)

    def _widths(self, doublings: int) -> list[int]:
        """Feature maps from the seed to the full size."""
        return [self.width >> max(0, stage - _WIDEST) for stage in range(doublings + 1)]

    def _stage(self, widths: list[int], stage: int) -> list[Module]:
        """The blocks of one stage of a network whose stages have so many feature maps."""
        from duel.networks import _resnext

        total = self.blocks * len(widths)
        return [
            _resnext.Block(widths[stage], self.group_size, self.expansion, total) for _ in range(self.blocks)
        ]
