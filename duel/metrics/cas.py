from __future__ import annotations

from typing import TYPE_CHECKING

from duel.errors import MetricError
from duel.metrics._base import Context, Metric, Side, Value, wilson
from duel.options import options

if TYPE_CHECKING:
    import numpy as np


@options
class Cas(Metric):
    """Classification accuracy score: how well a classifier trained on generated samples does on real ones.

    Ravuri, Vinyals 2019 (arXiv:1905.10887), with this project's small classifier in place of their
    ResNet-50. The baseline "real" is the same classifier trained on as many real training samples.
    Interval: Wilson's over the real test samples, for this one training; another seed trains another
    classifier.
    """

    needs = frozenset({"labels", "samples"})

    def compute(self, name: str, real: Side, fake: Side, context: Context) -> dict[str, Value]:
        from duel.metrics._checks import kept

        test, truth = kept(real, "samples", "real"), kept(real, "labels", "real")
        samples, labels = kept(fake, "samples", "generated"), kept(fake, "labels", "generated")
        if samples.ndim != 4:
            raise MetricError("cas trains a classifier of images, and these samples are points")
        hits, count = _hits(samples, labels, test, truth, context), len(test)
        known = {} if context.train is None else _known(context.train, len(samples), test, truth, context)
        notes = _missing(labels, context.classes)
        interval = wilson(hits, count)
        return {name: Value(hits / count, *interval, "higher", count, len(samples), notes, known)}


def _hits(
    samples: np.ndarray, labels: np.ndarray, test: np.ndarray, truth: np.ndarray, context: Context
) -> int:
    """How many test samples a classifier trained on `samples` puts into their class."""
    from duel.metrics._blocks import in_blocks

    trained = context.trainer.train(samples, labels, len(context.classes), context.seed)

    def logits(batch: np.ndarray) -> np.ndarray:
        scores = trained.embed(batch).logits
        if scores is None:
            raise MetricError("the classifier that was trained gives no class scores")
        return scores

    return int((in_blocks(logits, test).argmax(axis=1) == truth).sum())


def _known(train: Side, size: int, test: np.ndarray, truth: np.ndarray, context: Context) -> dict[str, float]:
    """The accuracy after training on `size` random real training samples, where they have labels."""
    import numpy as np

    if train.samples is None or train.labels is None:
        return {}
    chosen = np.random.default_rng(context.seed).permutation(len(train.samples))[:size]
    return {"real": _hits(train.samples[chosen], train.labels[chosen], test, truth, context) / len(test)}


def _missing(labels: np.ndarray, classes: tuple[str, ...]) -> tuple[str, ...]:
    drawn = set(labels.tolist())
    empty = [name for label, name in enumerate(classes) if label not in drawn]
    return (f"no generated sample is labelled {', '.join(empty)}",) if empty else ()
