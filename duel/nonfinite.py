"""The finding that a training's numbers are none any more: one shape for own runs and for others' logs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_WHY = "smaller steps diverge later or not at all"


_WORKS = 0.1  # a larger rate is of no use with any optimizer here
_USUAL = 1e-3


def workable(rate: Any) -> Any:
    """A rate (or a schedule's values) that is no rate to learn with, as one that usually is."""
    if isinstance(rate, list | tuple):
        return [workable(each) for each in rate]
    return _USUAL if isinstance(rate, int | float) and rate > _WORKS else rate


def finding(
    signal: str, value: float, step: int, explanation: str, rates: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The finding as JSON.

    signal, value  what is no number, and what it is (nan, inf, too large); step: since when
    rates          the recipe's learning rates by dotted key, halved; None where no recipe is known
    """
    return {
        "name": "non-finite",
        "severity": "severe",
        "confidence": 1.0,
        "evidence": [{"signal": signal, "value": str(value), "threshold": "finite", "steps": [step]}],
        "explanation": explanation,
        "advice": [
            {
                "set": dict(rates or {}),
                "reason": _WHY if rates else f"halve both players' learning rates: {_WHY}",
                "source": None,
            }
        ],
    }
