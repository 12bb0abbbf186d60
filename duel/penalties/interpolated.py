from __future__ import annotations

from typing import Any

from duel.options import options
from duel.penalties._base import Penalty, Points, continuous, uniform_per_sample
from duel.schedule import Schedule
from duel.xp import Functions


@options
class Interpolated(Penalty):
    """The gradient's norm should be 1 on the lines between real and generated samples (WGAN-GP).

    Gulrajani et al. 2017 (arXiv:1704.00028), equation 3: `weight`·(‖∇D(x̂)‖ − `target`)², x̂ at a random place
    between a real and a generated sample. Each pair has its own place, drawn uniformly, the same for all
    elements of its tuple; the norm is over all of one image's pixels (in the bidirectional game over
    the pixels and the latent vector).

    weight     λ, 10 in the paper
    one_sided  only norms above `target` cost anything (section 4 of the paper)
    target     the norm that is asked for, 1 in the paper. A penalty whose norm is taken over each column and
               channel apart, as some code has it, asks for √(columns × channels): 5.3 at 28×28
    """

    weight: float | Schedule = 10.0
    one_sided: bool = False
    target: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.target > 0:
            raise ValueError(f"target is {self.target}, allowed are positive numbers")

    def points(self, real: tuple[Any, ...], fake: tuple[Any, ...], rng: Any, xp: Functions) -> Points:
        chosen = continuous(real)
        place = uniform_per_sample(real[0], rng)
        elements = list(real)
        for number in chosen:
            share = place.reshape(-1, *(1 for _ in real[number].shape[1:]))
            elements[number] = share * real[number] + (1 - share) * fake[number]
        return Points(tuple(elements), chosen)

    def value(self, squared_norm: Any, xp: Functions) -> Any:
        # the root's slope is infinite at 0, where a critic that is flat somewhere would get no number
        excess = (squared_norm + 1e-12) ** 0.5 - self.target
        if self.one_sided:
            excess = xp.maximum(0.0, excess)
        return self.weight * excess**2
