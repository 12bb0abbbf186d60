from __future__ import annotations

from duel.metrics._base import Context, Metric, Side, Value
from duel.options import options


@options
class Fcd(Metric):
    """Fréchet classifier distance: the FID's formula in the features of a classifier of these data.

    The formula of Heusel et al. 2017 (arXiv:1706.08500). Comparable only with values made with the same
    classifier. Biased upward, the more the fewer the samples. Interval: jackknife over groups of both
    sides, around the value at these counts.
    """

    needs = frozenset({"moments"})
    spaces = ("classifier",)

    def compute(self, name: str, real: Side, fake: Side, context: Context) -> dict[str, Value]:
        from duel.metrics._frechet import measure

        return {name: measure(real.moments, fake.moments)}
