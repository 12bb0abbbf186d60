"""What a part of the soak says while it runs: numbers, and lines that begin with PASS, FAIL or SKIP."""

from __future__ import annotations

import sys
import time


class Report:
    """Prints at once, and counts what failed."""

    def __init__(self) -> None:
        self.failed: list[str] = []
        self._began = time.monotonic()

    def say(self, text: str) -> None:
        """A line of numbers."""
        print(f"     {text}", flush=True)

    def check(self, holds: bool, what: str, otherwise: str = "") -> None:
        """PASS or FAIL, and what was seen where it failed."""
        if holds:
            print(f"PASS {what}", flush=True)
        else:
            self.failed.append(what)
            print(f"FAIL {what}{': ' if otherwise else ''}{otherwise}", flush=True)

    def skip(self, what: str, reason: str) -> None:
        """What could not be tried here."""
        print(f"SKIP {what}: {reason}", flush=True)

    def minutes(self) -> float:
        """Since the part began."""
        return (time.monotonic() - self._began) / 60


def first(texts: list[str], count: int = 5) -> str:
    """The first few, for a failure's line."""
    more = f" … and {len(texts) - count} more" if len(texts) > count else ""
    return "; ".join(texts[:count]) + more


def progress(text: str) -> None:
    """A line that says how far a long loop is, on standard error."""
    print(f"  .. {text}", file=sys.stderr, flush=True)
