"""The dual-number engine: how noisy a gradient from random directions is."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from matplotlib.figure import Figure

from duel.objectives.non_saturating import NonSaturating
from duel.recipe import Scratch
from duel.scratch.activations import identity, leaky_relu
from duel.scratch.gradients import DiscriminatorLoss, gradient
from duel.scratch.network import Network
from figures import style

NETWORKS = ((2, 3, 1), (2, 16, 16, 1))  # the second is the discriminator of docs/evidence/scratch.md's ring
DIRECTIONS = (1, 4, 16, 64, 256)


def setting(sizes: tuple[int, ...]) -> tuple[DiscriminatorLoss, np.ndarray]:
    """A small discriminator's loss on made points, and parameters to differentiate at."""
    rng = np.random.default_rng(0)
    network = Network(sizes, leaky_relu(0.2), identity)
    real, fake = rng.standard_normal((2, 64, sizes[0]))
    return DiscriminatorLoss(network, NonSaturating(), real + 1, fake), rng.standard_normal(network.count) / 2


def relative_error(sizes: tuple[int, ...], directions: int, draws: int = 60) -> float:
    """√ of the forward gradient's mean squared distance from the exact one, over the exact one's norm."""
    loss, parameters = setting(sizes)
    exact, _ = gradient(Scratch(), loss, parameters, np.random.default_rng(0))
    rng = np.random.default_rng(1)
    options = Scratch(gradient="forward-gradient", directions=directions)
    squares = [
        float(((gradient(options, loss, parameters, rng)[0] - exact) ** 2).sum()) for _ in range(draws)
    ]
    return float(np.sqrt(np.mean(squares) / (exact @ exact)))


def expected_error(parameters: int, directions: int) -> float:
    """√((d + 1)/K) for d parameters and K directions of independent standard normal numbers."""
    return float(np.sqrt((parameters + 1) / directions))


def draw() -> Figure:
    """Measured and expected error against the number of directions."""
    figure, (axes,) = style.axes(1, 3.0)
    counts = np.array(DIRECTIONS)
    for number, sizes in enumerate(NETWORKS):
        size = Network(sizes, identity, identity).count
        axes.loglog(counts, [expected_error(size, int(count)) for count in counts], **style.line(number),
                    label=f"√((d + 1)/K), d = {size}")  # fmt: skip
        measured = [relative_error(sizes, int(count)) for count in counts]
        axes.loglog(counts, measured, "o", color=style.COLOURS[number], label=f"measured, d = {size}")
    big = Network((784, 1024, 512, 256, 1), identity, identity).count
    axes.loglog(counts, [expected_error(big, int(count)) for count in counts], **style.line(2),
                label=f"√((d + 1)/K), d = {big:,}: source A's discriminator")  # fmt: skip
    axes.axhline(1, color=style.BLACK, linewidth=0.8)
    axes.set(xlabel="random directions K in one estimate", ylabel="error / ‖exact gradient‖", ylim=(0.1, 3e4))
    axes.set_xticks(counts, [str(count) for count in counts])
    axes.minorticks_off()
    axes.legend(loc="upper left", ncols=2)
    return figure


PICTURES: dict[str, Callable[[], Figure]] = {"forward-gradient": draw}
