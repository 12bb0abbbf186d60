"""Encoder and generator of a model, one after the other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from duel.errors import MetricError
from duel.metrics._base import Context
from duel.metrics._checks import finite

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Autoencoder:
    """E: samples → latent vectors (n×d), and G: latent vectors → samples."""

    encoder: Callable[[np.ndarray], np.ndarray]
    decoder: Callable[[np.ndarray], np.ndarray]

    def encode(self, samples: np.ndarray) -> np.ndarray:
        """E(x), checked to be finite."""
        latent = self.encoder(samples)
        finite(latent, "latent vectors")
        return latent

    def again(self, samples: np.ndarray) -> np.ndarray:
        """G(E(x))."""
        return self.decoder(self.encode(samples))


def trained(context: Context) -> Autoencoder:
    """The model's. MetricError for a model without an encoder."""
    if context.encoder is None or context.decoder is None:
        raise MetricError("this metric needs a model with an encoder, and this one has none")
    return Autoencoder(context.encoder, context.decoder)


def untrained_value(context: Context, measure: Callable[[Autoencoder], float]) -> dict[str, float]:
    """The baseline "untrained": what the networks give before training, where those are known."""
    return {} if context.untrained is None else {"untrained": measure(Autoencoder(*context.untrained))}
