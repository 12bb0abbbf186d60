from __future__ import annotations

from duel.metrics._base import Context, Metric, Side, Value, wilson
from duel.options import options


@options
class Coverage(Metric):
    """Share of real samples that have a generated one nearby, so whether everything is drawn that there is.

    Naeem et al. 2020 (arXiv:2002.09797): nearby means no farther than the `k`-th nearest other
    real sample. The baseline "ideal" is what equal distributions have on average at these counts (their
    lemma 2). Interval: Wilson's, for these generated samples.
    """

    k: int = 5

    needs = frozenset({"features"})

    def compute(self, name: str, real: Side, fake: Side, context: Context) -> dict[str, Value]:
        from duel.metrics._checks import region_notes, subset_notes
        from duel.metrics._manifold import both, radii
        from duel.metrics._neighbours import nearest

        x, y = both(real, fake, self.k)
        hits = int((nearest(x, y, 1)[0][:, 0] <= radii(x, self.k)).sum())
        notes = region_notes(len(x), len(y)) + subset_notes(real, fake, len(x), len(y))
        ideal = {"ideal": _expected(len(x), len(y), self.k)}
        return {name: Value(hits / len(x), *wilson(hits, len(x)), "higher", len(x), len(y), notes, ideal)}

    def __post_init__(self) -> None:
        if not 1 <= self.k <= 1000:
            raise ValueError(f"k is {self.k}, allowed are 1 to 1,000 neighbours")


def _expected(real: int, fake: int, k: int) -> float:
    """1 − P(a sample's k nearest among the others are all real), all others being exchangeable."""
    from math import prod

    return 1 - prod((real - i) / (real + fake - i) for i in range(1, k + 1))
