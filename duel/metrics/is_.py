from __future__ import annotations

from duel.metrics._base import Context, Metric, Side, Value
from duel.options import options


@options
class InceptionScore(Metric):
    """Inception score: how sure Inception is of each sample's class, and how evenly it names the classes.

    Salimans et al. 2016 (arXiv:1606.03498): exp E KL(p(y|x) ‖ p(y)), over all generated samples at once
    (one split; published values are means over ten). It looks at no real sample (their number is given
    as 0; the baseline "real" is their own score), so it cannot see images that are unlike the data, nor a
    class in which only one image is drawn: Barratt, Sharma 2018 (arXiv:1801.01973). Interval: jackknife
    over groups.
    """

    needs = frozenset({"scores", "classes"})
    spaces = ("inception",)

    def compute(self, name: str, real: Side, fake: Side, context: Context) -> dict[str, Value]:
        from duel.metrics._score import measure

        return {name: measure(real, fake)}
