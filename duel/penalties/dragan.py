from __future__ import annotations

from typing import Any

from duel.options import options
from duel.penalties._base import Penalty, Points, continuous, uniform, uniform_per_sample
from duel.schedule import Schedule
from duel.xp import Functions


@options
class Dragan(Penalty):
    """The gradient's norm should be 1 around the real samples (DRAGAN).

    Kodali et al. 2017 (arXiv:1705.07215): `weight`·(‖∇D(x + α·δ)‖ − 1)². As in the authors' code, δ is
    uniform noise between 0 and `spread` standard deviations of the batch, drawn for each pixel, and α is
    uniform between 0 and 1, drawn for each sample.

    weight  λ, 10 in the paper
    spread  0.5 in the authors' code
    """

    weight: float | Schedule = 10.0
    spread: float = 0.5

    def points(self, real: tuple[Any, ...], fake: tuple[Any, ...], rng: Any, xp: Functions) -> Points:
        chosen = continuous(real)
        elements = list(real)
        for number in chosen:
            x = real[number]
            deviation = xp.mean((x - xp.mean(x)) ** 2) ** 0.5
            length = self.spread * deviation * uniform_per_sample(x, rng)
            elements[number] = x + length * uniform(x, rng)
        return Points(tuple(elements), chosen)

    def value(self, squared_norm: Any, xp: Functions) -> Any:
        return self.weight * ((squared_norm + 1e-12) ** 0.5 - 1) ** 2

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.spread > 0:
            raise ValueError(f"spread is {self.spread}, allowed are positive numbers")
