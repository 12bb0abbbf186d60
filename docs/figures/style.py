"""How every figure looks: a white ground, also on dark pages, and colours for all eyes.

The colours are those of Okabe, Ito 2008 without yellow, some darker: the colour-blind can tell them apart.
Each has a dash pattern of its own, so that lines differ without colour, too. Text stays text: that is small.
Two drawings of the same numbers are the same bytes.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

BLUE, ORANGE, GREEN, RED, PURPLE, SKY, BLACK = (
    "#0072B2", "#D98200", "#009E73", "#C8480A", "#B0578F", "#3C9BD0", "#222222",
)  # fmt: skip
COLOURS = (BLUE, RED, GREEN, PURPLE, ORANGE, SKY, BLACK)
DASHES = ("-", "--", "-.", (0, (1, 1)), (0, (6, 2, 1, 2, 1, 2)), (0, (8, 2)), (0, (3, 3)))
WIDTH = 7.2  # inches at 72 points, 691 pixels of a browser: the text column of most pages

_SETTINGS: Any = {
    "font.family": "sans-serif",
    "font.sans-serif": [
        "DejaVu Sans",
        "Verdana",
    ],  # about equally wide: what is laid out with one fits with the other
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.labelsize": 9,
    "legend.fontsize": 8,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "text.color": BLACK,
    "axes.edgecolor": BLACK,
    "axes.labelcolor": BLACK,
    "xtick.color": BLACK,
    "ytick.color": BLACK,
    "figure.facecolor": "white",
    "axes.facecolor": "white",
    "savefig.facecolor": "white",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "lines.linewidth": 1.7,
    "legend.frameon": False,
    "path.simplify": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "duel",
}


def axes(columns: int = 1, height: float = 2.7, rows: int = 1, **options: Any) -> tuple[Figure, list[Axes]]:
    """An empty figure and its axes, row by row."""
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False, **options)
    return figure, [each for row in grid for each in row]


def line(number: int) -> dict[str, Any]:
    """Colour and dashes of a figure's line of that number."""
    return {"color": COLOURS[number % len(COLOURS)], "linestyle": DASHES[number % len(DASHES)]}


def dots(axes: Axes, points: np.ndarray, color: str, size: float = 1.8) -> None:
    """Points N×2 as one line of segments without length, with round ends: a third of the bytes of markers."""
    gaps = np.full(len(points), np.nan)
    x, y = (np.stack([column, column, gaps], 1).ravel() for column in points.T)
    axes.plot(x, y, color=color, linewidth=size, solid_capstyle="round")


def svg(draw: Callable[[], Figure]) -> str:
    """A figure as SVG, the same each time with the same matplotlib. Places are rounded to 0.01 points."""
    buffer = io.StringIO()
    with matplotlib.rc_context(_SETTINGS):
        draw().savefig(buffer, format="svg", metadata={"Date": None})
    return re.sub(r'(?<=[ "])(?:d|x|y)="[^"]*"', _rounded, buffer.getvalue())


def _rounded(attribute: re.Match[str]) -> str:
    return re.sub(r"-?\d+\.\d{3,}", lambda number: f"{float(number[0]):.2f}", attribute[0])
