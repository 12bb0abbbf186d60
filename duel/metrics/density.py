from __future__ import annotations

from duel.metrics._base import Context, Metric, Side, Value, mean_interval
from duel.options import options


@options
class Density(Metric):
    """In how many real samples' balls a generated one lies, over `k`: whether it is drawn where data are.

    Naeem et al. 2020 (arXiv:2002.09797): every real sample has a ball that reaches to its
    `k`-th nearest other one, without its surface (as in the authors' code, so that equal sets have density
    1 exactly). 1 is what equal distributions have on average; more than 1 is possible, from samples that
    crowd where the data are densest. Interval: normal, of the mean over the generated samples.
    """

    k: int = 5

    needs = frozenset({"features"})

    def compute(self, name: str, real: Side, fake: Side, context: Context) -> dict[str, Value]:
        from duel.metrics._checks import region_notes, subset_notes
        from duel.metrics._manifold import both, containing, radii

        x, y = both(real, fake, self.k)
        balls = containing(y, x, radii(x, self.k), closed=False)
        notes = region_notes(len(x), len(y)) + subset_notes(real, fake, len(x), len(y))
        value = Value(*mean_interval(balls / self.k), "higher", len(x), len(y), notes, {"ideal": 1.0})
        return {name: value}

    def __post_init__(self) -> None:
        if not 1 <= self.k <= 1000:
            raise ValueError(f"k is {self.k}, allowed are 1 to 1,000 neighbours")
