"""What a metric is: from what was gathered of real and generated samples to values with intervals."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from duel.errors import MetricError
from duel.intervals import t_quantile

if TYPE_CHECKING:
    import numpy as np

    from duel.features._base import ClassifierTrainer, Extractor

Better = Literal["lower", "higher"]
Need = Literal[
    "moments",  # Side.moments: of the features
    "scores",  # Side.scores: of the class probabilities
    "features",  # Side.features: of up to `Context.at_most` samples
    "samples",  # Side.samples: the samples themselves, up to as many
    "labels",  # Side.labels on both sides
    "truth",  # Side.labels of the real side only
    "train",  # Context.train: the training split's samples and labels; with "features" also those
    "classes",  # a feature space with class probabilities
    "modes",  # something to count: Context.modes, or labelled images in a space with class probabilities
    "encoder",  # Context.encoder: the model has one
]

CONFIDENCE = 0.95
_Z = 1.959963984540054  # 97.5 % point of the normal distribution


@dataclass(frozen=True)
class Value:
    """A metric's value with its 95 % interval, which contains it.

    notes      sentences that belong beside the number
    baselines  what the same number is for something known (raw pixels, an untrained encoder)
    details    more of what was measured, as JSON values (a class histogram, say)
    """

    value: float
    low: float
    high: float
    better: Better
    n_real: int
    n_fake: int
    notes: tuple[str, ...] = ()
    baselines: dict[str, float] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)


@dataclass
class Side:
    """What was gathered of one side, real or generated, in one stream. Fields not needed are None.

    count     samples seen
    moments   first and second moments of the features, by blocks (`_moments.Moments`)
    scores    class probabilities, by blocks (`_moments.Scores`)
    features  float32 n×D of the first n ≤ Context.at_most samples
    logits    float32 n×classes of the same samples
    samples   the same n samples: uint8 n×C×H×W, or float32 n×2 points in [−1, 1]
    labels    int64 n: the given class of each of the same samples
    """

    count: int
    moments: Any = None
    scores: Any = None
    features: np.ndarray | None = None
    logits: np.ndarray | None = None
    samples: np.ndarray | None = None
    labels: np.ndarray | None = None


@dataclass(frozen=True)
class Context:
    """What metrics may need besides the two sides.

    extractor   the feature space in use
    classes     names of the labels; empty without labels
    seed        of everything random in a metric
    at_most     samples per side for metrics that keep them
    train       the training split's side (samples, labels; features where they are needed), for those who
                need it
    trainer     trains a classifier
    modes       the data's modes (`duel.datasets._modes.Modes`), where they are known
    encoder     samples → latent vectors; decoder: latent vectors → samples (both uint8 / [−1, 1] points)
    hidden      samples → the encoder's last hidden layer (n×H), where it is known
    labelled    the decoder takes labels (int64 n) as its second argument
    prior       of the latent vectors: "normal", N(0, 1), or "uniform", U(−1, 1)
    untrained   encoder and decoder before training, as baseline; untrained_hidden: the same for `hidden`
    """

    extractor: Extractor
    classes: tuple[str, ...]
    seed: int
    at_most: int
    trainer: ClassifierTrainer
    train: Side | None = None
    modes: Any = None
    encoder: Callable[[np.ndarray], np.ndarray] | None = None
    decoder: Callable[..., np.ndarray] | None = None
    hidden: Callable[[np.ndarray], np.ndarray] | None = None
    labelled: bool = False
    prior: str = "normal"
    untrained: tuple[Callable[[np.ndarray], np.ndarray], Callable[..., np.ndarray]] | None = None
    untrained_hidden: Callable[[np.ndarray], np.ndarray] | None = None


class Metric(ABC):
    """Base of the metrics. A subclass is an options class.

    needs   what must have been gathered; the evaluation refuses, in one sentence, what is not to be had
    spaces  names of the feature spaces under which the metric may go by its name; empty: any
    blind   it never looks at the feature space, so that none needs to be trained for it
    """

    needs: ClassVar[frozenset[Need]]
    spaces: ClassVar[tuple[str, ...]] = ()
    blind: ClassVar[bool] = False

    @abstractmethod
    def compute(self, name: str, real: Side, fake: Side, context: Context) -> dict[str, Value]:
        """The metric's values by name. Most have one, `name`; others add `name-something`.

        Raises MetricError with what is wrong with the samples (too few, not finite).
        """


# ---------------------------------------------------------------- intervals


def wilson(hits: int, count: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share `hits/count` (Wilson 1927, JASA 22)."""
    share, z2 = hits / count, _Z * _Z
    centre = (share + z2 / (2 * count)) / (1 + z2 / count)
    half = _Z * ((share * (1 - share) + z2 / (4 * count)) / count) ** 0.5 / (1 + z2 / count)
    return min(share, max(0.0, centre - half)), max(share, min(1.0, centre + half))


def mean_interval(values: np.ndarray) -> tuple[float, float, float]:
    """Mean of independent values (N) and its 95 % interval from the normal distribution."""
    import numpy as np

    values = np.asarray(values, np.float64)
    mean = float(values.mean())
    if len(values) < 2:
        raise MetricError(f"{len(values)} values have no spread: at least 2 are needed")
    half = _Z * float(values.std(ddof=1)) / len(values) ** 0.5
    return mean, mean - half, mean + half


def jackknife_variance(left_out: Iterable[float]) -> float:
    """Variance of a statistic from its values with each of K equal groups left out.

    (K − 1)/K · Σ (θ₋ₖ − θ̄)²: Efron, Tibshirani 1993, equation 11.5, for groups. Valid also for the
    biased Fréchet distance, whose naive bootstrap interval does not contain it.
    """
    import numpy as np

    values = np.fromiter(left_out, np.float64)
    return float((len(values) - 1) / len(values) * ((values - values.mean()) ** 2).sum())


def around(value: float, variance: float, groups: int) -> tuple[float, float]:
    """value ± t·√variance with Student's t for `groups` − 1 degrees of freedom, 95 %."""
    half = student_t(groups - 1) * variance**0.5
    return value - half, value + half


def student_t(degrees: int) -> float:
    """97.5 % point of Student's t. MetricError below 5 degrees: too few groups for an interval."""
    if degrees < 5:
        raise MetricError(f"{degrees + 1} groups are too few for an interval: at least 6 are needed")
    return t_quantile(0.975, degrees)
