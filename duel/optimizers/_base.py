"""What an optimizer is here: options that build torch's own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch.nn import Parameter
    from torch.optim import Optimizer as TorchOptimizer


class Optimizer(ABC):
    """One per player."""

    @abstractmethod
    def build(self, parameters: Iterable[Parameter]) -> TorchOptimizer:
        """torch's optimizer over the player's parameters."""


def check_rate(lr: float) -> None:
    """ValueError unless the learning rate is a positive finite number."""
    if not 0 < lr < float("inf"):
        raise ValueError(f"lr is {lr}, allowed are positive numbers")
