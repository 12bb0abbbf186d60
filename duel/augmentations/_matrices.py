"""The transforms of adaptive augmentation as matrices, one per image, and their random choice.

Karras et al. 2020 (arXiv:2006.06676, appendix B). The functions with parameters (N,) give N matrices. Those
of places lead from where a pixel is written to where it is read, as `_pixels.resample` wants them; those of
colours act as `_pixels.recolour` applies them, on colours in [−1, 1].
"""

from __future__ import annotations

import math
from functools import reduce

import torch
from torch import Tensor


def product(one: Tensor, other: Tensor) -> Tensor:
    """one @ other for N×d×d, in full precision whatever is set for matrix products."""
    return (one[:, :, :, None] * other[:, None]).sum(2)


def affine(matrices: Tensor, offsets: Tensor) -> Tensor:
    """x → matrices · x + offsets, for N×d×d and N×d, as N×(d+1)×(d+1)."""
    last = torch.zeros_like(offsets)
    one = torch.ones_like(last[:, :1])
    upper = torch.cat([matrices, offsets[:, :, None]], 2)
    return torch.cat([upper, torch.cat([last, one], 1)[:, None]], 1)


def linear(matrices: Tensor) -> Tensor:
    """x → matrices · x, for N×d×d, as N×(d+1)×(d+1)."""
    return affine(matrices, torch.zeros_like(matrices[:, 0]))


def _eye(size: int, like: Tensor) -> Tensor:
    """The unit matrix for each of N images."""
    return torch.eye(size, device=like.device, dtype=like.dtype).expand(len(like), -1, -1)


# ---------------------------------------------------------------- places


def _plane(xx: Tensor, xy: Tensor, yx: Tensor, yy: Tensor) -> Tensor:
    return linear(torch.stack([xx, xy, yx, yy], 1).reshape(-1, 2, 2))


def mirrored(chosen: Tensor) -> Tensor:
    """Left and right exchanged where `chosen` is 1, not where it is 0."""
    zero = torch.zeros_like(chosen)
    return _plane(1 - 2 * chosen, zero, zero, zero + 1)


def quarter_turned(times: Tensor) -> Tensor:
    """Turned 0 to 3 times by 90°, as torch.rot90 turns; the sines and cosines are exact."""
    cosine, sine = (times - 2).abs() - 1, 1 - (times - 1).abs()
    return _plane(cosine, -sine, sine, cosine)


def turned(angle: Tensor) -> Tensor:
    """Turned by an angle in radians, in the direction of torch.rot90."""
    cosine, sine = angle.cos(), angle.sin()
    return _plane(cosine, -sine, sine, cosine)


def scaled(x: Tensor, y: Tensor) -> Tensor:
    """Enlarged by the factors x and y."""
    return _plane(1 / x, torch.zeros_like(x), torch.zeros_like(x), 1 / y)


def shifted(right: Tensor, down: Tensor) -> Tensor:
    """Moved, in pixels."""
    return affine(_eye(2, right), torch.stack([-right, -down], 1))


def random_places(count: int, height: int, width: int, p: Tensor) -> Tensor:
    """Pixel blitting, then general geometry: N×3×3. `p` (a scalar tensor) is each transform's probability."""
    draw = _Draw(count, p)
    size = torch.stack([torch.full_like(p, width), torch.full_like(p, height)])
    flip, quarters = draw.uniform() * 2, draw.uniform() * 4
    whole = draw.sometimes(draw.uniform(2) / 4 - 1 / 8, 0)
    size_factor = draw.sometimes(torch.exp2(0.2 * draw.normal()), 1)
    # Two rotations, one on each side of the stretching, so that it has any direction: P(one or both) = p.
    either = 1 - (1 - p).sqrt()
    before = draw.sometimes((2 * draw.uniform() - 1) * math.pi, 0, either)
    stretch = draw.sometimes(torch.exp2(0.2 * draw.normal()), 1)
    after = draw.sometimes((2 * draw.uniform() - 1) * math.pi, 0, either)
    part = draw.sometimes(draw.normal(2) / 8, 0)
    steps = (
        mirrored(draw.sometimes(flip.floor(), 0)),
        quarter_turned(draw.sometimes(quarters.floor(), 0)),
        shifted(*(whole * size).round().unbind(1)),
        scaled(size_factor, size_factor),
        turned(before),
        scaled(stretch, 1 / stretch),
        turned(after),
        shifted(*(part * size).unbind(1)),
    )
    # Read backwards: the last transform's source is the one before it.
    return reduce(product, steps)


# ---------------------------------------------------------------- colours


def brightened(amount: Tensor, channels: int) -> Tensor:
    """The amount added to every channel."""
    return affine(_eye(channels, amount), amount[:, None].expand(-1, channels))


def contrasted(factor: Tensor, channels: int) -> Tensor:
    """Every channel times the factor: away from middle grey, or towards it."""
    return linear(_eye(channels, factor) * factor[:, None, None])


def luma_flipped(chosen: Tensor) -> Tensor:
    """Light and dark exchanged where `chosen` is 1, the hue kept: reflected along (1, 1, 1) (RGB)."""
    return linear(_eye(3, chosen) - 2 / 3 * chosen[:, None, None])


def hue_turned(angle: Tensor) -> Tensor:
    """Turned about the axis (1, 1, 1) by an angle in radians (RGB; Rodrigues' formula)."""
    eye = _eye(3, angle)
    across = (eye.roll(1, 1) - eye.roll(-1, 1)) / math.sqrt(3)
    cosine, sine = angle.cos()[:, None, None], angle.sin()[:, None, None]
    return linear(eye * cosine + across * sine + (1 - cosine) / 3)


def saturated(factor: Tensor) -> Tensor:
    """The distance from the grey axis (1, 1, 1) times the factor (RGB)."""
    factor = factor[:, None, None]
    return linear(_eye(3, factor) * factor + (1 - factor) / 3)


def random_colours(count: int, channels: int, p: Tensor) -> Tensor:
    """N×(C+1)×(C+1), C 3 or 1. `p` (a scalar tensor) is each transform's probability."""
    draw = _Draw(count, p)
    steps = [
        brightened(draw.sometimes(0.2 * draw.normal(), 0), channels),
        contrasted(draw.sometimes(torch.exp2(0.5 * draw.normal()), 1), channels),
    ]
    if channels == 3:
        steps += [
            luma_flipped(draw.sometimes((draw.uniform() * 2).floor(), 0)),
            hue_turned(draw.sometimes((2 * draw.uniform() - 1) * math.pi, 0)),
            saturated(draw.sometimes(torch.exp2(draw.normal()), 1)),
        ]
    return reduce(product, reversed(steps))


# ---------------------------------------------------------------- chance


class _Draw:
    """Random numbers for `count` images, on the device of the probability `p`."""

    def __init__(self, count: int, p: Tensor) -> None:
        self._count, self._p = count, p

    def uniform(self, *more: int) -> Tensor:
        """In [0, 1), (N, …)."""
        return torch.rand(self._count, *more, device=self._p.device)

    def normal(self, *more: int) -> Tensor:
        """Of mean 0 and deviation 1, (N, …)."""
        return torch.randn(self._count, *more, device=self._p.device)

    def sometimes(self, drawn: Tensor, neutral: float, probability: Tensor | None = None) -> Tensor:
        """Each image's drawn value with the probability (`p` by default), else the neutral one."""
        chosen = self.uniform() < (self._p if probability is None else probability)
        return torch.where(chosen.reshape(-1, *[1] * (drawn.dim() - 1)), drawn, neutral)
