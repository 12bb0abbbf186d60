from __future__ import annotations

from duel.metrics._base import Context, Metric, Side, Value, wilson
from duel.options import options


@options
class Precision(Metric):
    """Share of generated samples inside the region of the real ones, so whether what is drawn is realistic.

    Kynkäänniemi et al. 2019 (arXiv:1904.06991): the region is the union of balls around the real samples,
    each reaching to its `k`-th nearest other one. One outlier among the real samples covers much space:
    density forgives it less. Interval: Wilson's, for these real samples.
    """

    k: int = 3

    needs = frozenset({"features"})

    def compute(self, name: str, real: Side, fake: Side, context: Context) -> dict[str, Value]:
        from duel.metrics._checks import region_notes, subset_notes
        from duel.metrics._manifold import both, share_inside

        x, y = both(real, fake, self.k)
        hits, count = share_inside(y, x, self.k)
        notes = region_notes(len(x), len(y)) + subset_notes(real, fake, len(x), len(y))
        return {name: Value(hits / count, *wilson(hits, count), "higher", len(x), len(y), notes)}

    def __post_init__(self) -> None:
        if not 1 <= self.k <= 1000:
            raise ValueError(f"k is {self.k}, allowed are 1 to 1,000 neighbours")
