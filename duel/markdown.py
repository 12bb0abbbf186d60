"""Strings that come from anywhere, written so that Markdown shows them and does nothing else with them."""

from __future__ import annotations

import re

_PLAIN = frozenset(" ,.:;()'+=%-")


def escaped(text: object, most: int = 400) -> str:
    """One line of at most `most` characters in which nothing is markup, HTML or a link by itself.

    What could mean something becomes a numeric reference, which Markdown shows as the character; what cannot
    be printed becomes "?".
    """
    line = " ".join(str(text).split())
    short = line if len(line) <= most else line[: most - 1] + "…"
    return re.sub(r"(?i)(www)\.", r"\1&#46;", "".join(map(_character, short)))  # www.… is a link otherwise


def _character(one: str) -> str:
    if not one.isprintable():
        return "?"
    return one if one.isalnum() or one in _PLAIN or ord(one) > 127 else f"&#{ord(one)};"
