"""Line charts as SVG: numbers in, text out, with round ticks, bands, and gaps where values are missing."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple, TypeGuard

from duel.report.page import Html, escape

Value = float | None
STYLES = 6  # curves that colour and dashes tell apart; a chart with more needs small multiples
_LOG_FROM = 50  # a positive axis whose values span more than this factor is logarithmic
_LARGEST = 1e300
_DOTS = 12  # a curve of at most so many points also shows them
_MOST_POINTS, _MOST_GREY = 150, 40  # of a curve, and of one in the background: there may be hundreds


@dataclass(frozen=True)
class Line:
    """A curve: y against x, None or NaN where it has a gap.

    low, high  the ends of a band around it, as long as y; or nothing
    style      "0" to "5", "grey" or "strong" (the class that the page colours)
    broken     whether the training ended here with a number that is none: a cross marks the last point
    """

    name: str
    x: Sequence[float]
    y: Sequence[Value]
    low: Sequence[Value] = ()
    high: Sequence[Value] = ()
    style: str = "0"
    broken: bool = False


class Frame(NamedTuple):
    """The size of a chart and the margins of its plot, in units of the SVG."""

    width: int
    height: int
    left: int
    right: int
    top: int
    bottom: int


WIDE = Frame(400, 250, 50, 16, 12, 38)
SMALL = Frame(280, 180, 46, 16, 10, 34)


@dataclass(frozen=True)
class Scale:
    """One axis: what it shows, and where its ticks are."""

    low: float
    high: float
    ticks: tuple[float, ...]
    log: bool = False

    def share(self, value: float) -> float:
        """How far along the axis a value stands: 0 at its beginning, 1 at its end."""
        if self.log:
            # Not of quotients, which may be beyond all numbers.
            low, high = math.log(self.low), math.log(self.high)
            return (math.log(value) - low) / (high - low)
        return (value - self.low) / (self.high - self.low)


def shows(value: Value) -> TypeGuard[float]:
    """Whether a chart has a place for it: a number, and one whose differences are numbers too."""
    return value is not None and abs(value) < _LARGEST


def finite(values: Iterable[Value]) -> list[float]:
    """The values that a chart shows."""
    return [value for value in values if shows(value)]


def scale(values: Iterable[Value], rounded: bool = True, count: int = 5) -> Scale:
    """The axis for these values; 0 to 1 where there are none.

    rounded: whether it ends at ticks, or where the values end
    """
    shown = finite(values)
    low, high = (min(shown), max(shown)) if shown else (0.0, 1.0)
    if low > 1 / _LARGEST and high / low > _LOG_FROM:
        return _logarithmic(low, high, rounded)
    largest = max(abs(low), abs(high))
    if largest < 1 / _LARGEST:
        low, high = 0.0, 1.0
    elif high - low <= 1e-9 * largest:  # equal, but for rounding
        low, high = low - largest / 10, high + largest / 10
    step = _round_step((high - low) / count)
    first, last = math.floor(low / step), math.ceil(high / step)
    ticks = [_tidy(number * step, step) for number in range(first, last + 1)]
    if rounded:
        return Scale(min(low, ticks[0]), max(high, ticks[-1]), tuple(ticks))
    return Scale(low, high, tuple(tick for tick in ticks if low <= tick <= high))


def _round_step(rough: float) -> float:
    """The smallest of 1, 2, 5 × 10ⁿ that is not below it."""
    power = math.floor(math.log10(rough))
    digit = next((digit for digit in (1, 2, 5) if digit * 10.0**power >= rough * (1 - 1e-9)), 10)
    return float(f"{digit}e{power}")


def _tidy(tick: float, step: float) -> float:
    """The tick without the last digits that multiplying leaves: 0.3, not 0.30000000000000004."""
    return round(tick, max(0, 2 - math.floor(math.log10(step)))) if step < 1e15 else tick


def _logarithmic(low: float, high: float, rounded: bool) -> Scale:
    """From and to 1, 2 or 5 times a power of ten; ticks there, or at few powers where there are many."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    fine = [float(f"{digit}e{power}") for power in range(first, last + 1) for digit in (1, 2, 5)]
    if rounded:
        low = max((tick for tick in fine if 0 < tick <= low), default=low)
        high = min((tick for tick in fine if high <= tick < math.inf), default=high)
    ticks = [tick for tick in fine if low <= tick <= high]
    if len(ticks) > 7:
        every = max(1, math.ceil((last - first) / 5))
        powers = [float(f"1e{power}") for power in range(first, last + 1, every)]
        ticks = [tick for tick in powers if low <= tick <= high]
    return Scale(low, high, tuple(ticks), log=True)


def tick_text(value: float) -> str:
    """A tick's number, short: 0.25, 500, 20k, 3M, 1e−05."""
    size = abs(value)
    if 1e4 <= size < 1e6:
        text = f"{value / 1e3:.4g}k"
    elif 1e6 <= size < 1e9:
        text = f"{value / 1e6:.4g}M"
    else:
        text = f"{value:.4g}"
    return text.replace("-", "−")


def thinned(line: Line, most: int = _MOST_POINTS) -> Line:
    """A curve of many points as the means of neighbours, its band from the lowest to the highest of them."""
    if len(line.y) <= most:
        return line
    size = math.ceil(len(line.y) / most)
    starts = range(0, len(line.y), size)
    groups = [finite(line.y[start : start + size]) for start in starts]
    return replace(
        line,
        x=[line.x[min(start + size // 2, len(line.x) - 1)] for start in starts],
        y=[sum(value / len(group) for value in group) if group else None for group in groups],
        low=[
            min(finite(line.low[s : s + size]) or group, default=None) for s, group in _each(starts, groups)
        ],
        high=[
            max(finite(line.high[s : s + size]) or group, default=None) for s, group in _each(starts, groups)
        ],
    )


def _each(starts: Iterable[int], groups: Iterable[list[float]]) -> Iterator[tuple[int, list[float]]]:
    return zip(starts, groups, strict=True)


# ---------------------------------------------------------------- drawing


@dataclass(frozen=True)
class Axes:
    """A frame with its two scales: from numbers to places."""

    frame: Frame
    x: Scale
    y: Scale

    def across(self, value: float) -> float:
        """Where a number of x stands."""
        frame = self.frame
        return frame.left + self.x.share(value) * (frame.width - frame.left - frame.right)

    def down(self, value: float) -> float:
        """Where a number of y stands, counted from the top."""
        frame = self.frame
        plot = frame.height - frame.top - frame.bottom
        return frame.height - frame.bottom - self.y.share(value) * plot


def axes_for(lines: Sequence[Line], frame: Frame = WIDE) -> Axes:
    """The axes in which all these lines have room; to be shared by charts that are compared."""
    ends = (value for line in lines for part in (line.y, line.low, line.high) for value in part)
    y = scale(ends, count=5 if frame is WIDE else 4)
    x = scale((at for line in lines for at in line.x), rounded=False, count=4)
    # A training begins at a step near 0: counting is linear even where the first look is early.
    if x.log:
        x = _linear_steps(finite(at for line in lines for at in line.x))
    return Axes(frame, x, y)


def _linear_steps(x: list[float]) -> Scale:
    return scale([0.0, max(x)], rounded=False, count=4)


def chart(title: str, lines: Sequence[Line], axes: Axes | None = None, *, x_label: str = "step") -> Html:
    """The lines in one chart, the first at the bottom. `title` is what a screen reader says of it."""
    drawn = [thinned(line, _MOST_GREY if line.style == "grey" else _MOST_POINTS) for line in lines]
    axes = axes or axes_for(drawn)
    frame = axes.frame
    if not any(_points(line, axes) for line in drawn):
        body = _text(frame.width / 2, frame.height / 2, "no values", "middle tick")
    else:
        bands = "".join(_band(line, axes) for line in drawn)
        body = _grid(axes, x_label) + bands + "".join(_curve(line, axes) for line in drawn)
    return Html(
        f'<svg class="chart" viewBox="0 0 {frame.width} {frame.height}" role="img">'
        f"<title>{escape(title)}</title>{body}</svg>"
    )


def _points(line: Line, axes: Axes) -> list[tuple[float, float] | None]:
    """Where the curve's points stand; None where it has a gap. Empty where all is gap."""
    points = [_place(x, y, axes) for x, y in zip(line.x, line.y, strict=True)]
    return points if any(points) else []


def _place(x: float, y: Value, axes: Axes) -> tuple[float, float] | None:
    if not shows(y) or (axes.y.log and y <= 0):
        return None
    return axes.across(x), axes.down(y)


def pieces(points: Iterable[tuple[float, float] | None]) -> list[list[tuple[float, float]]]:
    """The runs of points between gaps."""
    found: list[list[tuple[float, float]]] = [[]]
    for point in points:
        if point is not None:
            found[-1].append(point)
        elif found[-1]:
            found.append([])
    return [piece for piece in found if piece]


def _curve(line: Line, axes: Axes) -> str:
    """Its pieces as one path; a dot where a point stands alone, and everywhere where there are few."""
    parts = pieces(_points(line, axes))
    if not parts:
        return ""
    path = "".join(_path(part) for part in parts if len(part) > 1)
    few = len(line.y) <= _DOTS and line.style != "grey"
    dots = [point for part in parts if few or len(part) == 1 for point in part]
    drawn = f'<path class="line s{line.style}" d="{path}"/>' if path else ""
    drawn += "".join(
        f'<circle class="dot s{line.style}" cx="{x:.1f}" cy="{y:.1f}" r="2.5"/>' for x, y in dots
    )
    if line.broken:
        drawn += _cross(*parts[-1][-1], line.style)
    return f"<g><title>{escape(line.name)}</title>{drawn}</g>" if line.style != "grey" else drawn


def _path(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)


def _cross(x: float, y: float, style: str) -> str:
    d = f"M{x - 4:.1f} {y - 4:.1f}l8 8m0 -8l-8 8"
    return f'<path class="cross s{style}" d="{d}"/>'


def _band(line: Line, axes: Axes) -> str:
    """The area between low and high, piece by piece."""
    if not line.low or line.style == "grey":
        return ""
    lows = [_place(x, y, axes) for x, y in zip(line.x, line.low, strict=True)]
    highs = [_place(x, y, axes) for x, y in zip(line.x, line.high, strict=True)]
    both = [(low, high) if low and high else None for low, high in zip(lows, highs, strict=True)]
    areas: list[list[tuple[tuple[float, float], tuple[float, float]]]] = [[]]
    for pair in both:
        if pair:
            areas[-1].append(pair)
        else:
            areas.append([])
    path = "".join(
        _path([low for low, _ in area]) + "L" + _path([high for _, high in reversed(area)])[1:] + "Z"
        for area in areas
        if len(area) > 1
    )
    # One look alone has no area: its interval is a stroke.
    strokes = "".join(
        f"M{a[0]:.1f} {a[1]:.1f}V{b[1]:.1f}" for area in areas if len(area) == 1 for a, b in area
    )
    found = f'<path class="band s{line.style}" d="{path}"/>' if path else ""
    return found + (f'<path class="line s{line.style}" d="{strokes}"/>' if strokes else "")


def _grid(axes: Axes, x_label: str) -> str:
    """Lines at the ticks with their numbers, and what x is."""
    frame = axes.frame
    right, bottom = frame.width - frame.right, frame.height - frame.bottom
    parts = []
    for tick in axes.y.ticks:
        y = axes.down(tick)
        parts.append(f'<path class="grid" d="M{frame.left} {y:.1f}H{right}"/>')
        parts.append(_text(frame.left - 5, y + 4, tick_text(tick), "end tick"))
    for tick in _apart(axes):
        x = axes.across(tick)
        parts.append(f'<path class="grid" d="M{x:.1f} {bottom}v4"/>')
        parts.append(_text(x, bottom + 16, tick_text(tick), "middle tick"))
    parts.append(f'<path class="axis" d="M{frame.left} {frame.top}V{bottom}H{right}"/>')
    if x_label:
        parts.append(_text((frame.left + right) / 2, frame.height - 5, x_label, "middle tick"))
    return "".join(parts)


def _apart(axes: Axes) -> list[float]:
    """The ticks of x that leave room for each other's numbers."""
    ticks = list(axes.x.ticks)
    places = [axes.across(tick) for tick in ticks]
    near = any(
        b - a < 7.5 * len(tick_text(tick)) for (a, b), tick in zip(pairwise(places), ticks[1:], strict=True)
    )
    return ticks[::2] if near else ticks


def _text(x: float, y: float, text: str, kind: str) -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}">{escape(text)}</text>'


def legend(lines: Sequence[Line]) -> Html:
    """A piece of each line and its name, as a list that wraps."""
    items = "".join(
        f'<li><svg class="key" viewBox="0 0 32 10" aria-hidden="true">'
        f'<path class="line s{line.style}" d="M1 5H31"/></svg>{escape(line.name)}</li>'
        for line in lines
    )
    return Html(f'<ul class="legend">{items}</ul>')


def figure(
    heading: str,
    lines: Sequence[Line],
    axes: Axes | None = None,
    *,
    behind: Sequence[Line] = (),
    marks: Sequence[Line] = (),
    legends: bool = True,
) -> Html:
    """A chart with its heading above and its legend below.

    behind  lines in the background, in grey. marks: points on top. legends: whether the lines are named
    """
    last = "; ".join(f"{line.name} ends at {shown}" for line in lines if (shown := _end(line)))
    alt = f"{heading} against the step: {last}" if legends and last else f"{heading} against the step"
    drawn = chart(alt, [*behind, *lines, *marks], axes)
    below = legend(lines) if legends and len(lines) > 1 else ""
    return Html(f"<figure><figcaption>{escape(heading)}</figcaption>{drawn}{below}</figure>")


def _end(line: Line) -> str:
    values = finite(line.y)
    return f"{values[-1]:.3g}" if values else ""


_DOTS_WIDTH, _DOTS_HEIGHT = 130, 16


def dots(axis: Scale, values: Sequence[float], low: Value = None, high: Value = None) -> Html:
    """Values as dots on a line as high as text, and an interval as a bar behind them; for tables."""

    def place(value: float) -> float:
        return 4 + min(1.0, max(0.0, axis.share(value) if value > 0 or not axis.log else 0.0)) * (
            _DOTS_WIDTH - 8
        )

    middle = _DOTS_HEIGHT / 2
    bar = ""
    if low is not None and high is not None:
        bar = f'<path class="bar" d="M{place(low):.1f} {middle}H{place(high):.1f}"/>'
    marks = "".join(
        f'<circle class="dot s0" cx="{place(value):.1f}" cy="{middle}" r="3"/>' for value in values
    )
    return Html(
        f'<svg class="dots" viewBox="0 0 {_DOTS_WIDTH} {_DOTS_HEIGHT}" aria-hidden="true">{bar}{marks}</svg>'
    )
