from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from duel.optimizers import _moments
from duel.optimizers._base import Optimizer, check_rate
from duel.options import options
from duel.schedule import Schedule, at

if TYPE_CHECKING:
    from torch.nn import Parameter
    from torch.optim import Optimizer as TorchOptimizer


@options
class Adamw(Optimizer):
    """Adam whose weight decay does not pass through the moments.

    Loshchilov, Hutter 2019 (arXiv:1711.05101), algorithm 2: each step also multiplies every parameter by
    1 − lr·decay.

    lr       learning rate; a number or a schedule
    beta1    how much of the mean gradient is carried over from step to step
    beta2    the same for the mean squared gradient; a number or a schedule
    epsilon  added to the root, so that nothing is divided by zero
    decay    of the weights
    """

    lr: float | Schedule = 0.0002
    beta1: float = 0.5
    beta2: float | Schedule = 0.999
    epsilon: float = 1e-8
    decay: float = 0.01

    def build(self, parameters: Iterable[Parameter]) -> TorchOptimizer:
        from torch import optim

        return optim.AdamW(parameters, **at(self, 0).settings())

    def settings(self) -> dict[str, Any]:
        found = _moments.settings(self.lr, self.beta1, self.beta2, self.epsilon)
        return {**found, "weight_decay": self.decay}

    def __post_init__(self) -> None:
        super().__post_init__()
        check_rate(self.lr)
        _moments.check(self.beta1, self.beta2, self.epsilon)
        if not self.decay >= 0:
            raise ValueError(f"decay is {self.decay}, allowed are numbers from 0")
