"""Is duel's training step as fast as the loops that people write?

Both train the same networks from the same weights on the same made images, in one process, taking turns: one
block of steps of the one, one of the other, several times. Printed are the median and the range of the
milliseconds per step and of the pairwise ratio other / duel (above 1: duel is faster), and which share of the
best rate seen here (`duel.cost.peak_flops`) duel's step reaches. duel's step draws, converts and normalises
its own batches; the others get theirs ready made (bench/loops.py).

    python bench/step.py [--threads 2] [--pairs 5] [--steps 20] [--only dcgan-64]
"""

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from loops import Loop, Tuned, Tutorial, UsualBigan, UsualWganGp

from duel import recipe
from duel.cost import peak_flops, step_flops
from duel.datasets._base import Data, Spec, Split
from duel.train import play_step, start

# recipe, side, channels, width (0: as it is), the other loop
CONFIGURATIONS: list[tuple[str, int, int, int, type[Loop]]] = [
    ("dcgan", 28, 1, 32, Tutorial),
    ("dcgan", 32, 1, 32, Tutorial),
    ("dcgan", 32, 1, 32, Tuned),
    ("dcgan-64", 64, 1, 64, Tutorial),
    ("dcgan-64", 64, 1, 64, Tuned),
    ("wgan-gp", 32, 1, 32, UsualWganGp),
    ("bigan", 32, 1, 16, UsualBigan),
    ("gan", 28, 1, 0, Tutorial),
]


def made_data(side: int, channels: int) -> Data:
    images = np.random.default_rng(0).integers(0, 256, (2000, channels, side, side), np.uint8)
    split = Split(images, None)
    splits = {"train": split, "validation": split, "test": split}
    return Data("made", Spec("image", (channels, side, side)), splits, "")  # type: ignore[arg-type]


def resolved(name: str, width: int, threads: int, device: str) -> recipe.Recipe:
    changes = {"threads": threads, "batch_size": 64, "device": device, "steps": 1, "augmentations": "none"}
    changes |= {"network.width": width} if width else {}
    return recipe.resolve(recipe.change(recipe.read(name), changes))


def milliseconds(step: Callable[[], object], times: int) -> float:
    began = time.perf_counter()
    for _ in range(times):
        step()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return (time.perf_counter() - began) / times * 1e3


def compare(
    name: str, side: int, channels: int, width: int, other: type[Loop],
    threads: int, pairs: int, steps: int, device: str,
) -> str:  # fmt: skip
    """A row of the table."""
    data, it = made_data(side, channels), resolved(name, width, threads, device)
    loop, ours = other(it, data), start(it, data)

    def our_step() -> None:
        play_step(it, ours)

    first = milliseconds(our_step, 3)
    steps = max(2, min(steps, round(steps * 40 / first)))
    milliseconds(loop.step, 3)
    measured = [(milliseconds(loop.step, steps), milliseconds(our_step, steps)) for _ in range(pairs)]
    reached = step_flops(it, data) / statistics.median(each for _, each in measured) * 1e3
    cells = [
        spread([each for each, _ in measured]),
        spread([each for _, each in measured]),
        spread([one / mine for one, mine in measured], 2),
        f"{reached / 1e9:.0f} GFLOP/s, {reached / peak_flops(it):.0%}",
    ]
    what = f"{name} {side}×{side}, width {width or '–'}, batch 64"
    return f"| {what} | {other.__name__} | " + " | ".join(cells) + " |"


def spread(values: list[float], digits: int = 1) -> str:
    """Median and range."""
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f}–{max(values):.{digits}f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--only", help="one recipe")
    given = parser.parse_args()
    print(f"torch {torch.__version__}, {given.threads} threads, {given.pairs} pairs of {given.steps} steps")
    print("| networks | other loop | other, ms/step | duel, ms/step | other / duel | duel, of the best |")
    print("|---|---|---|---|---|---|")
    for each in CONFIGURATIONS:
        if given.only in (None, each[0]):
            print(compare(*each, given.threads, given.pairs, given.steps, given.device), flush=True)


if __name__ == "__main__":
    main()
