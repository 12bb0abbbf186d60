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
class Adam(Optimizer):
    """Adam with bias correction; ε stands outside the root, as in the paper.

    Kingma, Ba 2015 (arXiv:1412.6980), algorithm 1. The defaults of lr and beta1 are those of DCGAN
    (Radford et al. 2016, section 4).

    lr       learning rate; a number or a schedule
    beta1    how much of the mean gradient is carried over from step to step
    beta2    the same for the mean squared gradient; a number or a schedule
    epsilon  added to the root, so that nothing is divided by zero
    """

    lr: float | Schedule = 0.0002
    beta1: float = 0.5
    beta2: float | Schedule = 0.999
    epsilon: float = 1e-8

    def build(self, parameters: Iterable[Parameter]) -> TorchOptimizer:
        from torch import optim

        return optim.Adam(parameters, **at(self, 0).settings())

    def settings(self) -> dict[str, Any]:
        return _moments.settings(self.lr, self.beta1, self.beta2, self.epsilon)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_rate(self.lr)
        _moments.check(self.beta1, self.beta2, self.epsilon)
