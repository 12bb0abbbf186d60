"""What Adam and AdamW have in common."""

from __future__ import annotations

from typing import Any

from duel.schedule import Schedule, values_of


def settings(lr: Any, beta1: float, beta2: Any, epsilon: float) -> dict[str, Any]:
    """The options as torch names them."""
    return {"lr": lr, "betas": (beta1, beta2), "eps": epsilon}


def check(beta1: float, beta2: float | Schedule, epsilon: float) -> None:
    """ValueError for a decay outside [0, 1) and an epsilon that is not positive."""
    for name, beta in (("beta1", beta1), ("beta2", beta2)):
        if not all(0 <= value < 1 for value in values_of(beta)):
            raise ValueError(f"{name} is {beta}, allowed are numbers from 0 up to, not including, 1")
    if not epsilon > 0:
        raise ValueError(f"epsilon is {epsilon}, allowed are positive numbers")
