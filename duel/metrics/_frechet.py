"""The Fréchet distance between two Gaussians, and between two sets of features with its interval.

Dowson, Landau 1982 (J. Multivariate Analysis 12); as a metric of generators: Heusel et al. 2017
(arXiv:1706.08500). The trace of the square root comes from symmetric eigenvalues:
Tr (Σ₁Σ₂)^½ = Σ √λ(FᵀΣ₂F) for any F with FFᵀ = Σ₁, so that no matrix square root is needed. The linear
algebra is torch's: NumPy's is up to fifty times slower as soon as another process uses a core (docs/log.md).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from duel.metrics._base import Value, around, jackknife_variance
from duel.metrics._checks import enough
from duel.metrics._moments import Moments


def frechet_distance(mean1: np.ndarray, cov1: np.ndarray, mean2: np.ndarray, cov2: np.ndarray) -> float:
    """‖μ₁ − μ₂‖² + Tr Σ₁ + Tr Σ₂ − 2 Tr (Σ₁Σ₂)^½ of means (D) and covariances (D×D), in float64.

    A singular covariance is no trouble: the one that has the thinner factor is factored.
    """
    factor1 = factor(cov1)
    if factor1.shape[1] == len(cov1):  # full rank: the other one may be thinner
        factor2 = factor(cov2)
        if factor2.shape[1] < len(cov2):
            return _distance(mean2, cov2, factor2, mean1, cov1)
    return _distance(mean1, cov1, factor1, mean2, cov2)


def factor(cov: np.ndarray) -> np.ndarray:
    """F (D×rank) with FFᵀ = `cov`: Cholesky's, or from the eigenvectors where that one fails."""
    tolerance = 10 * len(cov) * np.finfo(np.float64).eps
    cholesky, failed = torch.linalg.cholesky_ex(torch.from_numpy(cov))
    if failed:
        return _thin_factor(cov, tolerance)
    lower = cholesky.numpy()
    pivots = lower.diagonal() ** 2 / cov.diagonal()
    return lower if pivots.min() > tolerance else _thin_factor(cov, tolerance)


def _thin_factor(cov: np.ndarray, tolerance: float) -> np.ndarray:
    """From the eigenvectors whose eigenvalues are more than round-off."""
    values, vectors = (part.numpy() for part in torch.linalg.eigh(torch.from_numpy(cov)))
    real = values > tolerance * values[-1]
    return np.asarray(vectors[:, real] * np.sqrt(values[real]))


def _distance(
    mean1: np.ndarray, cov1: np.ndarray, factor1: np.ndarray, mean2: np.ndarray, cov2: np.ndarray
) -> float:
    left = torch.from_numpy(factor1)
    eigenvalues = torch.linalg.eigvalsh(left.T @ torch.from_numpy(cov2) @ left)
    root = eigenvalues.clamp(min=0).sqrt().sum().item()  # round-off can be negative
    offset = mean1 - mean2
    return float(offset @ offset + np.trace(cov1) + np.trace(cov2) - 2 * root)


def measure(real: Moments, fake: Moments) -> Value:
    """The distance of two sets of features, with the jackknife interval over the groups of both."""
    enough(real.count, "real")
    enough(fake.count, "generated")
    of_real, of_fake = real.mean_cov(), fake.mean_cov()
    value = max(0.0, frechet_distance(*of_real, *of_fake))
    variance = jackknife_variance(_deleted(real, *of_fake)) + jackknife_variance(_deleted(fake, *of_real))
    low, high = around(value, variance, min(real.groups, fake.groups))
    return Value(value, max(0.0, low), high, "lower", real.count, fake.count, _notes(real, fake))


def _deleted(varied: Moments, mean: np.ndarray, cov: np.ndarray) -> Iterator[float]:
    """The distance to (mean, cov) with each group of `varied` left out; one factor serves them all."""
    fixed = factor(cov)
    for group in range(varied.groups):
        yield _distance(mean, cov, fixed, *varied.mean_cov(leave_out=group))


def _notes(real: Moments, fake: Moments) -> tuple[str, ...]:
    count = min(real.count, fake.count)
    bias = (
        f"biased upward at {real.count:,} real and {fake.count:,} generated samples: compare only equal "
        "counts, and with what real data score against themselves (--floor)"
    )
    singular = (
        f"{count:,} samples are fewer than the {real.dimension:,} feature dimensions, so that the "
        "covariance is singular and the bias large: kid has no such bias"
    )
    return (singular, bias) if count < real.dimension else (bias,)
