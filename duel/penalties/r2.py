from __future__ import annotations

from typing import Any

from duel.options import options
from duel.penalties._base import Penalty, Points, continuous
from duel.schedule import Schedule
from duel.xp import Functions


@options
class R2(Penalty):
    """Half `weight` times the squared gradient norm at the generated samples.

    Mescheder, Geiger, Nowozin 2018 (arXiv:1801.04406), equation 10. Together with `r1` it is what the
    modern baseline of Huang et al. 2024 (arXiv:2501.05441) rests on. `weight` is their γ.
    """

    weight: float | Schedule = 10.0

    def points(self, real: tuple[Any, ...], fake: tuple[Any, ...], rng: Any, xp: Functions) -> Points:
        return Points(fake, continuous(fake))

    def value(self, squared_norm: Any, xp: Functions) -> Any:
        return self.weight / 2 * squared_norm  # type: ignore[operator]
