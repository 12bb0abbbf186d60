"""What the architectures with an encoder have in common, without torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from duel.errors import RecipeError
from duel.networks import _init

if TYPE_CHECKING:
    import numpy as np
    from torch.nn import Module

    from duel.interface import Interface


def need_encoder(name: str, interface: Interface) -> None:
    """RecipeError for games without an encoder, whose discriminator sees no latent vectors."""
    if not interface.encoder:
        raise RecipeError(
            f'the discriminator of the network "{name}" compares pairs of sample and latent vector, which '
            "this game does not make: use game.name=bidirectional"
        )


def initialise(module: Module, rng: np.random.Generator) -> None:
    """Weights N(0, 0.02²), batch norm's scales N(1, 0.02²), biases 0, embeddings of labels N(0, 1).

    A label's embedding stands beside a latent vector and has its spread, or it would be drowned.
    """
    from torch import nn

    _init.dcgan(module, rng)
    for layer in module.modules():
        if isinstance(layer, nn.Embedding):
            _init.normal(layer.weight, rng, 0.0, 1.0)
