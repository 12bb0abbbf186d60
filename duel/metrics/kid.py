from __future__ import annotations

from duel.metrics._base import Context, Metric, Side, Value
from duel.options import options

_INCEPTION_ONLY = "not in Inception's features: not comparable with published values of the KID"


@options
class Kid(Metric):
    """Kernel Inception distance: squared maximum mean discrepancy with the kernel (xᵀy/D + 1)³.

    Bińkowski et al. 2018 (arXiv:1801.01401). Unbiased at every sample count: it scatters around 0 for
    equal distributions and can be negative, which is no error. Over all kept samples at once (published
    values are means over subsets of 1,000, with the same expectation). In another feature space than
    Inception's it says so. Interval: exact leave-one-out jackknife over both sides.
    """

    needs = frozenset({"features"})

    def compute(self, name: str, real: Side, fake: Side, context: Context) -> dict[str, Value]:
        from duel.metrics._base import around
        from duel.metrics._checks import kept, subset_notes
        from duel.metrics._mmd import mmd2, row_sums, variance

        x, y = kept(real, "features", "real"), kept(fake, "features", "generated")
        sums = row_sums(x, y)
        value = mmd2(sums)
        low, high = around(value, variance(sums), min(len(x), len(y)))
        foreign = () if context.extractor.name == "inception" else (_INCEPTION_ONLY,)
        notes = foreign + subset_notes(real, fake, len(x), len(y))
        return {name: Value(value, low, high, "lower", len(x), len(y), notes)}
