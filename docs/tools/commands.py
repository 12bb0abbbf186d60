"""The code blocks of a Markdown page, and the commands in them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

BLOCK = re.compile(
    r"(?:<!-- not run: (?P<reason>[^>]+?) -->\n)?^```(?P<language>\S*)[^\n]*\n(?P<text>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)
INLINE = re.compile(r"`((?:python -m )?duel [^`]+)`")
HERE_DOCUMENT = re.compile(r"cat > (\S+) <<'END'\n(.*?)\nEND(?:\n|$)", re.DOTALL)
COMMAND = re.compile(r"(?:python -m )?duel(?: |$)")


@dataclass(frozen=True)
class Block:
    """One block of code.

    language  what stands after the opening fence
    text      its lines, each with its end
    reason    why the tests do not run it: what a comment "not run: …" above it says
    """

    language: str
    text: str
    reason: str | None = None


@dataclass(frozen=True)
class Write:
    """A step of a shell block that writes a file."""

    file: str
    text: str


@dataclass(frozen=True)
class Duel:
    """A step of a shell block that is a command of duel, by its words after `duel`."""

    words: tuple[str, ...]


def blocks(page: str) -> list[Block]:
    """All code blocks of a page, in order."""
    return [Block(found["language"], found["text"], found["reason"]) for found in BLOCK.finditer(page)]


def steps(block: Block) -> Iterator[Write | Duel]:
    """What a shell block does. ValueError for a line that is neither of the two."""
    text = block.text
    while text.strip():
        if found := HERE_DOCUMENT.match(text):
            yield Write(found[1], found[2] + "\n")
            text = text[found.end() :]
            continue
        line, _, text = text.partition("\n")
        if COMMAND.match(line):
            yield Duel(arguments(line))
        elif words(line):
            raise ValueError(f"{line!r} is no command of duel and writes no file")


def words(line: str) -> list[str]:
    """A command line as the shell splits it; what follows a # is left out."""
    return shlex.split(line, comments=True)


def arguments(line: str) -> tuple[str, ...]:
    """The words after `duel`, or after `python -m duel`."""
    found = words(line)
    return tuple(found[found.index("duel") + 1 :])


def mentioned(page: str) -> list[str]:
    """Every command line of duel that a page shows: in blocks (with what explains it), and in the text."""
    shown = [line for block in blocks(page) for line in block.text.splitlines() if COMMAND.match(line)]
    return shown + [line.replace("\n", " ") for line in INLINE.findall(BLOCK.sub("", page))]


def concrete(line: str) -> str | None:
    """The command itself without its explanation; None for a synopsis, with its brackets and choices."""
    said = re.split(r"\s{2,}|\s#", line)[0].strip()
    return None if re.search(r"[…|]|\[[^'\"]*\]|@REVISION", said.replace("hub:…", "hub:A/B")) else said
