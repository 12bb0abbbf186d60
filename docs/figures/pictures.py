"""All pictures by name, and where they are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from matplotlib.figure import Figure

from figures import (
    activations,
    comparing,
    convolution,
    differentiation,
    distances,
    dual_numbers,
    game,
    learning_rate,
    metrics,
    two_players,
)

FOLDER = Path(__file__).parents[1] / "pictures" / "theory"

PICTURES: dict[str, Callable[[], Figure]] = {
    **activations.PICTURES,
    **learning_rate.PICTURES,
    **convolution.PICTURES,
    **game.PICTURES,
    **distances.PICTURES,
    **differentiation.PICTURES,
    **dual_numbers.PICTURES,
    **two_players.PICTURES,
    **metrics.PICTURES,
    **comparing.PICTURES,
}
