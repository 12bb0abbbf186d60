"""What looking costs: blocks of steps with and without the look at their end, by turns, on one thread.

    DUEL_DATA=… python bench/signals.py [--blocks 7]

A block is `signals.every` steps (100, the default). The share is the look's time over the block's, median and
range over the blocks.
"""

import argparse
import statistics
import time
from functools import partial
from typing import Any

from duel import recipe as recipes
from duel.loop import Engine, engine_of
from duel.recipe import Recipe
from duel.signals import Layer, Watch

CASES: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("dcgan", "mnist", {"network.width": 32}),
    ("dcgan", "digits", {"network.width": 32}),
    ("gan", "mnist", {}),
    ("wgan-gp", "mnist", {"network.width": 32}),
    ("cgan", "fashion-mnist", {"network.width": 32}),
    ("gan-dense-a", "mnist", {"engine": "scratch"}),
    ("bigan-dense", "mnist", {}),
    ("gan", "ring", {}),
)


def shares(name: str, data: str, changes: dict[str, Any], blocks: int) -> tuple[float, float, list[float]]:
    """Seconds of a step, of a look, and the share of each block."""
    tree = recipes.change(recipes.read(name), {**recipes.data_changes(data), **changes, "threads": 1})
    recipe = recipes.on_this_machine(recipes.resolve(tree))
    loaded, engine = recipe.data.load(), engine_of(recipe)
    now = engine.start(recipe, loaded)
    watch, generate = Watch(recipe, loaded), partial(engine.generate, now)
    watch.look(now, generate, _played(engine, recipe, now, watch))  # warm
    steps, looks = [], []
    for _ in range(blocks):
        began = time.perf_counter()
        for _ in range(20):
            engine.play_step(recipe, now)
            now.step += 1
        steps.append((time.perf_counter() - began) / 20)
        began = time.perf_counter()
        norms = watch.watch(now)
        middle = time.perf_counter()
        engine.play_step(recipe, now)
        now.step += 1
        later = time.perf_counter()
        watch.look(now, generate, norms())
        looks.append(time.perf_counter() - later + middle - began)
    every = recipe.signals.every
    found = [look / (every * step + look) for step, look in zip(steps, looks, strict=True)]
    return statistics.median(steps), statistics.median(looks), found


def _played(engine: Engine, recipe: Recipe, now: Any, watch: Watch) -> dict[str, Layer]:
    norms = watch.watch(now)
    engine.play_step(recipe, now)
    now.step += 1
    return norms()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--blocks", type=int, default=7)
    given = parser.parse_args()
    print("| recipe | data | ms a step | ms a look | share of the time, range |\n|---|---|---|---|---|")
    for name, data, changes in CASES:
        step, look, found = shares(name, data, changes, given.blocks)
        row = f"{statistics.median(found):.1%} ({min(found):.1%} to {max(found):.1%})"
        print(f"| {name} | {data} | {1e3 * step:.1f} | {1e3 * look:.1f} | {row} |", flush=True)


if __name__ == "__main__":
    main()
