from __future__ import annotations

from duel.metrics._base import Context, Metric, Side, Value, wilson
from duel.options import options


@options
class LabelAccuracy(Metric):
    """Share of generated samples in which the classifier sees the class that was asked for.

    For conditional models: the feature space's classifier names each sample's class. Its own mistakes
    count, too: the baseline "real" is the same share for the real samples and their labels. As used with
    the auxiliary classifier by Odena, Olah, Shlens 2017 (arXiv:1610.09585). Interval: Wilson's.
    """

    needs = frozenset({"labels", "classes", "features"})

    def compute(self, name: str, real: Side, fake: Side, context: Context) -> dict[str, Value]:
        from duel.metrics._checks import subset_notes

        real_hits, n_real = _hits(real, "real")
        hits, count = _hits(fake, "generated")
        own = context.extractor.accuracy
        said = [] if own is None else [f"the classifier's own accuracy on test data is {own:.2%}"]
        notes = (*said, *subset_notes(real, fake, n_real, count))
        known = {"real": real_hits / n_real}
        return {name: Value(hits / count, *wilson(hits, count), "higher", n_real, count, notes, known)}


def _hits(side: Side, which: str) -> tuple[int, int]:
    """How many predictions equal the given label, and how many there are."""
    from duel.metrics._checks import kept

    predicted = kept(side, "logits", which).argmax(axis=1)
    return int((predicted == kept(side, "labels", which)).sum()), len(predicted)
