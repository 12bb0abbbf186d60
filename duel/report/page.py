"""The page itself: one HTML file that loads nothing, light and dark, for a phone, a screen and paper."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape as _escape


class Html(str):
    """Text that is markup already; everything else is escaped on its way into the page."""

    __slots__ = ()


@dataclass(frozen=True)
class Section:
    """A part of the page with a heading and a line in the contents."""

    title: str
    body: Html


def escape(text: object) -> Html:
    """Anything as text of the page: nothing in it is markup, and control characters are written out."""
    if isinstance(text, Html):
        return text
    shown = (c if c.isprintable() or c == "\n" else f"\\x{ord(c):02x}" for c in str(text))
    return Html(_escape("".join(shown)))


def joined(parts: Iterable[object]) -> Html:
    """The parts, one after the other."""
    return Html("\n".join(escape(part) for part in parts))


def paragraph(text: object, kind: str = "") -> Html:
    """A paragraph; `kind` is its class."""
    return Html(f"<p{_class(kind)}>{escape(text)}</p>")


def heading(text: object) -> Html:
    """A heading inside a section."""
    return Html(f"<h3>{escape(text)}</h3>")


def bullets(items: Iterable[object], kind: str = "") -> Html:
    """A list."""
    return Html(f"<ul{_class(kind)}>{''.join(f'<li>{escape(item)}</li>' for item in items)}</ul>")


def code(text: object) -> Html:
    """Text of a fixed width that keeps its lines; long ones scroll in their own box."""
    return wide(Html(f"<pre>{escape(text)}</pre>"), "text of a fixed width")


def inline_code(text: object) -> Html:
    """A command or a name within a sentence."""
    return Html(f"<code>{escape(text)}</code>")


def folded(summary: object, body: object) -> Html:
    """What is shown on demand; on paper only its summary, unless it was opened."""
    return Html(f"<details><summary>{escape(summary)}</summary>\n{escape(body)}\n</details>")


def wide(body: object, label: str) -> Html:
    """A box that scrolls by itself, also by keyboard, so that the page does not."""
    return Html(
        f'<div class="wide" tabindex="0" role="region" aria-label="{escape(label)}">{escape(body)}</div>'
    )


def panels(figures: Iterable[object], small: bool = False) -> Html:
    """Figures side by side where there is room."""
    kind = "panels small" if small else "panels"
    return Html(f'<div class="{kind}">{joined(figures)}</div>')


def table(
    caption: str, head: Sequence[str], rows: Sequence[Sequence[object]], left: Sequence[int] = (0,)
) -> Html:
    """A table; the columns `left` are words, the others numbers. The first one names its row."""
    kinds = [' class="words"' if place in left else ' class="number"' for place in range(len(head))]
    top = "".join(
        f'<th scope="col"{kind}>{escape(cell)}</th>' for cell, kind in zip(head, kinds, strict=True)
    )
    body = "\n".join(f"<tr>{_row(row, kinds)}</tr>" for row in rows)
    shown = wide(Html(f"<table>\n<thead><tr>{top}</tr></thead>\n<tbody>\n{body}\n</tbody></table>"), caption)
    # A caption inside the box would scroll away with it.
    return joined([paragraph(Html(f"{escape(caption)}{_MORE}"), "note"), shown])


# Seen on narrow screens only; that the edge is shaded where there is more is the style's doing.
_MORE = Html('<span class="more">; where its edge is shaded it goes on: scroll sideways</span>')


def _row(row: Sequence[object], kinds: Sequence[str]) -> str:
    first, *others = row
    cells = "".join(f"<td{kind}>{escape(cell)}</td>" for cell, kind in zip(others, kinds[1:], strict=True))
    return f'<th scope="row">{escape(first)}</th>{cells}'


def pairs(items: Iterable[tuple[str, object]]) -> Html:
    """Names and what they are."""
    inside = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in items)
    return Html(f"<dl>{inside}</dl>")


def _class(kind: str) -> str:
    return f' class="{kind}"' if kind else ""


def document(title: str, lead: object, sections: Sequence[Section]) -> str:
    """The whole file."""
    contents = "".join(
        f'<li><a href="#s{n}">{escape(each.title)}</a></li>' for n, each in enumerate(sections)
    )
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(title)}</title>",
            f"<style>{STYLE}</style>",
            "</head>",
            "<body>",
            f"<header><h1>{escape(title)}</h1>\n{escape(lead)}</header>",
            f'<nav aria-label="contents"><ul>{contents}</ul></nav>',
            "<main>",
            *(
                f'<section id="s{n}">\n<h2>{escape(each.title)}</h2>\n{each.body}\n</section>'
                for n, each in enumerate(sections)
            ),
            "</main>",
            "</body>",
            "</html>",
            "",
        ]
    )


STYLE = """
:root { color-scheme: light dark; --ink: #1c1c1e; --soft: #5c5d66; --line: #c9cad1; --paper: #ffffff;
  --panel: #f4f5f8; --link: #1b5fc1; --bad: #b3261e; --good: #1a6b3c; --pale: #8a8b94;
  --edge: #0000004d;
  --s0: #1644de; --s1: #e53601; --s2: #029b71; --s3: #d55dc9; --s4: #4c2607; --s5: #40404a; }
@media screen and (prefers-color-scheme: dark) { :root { --ink: #e8e8ea; --soft: #a9aab3; --line: #44454e;
  --paper: #17181c; --panel: #212228; --link: #7db1ff; --bad: #ff9a90; --good: #7fd6a0; --pale: #777883;
  --edge: #ffffff59;
  --s0: #1c85f7; --s1: #c46d26; --s2: #11f789; --s3: #e80d75; --s4: #fec01b; --s5: #d5d5dc; } }
* { box-sizing: border-box; }
body { max-width: 72rem; margin: 0 auto; padding: 1.5rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.55 system-ui, "DejaVu Sans", sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0 0 .5rem; }
h2 { font-size: 1.3rem; margin: 2.75rem 0 .75rem; padding-top: .75rem; border-top: 1px solid var(--line); }
h3 { font-size: 1.05rem; margin: 1.75rem 0 .5rem; }
p, li, dd { max-width: 46rem; }
a { color: var(--link); }
:focus-visible { outline: 3px solid var(--link); outline-offset: 2px; }
nav ul { list-style: none; display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; margin: 1rem 0; padding: 0; }
nav a { display: inline-block; padding: .2rem 0; }
.note, figcaption small { color: var(--soft); font-size: .9rem; }
.verdicts { list-style: none; padding: 0; }
.verdicts li { margin: .5rem 0; padding: .5rem .9rem; background: var(--panel);
  border-left: 4px solid var(--line); }
.verdicts .better { border-color: var(--good); }
.verdicts .worse, .verdicts .diverged { border-color: var(--bad); }
.severe { color: var(--bad); font-weight: 600; } .warning { font-weight: 600; }
dl { display: grid; grid-template-columns: fit-content(14rem) 1fr; gap: .3rem 1.25rem; margin: 1rem 0; }
dt { color: var(--soft); } dd { margin: 0; }
/* Shadows stay at the edges of the box, and covers that scroll with what is in it hide them at its ends. */
.wide { overflow-x: auto; margin: 1rem 0; --under: var(--paper); background:
  linear-gradient(90deg, var(--under) 40%, transparent) left / 3rem 100% no-repeat local,
  linear-gradient(270deg, var(--under) 40%, transparent) right / 3rem 100% no-repeat local,
  linear-gradient(90deg, var(--edge), transparent) left / 1.1rem 100% no-repeat scroll,
  linear-gradient(270deg, var(--edge), transparent) right / 1.1rem 100% no-repeat scroll, var(--under); }
.wide:has(> pre) { --under: var(--panel); }
.more { display: none; }
table { border-collapse: collapse; font-size: .93rem; font-variant-numeric: tabular-nums;
  overflow-wrap: normal; }
th, td { padding: .25rem .8rem .25rem 0; text-align: left; white-space: nowrap; vertical-align: top;
  border-bottom: 1px solid var(--line); }
th { font-weight: 600; }
thead th:first-child, tbody th { position: sticky; left: 0; background: var(--paper); }
tbody th { font-weight: 400; white-space: normal; min-width: 15rem; max-width: 22rem; }
td.words { white-space: normal; min-width: 8rem; }
.number { text-align: right; padding-left: .8rem; padding-right: 0; }
td.words, th + th.words { padding-left: .8rem; }
pre, code { font: .87rem/1.5 ui-monospace, "DejaVu Sans Mono", monospace; }
pre { margin: 0; padding: .75rem 1rem; overflow-wrap: normal; width: max-content;
  min-width: 100%; }
details { margin: .75rem 0; } summary { cursor: pointer; padding: .25rem 0; color: var(--link); }
figure { margin: 0; } figcaption { font-weight: 600; font-size: .95rem; margin-bottom: .25rem; }
figcaption small { display: block; font-weight: 400; }
.panels { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(25rem, 100%), 1fr));
  gap: 1.75rem 1.5rem; margin: 1rem 0; }
.panels.small { grid-template-columns: repeat(auto-fill, minmax(min(16rem, 100%), 1fr)); gap: 1.25rem; }
img { display: block; max-width: 100%; height: auto; background: #ffffff; border: 1px solid var(--line);
  margin-bottom: .5rem; }
svg.chart { display: block; width: 100%; height: auto; font-variant-numeric: tabular-nums; }
svg text { fill: var(--ink); font: 12px system-ui, "DejaVu Sans", sans-serif; }
svg .tick { fill: var(--soft); }
svg .middle { text-anchor: middle; } svg .end { text-anchor: end; }
.grid { stroke: var(--line); fill: none; stroke-width: .8; } .axis { stroke: var(--soft); fill: none; }
.line { fill: none; stroke-width: 2; stroke-linejoin: round; } .band { opacity: .17; stroke: none; }
g:hover > .line { stroke-width: 3.5; }
.cross { fill: none; stroke-width: 2; }
.dots { display: block; width: 8.2rem; height: 1.4rem; }
.bar { stroke: var(--pale); stroke-width: 5; opacity: .6; }
.s0 { --own: var(--s0); } .s1 { --own: var(--s1); } .s2 { --own: var(--s2); }
.s3 { --own: var(--s3); } .s4 { --own: var(--s4); } .s5 { --own: var(--s5); }
.sgrey { --own: var(--pale); } .sstrong { --own: var(--s0); }
.line, .cross { stroke: var(--own); } .dot, .band { fill: var(--own); }
.line.s1 { stroke-dasharray: 7 3; } .line.s2 { stroke-dasharray: 2 2.5; }
.line.s3 { stroke-dasharray: 9 3 2 3; }
.line.s4 { stroke-dasharray: 13 3; } .line.s5 { stroke-dasharray: 5 2 1.5 2 1.5 2; }
.line.sgrey { stroke-width: .8; opacity: .75; } .cross.sgrey { stroke-width: 1.2; }
.legend { list-style: none; display: flex; flex-wrap: wrap; gap: .1rem 1.1rem; margin: .25rem 0 0; padding: 0;
  font-size: .88rem; }
.key { display: inline-block; width: 2rem; height: .65rem; margin-right: .4rem; }
@media screen and (max-width: 60rem) { .more { display: inline; } }
@media (max-width: 30rem) { body { padding: 1rem; } dl { grid-template-columns: 1fr; gap: 0; }
  dd { margin-bottom: .6rem; } tbody th { min-width: 8.5rem; }
  thead th:first-child, tbody th { border-right: 1px solid var(--line); } }
@media print { body { max-width: none; padding: 0; font-size: 9.5pt; } nav { display: none; }
  h2, h3 { break-after: avoid; } tr, figure, .verdicts li { break-inside: avoid; }
  .wide { overflow: visible; background: none; } table { font-size: 8pt; }
  th, td { padding-right: .3rem; white-space: normal; } tbody th { min-width: 6rem; max-width: 11rem; }
  .number, td.words, th + th.words { padding-left: .3rem; } td.words { min-width: 4rem; }
  .dots { width: 5.5rem; } pre { white-space: pre-wrap; width: auto; } }
"""
