"""The discriminator's cross-entropy, which several objectives share."""

from __future__ import annotations

from typing import Any

from duel.xp import Functions


def cross_entropy(real: Any, fake: Any, smoothing: float, xp: Functions) -> Any:
    """−t·log σ(real) − (1 − t)·log(1 − σ(real)) − log(1 − σ(fake)) for the target t = `smoothing`.

    With softplus, so that it cannot overflow. One-sided smoothing: Salimans et al. 2016
    (arXiv:1606.03498), section 3.4.
    """
    loss = xp.softplus(-real) + xp.softplus(fake)
    # softplus(r) − softplus(−r) = r: the second term of a smoothed target costs no second softplus
    return loss if smoothing == 1 else loss + (1 - smoothing) * real
