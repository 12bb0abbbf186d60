"""Convolution arithmetic: sizes, how often a transposed convolution writes each pixel, receptive fields."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from duel.networks import _layers
from figures import style


class Layer(NamedTuple):
    """Kernel size, stride and padding of a square convolution."""

    kernel: int
    stride: int
    padding: int


DCGAN_64 = (*(Layer(4, 2, 1),) * 4, Layer(4, 1, 0))  # the discriminator of the recipe dcgan-64


def size(inputs: int, layer: Layer) -> int:
    """The side of a convolution's output: ⌊(i + 2p − k)/s⌋ + 1."""
    return (inputs + 2 * layer.padding - layer.kernel) // layer.stride + 1


def transposed_size(inputs: int, layer: Layer) -> int:
    """The side of a transposed convolution's output: (i − 1)s − 2p + k."""
    return (inputs - 1) * layer.stride - 2 * layer.padding + layer.kernel


def receptive_fields(layers: Sequence[Layer]) -> list[int]:
    """The side of what one unit behind each layer sees of the image: 1 + Σ (k − 1)·(strides before it)."""
    fields, field, step = [], 1, 1
    for layer in layers:
        field += (layer.kernel - 1) * step
        step *= layer.stride
        fields.append(field)
    return fields


def written(kernel: int, stride: int, side: int = 6) -> np.ndarray:
    """How many of a transposed convolution's inputs reach each pixel far from the border (side×side)."""
    return _inside(_transposed(torch.ones(1, 1, kernel, kernel), stride), side)


def on_flat(kind: str, seed: int, side: int = 6) -> np.ndarray:
    """What an upscaling layer with random weights makes of a constant image, far from its border.

    kind  "transposed" (4×4, stride 2), or "nearest" or "bilinear" before a 3×3 convolution
    """
    random = torch.Generator().manual_seed(seed)
    if kind == "transposed":
        return _inside(_transposed(torch.randn(1, 1, 4, 4, generator=random), 2), side)
    weight = torch.randn(1, 1, 3, 3, generator=random)
    wide = _layers.upscale(kind)(torch.ones(1, 1, 16, 16))
    return _inside(torch.nn.functional.conv2d(wide, weight, padding=1), side)


def _transposed(weight: torch.Tensor, stride: int) -> torch.Tensor:
    return torch.nn.functional.conv_transpose2d(torch.ones(1, 1, 16, 16), weight, stride=stride)


def _inside(image: torch.Tensor, side: int) -> np.ndarray:
    start = (image.shape[-1] - side) // 2 // 2 * 2  # even: where the pattern's first phase begins
    return image[0, 0, start : start + side, start : start + side].numpy()


def draw() -> Figure:
    """Counts for kernels of 3 and 4 with stride 2; what random weights make of a flat image."""
    figure, places = style.axes(4, 2.2)
    shown = (
        (written(3, 2), "inputs that reach a pixel:\nkernel 3, stride 2"),
        (written(4, 2), "inputs that reach a pixel:\nkernel 4, stride 2"),
        (on_flat("transposed", seed=2), "flat image, random weights:\ntransposed, 4×4, stride 2"),
        (on_flat("nearest", seed=2), "flat image, random weights:\nnearest, then 3×3"),
    )
    for number, (axes, (image, title)) in enumerate(zip(places, shown, strict=True)):
        middle, spread = float(image.mean()), max(float(np.ptp(image)), 1e-3)
        limits = (0, 6) if number < 2 else (middle - spread, middle + spread)
        axes.pcolormesh(
            image, cmap="cividis", vmin=limits[0], vmax=limits[1], edgecolors="white", linewidth=0.5
        )
        if number < 2:
            for row, column in np.ndindex(image.shape):
                dark = image[row, column] < 3
                axes.text(column + 0.5, row + 0.5, f"{image[row, column]:.0f}", ha="center", va="center",
                          fontsize=7, color="white" if dark else style.BLACK)  # fmt: skip
        axes.set_title(title, fontsize=8)
        axes.set(aspect="equal", xticks=[], yticks=[])
        axes.grid(False)
        axes.spines[:].set_visible(False)
    return figure


def draw_fields() -> Figure:
    """What one unit of each layer of the DCGAN's discriminator sees of a 64×64 image."""
    figure, (image, table) = style.axes(2, 2.9, width_ratios=(1, 1.25))
    fields = receptive_fields(DCGAN_64)
    for number, field in enumerate(fields):
        look = style.line(number)
        image.add_patch(Rectangle((-field / 2, -field / 2), field, field, fill=False, linewidth=1.7, **look))
    image.add_patch(Rectangle((-32, -32), 64, 64, facecolor="#E8E8E8", edgecolor="none", zorder=0))
    image.text(-31, 28, "image, 64×64", fontsize=8)
    image.set(aspect="equal", xlim=(-49, 49), ylim=(-49, 49), xticks=[], yticks=[])
    image.grid(False)
    image.spines[:].set_visible(False)
    side = 64
    table.set(xlim=(0, 10), ylim=(-5.6, 1), xticks=[], yticks=[])
    table.grid(False)
    table.spines[:].set_visible(False)
    for place, title in ((1.1, "layer"), (5.4, "output"), (7.7, "sees")):
        table.text(place, 0.3, title, weight="bold")
    for number, (layer, field) in enumerate(zip(DCGAN_64, fields, strict=True)):
        side = size(side, layer)
        row = -number - 0.7
        table.plot([0, 0.8], [row + 0.1, row + 0.1], **style.line(number))
        table.text(1.1, row, f"4×4, stride {layer.stride}, padding {layer.padding}")
        table.text(5.4, row, f"{side}×{side}")
        table.text(7.7, row, f"{field}×{field}")
    return figure


PICTURES: dict[str, Callable[[], Figure]] = {"checkerboard": draw, "receptive-field": draw_fields}
