from __future__ import annotations

from duel.metrics._base import Context, Metric, Side, Value, wilson
from duel.options import options


@options
class Recall(Metric):
    """Share of real samples inside the region of the generated ones, so whether everything is drawn.

    Kynkäänniemi et al. 2019 (arXiv:1904.06991): the region is the union of balls around the generated
    samples, each reaching to its `k`-th nearest other one. Scattered bad samples have large balls and can
    raise it: coverage does not have that weakness. Interval: Wilson's, for these generated samples.
    """

    k: int = 3

    needs = frozenset({"features"})

    def compute(self, name: str, real: Side, fake: Side, context: Context) -> dict[str, Value]:
        from duel.metrics._checks import region_notes, subset_notes
        from duel.metrics._manifold import both, share_inside

        x, y = both(real, fake, self.k)
        hits, count = share_inside(x, y, self.k)
        notes = region_notes(len(x), len(y)) + subset_notes(real, fake, len(x), len(y))
        return {name: Value(hits / count, *wilson(hits, count), "higher", len(x), len(y), notes)}

    def __post_init__(self) -> None:
        if not 1 <= self.k <= 1000:
            raise ValueError(f"k is {self.k}, allowed are 1 to 1,000 neighbours")
