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
class Sgd(Optimizer):
    """Stochastic gradient descent, with momentum where it is given.

    v ← momentum·v + gradient; w ← w − lr·v (Polyak 1964, as torch writes it). With momentum 0 the plain
    step down the gradient.

    lr        learning rate; a number or a schedule
    momentum  how much of the last step's velocity is carried over
    """

    lr: float | Schedule = 0.01
    momentum: float = 0.0

    def build(self, parameters: Iterable[Parameter]) -> TorchOptimizer:
        from torch import optim

        return optim.SGD(parameters, **at(self, 0).settings())

    def settings(self) -> dict[str, Any]:
        return {"lr": self.lr, "momentum": self.momentum}

    def __post_init__(self) -> None:
        super().__post_init__()
        check_rate(self.lr)
        if not 0 <= self.momentum < 1:
            raise ValueError(
                f"momentum is {self.momentum}, allowed are numbers from 0 up to, not including, 1"
            )
