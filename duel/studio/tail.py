"""The event log from a byte on, as it stands in the file: whoever looks on polls; nothing is parsed here."""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MOST = 4 * 1024 * 1024  # bytes of one answer: longer logs come in several
_END = 16 * 1024


@dataclass(frozen=True)
class Piece:
    """Whole lines of a log.

    next  the byte after them: where to ask next
    file  which file this is; another one where the log was written anew
    more  whether there is more already
    """

    lines: bytes
    next: int
    file: str
    more: bool


def piece(log: Path, after: int = 0, file: str = "") -> Piece:
    """The lines after a byte; from the start where `file` names another log than is there now.

    A run that is taken up drops what came after its checkpoint: then its log is another file.
    """
    try:
        with open(log, "rb") as opened:
            status = os.fstat(opened.fileno())
            now = f"{status.st_ino:x}-{status.st_dev:x}"
            start = after if 0 <= after <= status.st_size and file in ("", now) else 0
            opened.seek(start)
            read = opened.read(MOST)
    except FileNotFoundError:
        return Piece(b"", 0, "", False)
    whole = read[: read.rfind(b"\n") + 1]
    if not whole and len(read) == MOST:
        whole = read  # one endless line: pass it by
    end = start + len(whole)
    return Piece(whole, end, now, len(read) == MOST and end < status.st_size)


def last(log: Path) -> dict[str, Any]:
    """The last whole event with a step; empty where there is none."""
    with contextlib.suppress(OSError), open(log, "rb") as opened:
        opened.seek(max(0, os.fstat(opened.fileno()).st_size - _END))
        for line in reversed(opened.read().splitlines()):
            with contextlib.suppress(ValueError, RecursionError):
                value = json.loads(line)
                if isinstance(value, dict) and isinstance(value.get("step"), int):
                    return value
    return {}
