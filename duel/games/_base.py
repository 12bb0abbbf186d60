"""What a game is: the tuples that the discriminator compares."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from duel.networks._base import Networks


class Game(ABC):
    """The discriminator is called with a tuple's elements; nothing else in the loop knows the difference."""

    @abstractmethod
    def real(self, networks: Networks, samples: Tensor) -> tuple[Tensor, ...]:
        """The real tuple of a batch; its first element are the samples."""

    @abstractmethod
    def fake(self, networks: Networks, latent: Tensor) -> tuple[Tensor, ...]:
        """The fake tuple of a batch of latent vectors; its first element are generated samples."""
