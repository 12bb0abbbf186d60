"""What the Fréchet distance costs at Inception's 2,048 dimensions: ours against SciPy's matrix square root.

The SciPy path is the one of the reference code: sqrtm of the product of the covariances. Two cases: 10,000
samples a side, and 100 a side (singular covariances; truth there: singular values of the thin product of
the centred samples, in which no covariance occurs). Printed are seconds and relative differences.

    python bench/frechet.py [--dimension 2048] [--runs 3]
"""

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
from scipy.linalg import sqrtm

from duel.metrics._frechet import frechet_distance

Gaussian = tuple[np.ndarray, np.ndarray]


def samples(count: int, dimension: int, seed: int, scale: float) -> np.ndarray:
    """Correlated features whose variances fall off as those of networks do, all positive."""
    rng = np.random.default_rng(seed)
    spread = scale * np.arange(1, dimension + 1) ** -0.5
    features = rng.standard_normal((count, dimension)) * spread
    mixing = np.linalg.qr(np.random.default_rng(7).standard_normal((dimension, dimension)))[0]
    return np.asarray(features @ mixing + 0.4)


def moments(features: np.ndarray) -> Gaussian:
    return features.mean(axis=0), np.cov(features, rowvar=False)


def with_scipy(one: Gaussian, other: Gaussian) -> float:
    offset, root = one[0] - other[0], sqrtm(one[1] @ other[1])
    return float(offset @ offset + np.trace(one[1]) + np.trace(other[1]) - 2 * np.trace(root.real))


def thin(x: np.ndarray, y: np.ndarray) -> float:
    """The same from the samples: Tr (Σ₁Σ₂)^½ is the sum of the singular values of the thin product."""
    a, b = ((side - side.mean(axis=0)) / (len(side) - 1) ** 0.5 for side in (x, y))
    offset = x.mean(axis=0) - y.mean(axis=0)
    root = np.linalg.svd(a @ b.T, compute_uv=False).sum()
    return float(offset @ offset + (a**2).sum() + (b**2).sum() - 2 * root)


def timed(function: Callable[[], float], runs: int) -> tuple[float, list[float]]:
    """Result and seconds."""
    result, measured = 0.0, []
    for _ in range(runs):
        began = time.perf_counter()
        result = function()
        measured.append(time.perf_counter() - began)
    return result, measured


def row(label: str, count: int, given: argparse.Namespace) -> str:
    x = samples(count, given.dimension, 1, 1.0)
    y = samples(count, given.dimension, 2, 1.1)
    one, other = moments(x), moments(y)
    ours, fast = timed(lambda: frechet_distance(*one, *other), given.runs)
    try:
        theirs, slow = timed(lambda: with_scipy(one, other), 1)
    except (ValueError, np.linalg.LinAlgError) as error:
        return f"| {label} | {statistics.median(fast):.2f} | failed: {error} | – | – | – |"
    truth = thin(x, y) if count < given.dimension else theirs
    ratio = slow[0] / statistics.median(fast)
    cells = [f"{statistics.median(fast):.2f} ({min(fast):.2f}–{max(fast):.2f})", f"{slow[0]:.2f}"]
    cells += [f"{ratio:.1f}×", f"{abs(ours / theirs - 1):.1e}", f"{abs(ours / truth - 1):.1e}"]
    return f"| {label} | " + " | ".join(cells) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--dimension", type=int, default=2048)
    parser.add_argument("--runs", type=int, default=3)
    given = parser.parse_args()
    print(f"{given.dimension} dimensions, NumPy {np.__version__}")
    print("| samples a side | duel, s | scipy sqrtm, s | faster | differs from SciPy | from truth |")
    print("|---|---|---|---|---|---|")
    print(row("10,000", 10_000, given), flush=True)
    print(row("100", 100, given), flush=True)


if __name__ == "__main__":
    main()
