"""What an augmentation is: a differentiable change to samples on their way into the discriminator."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


class Augmentation(ABC):
    """Applied to real and fake samples alike, in both players' passes, freshly drawn each time."""

    @abstractmethod
    def apply(self, samples: Tensor) -> Tensor:
        """Samples of the same shape. Randomness comes from torch's generator of the samples' device."""
