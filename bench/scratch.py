"""How fast is the from-scratch engine? Beside PyTorch, and beside what the machine's matrix products allow.

Source A's networks (recipe gan-dense-a: batch 64, Adam, float32) on images of 28×28. Both engines take
turns in one process, a block of steps each, several times: printed are the median and the range of the
seconds for an epoch of 60,000 images. The limit is the time of the step's matrix products alone, written
into arrays that are there already. Memory is the peak of a process of its own that trains from scratch,
imports included.

    python bench/scratch.py [--threads 2] [--rounds 5] [--steps 60] [--out rows.json]
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from duel import loop, recipe
from duel.datasets._base import Data, Spec, Split

BATCH, IMAGES = 64, 60_000


def made_data(count: int = IMAGES) -> Data:
    """As many images as MNIST has; what is on them does not matter here."""
    split = Split(np.random.default_rng(0).integers(0, 256, (count, 1, 28, 28), np.uint8), None)
    return Data("made", Spec("image", (1, 28, 28)), dict.fromkeys(("train", "validation", "test"), split), "")


def stepper(engine: str, data: Data, threads: int) -> Callable[[], Any]:
    """A function that plays one step of the recipe and goes on from there."""
    changes = {"engine": engine, "threads": threads, "device": "cpu", "steps": 1, "batch_size": BATCH}
    it = recipe.resolve(recipe.change(recipe.read("gan-dense-a"), changes))
    module = loop.engine_of(it)
    now = module.start(it, data)

    def step() -> None:
        module.play_step(it, now)
        now.step += 1

    return step


def products(threads: int) -> tuple[Callable[[], Any], float]:
    """A function that computes a step's matrix products and nothing else; their 10⁹ operations."""
    from threadpoolctl import threadpool_limits

    threadpool_limits(threads, user_api="blas")
    rng = np.random.default_rng(0)
    shapes = []
    generator, discriminator = (100, 256, 512, 1024, 784), (784, 1024, 512, 256, 1)
    for sizes, rows, inputs_too in (
        (generator, BATCH, False), (discriminator, 2 * BATCH, False), (discriminator, BATCH, True)
    ):  # fmt: skip
        learns = not inputs_too  # through the discriminator into the generator there is no weight to learn
        for number, (inputs, outputs) in enumerate(pairwise(sizes)):
            shapes.append((rows, inputs, outputs))
            shapes += [(outputs, rows, inputs)] if learns else []
            shapes += [(rows, outputs, inputs)] if number or inputs_too else []
    pairs = [
        (
            rng.standard_normal((m, k), np.float32),
            rng.standard_normal((k, n), np.float32),
            np.empty((m, n), np.float32),
        )
        for m, k, n in shapes
    ]

    def step() -> None:
        for a, b, out in pairs:
            np.matmul(a, b, out=out)

    return step, sum(2 * m * k * n for m, k, n in shapes) / 1e9


def seconds(step: Callable[[], Any], steps: int) -> float:
    """Of an epoch, from a block of steps."""
    began = time.perf_counter()
    for _ in range(steps):
        step()
    return (time.perf_counter() - began) / steps * IMAGES / BATCH


def peak_megabytes(threads: int) -> float:
    """Of a process that trains from scratch for a few steps on 60,000 images."""
    code = (
        "import resource, scratch\n"
        f"step = scratch.stepper('scratch', scratch.made_data(), {threads})\n"
        "for _ in range(20): step()\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)"
    )
    said = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(__file__).parent, capture_output=True, text=True, check=True
    )
    return float(said.stdout)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=60, help="in a block")
    parser.add_argument("--out", type=Path, help="a JSON file for the numbers")
    given = parser.parse_args()
    data = made_data()
    limit, operations = products(given.threads)
    players = {
        "torch": stepper("torch", data, given.threads),
        "scratch": stepper("scratch", data, given.threads),
        "products": limit,
    }
    for step in players.values():
        seconds(step, 3)  # to warm up
    found: dict[str, list[float]] = {name: [] for name in players}
    for _ in range(given.rounds):
        for name, step in players.items():
            found[name].append(seconds(step, given.steps))
    for name, values in found.items():
        print(
            f"{name:<9}{statistics.median(values):6.1f} s an epoch ({min(values):.1f} to {max(values):.1f})"
        )
    ratios = [a / b for a, b in zip(found["torch"], found["scratch"], strict=True)]
    share = statistics.median(found["products"]) / statistics.median(found["scratch"])
    rate = operations * IMAGES / BATCH / statistics.median(found["products"])
    memory = peak_megabytes(given.threads)
    print(f"torch / scratch: {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
    print(f"matrix products: {rate:.0f} GFLOP/s, {100 * share:.0f} % of the from-scratch step")
    print(f"memory: {memory:.0f} MB at most")
    if given.out:
        numbers = {"seconds": found, "gflops": rate, "megabytes": memory, "threads": given.threads}
        given.out.write_text(json.dumps(numbers, indent=2) + "\n")


if __name__ == "__main__":
    main()
