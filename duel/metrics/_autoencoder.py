"""Encoder and generator of a model, one after the other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from duel.errors import MetricError
from duel.metrics._base import Context, Side
from duel.metrics._checks import finite, kept

if TYPE_CHECKING:
    import numpy as np

GIVEN_LABELS = "the generator was given the true label of each real sample"


@dataclass(frozen=True)
class Autoencoder:
    """E: samples → latent vectors (n×d), and G: latent vectors → samples.

    hidden    samples → the encoder's last hidden layer (n×H), where it is known
    labelled  G takes labels (int64 n) beside the latent vectors
    """

    encoder: Callable[[np.ndarray], np.ndarray]
    decoder: Callable[..., np.ndarray]
    hidden: Callable[[np.ndarray], np.ndarray] | None = None
    labelled: bool = False

    def encode(self, samples: np.ndarray) -> np.ndarray:
        """E(x), checked to be finite."""
        latent = self.encoder(samples)
        finite(latent, "latent vectors")
        return latent

    def last_hidden(self, samples: np.ndarray) -> np.ndarray:
        """The encoder's last hidden layer, checked to be finite."""
        assert self.hidden is not None  # looked at before
        values = self.hidden(samples)
        finite(values, "rows of the hidden layer")
        return values

    def decode(self, latent: np.ndarray, labels: np.ndarray | None = None) -> np.ndarray:
        """G(z), or G(z, y) where it takes labels."""
        return self.decoder(latent, labels) if self.labelled else self.decoder(latent)

    def again(self, samples: np.ndarray, labels: np.ndarray | None = None) -> np.ndarray:
        """G(E(x)), or G(E(x), y)."""
        return self.decode(self.encode(samples), labels)


def trained(context: Context) -> Autoencoder:
    """The model's. MetricError for a model without an encoder."""
    if context.encoder is None or context.decoder is None:
        raise MetricError("this metric needs a model with an encoder, and this one has none")
    return Autoencoder(context.encoder, context.decoder, context.hidden, context.labelled)


def untrained_value(context: Context, measure: Callable[[Autoencoder], float]) -> dict[str, float]:
    """The baseline "untrained": what the networks give before training, where those are known."""
    if context.untrained is None:
        return {}
    return {"untrained": measure(Autoencoder(*context.untrained, context.untrained_hidden, context.labelled))}


def true_labels(context: Context, real: Side) -> np.ndarray | None:
    """The real samples' labels, where the generator takes labels; else None."""
    return kept(real, "labels", "real") if context.labelled else None
