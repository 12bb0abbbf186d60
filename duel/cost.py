"""What a step of a recipe costs: seconds and memory on this machine, and floating-point operations."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from typing import Any

from duel import catalog
from duel.datasets._base import Data
from duel.errors import DuelError, RecipeError
from duel.loop import engine_of
from duel.recipe import Recipe
from duel.session import check, mean_in_first_steps, resolve, timed_step

_TIMED = 5
_SIDE = 1536  # of the matrices whose product is the machine's yardstick


def step_seconds(recipe: Recipe, data: Data) -> float:
    """Seconds of a mean step: the median of five, after a first one that is not counted."""
    now = engine_of(recipe).start(recipe, data)
    timed_step(recipe, now)
    median = statistics.median(timed_step(recipe, now) for _ in range(_TIMED))
    return median * mean_in_first_steps(recipe, data)


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
    return float(count.total) * mean_in_first_steps(recipe, data)


def steps_within(recipe: Recipe, budget: float, cost: Callable[[Recipe], float]) -> int:
    """How many steps a budget of seconds or operations buys, at least 1.

    cost  of one step of a recipe with a fixed `n_critic`; asked once for each value that `n_critic` takes
    """
    if isinstance(recipe.n_critic, int):
        return max(1, round(budget / cost(recipe)))
    schedule, bought, step = recipe.n_critic, 0.0, 0
    values = [int(value) for value in schedule.values]
    prices = {value: cost(replace(recipe, n_critic=value)) for value in set(values)}
    # `schedule` is of shape "step": a value holds from its own step on, the first one from the start.
    for value, until in zip(values, (*schedule.at[1:], None), strict=True):
        left = budget - bought
        affordable = round(left / prices[value])
        if until is None or step + affordable <= until:
            return max(1, step + affordable)
        bought += (until - step) * prices[value]
        step = until
    raise AssertionError("the last value holds for ever")


def peak_flops(recipe: Recipe) -> float:
    """This machine's rate of float32 matrix products, per second, with the recipe's device and threads."""
    return _peak_flops(recipe.device, recipe.threads or 1)


@cache
def _peak_flops(device: str, threads: int) -> float:
    import torch

    torch.set_num_threads(threads)
    a, b = (torch.randn(_SIDE, _SIDE, device=device) for _ in range(2))

    def play() -> float:
        began = time.perf_counter()
        (a @ b)[0, 0].item()
        return time.perf_counter() - began

    play()
    return 2 * _SIDE**3 / min(play() for _ in range(_TIMED))


@dataclass(frozen=True)
class Row:
    """What a recipe costs on given data and this machine.

    step     milliseconds; images: real ones drawn in a second
    gflop    10⁹ operations of a step; None where they cannot be counted
    share    of the machine's rate of matrix products that the step reaches
    seconds  of the recipe's whole budget; steps: how many those are
    refused  why it cannot be trained on these data; then all else is None
    """

    recipe: str
    step: float | None = None
    images: float | None = None
    gflop: float | None = None
    share: float | None = None
    steps: int | None = None
    seconds: float | None = None
    refused: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)


def bench(
    names: Sequence[str] = (),
    changes: dict[str, Any] | None = None,
    allow_code: bool | Collection[str] = False,
) -> list[Row]:
    """A row for each recipe (all that are named, by default), timed one after the other.

    changes: dotted keys, as `duel train --set` has them; what a recipe does not know is its row's error.
    """
    return [_row(name, changes or {}, allow_code) for name in names or tuple(catalog.recipes())]


def _row(name: str, changes: dict[str, Any], allow_code: bool | Collection[str]) -> Row:
    try:
        recipe = resolve(name, changes, allow_code)
        data = check(recipe)
        seconds = step_seconds(recipe, data)
        flops = step_flops(recipe, data) if recipe.engine == "torch" else None
    except DuelError as error:
        return Row(name, refused=str(error))
    steps = recipe.total_steps(len(data.splits["train"]))
    return Row(
        name,
        step=1e3 * seconds,
        images=recipe.drawn(steps) / steps / seconds,
        gflop=None if flops is None else flops / 1e9,
        share=None if flops is None else flops / seconds / peak_flops(recipe),
        steps=steps,
        seconds=steps * seconds,
    )


def text(rows: Sequence[Row]) -> str:
    """The rows as a table."""
    from duel.display import duration

    head = ("recipe", "ms/step", "images/s", "GFLOP/step", "of peak", "steps", "whole budget")
    cells = [
        (row.recipe, row.refused or "")
        if row.step is None
        else (
            row.recipe,
            f"{row.step:.1f}",
            f"{row.images:,.0f}",
            "" if row.gflop is None else f"{row.gflop:.3g}",
            "" if row.share is None else f"{row.share:.0%}",
            f"{row.steps:,}",
            duration(row.seconds or 0),
        )
        for row in rows
    ]
    whole = [line for line in (head, *cells) if len(line) == len(head)]
    widths = [max(len(line[place]) for line in whole) for place in range(len(head))]
    widths[0] = max(len(line[0]) for line in (head, *cells))
    return "\n".join(
        "  ".join(cell.ljust(size) for cell, size in zip(line, widths, strict=False)).rstrip()
        for line in (head, *cells)
    )
