"""The finding that a training's numbers are none any more: one shape for own runs and for others' logs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_WHY = "smaller steps diverge later or not at all"


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
