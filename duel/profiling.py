"""Where the time of a training step goes: by part of the step, by operation, and as a trace."""

from __future__ import annotations

import cProfile
import pstats
import time
from pathlib import Path

from duel import io
from duel.datasets._base import Data
from duel.errors import RecipeError
from duel.loop import engine_of
from duel.recipe import Recipe

_WARM = 5
_STEPS = 20
_TRACED = 5  # a trace of more is slow to open
_OPERATIONS = 12
# Functions of duel/train.py, in the order of a step, and what people call what they do.
_PARTS = {
    "_draw": "data and latent vectors",
    "_update_discriminator": "discriminator's updates",
    "_update_generator": "generator's update",
    "_update_average": "average of the weights",
    "_tuples": "within them: generator's forward",
    "_penalty": "within them: penalties",
}


def profile(recipe: Recipe, data: Data, trace: Path) -> str:
    """Play some steps and say where their time went; writes a trace for chrome://tracing or Perfetto.

    The steps are thrown away. RecipeError for an engine that PyTorch's profiler does not see.
    """
    from torch.profiler import ProfilerActivity
    from torch.profiler import profile as record

    if recipe.engine != "torch":
        raise RecipeError(
            f"--profile sees PyTorch's operations, and engine is {recipe.engine}: use engine=torch"
        )
    engine = engine_of(recipe)
    now = engine.start(recipe, data)

    def play(count: int) -> float:
        began = time.perf_counter()
        for _ in range(count):
            numbers = engine.play_step(recipe, now)
            now.step += 1
        engine.read(numbers)  # waits for the device
        return time.perf_counter() - began

    play(_WARM)
    plain = play(_STEPS) / _STEPS
    parts = cProfile.Profile()
    parts.enable()
    seen = play(_STEPS)
    parts.disable()
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if recipe.device == "cuda" else [])]
    with record(activities=activities) as operations:
        play(_TRACED)
    draft = trace.with_name(f".{trace.name}.part")
    operations.export_chrome_trace(str(draft))
    io.write_out(trace, draft.read_bytes())
    draft.unlink()
    sort = "self_cuda_time_total" if recipe.device == "cuda" else "self_cpu_time_total"
    table = operations.key_averages().table(sort_by=sort, row_limit=_OPERATIONS, max_name_column_width=44)
    return "\n".join(
        [
            f"{_STEPS} steps, {1e3 * plain:.1f} ms each ({recipe.drawn(1) / plain:,.0f} images/s)",
            "",
            *_part_lines(parts, seen),
            "",
            table.rstrip(),
            f"trace: {trace} (open it in chrome://tracing or ui.perfetto.dev)",
        ]
    )


def _part_lines(recorded: cProfile.Profile, seconds: float) -> list[str]:
    """Milliseconds a step and share of each part; on a GPU the host's, which only hands work over."""
    found = {
        function: total
        for (file, _, function), (_, _, _, total, _) in pstats.Stats(recorded).stats.items()  # type: ignore[attr-defined]
        if Path(file).parts[-2:] == ("duel", "train.py")
    }
    return [
        f"{label:<34}{1e3 * found[name] / _STEPS:8.2f} ms {found[name] / seconds:6.1%}"
        for name, label in _PARTS.items()
        if name in found
    ]
