from __future__ import annotations

from typing import Any

from duel.options import options
from duel.penalties._base import Penalty, Points, continuous
from duel.schedule import Schedule
from duel.xp import Functions


@options
class R1(Penalty):
    """Half `weight` times the squared gradient norm at the real samples.

    Mescheder, Geiger, Nowozin 2018 (arXiv:1801.04406), equation 9. `weight` is their γ (10 there).
    """

    weight: float | Schedule = 10.0

    def points(self, real: tuple[Any, ...], fake: tuple[Any, ...], rng: Any, xp: Functions) -> Points:
        return Points(real, continuous(real))

    def value(self, squared_norm: Any, xp: Functions) -> Any:
        return self.weight / 2 * squared_norm  # type: ignore[operator]
