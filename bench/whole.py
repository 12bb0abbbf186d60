"""What logging, samples, signals and checkpoints cost: a whole `duel.train` against a bare, tuned loop.

Both train DCGAN on the same made images, the bare loop with nothing around its step but a random choice of
images from memory. Taking turns, the seconds of `--steps` steps each; the run's own time from its first step
to its end, with the defaults of a recipe (log every 10 steps, look every 100, grid every 200, checkpoint
every 1,000 and at the end). The ratio bare / whole is 1 if all of that costs nothing.

    python bench/whole.py [--threads 2] [--pairs 5] [--steps 1000] [--side 32 --width 32]
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from loops import Tuned
from PIL import Image
from step import made_data, resolved, spread

import duel


def bare(side: int, width: int, threads: int, steps: int) -> float:
    """Seconds of the tuned loop."""
    data, it = made_data(side, 1), resolved("dcgan", width, threads, "cpu")
    loop, images, rng = Tuned(it, data), data.splits["train"].samples, np.random.default_rng(0)

    def play(count: int) -> float:
        began = time.perf_counter()
        for _ in range(count):
            chosen = images[rng.choice(len(images), it.batch_size, replace=False)]
            batch = torch.from_numpy(chosen).float().div_(127.5).sub_(1)
            loop.batch = batch.to(memory_format=torch.channels_last)
            loop.step()
        return time.perf_counter() - began

    play(5)
    return play(steps)


def whole(folder: Path, side: int, width: int, threads: int, steps: int, number: int) -> float:
    """Seconds of a run, from its first step to its last event."""
    changes = {"threads": threads, "network.width": width, "data.resolution": side}
    out = folder / f"run-{number}"
    with duel.train("dcgan", data=folder / "images", out=out, steps=steps, changes=changes) as session:
        for event in session:
            if event["event"] == "start":
                began = time.perf_counter()
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--side", type=int, default=32)
    parser.add_argument("--width", type=int, default=32)
    given = parser.parse_args()
    sizes = (given.side, given.width, given.threads, given.steps)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "images").mkdir()
        for place, image in enumerate(made_data(given.side, 1).splits["train"].samples):
            Image.fromarray(image[0]).save(folder / "images" / f"{place}.png")
        pairs = [(bare(*sizes), whole(folder, *sizes, number)) for number in range(given.pairs)]
    print(f"torch {torch.__version__}, {given.threads} threads, {given.pairs} pairs of {given.steps} steps")
    print(f"bare loop, s       {spread([one for one, _ in pairs], 2)}")
    print(f"whole run, s       {spread([other for _, other in pairs], 2)}")
    print(f"bare / whole       {spread([one / other for one, other in pairs], 3)}")


if __name__ == "__main__":
    main()
