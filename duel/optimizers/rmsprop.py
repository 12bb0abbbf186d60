from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from duel.optimizers._base import Optimizer, check_rate
from duel.options import options
from duel.schedule import Schedule, at

if TYPE_CHECKING:
    from torch.nn import Parameter
    from torch.optim import Optimizer as TorchOptimizer


@options
class Rmsprop(Optimizer):
    """RMSProp: steps divided by the root of the running mean of the squared gradient.

    Hinton 2012, lecture 6e; what WGAN was trained with (Arjovsky et al. 2017).

    lr       learning rate; a number or a schedule
    decay    how much of the mean squared gradient is carried over from step to step
    epsilon  added to the root, so that nothing is divided by zero
    """

    lr: float | Schedule = 0.00005
    decay: float = 0.99
    epsilon: float = 1e-8

    def build(self, parameters: Iterable[Parameter]) -> TorchOptimizer:
        from torch import optim

        return optim.RMSprop(parameters, **at(self, 0).settings())

    def settings(self) -> dict[str, Any]:
        return {"lr": self.lr, "alpha": self.decay, "eps": self.epsilon}

    def __post_init__(self) -> None:
        super().__post_init__()
        check_rate(self.lr)
        if not 0 <= self.decay < 1:
            raise ValueError(f"decay is {self.decay}, allowed are numbers from 0 up to, not including, 1")
        if not self.epsilon > 0:
            raise ValueError(f"epsilon is {self.epsilon}, allowed are positive numbers")
