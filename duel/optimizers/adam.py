from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from duel.optimizers._base import Optimizer, check_rate
from duel.options import options

if TYPE_CHECKING:
    from torch.nn import Parameter
    from torch.optim import Optimizer as TorchOptimizer


@options
class Adam(Optimizer):
    """Adam with bias correction; ε stands outside the root, as in the paper.

    Kingma, Ba 2015 (arXiv:1412.6980), algorithm 1. The defaults of lr and beta1 are those of DCGAN
    (Radford et al. 2016, section 4).

    lr       learning rate
    beta1    how much of the mean gradient is carried over from step to step
    beta2    the same for the mean squared gradient
    epsilon  added to the root, so that nothing is divided by zero
    """

    lr: float = 0.0002
    beta1: float = 0.5
    beta2: float = 0.999
    epsilon: float = 1e-8

    def build(self, parameters: Iterable[Parameter]) -> TorchOptimizer:
        from torch import optim

        return optim.Adam(parameters, self.lr, (self.beta1, self.beta2), self.epsilon)

    def __post_init__(self) -> None:
        check_rate(self.lr)
        for name, beta in (("beta1", self.beta1), ("beta2", self.beta2)):
            if not 0 <= beta < 1:
                raise ValueError(f"{name} is {beta}, allowed are numbers from 0 up to, not including, 1")
        if not self.epsilon > 0:
            raise ValueError(f"epsilon is {self.epsilon}, allowed are positive numbers")
