"""What an optimizer is here: options that build torch's own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from duel.options import options
from duel.schedule import Schedule, values_of

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Parameter
    from torch.optim import Optimizer as TorchOptimizer


@options
class Optimizer(ABC):
    """One per player. The player's loss gains l1·Σ|w| + l2/2·Σw² over its weights.

    l1, l2  of these two terms. Weights are parameters with two axes or more: no biases, gains or shifts
    """

    l1: float = 0.0
    l2: float = 0.0

    def __post_init__(self) -> None:
        for name in ("l1", "l2"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {getattr(self, name)}, allowed are numbers from 0")

    @abstractmethod
    def build(self, parameters: Iterable[Parameter]) -> TorchOptimizer:
        """torch's optimizer over the player's parameters."""

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """What torch's parameter groups hold of these options; follows the schedules."""

    def weight_penalty(self, parameters: Iterable[Parameter]) -> Tensor | None:
        """l1·Σ|w| + l2/2·Σw² over the weights, as one number; None where both are 0."""
        if not (self.l1 or self.l2):
            return None
        return _weight_penalty([one for one in parameters if one.dim() > 1], self.l1, self.l2)


def _weight_penalty(weights: Sequence[Parameter], l1: float, l2: float) -> Tensor:
    import torch

    terms = [l1 * weight.abs().sum() + l2 / 2 * weight.square().sum() for weight in weights]
    return torch.stack(terms).sum()


def check_rate(lr: float | Schedule) -> None:
    """ValueError for a negative learning rate. A schedule may touch 0; the recipe refuses a plain 0."""
    if min(values_of(lr)) < 0:
        raise ValueError(f"lr is {lr}, allowed are positive numbers")
