from __future__ import annotations

from duel.metrics._base import Context, Metric, Side, Value
from duel.options import options


@options
class Frechet(Metric):
    """Fréchet distance between Gaussians fitted to real and generated features, in any feature space.

    The formula of the FID (Heusel et al. 2017, arXiv:1706.08500), ‖μ₁ − μ₂‖² + Tr(Σ₁ + Σ₂ − 2(Σ₁Σ₂)^½),
    under a name that does not claim Inception's features. It sees means and covariances only, and is
    biased upward, the more the fewer the samples. Interval: jackknife over groups of both sides, around
    the value at these counts (not around its limit for infinitely many samples).
    """

    needs = frozenset({"moments"})

    def compute(self, name: str, real: Side, fake: Side, context: Context) -> dict[str, Value]:
        from duel.metrics._frechet import measure

        return {name: measure(real.moments, fake.moments)}
