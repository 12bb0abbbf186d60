from __future__ import annotations

from duel.errors import MetricError
from duel.metrics._base import Context, Metric, Side, Value, wilson
from duel.options import options


@options
class Memorisation(Metric):
    """Share of generated samples that lie suspiciously near a training sample.

    Near is what only the share `quantile` of held-out real samples is: the threshold is that quantile of
    the distances from held-out real samples to their nearest training sample. A fair generator therefore
    scores about `quantile` (baseline "fair"), one that returns training samples 1; bad samples are far
    from everything and score 0. A nearest-neighbour test against held-out data in the spirit of Meehan,
    Chaudhuri, Dasgupta 2020 (arXiv:2004.05675). Interval: Wilson's, for this threshold.
    """

    quantile: float = 0.01

    needs = frozenset({"features", "train"})

    def compute(self, name: str, real: Side, fake: Side, context: Context) -> dict[str, Value]:
        import numpy as np

        from duel.metrics._checks import kept, subset_notes
        from duel.metrics._neighbours import nearest

        if context.train is None:
            raise MetricError("memorisation needs the training split, which is not known here")
        train = kept(context.train, "features", "training")
        x, y = kept(real, "features", "real"), kept(fake, "features", "generated")
        of_real, of_fake = (nearest(side, train, 1)[0][:, 0] for side in (x, y))
        threshold = float(np.quantile(of_real, self.quantile))
        hits = int((of_fake <= threshold).sum())
        few = (_FEW.format(len(x)),) if len(x) * self.quantile < 5 else ()
        details = {
            "threshold": threshold,
            "median_real": float(np.median(of_real)),
            "median_fake": float(np.median(of_fake)),
            "n_train": len(train),
        }
        notes = few + subset_notes(real, fake, len(x), len(y))
        interval = wilson(hits, len(y))
        known = {"fair": self.quantile}
        return {name: Value(hits / len(y), *interval, "lower", len(x), len(y), notes, known, details)}

    def __post_init__(self) -> None:
        if not 0 < self.quantile < 1:
            raise ValueError(f"quantile is {self.quantile}, allowed are numbers between 0 and 1")


_FEW = "the threshold rests on fewer than five of {} held-out samples: use more, or a larger quantile"
