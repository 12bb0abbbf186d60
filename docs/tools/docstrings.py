"""Docstrings of this project as Markdown.

They are plain paragraphs. One whose first line is a name, two or more blanks and words is a list of names.
"""

from __future__ import annotations

import re

ENTRY = re.compile(r"(\w[\w.]*(?:, \w[\w.]*)*)(?: …)?\s{2,}(\S.*)")
PAPER = re.compile(r"arXiv:(\d{4}\.\d{4,5})")
DOI = re.compile(r"\bdoi (10\.\d{4,9}/[\w.()/-]*\w)")


def entries(paragraph: str) -> dict[str, str] | None:
    """Name → what is said of it, of a paragraph that lists names; None of any other."""
    lines = paragraph.split("\n")
    if not ENTRY.fullmatch(lines[0]):
        return None
    found: dict[str, str] = {}
    names: list[str] = []
    for line in lines:
        start = ENTRY.fullmatch(line)
        if start:
            names = start[1].split(", ")
            found |= dict.fromkeys(names, start[2])
        else:
            found |= {name: f"{found[name]} {line.strip()}" for name in names}
    return found


def split(doc: str) -> tuple[list[str], dict[str, str]]:
    """The paragraphs of a docstring that are prose, and what the others say of each name."""
    prose: list[str] = []
    named: dict[str, str] = {}
    for paragraph in re.split(r"\n\s*\n", doc.strip()):
        listed = entries(paragraph)
        if listed is None:
            prose.append(paragraph)
        else:
            named |= listed
    return prose, named


def markdown(doc: str) -> str:
    """A whole docstring, its lists as lists."""
    blocks = []
    for paragraph in re.split(r"\n\s*\n", doc.strip()):
        listed = entries(paragraph)
        if listed is None:
            blocks.append(text(paragraph))
        else:
            blocks.append("\n".join(f"- `{name}`: {text(said)}" for name, said in listed.items()))
    return "\n\n".join(blocks)


def text(prose: str) -> str:
    """Prose in which nothing is taken for markup but `code`; papers become links."""
    if any(line.startswith("    ") for line in prose.split("\n")):
        return f"```text\n{prose}\n```"
    parts = prose.replace("\n", " ").split("`")
    if len(parts) % 2 == 0:  # a lone backtick is a character
        parts = ["\\`".join(parts)]
    plain = [re.sub(r"([\\*_<>\[\]|#])", r"\\\1", part) for part in parts[::2]]
    linked = [DOI.sub(r"[doi \1](https://doi.org/\1)", PAPER.sub(_paper, part)) for part in plain]
    return "`".join(part for pair in zip(linked, [*parts[1::2], ""], strict=True) for part in pair)[:-1]


def _paper(found: re.Match[str]) -> str:
    return f"[{found[0]}](https://arxiv.org/abs/{found[1]})"


def cell(said: str) -> str:
    """Text for a table's cell: one line. A bar in code needs no escape there, others `text` has escaped."""
    return said.replace("\n", " ")
