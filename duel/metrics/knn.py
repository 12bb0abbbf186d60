from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from duel.errors import MetricError
from duel.metrics._base import Context, Metric, Side, Value, wilson
from duel.options import options

if TYPE_CHECKING:
    import numpy as np

    from duel.metrics._autoencoder import Autoencoder


@options
class Knn(Metric):
    """Accuracy of `k` nearest neighbours in the latent space of an encoder E, and on its reconstructions.

    Donahue, Krähenbühl, Darrell 2016 (arXiv:1605.09782) judge an encoder so. `knn-latent`: the neighbours
    of E(x) of each real test sample x among E(training samples). `knn-hidden`: the same on the encoder's
    last hidden layer. `knn-reconstruction`: the neighbours of G(E(x)) among the training samples' pixels.
    Baselines of all: "pixels", the neighbours of x itself among the training samples' pixels, and
    "untrained", the same with the networks before training. A generator that takes labels is given the
    true ones, which tells `knn-reconstruction` the answer: a note says so. The majority of the neighbours
    decides, of several the nearest. No sample is drawn: their number is given as 0. Interval: Wilson's
    over the test samples.
    """

    k: int = 1

    needs = frozenset({"samples", "truth", "train", "encoder"})
    blind = True

    def compute(self, name: str, real: Side, fake: Side, context: Context) -> dict[str, Value]:
        import numpy as np

        from duel.metrics._autoencoder import GIVEN_LABELS, trained, true_labels, untrained_value
        from duel.metrics._blocks import in_blocks
        from duel.metrics._checks import kept, subset_notes
        from duel.metrics._neighbours import predict

        if context.train is None:
            raise MetricError("knn needs the training split, which is not known here")
        test, truth = kept(real, "samples", "real"), kept(real, "labels", "real")
        train, labels = kept(context.train, "samples", "training"), kept(context.train, "labels", "training")
        given = true_labels(context, real)

        def hits(queries: np.ndarray, base: np.ndarray) -> int:
            return int((predict(queries, base, labels, self.k) == truth).sum())

        def latent(pair: Autoencoder) -> int:
            return hits(in_blocks(pair.encode, test), in_blocks(pair.encode, train))

        def hidden(pair: Autoencoder) -> int:
            return hits(in_blocks(pair.last_hidden, test), in_blocks(pair.last_hidden, train))

        def again(pair: Autoencoder) -> int:
            def decoded(rows: np.ndarray) -> np.ndarray:
                return pair.again(test[rows], None if given is None else given[rows])

            return hits(in_blocks(decoded, np.arange(len(test))), train)

        pair, count = trained(context), len(test)
        pixels, subset = {"pixels": hits(test, train) / count}, subset_notes(real, fake, count, fake.count)

        def value(counted: Callable[[Autoencoder], int], *notes: str) -> Value:
            found = counted(pair)
            known = pixels | untrained_value(context, lambda each: counted(each) / count)
            said = (*notes, *subset)
            return Value(found / count, *wilson(found, count), "higher", count, 0, said, known)

        size = pair.encode(test[:1]).shape[1]
        values = {f"{name}-latent": value(latent, f"knn-latent: neighbours of E(x), {size:,} components")}
        if pair.hidden is not None:
            units = pair.last_hidden(test[:1]).shape[1]
            where = f"knn-hidden: neighbours on the encoder's last hidden layer, {units:,} units"
            values[f"{name}-hidden"] = value(hidden, where)
        told = () if given is None else (GIVEN_LABELS,)
        values[f"{name}-reconstruction"] = value(
            again, "knn-reconstruction: neighbours of G(E(x)) among pixels", *told
        )
        return values

    def __post_init__(self) -> None:
        if not 1 <= self.k <= 1000:
            raise ValueError(f"k is {self.k}, allowed are 1 to 1,000 neighbours")
