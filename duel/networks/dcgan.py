from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from duel.errors import RecipeError
from duel.networks import _init
from duel.networks._base import Convolutional, Linear, check_slope, need_images, no_encoder
from duel.networks._sides import seed_side
from duel.options import options

if TYPE_CHECKING:
    import numpy as np
    from torch.nn import Conv2d, ConvTranspose2d, Module

    from duel.interface import Interface


@options
class Dcgan(Convolutional, Linear):
    """The all-convolutional networks of DCGAN, for images of 8 to 128 pixels.

    Radford, Metz, Chintala 2016 (arXiv:1511.06434), section 3: transposed and strided convolutions in
    place of pooling, no hidden dense layer, batch norm everywhere but at the generator's output and
    the discriminator's input, ReLU and tanh in the generator, LeakyReLU in the discriminator.
    The side must be 4 to 7 times a power of two (8, 28, 32, 48, 64, 96, 128, …): the generator starts
    from 4×4 to 7×7 and doubles.

    width                  feature maps at the last hidden layer of the generator and the first of the
                           discriminator (64 in the paper); each layer nearer to the latent vector has
                           twice as many
    slope                  of LeakyReLU below zero
    upscale                how the generator doubles a side: "transposed" convolutions, or "nearest" or
                           "bilinear" upsampling before a 3×3 convolution
    generator_norm         of the hidden layers: "batch", "layer" (over all of one sample's maps; what
                           WGAN-GP recommends for its critic), "none", or "spectral" (no norm of
                           activations; every weight is divided by its largest singular value)
    discriminator_norm     the same for the discriminator
    norm_after_activation  convolution, activation, norm, in place of convolution, norm, activation
    dropout                part of the discriminator's activations that training sets to 0, in every
                           hidden layer
    condition              how labels come in, in games that have them: "channel" makes one more feature
                           map of the label, beside the generator's first maps and the discriminator's
                           image (Hoeckler 2021, 4.3.2); "projection" is conditional batch norm in the
                           generator and a projection discriminator (arXiv:1802.05637)
    """

    width: int = 64
    slope: float = 0.2
    upscale: Literal["transposed", "nearest", "bilinear"] = "transposed"
    generator_norm: Literal["batch", "layer", "none", "spectral"] = "batch"
    discriminator_norm: Literal["batch", "layer", "none", "spectral"] = "batch"
    norm_after_activation: bool = False
    dropout: float = 0.0
    condition: Literal["channel", "projection"] = "channel"

    def __post_init__(self) -> None:
        check_slope(self.slope)
        if self.width < 1:
            raise ValueError(f"width is {self.width}, allowed are integers from 1")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout is {self.dropout}, allowed are numbers from 0 to below 1")

    def check(self, interface: Interface) -> None:
        need_images("dcgan", interface)
        no_encoder("dcgan", interface)
        seed_side(interface.spec.shape[-1])
        if self.condition == "projection" and interface.generator_classes and self.generator_norm != "batch":
            raise RecipeError(
                "network.condition=projection gives the generator its labels in batch norm and "
                f"network.generator_norm is {self.generator_norm}: use network.generator_norm=batch or "
                "network.condition=channel"
            )

    def generator(self, interface: Interface) -> Module:
        from torch import nn

        from duel.networks import _layers

        channels, _, side = interface.spec.shape
        start, doublings = seed_side(side)
        latent, classes, norm = interface.latent_size, interface.generator_classes, self.generator_norm
        norm_classes = classes if self.condition == "projection" else 0
        width = self.width << (doublings - 1)
        seed = nn.ConvTranspose2d(latent, width, start, bias=self._hidden_bias(norm))
        layers: list[Module] = [
            nn.Unflatten(1, (latent, 1, 1)),
            *self._hidden(seed, norm, nn.ReLU(inplace=True), norm_classes),
        ]
        inputs = width
        if classes and self.condition == "channel":
            layers.append(_label_channel(classes, start, norm))
            inputs += 1
        while width > self.width:
            width //= 2
            conv = self._convolution(inputs, width, self._hidden_bias(norm))
            layers += [*self._upscaling(), *self._hidden(conv, norm, nn.ReLU(inplace=True), norm_classes)]
            inputs = width
        last = _layers.weighted(self._convolution(inputs, channels, _edge_bias(norm)), norm)
        return _layers.Labelled(*layers, *self._upscaling(), last, nn.Tanh())

    def discriminator(self, interface: Interface) -> Module:
        from torch import nn

        from duel.networks import _layers

        channels, _, side = interface.spec.shape
        start, doublings = seed_side(side)
        classes, norm = interface.discriminator_classes, self.discriminator_norm
        width, inputs = self.width, channels
        layers: list[Module] = []
        if classes and self.condition == "channel":
            layers.append(_label_channel(classes, side, norm))
            inputs += 1
        layers += [
            _layers.weighted(nn.Conv2d(inputs, width, 4, 2, 1, bias=_edge_bias(norm)), norm),
            nn.LeakyReLU(self.slope, inplace=True),
            *self._dropout(),
        ]
        for _ in range(doublings - 1):
            conv = nn.Conv2d(width, 2 * width, 4, 2, 1, bias=self._hidden_bias(norm))
            layers += [
                *self._hidden(conv, norm, nn.LeakyReLU(self.slope, inplace=True)),
                *self._dropout(),
            ]
            width *= 2
        if self.condition == "projection" and (classes or interface.generator_classes):
            # a game that asks the discriminator for the class has no labels here: the head is linear then
            # all of the last maps, as the unconditional last convolution sees them: summed over space, two
            # layers of local features do not know a digit
            features = width * start * start
            layers += [
                nn.Flatten(),
                _layers.ProjectionHead(features, interface.outputs, classes, norm),
            ]
        else:
            last = nn.Conv2d(width, interface.outputs, start, bias=_edge_bias(norm))
            layers.append(_layers.weighted(last, norm))
        return _layers.Labelled(*layers, _layers.logits(interface.outputs))

    def initialise(self, module: Module, rng: np.random.Generator) -> None:
        _init.dcgan(module, rng)
        _init.labels(module, rng)

    def _hidden_bias(self, norm: str) -> bool:
        """A norm right behind a convolution takes any bias away again."""
        return _edge_bias(norm) and (norm != "layer" or self.norm_after_activation)

    def _hidden(
        self, layer: Conv2d | ConvTranspose2d, norm: str, activation: Module, classes: int = 0
    ) -> list[Module]:
        """A weight layer with its norm and activation, in the order asked for."""
        from duel.networks import _layers

        norms = _layers.normalising(norm, layer.out_channels, classes)
        behind = [activation, *norms] if self.norm_after_activation else [*norms, activation]
        return [_layers.weighted(layer, norm), *behind]

    def _upscaling(self) -> list[Module]:
        """What doubles the side in front of the generator's convolutions, where they do not."""
        from duel.networks import _layers

        return [] if self.upscale == "transposed" else [_layers.upscale(self.upscale)]

    def _convolution(self, inputs: int, outputs: int, bias: bool) -> Conv2d | ConvTranspose2d:
        from torch import nn

        if self.upscale == "transposed":
            return nn.ConvTranspose2d(inputs, outputs, 4, 2, 1, bias=bias)
        return nn.Conv2d(inputs, outputs, 3, padding=1, bias=bias)

    def _dropout(self) -> list[Module]:
        from torch import nn

        # behind the norm in either order: in front of it, batch norm would keep training's larger variance
        return [nn.Dropout(self.dropout)] if self.dropout else []


def _edge_bias(norm: str) -> bool:
    """Whether layers without a norm of their own have a bias; in the paper's networks none has."""
    return norm != "batch"


def _label_channel(classes: int, side: int, norm: str) -> Module:
    from duel.networks import _layers

    layer = _layers.LabelChannel(classes, side)
    for part in (layer.embedding, layer.dense):
        _layers.weighted(part, norm)  # in place
    return layer
