from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal

from duel.constraints._base import Constraint
from duel.errors import RecipeError
from duel.options import options

if TYPE_CHECKING:
    from torch.nn import Module, Parameter


@options
class Clip(Constraint):
    """Weight clipping: every parameter of the critic is kept between −limit and limit (WGAN).

    Arjovsky, Chintala, Bottou 2017 (arXiv:1701.07875), algorithm 1.

    limit       0.01 in the paper; Hoeckler 2021 found 0.1 to 2 better on images of 28×28
    batch_norm  what happens to the scales and shifts of batch norm, which divides by the batch's own
                deviation and so undoes the bound on the slope: "refuse" such a critic (the default), "clip"
                them like the rest, or "spare" them (as Hoeckler's code did)
    """

    limit: float = 0.01
    batch_norm: Literal["refuse", "clip", "spare"] = "refuse"

    def check(self, discriminator: Module) -> None:
        if self.batch_norm == "refuse" and _of_batch_norm(discriminator):
            raise RecipeError(
                'the constraint "clip" refuses a critic with batch norm, which undoes the bound on its slope:'
                " use network.discriminator_norm=none (or layer), or say constraints.clip.batch_norm=clip or "
                "=spare"
            )

    def parameters(self, discriminator: Module) -> list[Parameter]:
        spared = _of_batch_norm(discriminator) if self.batch_norm == "spare" else set()
        return [parameter for parameter in discriminator.parameters() if id(parameter) not in spared]

    def apply(self, parameters: Iterable[Any]) -> None:
        for parameter in parameters:
            parameter[...] = parameter.clip(-self.limit, self.limit)

    def __post_init__(self) -> None:
        if not self.limit > 0:
            raise ValueError(f"limit is {self.limit}, allowed are positive numbers")


def _of_batch_norm(discriminator: Module) -> set[int]:
    """The identities of batch norm's parameters; without any, those of its layers."""
    from torch.nn.modules.batchnorm import _BatchNorm

    layers = [layer for layer in discriminator.modules() if isinstance(layer, _BatchNorm)]
    return {id(part) for layer in layers for part in (layer, *layer.parameters())}
