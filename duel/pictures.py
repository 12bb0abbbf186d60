"""The pictures of a run: sample grids, a film strip of the training, its curves. Files are PNG."""

from __future__ import annotations

import io as bytes_io
import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from duel.datasets._base import Spec

_SMALLEST_TILE = 48  # pixels: smaller images are enlarged by a whole factor so that people can see them
_GAP = 2


def to_unit(samples: np.ndarray) -> np.ndarray:
    """Images from [−1, 1] to [0, 1], clipped, float32."""
    return np.clip(samples / 2 + 0.5, 0, 1).astype(np.float32)


def to_uint8(samples: np.ndarray) -> np.ndarray:
    """Images from [−1, 1] to 0 … 255, rounded and clipped; what is no number is black."""
    shown: np.ndarray = np.nan_to_num(np.clip(np.rint((samples + 1) * 127.5), 0, 255)).astype(np.uint8)
    return shown


def grid(images: np.ndarray, columns: int | None = None) -> Image.Image:
    """uint8 images N×C×H×W (C 1 or 3) on one sheet, row by row; `columns` is ⌈√N⌉ by default."""
    count, channels, height, width = images.shape
    columns = columns or math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    factor = max(1, math.ceil(_SMALLEST_TILE / width))
    tiles = images.repeat(factor, axis=2).repeat(factor, axis=3)
    step_y, step_x = height * factor + _GAP, width * factor + _GAP
    sheet = np.full((channels, rows * step_y + _GAP, columns * step_x + _GAP), 255, np.uint8)
    for number, tile in enumerate(tiles):
        top, left = _GAP + number // columns * step_y, _GAP + number % columns * step_x
        sheet[:, top : top + height * factor, left : left + width * factor] = tile
    return Image.fromarray(sheet[0] if channels == 1 else np.moveaxis(sheet, 0, -1))


def single(image: np.ndarray) -> Image.Image:
    """One image C×H×W in [0, 1] as a picture of its own size."""
    pixels = to_uint8(image * 2 - 1)
    return Image.fromarray(pixels[0] if len(pixels) == 1 else np.moveaxis(pixels, 0, -1))


def scatter(points: np.ndarray, reference: np.ndarray | None, limit: float) -> Image.Image:
    """Points N×2 as dots, over the reference points in grey; both axes from −limit to limit."""
    figure = _figure(5, 5)
    axes = figure.add_subplot()
    if reference is not None:
        axes.plot(*reference.T, ".", color="0.8", markersize=2, label="data")
    axes.plot(*points.T, ".", color="C0", markersize=2, label="generated")
    axes.set(xlim=(-limit, limit), ylim=(-limit, limit), aspect="equal")
    axes.legend(loc="upper right", markerscale=4, framealpha=0.9)
    return _image(figure)


def sheet(
    samples: np.ndarray, spec: Spec, reference: np.ndarray | None = None, columns: int | None = None
) -> Image.Image:
    """Samples in [−1, 1] as people look at them: a grid of images, or a scatter plot of points."""
    if spec.kind == "image":
        return grid(to_uint8(samples), columns)
    shown = None if reference is None else reference * spec.scale
    return scatter(samples * spec.scale, shown, spec.scale)


def film_strip(frames: Sequence[tuple[int, Image.Image]]) -> Image.Image:
    """Pictures of equal size side by side, in the order of their steps, each with its step above it."""
    from PIL import ImageDraw

    width, height = frames[0][1].size
    strip = Image.new("RGB", (len(frames) * width, height + 16), "white")
    draw = ImageDraw.Draw(strip)
    for number, (step, frame) in enumerate(frames):
        strip.paste(frame.convert("RGB"), (number * width, 16))
        draw.text((number * width + 4, 2), str(step) if number else f"step {step}", fill="black")
    return strip


def opened(path: Path) -> Image.Image | None:
    """The picture in a file, in RGB; None where it is broken."""
    try:
        with Image.open(path) as image:
            return image.convert("RGB")
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError):
        return None


def first_tiles(image: Image.Image, spec: Spec, rows: int) -> Image.Image:
    """The first column of a square grid of images, `rows` tiles high; a scatter plot at half its size."""
    if spec.kind != "image":
        return image.resize((image.width // 2, image.height // 2), Image.Resampling.LANCZOS)
    side = spec.shape[-1] * max(1, math.ceil(_SMALLEST_TILE / spec.shape[-1])) + _GAP
    return image.crop((0, 0, side + _GAP, min(image.height, rows * side + _GAP)))


def curves(steps: Iterable[dict[str, Any]]) -> Image.Image:
    """Losses, and D(x) and D(G(z)) (or the raw scores), against the step, from the run's `step` events."""
    records = list(steps)
    x = [record["step"] for record in records]
    figure = _figure(8, 6)
    losses, outputs = figure.subplots(2, 1, sharex=True)
    for key, label in (("loss_d", "discriminator"), ("loss_g", "generator")):
        _curve(losses, x, [record[key] for record in records], label)
    names = {
        "d_real": "D(x)", "d_fake_before": "D(G(z)) before", "d_fake_after": "D(G(z)) after its update",
        "score_real": "score of x", "score_fake_before": "score of G(z) before",
        "score_fake_after": "score of G(z) after its update",
    }  # fmt: skip
    for key, label in names.items():
        if records and key in records[0]:
            _curve(outputs, x, [record[key] for record in records], label)
    losses.set_ylabel("loss")
    outputs.set(xlabel="step", ylabel="discriminator's output")
    for axes in (losses, outputs):
        axes.grid(alpha=0.3)
        if records:
            axes.legend(fontsize="small")
    return _image(figure)


def _curve(axes: Axes, x: Sequence[int], y: Sequence[float], label: str) -> None:
    """The values, pale, and on top their mean over a twentieth of the curve around each."""
    (line,) = axes.plot(x, y, linewidth=0.7, alpha=0.3)
    half = len(y) // 40
    means = [np.mean(y[max(0, i - half) : i + half + 1]) for i in range(len(y))]
    axes.plot(x, means, label=label, linewidth=1.5, color=line.get_color())


def png(image: Image.Image) -> bytes:
    """The picture as the bytes of a PNG file, the same for the same pixels."""
    buffer = bytes_io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=100, layout="constrained")


def _image(figure: Figure) -> Image.Image:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call]
    pixels = np.asarray(canvas.buffer_rgba())  # type: ignore[no-untyped-call]
    return Image.fromarray(pixels[..., :3].copy())
