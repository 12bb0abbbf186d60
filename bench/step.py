"""Is duel's training step as fast as the plain loop of the PyTorch DCGAN tutorial?

Both train the same networks from the same weights on the same made images, in one process, taking
turns: one block of steps of the one, one of the other, several times. Printed are the median and the
range of the milliseconds per step and of the pairwise ratio plain / duel (above 1: duel is faster).

The plain loop gets its batches ready made (float32, on the device) for nothing, as a data loader with
enough workers would hand them over; duel's step draws, converts and normalises its own.

    python bench/step.py [--threads 2] [--pairs 5] [--steps 20]
"""

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from duel import recipe
from duel.datasets._base import Data, Spec, Split
from duel.train import Training, play_step, start

CONFIGURATIONS = [("dcgan", 28, 32, 64), ("dcgan", 32, 32, 64), ("dcgan-64", 64, 64, 64), ("gan", 28, 0, 64)]


def made_data(side: int) -> Data:
    images = np.random.default_rng(0).integers(0, 256, (2000, 1, side, side), np.uint8)
    split = Split(images, None)
    return Data(
        "made", Spec("image", (1, side, side)), {"train": split, "validation": split, "test": split}, ""
    )


def resolved(name: str, width: int, batch: int, threads: int) -> recipe.Recipe:
    changes = {"threads": threads, "batch_size": batch, "device": "cpu", "steps": 1}
    changes |= {"network.width": width} if width else {}
    return recipe.resolve(recipe.change(recipe.read(name), changes))


class PlainLoop:
    """The tutorial's loop: BCELoss on a sigmoid, label tensors, two backward passes, `.item()` each step."""

    def __init__(self, it: recipe.Recipe, data: Data) -> None:
        now = start(it, data)
        for module in now.networks.named().values():
            module.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
        self.generator = now.networks.generator
        self.discriminator = nn.Sequential(now.networks.discriminator, nn.Sigmoid())
        self.optimizer_g = torch.optim.Adam(self.generator.parameters(), lr=0.0002, betas=(0.5, 0.999))
        self.optimizer_d = torch.optim.Adam(self.discriminator.parameters(), lr=0.0002, betas=(0.5, 0.999))
        self.criterion = nn.BCELoss()
        images = data.splits["train"].samples[: it.batch_size]
        self.batch = torch.from_numpy(images).float() / 127.5 - 1
        self.latent_size = it.latent.size

    def step(self) -> tuple[float, ...]:
        real, size = self.batch, len(self.batch)
        self.discriminator.zero_grad()
        label = torch.full((size,), 1.0)
        output = self.discriminator(real).view(-1)
        loss_real = self.criterion(output, label)
        loss_real.backward()
        d_real = output.mean().item()
        fake = self.generator(torch.randn(size, self.latent_size))
        label.fill_(0.0)
        output = self.discriminator(fake.detach()).view(-1)
        loss_fake = self.criterion(output, label)
        loss_fake.backward()
        d_fake_before = output.mean().item()
        self.optimizer_d.step()
        self.generator.zero_grad()
        label.fill_(1.0)
        output = self.discriminator(fake).view(-1)
        loss_g = self.criterion(output, label)
        loss_g.backward()
        d_fake_after = output.mean().item()
        self.optimizer_g.step()
        return (loss_real + loss_fake).item(), loss_g.item(), d_real, d_fake_before, d_fake_after


def milliseconds(step: Callable[[], object], times: int) -> float:
    began = time.perf_counter()
    for _ in range(times):
        step()
    return (time.perf_counter() - began) / times * 1e3


def compare(name: str, side: int, width: int, batch: int, threads: int, pairs: int, steps: int) -> str:
    data, it = made_data(side), resolved(name, width, batch, threads)
    plain, ours = PlainLoop(it, data), start(it, data)

    def our_step(now: Training = ours) -> None:
        play_step(it, now)

    steps = steps if side < 64 else max(2, steps // 5)
    for warm_up in (plain.step, our_step):
        milliseconds(warm_up, 2)
    measured = [(milliseconds(plain.step, steps), milliseconds(our_step, steps)) for _ in range(pairs)]
    ratios = [one / other for one, other in measured]
    cells = [
        spread([one for one, _ in measured]),
        spread([other for _, other in measured]),
        spread(ratios, 2),
    ]
    return f"| {name} {side}×{side}, width {width or '–'}, batch {batch} | " + " | ".join(cells) + " |"


def spread(values: list[float], digits: int = 1) -> str:
    """Median and range."""
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f}–{max(values):.{digits}f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--steps", type=int, default=20)
    given = parser.parse_args()
    print(f"torch {torch.__version__}, {given.threads} threads, {given.pairs} pairs of {given.steps} steps")
    print("| networks | plain loop, ms/step | duel, ms/step | plain / duel |\n|---|---|---|---|")
    for configuration in CONFIGURATIONS:
        print(compare(*configuration, given.threads, given.pairs, given.steps), flush=True)


if __name__ == "__main__":
    main()
