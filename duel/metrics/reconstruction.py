from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from duel.metrics._base import Context, Metric, Side, Value, mean_interval, wilson
from duel.options import options

if TYPE_CHECKING:
    import numpy as np

    from duel.metrics._autoencoder import Autoencoder

    Rows = Callable[[np.ndarray, np.ndarray | None], np.ndarray]


@options
class Reconstruction(Metric):
    """How well generator G and encoder E undo each other.

    `reconstruction`: the mean over real samples x of the root mean square of x − G(E(x)) per pixel, pixels
    (and the coordinates of points) on the scale [0, 1]. `reconstruction-latent`: the mean over latent
    vectors z from the model's prior, as many, of ‖z − E(G(z))‖ / √dim. `reconstruction-class`: the share of
    real samples whose class, as the feature space's classifier sees it, is the same in G(E(x)); only in
    spaces with classes. A generator that takes labels is given those of the real samples, and a note says
    so. The baseline "untrained" of each is what the networks give before training. At the optimum of a
    bidirectional GAN both undo each other (Donahue, Krähenbühl, Darrell 2016, arXiv:1605.09782).
    Intervals: normal of the means, Wilson's of the share.
    """

    needs = frozenset({"samples", "encoder"})

    def compute(self, name: str, real: Side, fake: Side, context: Context) -> dict[str, Value]:
        from duel.metrics._autoencoder import GIVEN_LABELS, trained, true_labels, untrained_value
        from duel.metrics._checks import kept, subset_notes

        x, pair, labels = kept(real, "samples", "real"), trained(context), true_labels(context, real)
        z = _draw(len(x), pair.encode(x[:1]).shape[1], context)
        notes = (*(() if labels is None else (GIVEN_LABELS,)), *subset_notes(real, fake, len(x), fake.count))
        kinds = {
            name: lambda each: _errors(x, labels, each),
            f"{name}-latent": lambda each: _latent_errors(z, labels, each),
        }
        values = {kind: _mean(kind_errors, pair, context, notes) for kind, kind_errors in kinds.items()}
        if context.extractor.embed(x[:1]).logits is not None:
            known = untrained_value(context, lambda p: _survivors(x, labels, p, context) / len(x))
            values[f"{name}-class"] = _share(_survivors(x, labels, pair, context), len(x), known, notes)
        return values


def _draw(count: int, size: int, context: Context) -> np.ndarray:
    """Latent vectors from the model's prior, float32 count×size."""
    import numpy as np

    rng = np.random.default_rng(context.seed)
    if context.prior == "uniform":
        return 2 * rng.random((count, size), np.float32) - 1
    return rng.standard_normal((count, size), np.float32)


def _by_rows(count: int, labels: np.ndarray | None, function: Rows) -> np.ndarray:
    """`function(rows, labels of these rows)` for all rows, a few hundred at a time."""
    import numpy as np

    from duel.metrics._blocks import in_blocks

    return in_blocks(lambda rows: function(rows, None if labels is None else labels[rows]), np.arange(count))


def _errors(samples: np.ndarray, labels: np.ndarray | None, pair: Autoencoder) -> np.ndarray:
    """Root mean square (N) of x − G(E(x)), on the scale [0, 1]."""
    import numpy as np

    def error(rows: np.ndarray, y: np.ndarray | None) -> np.ndarray:
        x = samples[rows]
        difference = (_unit(x) - _unit(pair.again(x, y))).reshape(len(x), -1)
        return np.asarray(np.sqrt((difference**2).mean(axis=1)))

    return _by_rows(len(samples), labels, error)


def _unit(samples: np.ndarray) -> np.ndarray:
    """uint8 images or points in [−1, 1], in [0, 1]."""
    import numpy as np

    values = samples.astype(np.float64)
    return values / 255 if samples.dtype == np.uint8 else (values + 1) / 2


def _latent_errors(latent: np.ndarray, labels: np.ndarray | None, pair: Autoencoder) -> np.ndarray:
    """‖z − E(G(z))‖ / √dim (N)."""
    import numpy as np

    def error(rows: np.ndarray, y: np.ndarray | None) -> np.ndarray:
        z = latent[rows]
        difference = z.astype(np.float64) - pair.encode(pair.decode(z, y))
        return np.asarray(np.sqrt((difference**2).mean(axis=1)))

    return _by_rows(len(latent), labels, error)


def _survivors(samples: np.ndarray, labels: np.ndarray | None, pair: Autoencoder, context: Context) -> int:
    """In how many samples the classifier sees the same class after G(E(x))."""
    import numpy as np

    def same(rows: np.ndarray, y: np.ndarray | None) -> np.ndarray:
        x = samples[rows]
        return np.asarray(_classes(x, context) == _classes(pair.again(x, y), context))

    return int(_by_rows(len(samples), labels, same).sum())


def _classes(samples: np.ndarray, context: Context) -> np.ndarray:
    import numpy as np

    from duel.metrics._checks import finite

    logits = context.extractor.embed(samples).logits
    assert logits is not None  # looked at before
    finite(logits, "class scores")
    return np.asarray(logits.argmax(axis=1))


def _mean(
    errors: Callable[[Autoencoder], np.ndarray], pair: Autoencoder, context: Context, notes: tuple[str, ...]
) -> Value:
    from duel.metrics._autoencoder import untrained_value

    found = errors(pair)
    value, low, high = mean_interval(found)
    known = untrained_value(context, lambda each: float(errors(each).mean()))
    return Value(value, max(0.0, low), high, "lower", len(found), len(found), notes, known)


def _share(hits: int, count: int, known: dict[str, float], notes: tuple[str, ...]) -> Value:
    return Value(hits / count, *wilson(hits, count), "higher", count, count, notes, known)
