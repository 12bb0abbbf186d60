"""What an architecture is: options that build a run's networks for a kind of data and a game."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from duel.errors import RecipeError
from duel.interface import Interface as Interface  # part of what an architecture deals with
from duel.networks import _init
from duel.options import options

if TYPE_CHECKING:
    import numpy as np
    from torch.nn import Module

Init = Literal["paper", "normal", "glorot", "orthogonal"]


@dataclass
class Networks:
    """The modules of one run.

    generator      latent (N×L)[, labels (N)] → samples in [−1, 1] (N×C×H×W, or N×2)
    discriminator  the elements of a game's tuple → logits (N,), or N×outputs
    encoder        samples → latent (N×L); its method `hidden` gives its last hidden layer (N×H)
    """

    generator: Module
    discriminator: Module
    encoder: Module | None = None

    def named(self) -> dict[str, Module]:
        """The modules by the names under which checkpoints keep them."""
        found = {"generator": self.generator, "discriminator": self.discriminator}
        return found if self.encoder is None else {**found, "encoder": self.encoder}

    def second_player(self) -> dict[str, Module]:
        """What the generator's player owns: the generator, and the encoder where there is one."""
        return {name: module for name, module in self.named().items() if name != "discriminator"}


class Network(ABC):
    """Base of the architectures. A subclass is an options class; it also derives from the classes below that
    say which types of layers it has.
    """

    init_conv = "paper"
    init_linear = "paper"
    init_std = 0.02

    @abstractmethod
    def check(self, interface: Interface) -> None:
        """RecipeError when these options cannot make networks of this interface."""

    @abstractmethod
    def generator(self, interface: Interface) -> Module:
        """The generator; its initial weights are replaced by `initialise`."""

    @abstractmethod
    def discriminator(self, interface: Interface) -> Module:
        """The discriminator; its initial weights are replaced by `initialise`."""

    def encoder(self, interface: Interface) -> Module:
        """The encoder, in architectures that have one. Its initial weights are replaced, too."""
        raise NotImplementedError("an architecture without an encoder refuses it in `check`")

    @abstractmethod
    def initialise(self, module: Module, rng: np.random.Generator) -> None:
        """Draw a module's initial weights from `rng`, in the order of its layers, as the source has them."""

    def build(self, interface: Interface, rng: np.random.Generator) -> Networks:
        """The networks, initialised: generator, discriminator, encoder draw their weights in this order."""
        import torch

        # torch draws weights of its own, which are replaced; its generator must not notice, or building
        # a network to look at a checkpoint would change the training that goes on beside it.
        with torch.random.fork_rng(devices=[]):
            networks = self.modules(interface)
        for module in networks.named().values():
            self.initialise(module, rng)
            _init.override(module, rng, self.init_conv, self.init_linear, self.init_std)
            _init.settle_spectral_norm(module, rng)
        return networks

    def modules(self, interface: Interface) -> Networks:
        """The networks before their weights are drawn."""
        return Networks(
            self.generator(interface),
            self.discriminator(interface),
            self.encoder(interface) if interface.encoder else None,
        )


@options
class Convolutional(Network):
    """Base of architectures with convolutions.

    init_conv  initial weights of convolutions: "paper" (what the architecture's source has), "normal",
               "glorot" (uniform) or "orthogonal"
    init_std   standard deviation of "normal"
    """

    init_conv: Init = "paper"
    init_std: float = 0.02


@options
class Linear(Network):
    """Base of architectures with fully connected layers.

    init_linear  initial weights of fully connected layers: "paper", "normal", "glorot" or "orthogonal"
    init_std     standard deviation of "normal"
    """

    init_linear: Init = "paper"
    init_std: float = 0.02


def check_slope(slope: float, name: str = "slope") -> None:
    """ValueError for a slope of LeakyReLU outside 0 (ReLU) to 1 (nothing bends)."""
    if not 0 <= slope <= 1:
        raise ValueError(f"{name} is {slope}, allowed are numbers from 0 to 1")


def need_images(name: str, interface: Interface) -> None:
    """RecipeError for points."""
    if interface.spec.kind != "image":
        other = "bigan-dense" if interface.encoder else "dense"
        raise RecipeError(
            f'the network "{name}" makes images and these data are points: use network.name={other}'
        )


def no_encoder(name: str, interface: Interface) -> None:
    """RecipeError where the game wants an encoder."""
    if interface.encoder:
        raise RecipeError(
            f'the game wants an encoder, which the network "{name}" has not: use network.name=bigan (images '
            "of 32×32) or bigan-dense"
        )
