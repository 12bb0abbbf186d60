"""The portrait of a data set: what can be seen of it without any model, as a picture and as numbers.

After figures 15 to 18 of source B (Hoeckler 2021): mean and variance of each pixel, the distribution of
the values in a column and in one pixel, and images drawn pixel by pixel from these distributions, which
show why they are not enough. Images pass by in chunks: beside 8 bytes per sample and the labels, memory
does not depend on how many there are.
"""

from __future__ import annotations

import io as bytes_io
import math
import textwrap
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from duel import io, pictures, streams
from duel.datasets._base import SPLITS, Data, Split
from duel.errors import DataError, InputError
from duel.pixelwise import Pixels, keys_of, measure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import LogNorm
    from matplotlib.figure import Figure, SubFigure
    from matplotlib.typing import RcKeyType

_SIZE = (14, 18)  # inches at 100 dots
_DRAWS = 10
_MOST_ROWS = 10  # classes on the sheet, and for which there is room for numbers at the bars
_MOST_POINTS = 5_000  # in a scatter plot
_BINS = 64  # of four values each: a single value would be thinner than a dot
_VALUE_TICKS = [0, 64, 128, 192, 255]
_SPLIT_COLOURS = ("#4477aa", "#ddaa33", "#bb5566")
_CHANNEL_COLOURS = {1: ("0.25",), 3: ("#cc3311", "#228833", "#4477aa")}
_STYLE: dict[RcKeyType, Any] = {
    "font.size": 12,
    "axes.titlesize": 14,
    "axes.titleweight": "bold",
    "axes.titlepad": 10,
    "axes.labelcolor": "0.3",
    "text.parse_math": False,  # a class may be called $x$
}


def portrait(data: Data, out: Path, seed: int = 0) -> dict[str, Any]:
    """Draw the portrait of `data` into the PNG `out` (1400×1800) and return its numbers as JSON values.

    Samples shown and drawn depend on the seed alone. Raises InputError where `out` is no PNG,
    DataError where there is nothing to train on.
    """
    if out.suffix.lower() != ".png":
        raise InputError(f"a portrait is a PNG, but it was to be written to {out}: give FILE.png")
    train = data.splits["train"].samples
    if not len(train):
        raise DataError(f"the training split of {data.name} is empty: a portrait needs at least 1 sample")
    rng = streams.stream(seed, "eval")
    work = _portrait_of_images if data.spec.kind == "image" else _portrait_of_points
    facts, draw = work(data, rng)
    out.parent.mkdir(parents=True, exist_ok=True)
    io.write_atomic(out, _styled(draw))
    return facts | {"picture": str(out)}


def _portrait_of_images(data: Data, rng: np.random.Generator) -> tuple[dict[str, Any], Callable[[], Figure]]:
    pixels = measure(data.splits["train"].samples, rng, _DRAWS)
    facts = _facts(data, pixels.keys) | image_facts(pixels)
    return facts, lambda: _image_figure(data, pixels, facts, rng)


def _portrait_of_points(data: Data, rng: np.random.Generator) -> tuple[dict[str, Any], Callable[[], Figure]]:
    points = data.splits["train"].samples
    facts = _facts(data, keys_of(points)) | _point_facts(points * data.spec.scale)
    apart = draw_apart(points, min(len(points), _MOST_POINTS), rng)
    return facts, lambda: _point_figure(data, apart, facts)


# ---------------------------------------------------------------- numbers


def draw_apart(points: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """`count` points (count×D) whose every coordinate is that of a point chosen for it alone."""
    chosen = rng.integers(len(points), size=(count, points.shape[1]))
    return np.take_along_axis(points, chosen, axis=0)


def image_facts(pixels: Pixels) -> dict[str, Any]:
    """Mean and standard deviation over all pixels and per channel ([0, 1]), extremes, constant channels."""
    share = pixels.values / pixels.values.sum(axis=1, keepdims=True)
    level = np.arange(256) / 255
    mean = share @ level
    std = np.sqrt([(part * (level - centre) ** 2).sum() for part, centre in zip(share, mean, strict=True)])
    overall = share.mean(axis=0)
    return {
        "pixel_mean": float(overall @ level),
        "pixel_std": float(np.sqrt((overall * (level - overall @ level) ** 2).sum())),
        "channel_mean": mean.tolist(),
        "channel_std": std.tolist(),
        "share_0": float(overall[0]),
        "share_255": float(overall[255]),
        "constant_channels": np.flatnonzero((pixels.values > 0).sum(axis=1) == 1).tolist(),
    }


def _point_facts(points: np.ndarray) -> dict[str, Any]:
    """Mean and standard deviation of each coordinate, in original units."""
    wide = points.astype(np.float64)
    return {"mean": wide.mean(axis=0).tolist(), "std": wide.std(axis=0).tolist()}


def _facts(data: Data, train_keys: np.ndarray) -> dict[str, Any]:
    """What images and points have in common."""
    keys = [train_keys, *(keys_of(data.splits[name].samples) for name in SPLITS[1:])]
    return {
        "name": data.name,
        "fingerprint": data.fingerprint,
        "kind": data.spec.kind,
        "shape": list(data.spec.shape),
        "splits": {name: len(data.splits[name]) for name in SPLITS},
        "classes": class_counts(data),
        "duplicates": duplicates(*keys),
        "notes": list(data.notes),
        "skipped": len(data.skipped),
    }


def class_counts(data: Data) -> dict[str, dict[str, int]]:
    """How many samples each class has in each split; empty without labels."""
    classes = data.spec.classes
    columns = {name: _label_counts(data.splits[name], len(classes)) for name in SPLITS}
    return {name: {split: columns[split][k] for split in SPLITS} for k, name in enumerate(classes)}


def _label_counts(split: Split, classes: int) -> list[int]:
    if split.labels is None:
        return [0] * classes
    return [int(count) for count in np.bincount(split.labels, minlength=classes)]


def duplicates(train: np.ndarray, validation: np.ndarray, test: np.ndarray) -> dict[str, int]:
    """How many samples, by their keys, repeat an earlier one of train, or one of another split."""
    return {
        "within_train": len(train) - len(np.unique(train)),
        "validation_in_train": int(np.isin(validation, train).sum()),
        "test_in_train": int(np.isin(test, train).sum()),
        "test_in_validation": int(np.isin(test, validation).sum()),
    }


# ---------------------------------------------------------------- the picture


def _styled(draw: Callable[[], Figure]) -> bytes:
    """The PNG of a figure, drawn and saved under `_STYLE`; the same bytes for the same figure."""
    from matplotlib import rc_context

    buffer = bytes_io.BytesIO()
    with rc_context(_STYLE), warnings.catch_warnings():
        # Class names may be in any script; what the font lacks is drawn as boxes.
        warnings.filterwarnings("ignore", "Glyph")
        draw().savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def _canvas(data: Data, facts: dict[str, Any], rows: tuple[float, ...]) -> tuple[Figure, list[SubFigure]]:
    """A figure with heading and footer, and a sub-figure for each row between them (heights in inches)."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    layout = ConstrainedLayoutEngine(rect=(0.01, 0.005, 0.98, 0.99))
    figure = Figure(figsize=_SIZE, dpi=100, layout=layout)
    footer = _footer(data, facts)
    heights = (0.8, *rows, 0.3 + 0.19 * len(footer))
    parts: Any = figure.subfigures(len(heights), 1, height_ratios=heights)
    top, *middle, bottom = parts
    top.text(0.5, 0.68, _heading(data), ha="center", va="center", fontsize=20, fontweight="bold")
    top.text(0.5, 0.22, _sizes(data), ha="center", va="center", fontsize=14, color="0.3")
    bottom.text(0.5, 0.5, "\n".join(footer), ha="center", va="center", fontsize=11, color="0.3")
    return figure, middle


def _heading(data: Data) -> str:
    if data.spec.kind == "points":
        return f"{data.name}: points in the plane"
    channels, height, width = data.spec.shape
    return f"{data.name}: {'grey' if channels == 1 else 'colour'} images of {width}×{height} pixels"


def _sizes(data: Data) -> str:
    train, validation, test = (len(data.splits[name]) for name in SPLITS)
    return f"{train:,} for training, {validation:,} for validation, {test:,} for testing"


def _footer(data: Data, facts: dict[str, Any]) -> list[str]:
    """Lines: numbers, notes, fingerprint."""
    numbers = _image_numbers(facts) if data.spec.kind == "image" else _point_numbers(facts)
    lines = [numbers, _copies(facts["duplicates"]), *data.notes]
    if data.skipped:
        lines.append(f"{len(data.skipped):,} files are left out")
    lines.append(f"fingerprint {data.fingerprint[:16]}…")
    return [piece for line in lines for piece in textwrap.wrap(line, 150)]


def _image_numbers(facts: dict[str, Any]) -> str:
    constant = ", ".join(map(str, facts["constant_channels"]))
    return (
        f"training pixels in [0, 1]: mean {facts['pixel_mean']:.3f}, standard deviation "
        f"{facts['pixel_std']:.3f}; {facts['share_0']:.1%} are exactly 0, {facts['share_255']:.1%} exactly 1"
        + (f"; constant channels: {constant}" if constant else "")
    )


def _point_numbers(facts: dict[str, Any]) -> str:
    pairs = zip("xy", facts["mean"], facts["std"], strict=True)
    return "; ".join(f"{axis}: mean {mean:.3f}, standard deviation {std:.3f}" for axis, mean, std in pairs)


def _copies(found: dict[str, int]) -> str:
    if not any(found.values()):
        return "no two samples of training are identical, and none is in two splits"
    return (
        f"identical samples: {found['within_train']:,} repeated within training, "
        f"{found['validation_in_train']:,} of validation and {found['test_in_train']:,} of test are also in "
        f"training, {found['test_in_validation']:,} of test in validation"
    )


def _image_figure(data: Data, pixels: Pixels, facts: dict[str, Any], rng: np.random.Generator) -> Figure:
    images = data.splits["train"].samples
    figure, (first, second, third, fourth) = _canvas(data, facts, (5.6, 3.7, 3.3, 3.2))
    left, right = first.subplots(1, 2, width_ratios=(2, 1))
    _draw_sheet(left, data, rng)
    _draw_counts(right, facts)
    mean, variance, spot = second.subplots(1, 3)
    _draw_mean(mean, pixels)
    _draw_variance(second, variance, pixels)
    _draw_spot(spot, pixels)
    _draw_column(third, len(images), pixels)
    left, right = fourth.subplots(1, 2)
    real = images[np.sort(rng.choice(len(images), min(_DRAWS, len(images)), replace=False))]
    _draw_tiles(left, real, 5, "Real images")
    left.set_xlabel("all pixels of an image together")
    _draw_tiles(right, pixels.drawn, 5, "Drawn pixel by pixel")
    right.set_xlabel("every pixel from its own distribution, independent of the others")
    return figure


def _draw_sheet(axes: Axes, data: Data, rng: np.random.Generator) -> None:
    """Training images, a row for each class where there are labels."""
    images, labels = data.splits["train"].samples, data.splits["train"].labels
    classes = data.spec.classes
    if labels is None or not classes:
        chosen = np.sort(rng.choice(len(images), min(70, len(images)), replace=False))
        _draw_tiles(axes, images[chosen], 10, "Training images")
        return
    shown = np.unique(np.linspace(0, len(classes) - 1, min(len(classes), _MOST_ROWS)).astype(int))
    columns = max(8, round(1.4 * len(shown)))
    rows = [_row(images, np.flatnonzero(labels == label), columns, rng) for label in shown]
    part = f", {len(shown)} of {len(classes)} classes" if len(shown) < len(classes) else ""
    _draw_tiles(axes, np.concatenate(rows), columns, f"Training images{part}")
    height = axes.get_ylim()[0] + 0.5
    middles = (np.arange(len(shown)) + 0.5) * height / len(shown) - 0.5
    axes.set_yticks(middles, [_short(classes[label]) for label in shown])


def _row(images: np.ndarray, where: np.ndarray, columns: int, rng: np.random.Generator) -> np.ndarray:
    """`columns` images of those at the indices `where`; white where there are fewer."""
    row = np.full((columns, *images.shape[1:]), 255, np.uint8)
    chosen = np.sort(rng.choice(where, min(columns, len(where)), replace=False))
    row[: len(chosen)] = images[chosen]
    return row


def _draw_tiles(axes: Axes, images: np.ndarray, columns: int, title: str) -> None:
    """Images in rows of `columns`. Of large ones every k-th pixel: an average would hide their noise."""
    step = math.ceil(images.shape[-1] / 128)
    sheet = pictures.grid(np.ascontiguousarray(images[..., ::step, ::step]), columns)
    axes.imshow(np.asarray(sheet.convert("RGB")))
    _bare(axes, title)


def _bare(axes: Axes, title: str) -> None:
    """No frame and no ticks."""
    axes.set(xticks=[], yticks=[], title=title)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)


def _open(axes: Axes) -> None:
    """A pale grid, no frame above and on the right."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.3)
    axes.set_axisbelow(True)


def _short(name: str, longest: int = 14) -> str:
    """A class name that fits beside a row, on one line."""
    plain = "".join(letter if letter.isprintable() else "?" for letter in name)
    return plain if len(plain) <= longest else plain[: longest - 1] + "…"


def _draw_counts(axes: Axes, facts: dict[str, Any]) -> None:
    """Bars: samples per class and split, or per split without labels."""
    table: dict[str, dict[str, int]] = facts["classes"] or {"": facts["splits"]}
    place = np.arange(len(table))
    for k, (split, colour) in enumerate(zip(SPLITS, _SPLIT_COLOURS, strict=True)):
        counts = [row[split] for row in table.values()]
        bars = axes.barh(place + 0.27 * (k - 1), counts, 0.27, color=colour, label=split)
        if len(table) <= _MOST_ROWS:
            axes.bar_label(bars, fmt="{:,.0f}", padding=2, fontsize=8, color="0.3")
    step = math.ceil(len(table) / 30)
    axes.set_yticks(place[::step], [_short(name) for name in table][::step])
    axes.set(ylim=(len(table) - 0.5, -0.5))
    axes.set_title("Samples per class and split" if facts["classes"] else "Samples per split (no labels)")
    _count_axis(axes)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.11), ncols=3, frameon=False, handlelength=1)


def _count_axis(axes: Axes) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    _open(axes)
    axes.grid(visible=False, axis="y")


def _draw_mean(axes: Axes, pixels: Pixels) -> None:
    """The mean image; ticks mark the column whose distributions are shown."""
    column = pixels.mean.shape[-1] // 2
    mean = np.moveaxis(pixels.mean, 0, -1)
    axes.imshow(np.broadcast_to(mean, (*mean.shape[:2], 3)).clip(0, 1), interpolation="nearest")
    _bare(axes, "Mean of each pixel")
    axes.set_xticks([column], [f"column {column}, shown below"])
    axes.tick_params("x", top=True, length=6, width=3, color="#cc3311", labelcolor="0.3")


def _draw_variance(figure: SubFigure, axes: Axes, pixels: Pixels) -> None:
    """The variance as a heat map (mean over the channels); a circle marks its largest place."""
    heat = axes.imshow(pixels.variance.mean(axis=0), cmap="magma", interpolation="nearest", vmin=0)
    _bare(axes, "Variance of each pixel")
    row, column = pixels.spot
    axes.plot(column, row, "o", markersize=11, markerfacecolor="none", color="#33bbee", markeredgewidth=2)
    axes.set_xlabel("of values in [0, 1]; circle: the largest", labelpad=8)
    figure.colorbar(heat, ax=axes, shrink=0.8)


def _draw_spot(axes: Axes, pixels: Pixels) -> None:
    """How likely each value is in the pixel of largest variance."""
    shares = 100 * _binned(pixels.spot_values) / pixels.spot_values.sum(axis=1, keepdims=True)
    edges = np.linspace(0, 256, _BINS + 1)
    for share, colour in zip(shares, _CHANNEL_COLOURS[len(shares)], strict=True):
        axes.stairs(share, edges, color=colour, fill=len(shares) == 1, linewidth=1.5)
    row, column = pixels.spot
    axes.set(title=f"Values at row {row}, column {column}", xlabel="value (in steps of 4)")
    axes.set(ylabel="% of images", xlim=(-4, 260), xticks=_VALUE_TICKS)
    axes.set_ylim(bottom=0)
    _open(axes)


def _binned(table: np.ndarray) -> np.ndarray:
    """Counts of 256 values as counts of `_BINS` groups of neighbours, along the last axis."""
    groups: np.ndarray = table.reshape(*table.shape[:-1], _BINS, -1).sum(axis=-1)
    return groups


def _draw_column(figure: SubFigure, count: int, pixels: Pixels) -> None:
    """How likely each value is in each row of the middle column: a heat map for each channel."""
    from matplotlib.colors import LogNorm

    norm = LogNorm(min(0.1, max(1 / count, 1e-4)), 1)
    panels = figure.subplots(1, len(pixels.column), squeeze=False)[0]
    names = (" (red)", " (green)", " (blue)") if len(panels) == 3 else ("",)
    for axes, table, name in zip(panels, _binned(pixels.column) / count, names, strict=True):
        _draw_surface(axes, table, norm)
        axes.set_title(f"Values in column {pixels.mean.shape[-1] // 2}{name}")
    panels[0].set_ylabel("value (in steps of 4)")
    bar = figure.colorbar(panels[0].images[0], ax=list(panels), pad=0.01, aspect=25)
    bar.set_label("of images")
    bar.ax.yaxis.set_major_formatter(lambda value, _: f"{100 * value:g} %")


def _draw_surface(axes: Axes, table: np.ndarray, norm: LogNorm) -> None:
    """Probabilities (rows×bins) over row and value; what never happens has the darkest colour."""
    from matplotlib import colormaps

    colours = colormaps["magma"]
    axes.set_facecolor(colours(0.0))
    shown = np.ma.masked_equal(table.T, 0)
    extent = (-0.5, len(table) - 0.5, 0, 256)
    axes.imshow(shown, colours, norm, aspect="auto", interpolation="nearest", origin="lower", extent=extent)
    axes.set(xlabel="row", yticks=_VALUE_TICKS)


def _point_figure(data: Data, apart: np.ndarray, facts: dict[str, Any]) -> Figure:
    train, scale = data.splits["train"], data.spec.scale
    points = train.samples * scale
    figure, (first, second, third) = _canvas(data, facts, (7.5, 3.2, 5.3))
    left, right = first.subplots(1, 2)
    _draw_points(left, points[:_MOST_POINTS], train.labels, scale)
    left.set_title("Training points" + (", coloured by class" if facts["classes"] else ""))
    _draw_points(right, apart * scale, None, scale)
    right.set_title("Drawn coordinate by coordinate")
    right.set_xlabel("each from its own distribution, independent of the other")
    for k, axes in enumerate(second.subplots(1, 2)):
        _draw_marginal(axes, points[:, k], scale, "xy"[k])
    _draw_counts(third.subplots(), facts)
    return figure


def _draw_points(axes: Axes, points: np.ndarray, labels: np.ndarray | None, limit: float) -> None:
    """Dots, coloured by label where there are labels; both axes from −limit to limit."""
    x, y = points.T
    if labels is None:
        axes.scatter(x, y, s=6, color="0.35", linewidths=0)
    else:
        axes.scatter(x, y, s=6, c=labels[: len(points)], cmap="turbo", linewidths=0)
    axes.set(xlim=(-limit, limit), ylim=(-limit, limit), aspect="equal")
    axes.grid(alpha=0.3)


def _draw_marginal(axes: Axes, values: np.ndarray, limit: float, name: str) -> None:
    axes.hist(values, bins=200, range=(-limit, limit), color=_SPLIT_COLOURS[0])
    axes.set(title=f"Distribution of {name}", xlabel=name, ylabel="training points", xlim=(-limit, limit))
    _open(axes)
