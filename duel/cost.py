"""What a step of a recipe costs: seconds on this machine, and floating-point operations."""

from __future__ import annotations

import statistics
import time
from typing import Any

from duel.datasets._base import Data
from duel.errors import RecipeError
from duel.loop import engine_of
from duel.recipe import Recipe

_TIMED = 5


def step_seconds(recipe: Recipe, data: Data) -> float:
    """Seconds of a mean step: the median of five, after a first one that is not counted."""
    engine = engine_of(recipe)
    now = engine.start(recipe, data)

    def play() -> float:
        began = time.perf_counter()
        engine.read(engine.play_step(recipe, now))  # reading waits for the device
        return time.perf_counter() - began

    play()
    return statistics.median(play() for _ in range(_TIMED)) * _mean_in_first_steps(recipe, data)


def step_flops(recipe: Recipe, data: Data) -> float:
    """Floating-point operations of a mean step, counted on the first: PyTorch's matrix products and
    convolutions, forward and backward; a multiplication and an addition are two.

    RecipeError for the from-scratch engine, whose operations PyTorch does not see.
    """
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils.flop_counter import flop_registry

    if recipe.engine != "torch":
        raise RecipeError(
            f"a budget of flops cannot be counted on engine={recipe.engine}: give steps, images or seconds"
        )

    # Not FlopCounterMode: its hooks on modules refuse the second derivatives that penalties take.
    class Count(TorchDispatchMode):  # type: ignore[no-untyped-call]
        total = 0.0

        def __torch_dispatch__(
            self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
        ) -> Any:
            found = func(*args, **(kwargs or {}))
            formula = flop_registry.get(func.overloadpacket)
            if formula is not None:
                self.total += formula(*args, **(kwargs or {}), out_val=found)
            return found

    engine = engine_of(recipe)
    now = engine.start(recipe, data)
    with Count() as count:  # type: ignore[no-untyped-call]
        engine.play_step(recipe, now)
    return float(count.total) * _mean_in_first_steps(recipe, data)


def _mean_in_first_steps(recipe: Recipe, data: Data) -> float:
    """What the mean step costs, in first steps: `n_critic` may follow a schedule."""
    total = recipe.total_steps(len(data.splits["train"]))
    return recipe.drawn(total) / (total * recipe.drawn(1))
