"""Why scores disagree: bias by the number of samples, and metrics that order two generators differently."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from duel import catalog
from duel.datasets.digits import Digits
from duel.datasets.ring import Ring
from duel.features.pixels import Pixels
from duel.metrics import _frechet, _mmd
from duel.metrics._base import Context, Side
from duel.metrics._moments import Moments
from figures import style

COUNTS = (80, 120, 180, 260, 360, 500, 700)
DRAWS = 12
NO_TRAINER: Any = None  # pixels need no classifier
LOWER, HIGHER = ("frechet", "kid"), ("precision", "recall", "coverage")  # which values are better


@cache
def digits() -> np.ndarray:
    """The pixels of the embedded digits' training split, N×64 in [0, 1]."""
    data = Digits().load()
    space = Pixels().prepare(data, NO_TRAINER)
    return space.embed(data.splits["train"].samples).features


def frechet(real: np.ndarray, fake: np.ndarray) -> float:
    """The Fréchet distance of two sets of features, N×D and M×D."""
    return _frechet.frechet_distance(*_moments(real).mean_cov(), *_moments(fake).mean_cov())


def _moments(rows: np.ndarray) -> Moments:
    moments = Moments(rows.shape[1])
    moments.update(rows)
    return moments


def kid(real: np.ndarray, fake: np.ndarray) -> float:
    """The unbiased squared maximum mean discrepancy of two sets of features."""
    return _mmd.mmd2(_mmd.row_sums(real, fake))


def halves(count: int, draws: int = DRAWS) -> list[tuple[np.ndarray, np.ndarray]]:
    """Pairs of disjoint samples of the digits, `count` each: two draws of one distribution."""
    rng, rows = np.random.default_rng(count), digits()
    orders = [rng.permutation(len(rows)) for _ in range(draws)]
    return [(rows[order[:count]], rows[order[count : 2 * count]]) for order in orders]


def scores(fake: np.ndarray, real: np.ndarray) -> dict[str, float]:
    """What five metrics say of points M×2 against real ones N×2."""
    sides = [Side(len(rows), moments=_moments(rows), features=rows) for rows in (real, fake)]
    data = Ring(samples=10_000).load()
    context = Context(
        Pixels().prepare(data, NO_TRAINER), classes=(), seed=0, at_most=len(real), trainer=NO_TRAINER
    )
    found = {}
    for name in LOWER + HIGHER:
        metric = catalog.load_class("metrics", name)()
        found[name] = metric.compute(name, *sides, context)[name].value
    return found


def real_points(seed: int, count: int) -> np.ndarray:
    """Points of the ring of eight Gaussians, of the test split, count×2."""
    points = Ring(samples=10_000).load().splits["test"].samples
    return points[np.random.default_rng(seed).choice(len(points), count, replace=False)].astype(np.float64)


def same_moments(seed: int, count: int) -> np.ndarray:
    """Made generator "cloud": a Gaussian with the ring's mean and covariance. Few samples are on a mode."""
    points = Ring(samples=10_000).load().splits["train"].samples.astype(np.float64)
    rng = np.random.default_rng(seed)
    return rng.multivariate_normal(points.mean(0), np.cov(points.T), count, method="cholesky")


def some_modes(seed: int, count: int) -> np.ndarray:
    """Made generator "six modes": perfect points, two neighbouring modes of eight are never drawn."""
    train = Ring(samples=10_000).load().splits["train"]
    assert train.labels is not None
    kept = train.samples[train.labels < 6].astype(np.float64)
    return kept[np.random.default_rng(seed).choice(len(kept), count, replace=False)]


@cache
def judged() -> tuple[dict[str, float], dict[str, float]]:
    """The two made generators against the ring, 2,000 points each."""
    real = real_points(0, 2000)
    return scores(same_moments(1, 2000), real), scores(some_modes(2, 2000), real)


def draw_bias() -> Figure:
    """Fréchet distance and KID of two halves of the same digits, against their size."""
    figure, (biased, unbiased) = style.axes(2, 2.8)
    for axes, metric, title in (
        (biased, frechet, "Fréchet distance of pixels"),
        (unbiased, kid, "KID of pixels"),
    ):
        values = np.array([[metric(*pair) for pair in halves(count)] for count in COUNTS])
        axes.plot(
            np.repeat(COUNTS, DRAWS),
            values.ravel(),
            ".",
            color=style.SKY,
            markersize=3,
            label="one pair of samples",
        )
        axes.plot(
            COUNTS, values.mean(1), marker="o", markersize=4, color=style.BLUE, label=f"mean of {DRAWS}"
        )
        axes.axhline(0, color=style.BLACK, linewidth=0.8)
        axes.set(title=title, xlabel="samples on each side")
    biased.set_ylim(bottom=-0.1)
    biased.legend(loc="upper right")
    return figure


def draw_order() -> Figure:
    """A cloud with the right moments and perfect points of six modes: who is better depends on the metric."""
    figure, places = style.axes(3, 3.4)
    made = (real_points(5, 250), same_moments(1, 250), some_modes(2, 250))
    titles = ("data", "A: cloud", "B: six modes of eight")
    cloud, modes = judged()
    texts = (
        "► marks the better one\nfrechet, kid: lower is better\nothers: higher is better\n\n",
        _listed(cloud, modes),
        _listed(modes, cloud),
    )
    for number, (axes, points) in enumerate(zip(places, made, strict=True)):
        style.dots(axes, points, (style.BLACK, style.RED, style.BLUE)[number])
        axes.set(
            title=titles[number], aspect="equal", xlim=(-1.8, 1.8), ylim=(-1.8, 1.8), xticks=[], yticks=[]
        )
        axes.set_xlabel(texts[number], loc="left")
        axes.grid(False)
    return figure


def _listed(mine: dict[str, float], other: dict[str, float]) -> str:
    """One line for each metric, marked where it prefers these values to the other ones."""
    better = {name: mine[name] < other[name] if name in LOWER else mine[name] > other[name] for name in mine}
    return "\n".join(f"{'►' if better[name] else '–'} {name} {abs(mine[name]):.3f}" for name in mine)


PICTURES: dict[str, Callable[[], Figure]] = {"frechet-bias": draw_bias, "two-orders": draw_order}
