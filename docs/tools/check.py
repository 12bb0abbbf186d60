"""What must hold of the built site: links lead somewhere, and nothing is loaded from elsewhere."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LOADS = {  # element → the attributes whose address a browser fetches by itself
    "script": ("src",),
    "img": ("src", "srcset"),
    "source": ("src", "srcset"),
    "iframe": ("src",),
    "embed": ("src",),
    "object": ("data",),
    "video": ("src", "poster"),
    "audio": ("src",),
    "track": ("src",),
    "input": ("src",),
}
ONLY_NAMED = {"canonical", "prev", "next", "author", "license", "alternate"}  # <link> that fetches nothing
ELSEWHERE = re.compile(r"(?:https?:)?//", re.IGNORECASE)
IN_STYLES = re.compile(
    r"url\(\s*['\"]?((?:https?:)?//[^'\")\s]+)|@import\s+['\"]((?:https?:)?//[^'\"]+)", re.I
)


@dataclass
class Page:
    """What a page has: anchors, addresses that it links to, that it loads, and its styles' text."""

    ids: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    loaded: list[str] = field(default_factory=list)
    styles: list[str] = field(default_factory=list)
    classes: set[str] = field(default_factory=set)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.page = Page()
        self._in_style = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        has = {name: value or "" for name, value in attrs}
        self._in_style = tag == "style"
        self.page.ids |= {has[name] for name in ("id", "name") if name in has}
        self.page.classes |= set(has.get("class", "").split())
        if "style" in has:
            self.page.styles.append(has["style"])
        if tag in ("a", "area") and "href" in has:
            self.page.links.append(has["href"])
        if tag == "link" and not set(has.get("rel", "").split()) <= ONLY_NAMED:
            self.page.loaded.append(has.get("href", ""))
        for name in LOADS.get(tag, ()):
            if name in has:
                # each part of a srcset is an address and a size
                parts = has[name].split(",") if name == "srcset" else [has[name]]
                self.page.loaded += [part.split()[0] for part in parts if part.strip()]

    def handle_data(self, data: str) -> None:
        if self._in_style:
            self.page.styles.append(data)

    def handle_endtag(self, tag: str) -> None:
        self._in_style = False


def read(file: Path) -> Page:
    """What a page of HTML has."""
    reader = _Reader()
    reader.feed(file.read_text(encoding="utf-8"))
    return reader.page


def problems(site: Path) -> list[str]:
    """One sentence for each thing that is wrong with a built site; nothing if all is well."""
    site = site.resolve()
    pages = {file: read(file) for file in sorted(site.rglob("*.html"))}
    found = [] if pages else [f"{site} has no pages"]
    for file, page in pages.items():
        name = file.relative_to(site)
        for link in page.links:
            found += [f"{name}: {what}" for what in _link_problems(link, file, site, pages)]
        for address in page.loaded:
            if ELSEWHERE.match(address):
                found.append(f"{name} loads {address}")
            elif not address.startswith("data:"):
                found += [f"{name}: {what}" for what in _link_problems(address, file, site, pages)]
        found += [f"{name} loads {address}" for text in page.styles for address in _in_styles(text)]
        if "mermaid" in page.classes:
            found.append(
                f"{name} has a mermaid diagram, whose program would be loaded from elsewhere: use SVG"
            )
    for sheet in sorted(site.rglob("*.css")):
        text = sheet.read_text(encoding="utf-8")
        found += [f"{sheet.relative_to(site)} loads {address}" for address in _in_styles(text)]
    return list(dict.fromkeys(found))


def _in_styles(text: str) -> list[str]:
    return [first or second for first, second in IN_STYLES.findall(text)]


def _link_problems(link: str, file: Path, site: Path, pages: dict[Path, Page]) -> list[str]:
    try:
        parts = urlsplit(link)
    except ValueError:
        return [f"{link!r} is no address"]
    if parts.scheme in ("http", "https"):
        well = "." in (parts.hostname or "") and " " not in link
        return [] if well else [f"{link!r} is no address of another site"]
    if parts.scheme == "mailto":
        return []
    if parts.scheme or parts.netloc:
        return [f"{link!r} has a scheme that is none of http, https and mailto"]
    path = unquote(parts.path)
    # 404.html is served at any depth, so the theme gives it absolute links
    start = site / path.lstrip("/") if path.startswith("/") else file.parent / path
    target = Path(os.path.normpath(start if path else file))
    if target.is_dir():
        target /= "index.html"
    if not target.is_relative_to(site):
        return [f"{link!r} leads out of the site"]
    if not target.is_file():
        return [f"{link!r} leads nowhere"]
    if parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].ids:
        return [f"{link!r}: the page has no #{parts.fragment}"]
    return []
