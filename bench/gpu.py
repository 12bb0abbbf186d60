"""A GPU in under ten minutes: speed, shares of its peak, time to a stated quality, and the plain loop beside.

    DUEL_DATA=… python bench/gpu.py --out docs/evidence/gpu.jsonl [--device cuda] [--target 5]

Writes a row as soon as it is measured, as a JSON line and as a line of text. Nothing is downloaded; without
MNIST beneath DUEL_DATA the embedded digits take its place, and the rows say so. With --device cpu and small
numbers it shows that it runs.

speed      images/s of duel's step in float32 and bfloat16, and of the plain tutorial loop; operations against
           the best rate of a float32 product or convolution (TF32 off), bytes touched against a copy's rate
quality    seconds of training (evaluation not counted) until FCD on the test split is at or below the target
"""

# mypy: disable-error-code="no-untyped-call"
import argparse
import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from loops import Tutorial
from step import made_data, milliseconds
from torch.utils._python_dispatch import TorchDispatchMode

from duel import recipe
from duel.cost import peak_flops, step_flops
from duel.datasets._base import Data
from duel.errors import DataError
from duel.evaluate import Evaluator, Source
from duel.sampling import generate
from duel.streams import draw_latent, stream
from duel.train import play_step, start

SPEED = [
    ("dcgan", 32, 3, 64, 64),
    ("dcgan", 32, 3, 64, 512),
    ("dcgan-64", 64, 3, 128, 64),
    ("dcgan-64", 64, 3, 128, 256),
]


class Touched(TorchDispatchMode):
    """Bytes of all tensors that operations read and write: what would move if none were fused or cached."""

    total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        flat = torch.utils._pytree.tree_leaves((args, found))
        self.total += sum(
            each.numel() * each.element_size() for each in flat if isinstance(each, torch.Tensor)
        )
        return found


def resolved(name: str, width: int, batch: int, device: str, precision: str) -> recipe.Recipe:
    changes = {"threads": 1, "batch_size": batch, "device": device, "steps": 1, "network.width": width}
    return recipe.resolve(recipe.change(recipe.read(name), {**changes, "precision": precision}))


def bandwidth(device: str) -> float:
    """Bytes per second of a copy, read and written."""
    source = torch.empty(1 << 28, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return 2 * len(source) / (milliseconds(lambda: target.copy_(source), 10) / 1e3)


def speed(
    name: str, side: int, channels: int, width: int, batch: int, device: str, steps: int
) -> dict[str, Any]:
    """images/s of the loops, and duel's shares of the machine's peaks."""
    data = made_data(side, channels)
    row: dict[str, Any] = {"what": "speed", "recipe": name, "side": side, "width": width, "batch": batch}
    for precision in ("float32", "bfloat16"):
        it = resolved(name, width, batch, device, precision)
        now = start(it, data)
        milliseconds(partial(play_step, it, now), 5)
        each = milliseconds(partial(play_step, it, now), steps)
        row[f"duel {precision}"] = batch / each * 1e3
        if precision == "float32":
            row["of peak arithmetic"] = step_flops(it, data) / (each / 1e3) / peak_flops(it)
            with Touched() as touched:
                play_step(it, now)
            row["of copy bandwidth"] = touched.total / (each / 1e3) / bandwidth(device)
    loop = Tutorial(resolved(name, width, batch, device, "float32"), data)
    milliseconds(loop.step, 5)
    row["plain"] = batch / milliseconds(loop.step, steps) * 1e3
    return row


def seconds_to(
    step: Callable[[], object], draw: Callable[[np.ndarray], np.ndarray], evaluator: Evaluator,
    target: float, every: int, limit: float, samples: int, latent_size: int,
) -> tuple[float | None, list[float]]:  # fmt: skip
    """Seconds of training until the first metric is at or below the target (None at the limit); all looks."""
    (name,) = evaluator.metrics
    rng = stream(0, "eval", 7)
    passed, looks = 0.0, []

    def source(count: int, seed: int) -> Any:
        for begin in range(0, count, 1000):
            samples = draw(draw_latent(rng, min(1000, count - begin), latent_size, "normal"))
            yield np.round((samples + 1) * 127.5).clip(0, 255).astype(np.uint8), None

    while passed < limit:
        passed += every * milliseconds(step, every) / 1e3
        made = Source("a loop", "loop", None, source)
        looks.append(evaluator.measure(made, samples)["metrics"][name]["value"])
        if looks[-1] <= target:
            return passed, looks
    return None, looks


def quality(device: str, target: float, every: int, limit: float, samples: int) -> Iterator[dict[str, Any]]:
    """Time to the target of duel in both precisions and of the plain loop; the same networks and data."""
    try:
        data = recipe.data_set("mnist").load()
    except DataError:
        data = recipe.data_set("digits").load()
    evaluator = Evaluator(data, ["fcd"], "classifier", "test")
    for loop, precision in (("duel", "float32"), ("duel", "bfloat16"), ("plain", "float32")):
        it = resolved("dcgan", 64, 128, device, precision)
        step, generator = (plain_step if loop == "plain" else our_step)(it, data)
        draw = partial(generate, generator, labels=None)
        found, looks = seconds_to(step, draw, evaluator, target, every, limit, samples, it.latent.size)
        row = {"what": "quality", "data": data.name, "loop": loop, "precision": precision, "target": target}
        yield {**row, "seconds": found, "every": every, "looks": looks}


def our_step(it: recipe.Recipe, data: Data) -> tuple[Callable[[], object], torch.nn.Module]:
    """duel's step on the data, and the generator that it trains."""
    now = start(it, data)
    return partial(play_step, it, now), now.networks.generator


def plain_step(it: recipe.Recipe, data: Data) -> tuple[Callable[[], object], torch.nn.Module]:
    """The tutorial's step, which takes its batches from memory."""
    loop, train, rng = Tutorial(it, data), data.splits["train"].samples, np.random.default_rng(0)

    def step() -> None:
        chosen = train[rng.choice(len(train), it.batch_size, replace=False)]
        loop.batch = (torch.from_numpy(chosen).float() / 127.5 - 1).to(loop.device)
        loop.step()

    return step, loop.g


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("gpu.jsonl"))
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--target", type=float, default=5.0)
    parser.add_argument("--every", type=int, default=250, help="steps between two looks at the quality")
    parser.add_argument("--limit", type=float, default=90.0, help="seconds of training per loop")
    parser.add_argument("--samples", type=int, default=5000)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--only", choices=("speed", "quality"))
    given = parser.parse_args()
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    card = torch.cuda.get_device_name() if given.device == "cuda" else "CPU"

    def write(row: dict[str, Any]) -> None:
        row = {**row, "device": card, "torch": torch.__version__}
        with open(given.out, "a") as file:
            file.write(json.dumps(row) + "\n")
        print(
            ", ".join(
                f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {value}"
                for key, value in row.items()
            ),
            flush=True,
        )

    if given.only in (None, "speed"):
        for each in SPEED:
            write(speed(*each, given.device, given.steps))
    if given.only in (None, "quality"):
        for row in quality(given.device, given.target, given.every, given.limit, given.samples):
            write(row)


if __name__ == "__main__":
    main()
