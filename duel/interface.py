"""What flows into and out of a run's networks: the word between games and architectures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from duel.datasets._base import Spec


@dataclass(frozen=True)
class Interface:
    """A game says it, an architecture builds for it.

    spec                   kind and shape of the samples
    latent_size            components of a latent vector
    generator_classes      the generator is also given labels (int64 N) of so many classes; 0: it is not
    discriminator_classes  the same for the discriminator, whose last argument they are
    encoder                there is an encoder, and the discriminator's second argument are latent vectors
    outputs                of the discriminator: 1 means logits (N,), more means N×outputs
    """

    spec: Spec
    latent_size: int
    generator_classes: int = 0
    discriminator_classes: int = 0
    encoder: bool = False
    outputs: int = 1
