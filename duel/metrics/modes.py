from __future__ import annotations

from typing import TYPE_CHECKING, Any

from duel.errors import MetricError
from duel.metrics._base import Context, Metric, Side, Value, around, wilson
from duel.options import options

if TYPE_CHECKING:
    import numpy as np

_NEAR = 3.0  # standard deviations
_UNSEEN = ("the interval cannot see what was never drawn: more samples may find more modes",)


@options
class Modes(Metric):
    """How many of the data's modes or classes are drawn, and how well or how evenly.

    Point sets with known modes (as in Srivastava et al. 2017, arXiv:1705.07761): a sample is of high quality
    within 3 σ of its nearest mode; a mode counts with one such sample per 10,000 drawn. Gives `modes`
    and the share `modes-high-quality` (Wilson's interval). Labelled images, by the classes that the
    classifier of the feature space sees: `modes`, the number of classes drawn (same rule), and
    `modes-entropy`, the entropy of the class histogram in nats (jackknife interval); the details name the
    histogram and the classes never drawn. The interval of a count is a bootstrap that contains it; it
    cannot see what was never drawn.
    """

    needs = frozenset({"samples", "modes"})

    def compute(self, name: str, real: Side, fake: Side, context: Context) -> dict[str, Value]:
        from duel.metrics._checks import kept

        samples = kept(fake, "samples", "generated")
        if context.modes is not None:
            return _of_points(name, samples, real, context)
        if fake.logits is None or not context.classes:
            raise MetricError(
                "modes needs points with known modes, or labelled images and a feature space with classes: "
                "try --features classifier"
            )
        return _of_classes(name, kept(fake, "logits", "generated"), real, context)


def _of_points(name: str, points: np.ndarray, real: Side, context: Context) -> dict[str, Value]:
    import numpy as np

    from duel.metrics._histogram import drawn, drawn_interval

    modes, total = context.modes, len(points)
    offsets = points[:, None] * float(modes.scale) - modes.centres[None]
    distances = np.sqrt((offsets**2).sum(axis=2))
    good = distances.min(axis=1) <= _NEAR * modes.sigma
    counts = np.bincount(distances.argmin(axis=1)[good], minlength=len(modes.centres))
    interval, sizes = drawn_interval(counts, total, context.seed), (real.count, total)
    details = {"histogram": counts.tolist(), "of": len(counts)}
    return {
        name: Value(float(drawn(counts, total)), *interval, "higher", *sizes, _UNSEEN, details=details),
        f"{name}-high-quality": Value(good.mean().item(), *wilson(int(good.sum()), total), "higher", *sizes),
    }


def _of_classes(name: str, logits: np.ndarray, real: Side, context: Context) -> dict[str, Value]:
    from duel.metrics._histogram import drawn, drawn_interval, entropy, entropy_variance

    total, classes = len(logits), context.classes
    counts, known = _histogram(logits, len(classes)), _known(real, len(classes))
    interval = drawn_interval(counts, total, context.seed)
    count, evenness = float(drawn(counts, total)), entropy(counts)
    low, high = around(evenness, entropy_variance(counts), total)
    sizes = (real.count, total)
    return {
        name: Value(count, *interval, "higher", *sizes, _UNSEEN, details=_details(counts.tolist(), classes)),
        f"{name}-entropy": Value(evenness, max(0.0, low), high, "higher", *sizes, baselines=known),
    }


def _histogram(logits: np.ndarray, classes: int) -> np.ndarray:
    import numpy as np

    return np.bincount(logits.argmax(axis=1), minlength=classes)


def _known(real: Side, classes: int) -> dict[str, float]:
    """The entropy of the real samples' histogram, as the same classifier sees them."""
    from duel.metrics._histogram import entropy

    return {} if real.logits is None else {"real": entropy(_histogram(real.logits, classes))}


def _details(counts: list[int], classes: tuple[str, ...]) -> dict[str, Any]:
    named = dict(zip(classes, counts, strict=True))
    return {"histogram": named, "never_drawn": [name for name, count in named.items() if not count]}
