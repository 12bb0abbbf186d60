"""The same explanation as one HTML file: nothing is loaded, light and dark, to be printed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np

from duel import io
from duel.errors import InputError
from duel.explain.curves import Comparison, Largest, comparisons
from duel.explain.one_step import DISCRIMINATOR_WEIGHTS, GENERATOR_WEIGHTS, play
from duel.explain.words import (
    TITLE,
    Block,
    D,
    Formulas,
    G,
    Letters,
    Picture,
    Section,
    Table,
    edges,
    number,
    numeric,
    sections,
)


def write(out: Path) -> Path:
    """Write the page to `out`, FILE.html or FILE.htm, and return it. InputError where that cannot be."""
    if out.suffix.lower() not in (".html", ".htm"):
        raise InputError(
            f"--out was given {out}, allowed are FILE.html and FILE.htm: name one, or leave --out out"
        )
    if out.is_dir():
        raise InputError(f"--out {out} is a folder: name a file in it")
    io.write_out(out, html().encode())
    return out


def html() -> str:
    """The whole page."""
    pairs = comparisons()
    pictures = {"networks": _networks(), "curves": _curves(pairs)}
    found = sections(play(), pairs)
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(TITLE)}</title>",
            f"<style>{_STYLE}</style>",
            "</head>",
            "<body>",
            f"<h1>{escape(TITLE)}</h1>",
            _contents(found),
            *(_section(place, section, pictures) for place, section in enumerate(found)),
            "</body>",
            "</html>",
            "",
        ]
    )


def _contents(found: Sequence[Section]) -> str:
    items = (
        f'<li><a href="#s{place}">{escape(section.title)}</a></li>' for place, section in enumerate(found)
    )
    return f'<nav><ol start="0">{"".join(items)}</ol></nav>'


def _section(place: int, section: Section, pictures: dict[str, str]) -> str:
    blocks = "\n".join(_block(block, pictures) for block in section.blocks)
    return f'<section id="s{place}">\n<h2>{place}. {escape(section.title)}</h2>\n{blocks}\n</section>'


def _block(block: Block, pictures: dict[str, str]) -> str:
    if isinstance(block, Picture):
        return pictures[block.name]
    if isinstance(block, Formulas):
        lines = "".join(f"<li>{escape(line)}</li>" for line in block.lines)
        return f'<ul class="formulas">{lines}</ul>'
    if isinstance(block, Table):
        return _table(block)
    words = _CODE.sub(r"<code>\1</code>", escape(block))
    return f"<p>{words}</p>"


_CODE = re.compile("`([^`]+)`")


def _table(table: Table) -> str:
    classes = [' class="number"' if each else "" for each in numeric(table)]
    head = "".join(
        f'<th scope="col"{kind}>{escape(cell)}</th>' if cell else "<td></td>"
        for cell, kind in zip(table.head, classes, strict=True)
    )
    rows = (
        "".join(f"<td{kind}>{escape(cell)}</td>" for cell, kind in zip(row, classes, strict=True))
        for row in table.rows
    )
    body = "\n".join(f"<tr>{row}</tr>" for row in rows)
    return (
        f'<div class="wide"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>'
    )


_STYLE = """
:root { color-scheme: light dark; --ink: #1c1c1e; --soft: #66676e; --line: #c9cad1; --paper: #ffffff;
  --panel: #f4f5f8; --exact: #1b5fc1; --rational: #c2410c; }
@media screen and (prefers-color-scheme: dark) { :root { --ink: #e8e8ea; --soft: #a3a4ad; --line: #4a4b54;
  --paper: #17181c; --panel: #212228; --exact: #7db1ff; --rational: #ff9d66; } }
body { max-width: 62rem; margin: 0 auto; padding: 1.5rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.55 system-ui, "DejaVu Sans", sans-serif; }
h1 { font-size: 1.7rem; line-height: 1.25; } h2 { font-size: 1.25rem; margin-top: 2.5rem; }
p { max-width: 44rem; overflow-wrap: break-word; }
a { color: var(--exact); } nav ol { padding-left: 1.5rem; }
.formulas { list-style: none; margin: 1rem 0; padding: .6rem 1rem; background: var(--panel);
  border-left: 3px solid var(--line); }
.formulas li { padding-left: 2rem; text-indent: -2rem; overflow-wrap: anywhere; }
.formulas, table, svg { font-variant-numeric: tabular-nums; }
.wide { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; font-size: .95rem; }
th, td { padding: .2rem .8rem; text-align: left; white-space: nowrap; border-bottom: 1px solid var(--line); }
th { font-weight: 600; } .number { text-align: right; }
figure { margin: 1rem 0; } figcaption { color: var(--soft); font-size: .9rem; }
.panels { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(23rem, 100%), 1fr)); gap: 1rem; }
.panels figure { margin: 0; }
svg { display: block; width: 100%; height: auto; }
.wide svg { min-width: 44rem; }
svg text { fill: var(--ink); font: 14px system-ui, "DejaVu Sans", sans-serif; }
svg .tick { fill: var(--soft); font-size: 12px; }
svg .halo { paint-order: stroke; stroke: var(--paper); stroke-width: 5px; stroke-linejoin: round; }
svg .middle { text-anchor: middle; } svg .end { text-anchor: end; }
.edge, .grid { stroke: var(--line); fill: none; } .edge { stroke-width: 1.5; }
.arrow { stroke: var(--soft); fill: none; stroke-width: 1.5; stroke-dasharray: 4 4; }
.unit { fill: var(--panel); stroke: var(--soft); stroke-width: 1.5; } .one { stroke-dasharray: 3 3; }
.axis { stroke: var(--soft); fill: none; }
.exact, .rational { fill: none; stroke-width: 2; }
.exact { stroke: var(--exact); } .rational { stroke: var(--rational); stroke-dasharray: 7 4; }
.gap { stroke: var(--ink); stroke-width: 1.5; stroke-dasharray: 2 3; }
@media print { body { max-width: none; padding: 0; font-size: 10pt; } nav { display: none; }
  h2 { break-after: avoid; } .formulas li, tr, figure { break-inside: avoid; } .wide { overflow: visible; } }
"""


# ---------------------------------------------------------------- the two networks

_COLUMNS = (0, 200, 385)  # of units: inputs, hidden, output
_RADIUS = 24
_SHARES = (0.5, 0.27, 0.68, 0.66, 0.48, 0.48, 0.48)  # how far along its edge each weight stands


class _Point(NamedTuple):
    x: float
    y: float


def _networks() -> str:
    parts = [
        *_network(40, G, "z", "G(z)", GENERATOR_WEIGHTS),
        *_network(565, D, "x", "ℓ", DISCRIMINATOR_WEIGHTS),
        '<path class="arrow" d="M449 150 C 495 150 495 90 541 90"/>',
        _text(_Point(495, 80), "or G(z)", "middle tick"),
        _text(_Point(240, 305), "generator G", "middle"),
        _text(_Point(765, 305), "discriminator D", "middle"),
    ]
    return (
        '<figure><div class="wide"><svg viewBox="0 0 990 315" role="img">'
        f"<title>The two networks with their first weights</title>{''.join(parts)}</svg></div>"
        "<figcaption>Each edge with its weight. Dashed circles are the constant 1.</figcaption></figure>"
    )


def _network(left: float, letters: Letters, source: str, end: str, weights: Sequence[float]) -> list[str]:
    """One network's edges, then its units and the weights on top of them."""
    places = _places(left, letters, source)
    lines, labels = [], []
    for place, ((name, start, to), weight) in enumerate(zip(edges(letters, source), weights, strict=True)):
        a, b = places[place > 3, start], places[1 + (place > 3), to]
        lines.append(f'<path class="edge" d="M{a.x:g} {a.y:g} L{b.x:g} {b.y:g}"/>')
        labels.append(_text(_along(a, b, _SHARES[place]), f"{name} = {number(weight)}", "middle halo"))
    shown = dict(zip(letters.sums, (*letters.values[:2], end), strict=True))
    circles = dict.fromkeys(_unit(place, shown.get(name, name)) for (_, name), place in places.items())
    return [*lines, *circles, *labels]


def _places(left: float, letters: Letters, source: str) -> dict[tuple[int, str], _Point]:
    """Where each unit stands, by layer and by the name of its sum, and of its value where edges begin."""
    inputs, hidden, output = (left + column for column in _COLUMNS)
    first, second = _Point(hidden, 45), _Point(hidden, 150)
    return {
        (0, source): _Point(inputs, 90),
        (0, "1"): _Point(inputs, 220),
        **dict.fromkeys([(1, letters.sums[0]), (1, letters.values[0])], first),
        **dict.fromkeys([(1, letters.sums[1]), (1, letters.values[1])], second),
        (1, "1"): _Point(hidden, 255),
        (2, letters.sums[2]): _Point(output, 150),
    }


def _along(a: _Point, b: _Point, share: float) -> _Point:
    return _Point(a.x + share * (b.x - a.x), a.y + share * (b.y - a.y) + 5)


def _unit(place: _Point, name: str) -> str:
    kind = "unit one" if name == "1" else "unit"
    circle = f'<circle class="{kind}" cx="{place.x:g}" cy="{place.y:g}" r="{_RADIUS}"/>'
    return circle + _text(_Point(place.x, place.y + 5), name, "middle")


def _text(place: _Point, text: str, kind: str) -> str:
    return f'<text class="{kind}" x="{place.x:.6g}" y="{place.y:.6g}">{escape(text)}</text>'


# ---------------------------------------------------------------- the curves

_WIDTH, _HEIGHT = 440, 280
_LEFT, _RIGHT, _TOP, _BOTTOM = 48, 12, 34, 30
_SHOWN = 50  # every 50th point of the grid is drawn


class _Range(NamedTuple):
    """What an axis shows, and the distance of its ticks."""

    low: float
    high: float
    step: float

    @property
    def ticks(self) -> list[float]:
        count = round((self.high - self.low) / self.step)
        return [self.low + place * self.step for place in range(count + 1)]


_X = _Range(-6, 6, 2)
_RANGES = {
    "tanh": (_Range(-1, 1, 0.5), _Range(0, 2, 0.5)),
    "sigmoid": (_Range(0, 1, 0.25), _Range(0, 0.5, 0.1)),
}


def _curves(pairs: Sequence[Comparison]) -> str:
    panels = chain.from_iterable(_panels(pair) for pair in pairs)
    return f'<div class="panels">{"".join(panels)}</div>'


def _panels(pair: Comparison) -> Iterable[str]:
    """The values, and the slopes."""
    values, slopes = _RANGES[pair.name]
    yield _panel(pair.name, pair.x, (pair.exact, pair.rational), values, pair.values)
    slope_name = f"slope of {pair.name}"
    yield _panel(slope_name, pair.x, (pair.exact_slope, pair.rational_slope), slopes, pair.slopes)


def _panel(
    name: str, x: np.ndarray, curves: tuple[np.ndarray, np.ndarray], y: _Range, largest: Largest
) -> str:
    """Two curves over x, and a dotted line where they are farthest apart."""
    where = "0" if largest.place == 0 else f"±{number(largest.place)}"
    parts = [
        *_axes(y),
        *(_gap(place, x, curves, y) for place in dict.fromkeys((-largest.place, largest.place))),
        _curve("exact", x, curves[0], y),
        _curve("rational", x, curves[1], y),
        *_legend(name),
    ]
    return (
        f'<figure><svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img"><title>{escape(name)}, exact and rational'
        f"</title>{''.join(parts)}</svg><figcaption>Farthest apart, by {number(largest.difference)}, at "
        f"x = {where}.</figcaption></figure>"
    )


def _place(x: float, y: float, span: _Range) -> _Point:
    """From the numbers of a panel to its pixels."""
    across = (x - _X.low) / (_X.high - _X.low)
    up = (y - span.low) / (span.high - span.low)
    return _Point(
        _LEFT + across * (_WIDTH - _LEFT - _RIGHT), _HEIGHT - _BOTTOM - up * (_HEIGHT - _TOP - _BOTTOM)
    )


def _axes(y: _Range) -> Iterable[str]:
    """The grid with its numbers; the line x = 0 stands out."""
    for tick in _X.ticks:
        low, high = _place(tick, y.low, y), _place(tick, y.high, y)
        yield _line("axis" if tick == 0 else "grid", low, high)
        yield _text(_Point(low.x, low.y + 18), number(tick), "middle tick")
    for tick in y.ticks:
        left, right = _place(_X.low, tick, y), _place(_X.high, tick, y)
        yield _line("axis" if abs(tick) < 1e-9 else "grid", left, right)
        yield _text(_Point(left.x - 6, left.y + 4), number(tick), "end tick")


def _line(kind: str, a: _Point, b: _Point) -> str:
    return f'<path class="{kind}" d="M{a.x:.2f} {a.y:.2f} L{b.x:.2f} {b.y:.2f}"/>'


def _curve(kind: str, x: np.ndarray, y: np.ndarray, span: _Range) -> str:
    points = (_place(a, b, span) for a, b in zip(x[::_SHOWN].tolist(), y[::_SHOWN].tolist(), strict=True))
    return f'<path class="{kind}" d="M{" L".join(f"{p.x:.2f} {p.y:.2f}" for p in points)}"/>'


def _gap(at: float, x: np.ndarray, curves: tuple[np.ndarray, np.ndarray], span: _Range) -> str:
    place = int(np.argmin(np.abs(x - at)))
    one, other = (_place(at, float(curve[place]), span) for curve in curves)
    return _line("gap", one, other)


def _legend(name: str) -> Iterable[str]:
    """A piece of each line, and what it is, above the plot."""
    for left, kind, words in ((_LEFT, "exact", name), (_LEFT + 170, "rational", f"{name}, rational")):
        yield _line(kind, _Point(left, 15), _Point(left + 30, 15))
        yield _text(_Point(left + 38, 20), words, "")
