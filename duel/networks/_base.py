"""What an architecture is: options that build a generator and a discriminator for a kind of data."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from torch.nn import Module

    from duel.datasets._base import Spec


@dataclass
class Networks:
    """The modules of one run.

    generator      latent (N×L) → samples in [−1, 1] (N×C×H×W, or N×2)
    discriminator  the elements of a game's tuple → logits (N,)
    """

    generator: Module
    discriminator: Module

    def named(self) -> dict[str, Module]:
        """The modules by the names under which checkpoints keep them."""
        return {"generator": self.generator, "discriminator": self.discriminator}


class Network(ABC):
    """Base of the architectures. A subclass is an options class."""

    @abstractmethod
    def check(self, spec: Spec) -> None:
        """RecipeError when these options cannot make samples of this kind and shape."""

    @abstractmethod
    def generator(self, spec: Spec, latent_size: int) -> Module:
        """The generator; its initial weights are replaced by `initialise`."""

    @abstractmethod
    def discriminator(self, spec: Spec) -> Module:
        """The discriminator; its initial weights are replaced by `initialise`."""

    @abstractmethod
    def initialise(self, module: Module, rng: np.random.Generator) -> None:
        """Draw a module's initial weights from `rng`, in the order of its layers."""

    def build(self, spec: Spec, latent_size: int, rng: np.random.Generator) -> Networks:
        """Both networks, initialised: the generator's weights are drawn first."""
        import torch

        # torch draws weights of its own, which are replaced; its generator must not notice, or building
        # a network to look at a checkpoint would change the training that goes on beside it.
        with torch.random.fork_rng(devices=[]):
            networks = Networks(self.generator(spec, latent_size), self.discriminator(spec))
        for module in networks.named().values():
            self.initialise(module, rng)
        return networks
