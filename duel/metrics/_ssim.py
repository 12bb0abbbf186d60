"""Multi-scale structural similarity of pairs of images.

Wang, Simoncelli, Bovik 2003 (Asilomar Conference on Signals, Systems and Computers), with the constants
of Wang et al. 2004. As in torchmetrics, negative terms count as 0 and the last scale's mean runs over the
reflected border, too.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch.nn import functional

from duel.metrics._tensor import tensor

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
_WINDOW, _SIGMA = 11, 1.5
_C1, _C2 = 0.01**2, 0.03**2
_BLOCK = 64  # pairs at a time


class Scales(NamedTuple):
    """Weights of the scales in use (they sum to 1), side and σ of the Gaussian window in pixels."""

    weights: tuple[float, ...]
    window: int
    sigma: float


def scales(side: int) -> Scales:
    """As many of the five scales as images of `side` pixels hold 11 pixels at; below that, one scale.

    The window of images with fewer than 11 pixels is the largest odd number that fits, its σ shrinks alike.
    """
    window = min(_WINDOW, side - 1 + side % 2)
    count = sum(side >> halvings >= _WINDOW for halvings in range(len(WEIGHTS))) or 1
    total = sum(WEIGHTS[:count])
    return Scales(tuple(weight / total for weight in WEIGHTS[:count]), window, _SIGMA * window / _WINDOW)


def ms_ssim(first: np.ndarray, second: np.ndarray, how: Scales) -> np.ndarray:
    """Similarity (float64 N, at most 1) of two arrays of uint8 images N×C×H×W, image by image."""
    starts = range(0, len(first), _BLOCK)
    blocks = ((first[start : start + _BLOCK], second[start : start + _BLOCK]) for start in starts)
    return np.concatenate([_ms_ssim(_unit(a), _unit(b), how).numpy() for a, b in blocks])


def _unit(images: np.ndarray) -> torch.Tensor:
    return tensor(images).double() / 255


def _ms_ssim(a: torch.Tensor, b: torch.Tensor, how: Scales) -> torch.Tensor:
    result = torch.ones(len(a), dtype=a.dtype)
    for scale, weight in enumerate(how.weights):
        last = scale == len(how.weights) - 1
        similarity, contrast = _ssim(a, b, how)
        result *= (similarity if last else contrast).clamp(min=0) ** weight
        a, b = functional.avg_pool2d(a, 2), functional.avg_pool2d(b, 2)
    return result


def _ssim(a: torch.Tensor, b: torch.Tensor, how: Scales) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean similarity (N) and mean contrast-and-structure term (N) of images N×C×H×W in [0, 1]."""
    mean_a, mean_b = _blur(a, how), _blur(b, how)
    variance_a = (_blur(a * a, how) - mean_a**2).clamp(min=0)
    variance_b = (_blur(b * b, how) - mean_b**2).clamp(min=0)
    covariance = _blur(a * b, how) - mean_a * mean_b
    contrast = (2 * covariance + _C2) / (variance_a + variance_b + _C2)
    luminance = (2 * mean_a * mean_b + _C1) / (mean_a**2 + mean_b**2 + _C1)
    edge = how.window // 2
    inner = contrast[..., edge : contrast.shape[-2] - edge, edge : contrast.shape[-1] - edge]
    return (luminance * contrast).flatten(1).mean(1), inner.flatten(1).mean(1)


def _blur(images: torch.Tensor, how: Scales) -> torch.Tensor:
    """Convolution with the Gaussian window, borders reflected; each channel by itself."""
    edge = how.window // 2
    line = torch.exp(-((torch.arange(-edge, edge + 1, dtype=images.dtype) / how.sigma) ** 2) / 2)
    line /= line.sum()
    planes = functional.pad(images.flatten(0, 1)[:, None], (edge,) * 4, mode="reflect")
    lines = functional.conv2d(planes, line.view(1, 1, 1, -1))
    return functional.conv2d(lines, line.view(1, 1, -1, 1)).view(images.shape)
