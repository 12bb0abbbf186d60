from __future__ import annotations

from duel.metrics._base import Context, Metric, Side, Value
from duel.options import options


@options
class Fid(Metric):
    """Fréchet Inception distance: between Gaussians fitted to Inception's features of both sides.

    Heusel et al. 2017 (arXiv:1706.08500). Biased upward, the more the fewer the samples:
    published values use 50,000 generated ones. Interval: jackknife over groups of both sides, around the
    value at these counts.
    """

    needs = frozenset({"moments"})
    spaces = ("inception",)

    def compute(self, name: str, real: Side, fake: Side, context: Context) -> dict[str, Value]:
        from duel.metrics._frechet import measure

        return {name: measure(real.moments, fake.moments)}
