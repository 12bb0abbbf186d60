from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from duel.metrics._base import Context, Metric, Side, Value, mean_interval, wilson
from duel.options import options

if TYPE_CHECKING:
    import numpy as np

    from duel.metrics._autoencoder import Autoencoder


@options
class Reconstruction(Metric):
    """How well generator G and encoder E undo each other.

    `reconstruction`: the mean over real samples x of the root mean square of x − G(E(x)) per pixel, pixels
    (and the coordinates of points) on the scale [0, 1]. `reconstruction-latent`: the mean over standard
    normal latent vectors z, as many, of ‖z − E(G(z))‖ / √dim. `reconstruction-class`: the share of real
    samples whose class, as the feature space's classifier sees it, is the same in G(E(x)); only in spaces
    with classes. The baseline "untrained" of each is what the networks give before training. At the
    optimum of a bidirectional GAN both undo each other (Donahue, Krähenbühl, Darrell 2016,
    arXiv:1605.09782). Intervals: normal of the means, Wilson's of the share.
    """

    needs = frozenset({"samples", "encoder"})

    def compute(self, name: str, real: Side, fake: Side, context: Context) -> dict[str, Value]:
        from duel.metrics._autoencoder import trained, untrained_value
        from duel.metrics._checks import kept

        x, pair = kept(real, "samples", "real"), trained(context)
        z = _draw(len(x), pair.encode(x[:1]).shape[1], context.seed)
        kinds = {name: lambda each: _errors(x, each), f"{name}-latent": lambda each: _latent_errors(z, each)}
        values = {kind: _mean(kind_errors, pair, context) for kind, kind_errors in kinds.items()}
        if context.extractor.embed(x[:1]).logits is not None:
            known = untrained_value(context, lambda p: _survivors(x, p, context) / len(x))
            values[f"{name}-class"] = _share(_survivors(x, pair, context), len(x), known)
        return values


def _draw(count: int, size: int, seed: int) -> np.ndarray:
    """Standard normal latent vectors, float32 count×size."""
    import numpy as np

    return np.random.default_rng(seed).standard_normal((count, size), np.float32)


def _errors(samples: np.ndarray, pair: Autoencoder) -> np.ndarray:
    """Root mean square (N) of x − G(E(x)), on the scale [0, 1]."""
    import numpy as np

    from duel.metrics._blocks import in_blocks

    def error(x: np.ndarray) -> np.ndarray:
        difference = (_unit(x) - _unit(pair.again(x))).reshape(len(x), -1)
        return np.asarray(np.sqrt((difference**2).mean(axis=1)))

    return in_blocks(error, samples)


def _unit(samples: np.ndarray) -> np.ndarray:
    """uint8 images or points in [−1, 1], in [0, 1]."""
    import numpy as np

    values = samples.astype(np.float64)
    return values / 255 if samples.dtype == np.uint8 else (values + 1) / 2


def _latent_errors(latent: np.ndarray, pair: Autoencoder) -> np.ndarray:
    """‖z − E(G(z))‖ / √dim (N)."""
    import numpy as np

    from duel.metrics._blocks import in_blocks

    def error(z: np.ndarray) -> np.ndarray:
        difference = z.astype(np.float64) - pair.encode(pair.decoder(z))
        return np.asarray(np.sqrt((difference**2).mean(axis=1)))

    return in_blocks(error, latent)


def _survivors(samples: np.ndarray, pair: Autoencoder, context: Context) -> int:
    """In how many samples the classifier sees the same class after G(E(x))."""
    import numpy as np

    from duel.metrics._blocks import in_blocks

    def same(x: np.ndarray) -> np.ndarray:
        return np.asarray(_classes(x, context) == _classes(pair.again(x), context))

    return int(in_blocks(same, samples).sum())


def _classes(samples: np.ndarray, context: Context) -> np.ndarray:
    import numpy as np

    from duel.metrics._checks import finite

    logits = context.extractor.embed(samples).logits
    assert logits is not None  # looked at before
    finite(logits, "class scores")
    return np.asarray(logits.argmax(axis=1))


def _mean(errors: Callable[[Autoencoder], np.ndarray], pair: Autoencoder, context: Context) -> Value:
    from duel.metrics._autoencoder import untrained_value

    found = errors(pair)
    value, low, high = mean_interval(found)
    known = untrained_value(context, lambda each: float(errors(each).mean()))
    return Value(value, max(0.0, low), high, "lower", len(found), len(found), baselines=known)


def _share(hits: int, count: int, known: dict[str, float]) -> Value:
    return Value(hits / count, *wilson(hits, count), "higher", count, count, baselines=known)
