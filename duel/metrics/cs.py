from __future__ import annotations

from duel.metrics._base import Context, Metric, Side, Value
from duel.options import options


@options
class ClassifierScore(Metric):
    """Classifier score: the Inception score's formula with a classifier of these data.

    The formula of Salimans et al. 2016 (arXiv:1606.03498), exp E KL(p(y|x) ‖ p(y)): at best the number of
    classes. It looks at no real sample (their number is given as 0; the baseline "real" is their own
    score), so it cannot see images that are unlike the data, nor a class in which only one image is
    drawn. Interval: jackknife over groups.
    """

    needs = frozenset({"scores", "classes"})
    spaces = ("classifier",)

    def compute(self, name: str, real: Side, fake: Side, context: Context) -> dict[str, Value]:
        from duel.metrics._score import measure

        return {name: measure(real, fake)}
