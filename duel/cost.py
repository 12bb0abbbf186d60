"""What a step of a recipe costs: seconds and memory on this machine, and floating-point operations."""

from __future__ import annotations

import mmap
import statistics
import time
import weakref
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

from duel import catalog
from duel.datasets._base import Data
from duel.errors import DuelError, RecipeError
from duel.loop import engine_of
from duel.recipe import Recipe
from duel.session import check, mean_in_first_steps, resolve, timed_step

if TYPE_CHECKING:
    from torch import Tensor

_TIMED = 5
_SIDE = 1536  # of the matrices whose product is a yardstick


def step_seconds(recipe: Recipe, data: Data) -> float:
    """Seconds of a mean step: the median of five, after a first one that is not counted."""
    now = engine_of(recipe).start(recipe, data)
    timed_step(recipe, now)
    median = statistics.median(timed_step(recipe, now) for _ in range(_TIMED))
    return median * mean_in_first_steps(recipe, data)


def step_flops(recipe: Recipe, data: Data) -> float:
    """Floating-point operations of a mean step, see `step_counts`."""
    return step_counts(recipe, data).flops


@dataclass(frozen=True)
class Counts:
    """What a step of a recipe comes to, on whatever machine.

    flops   of a mean step: PyTorch's matrix products and convolutions, forward and backward; a multiplication
            and an addition are two
    memory  bytes of all tensors alive at its peak: weights, gradients, moments, averages, the batch, what the
            layers keep. Not what libraries use inside an operation, nor Python's and PyTorch's own
    """

    flops: float
    memory: int


def step_counts(recipe: Recipe, data: Data) -> Counts:
    """Count the operations of a first step, and the memory of two: in the second, optimizers have moments.

    RecipeError for the from-scratch engine, whose operations PyTorch does not see.
    """
    from torch import Tensor
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils._pytree import tree_leaves
    from torch.utils.flop_counter import flop_registry

    if recipe.engine != "torch":
        raise RecipeError(
            f"a budget of flops cannot be counted on engine={recipe.engine}: give steps, images or seconds"
        )

    # Not FlopCounterMode: its hooks on modules refuse the second derivatives that penalties take.
    class Count(TorchDispatchMode):  # type: ignore[no-untyped-call]
        def __init__(self) -> None:
            super().__init__()  # type: ignore[no-untyped-call]
            self.flops = 0.0
            self.alive = self.peak = 0
            self.storages: dict[int, weakref.ref[Any]] = {}

        def __torch_dispatch__(
            self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
        ) -> Any:
            found = func(*args, **(kwargs or {}))
            formula = flop_registry.get(func.overloadpacket)
            if formula is not None:
                self.flops += formula(*args, **(kwargs or {}), out_val=found)
            for each in tree_leaves((args, kwargs, found)):
                if isinstance(each, Tensor):
                    self.meet(each.untyped_storage())
            return found

        def meet(self, storage: Any) -> None:
            key, size = id(storage), storage.nbytes()
            if key in self.storages:
                return

            def forget(_: object) -> None:
                del self.storages[key]
                self.alive -= size

            self.storages[key] = weakref.ref(storage, forget)
            self.alive += size
            self.peak = max(self.peak, self.alive)

    engine = engine_of(recipe)
    with Count() as count:
        now = engine.start(recipe, data)
        count.flops = 0.0  # the start is no step
        engine.play_step(recipe, now)
        flops = count.flops
        engine.play_step(recipe, now)
    return Counts(flops * mean_in_first_steps(recipe, data), count.peak)


def data_bytes(data: Data) -> int:
    """Memory that the samples and labels of all splits take; what is mapped from a file takes none."""
    import numpy as np

    owners = {}
    for split in data.splits.values():
        for array in (split.samples, split.labels):
            while array is not None and isinstance(array.base, np.ndarray):
                array = array.base
            if array is not None and not isinstance(array.base, mmap.mmap):
                owners[id(array)] = array.nbytes
    return sum(owners.values())


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
    """The best rate that this machine was seen to reach, float32 operations per second, with the recipe's
    device and threads: of a large matrix product and a large convolution, whichever is faster."""
    return _peak_flops(recipe.device, recipe.threads or 1)


@cache
def _peak_flops(device: str, threads: int) -> float:
    import torch

    torch.set_num_threads(threads)

    def seconds(play: Callable[[], Tensor]) -> float:
        began = time.perf_counter()
        play().flatten()[0].item()
        return time.perf_counter() - began

    def rate(play: Callable[[], Tensor], flops: float) -> float:
        seconds(play)
        return flops / min(seconds(play) for _ in range(_TIMED))

    return max(rate(*each) for each in yardsticks(device))


def yardsticks(device: str) -> list[tuple[Callable[[], Tensor], float]]:
    """Computations that keep a machine's arithmetic busy, each with its number of operations.

    Both kinds, because they come from different libraries, and either one may be the slower on a machine.
    """
    import torch
    from torch.nn.functional import conv2d

    a, b = (torch.randn(_SIDE, _SIDE, device=device) for _ in range(2))
    # A DCGAN's layer, 256 maps of 8×8 to 512 of 4×4, as it lies in memory there.
    images, weight = (
        torch.randn(shape, device=device).to(memory_format=torch.channels_last)
        for shape in ((64, 256, 8, 8), (512, 256, 4, 4))
    )
    return [
        (lambda: a @ b, 2.0 * _SIDE**3),
        (lambda: conv2d(images, weight, stride=2, padding=1), 2.0 * 64 * 512 * 4 * 4 * 256 * 4 * 4),
    ]


@dataclass(frozen=True)
class Row:
    """What a recipe costs on given data and this machine.

    step     milliseconds; images: real ones drawn in a second
    gflop    10⁹ operations of a step; None where they cannot be counted
    share    of the machine's best rate that the step reaches, see `peak_flops`
    memory   bytes: of the step's tensors at their peak and, on the CPU, of the data; Python's and PyTorch's
             own come on top. None where they cannot be counted
    seconds  of the recipe's whole budget; steps: how many those are
    refused  why it cannot be trained on these data; then all else is None
    """

    recipe: str
    step: float | None = None
    images: float | None = None
    gflop: float | None = None
    share: float | None = None
    memory: int | None = None
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
        counts = step_counts(recipe, data) if recipe.engine == "torch" else None
    except DuelError as error:
        return Row(name, refused=str(error))
    steps = recipe.total_steps(len(data.splits["train"]))
    return Row(
        name,
        step=1e3 * seconds,
        images=recipe.drawn(steps) / steps / seconds,
        gflop=None if counts is None else counts.flops / 1e9,
        share=None if counts is None else counts.flops / seconds / peak_flops(recipe),
        memory=None if counts is None else counts.memory + (recipe.device == "cpu") * data_bytes(data),
        steps=steps,
        seconds=steps * seconds,
    )


def text(rows: Sequence[Row]) -> str:
    """The rows as a table."""
    from duel.display import duration, size

    head = ("recipe", "ms/step", "images/s", "GFLOP/step", "of best", "memory", "steps", "whole budget")
    cells = [
        (row.recipe, row.refused or "")
        if row.step is None
        else (
            row.recipe,
            f"{row.step:.1f}",
            f"{row.images:,.0f}",
            "" if row.gflop is None else f"{row.gflop:.3g}",
            "" if row.share is None else f"{row.share:.0%}",
            "" if row.memory is None else size(row.memory),
            f"{row.steps:,}",
            duration(row.seconds or 0),
        )
        for row in rows
    ]
    whole = [line for line in (head, *cells) if len(line) == len(head)]
    widths = [max(len(line[place]) for line in whole) for place in range(len(head))]
    widths[0] = max(len(line[0]) for line in (head, *cells))
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=False)).rstrip()
        for line in (head, *cells)
    )
