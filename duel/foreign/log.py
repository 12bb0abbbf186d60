"""What is read of a log, whatever its format: the names of all columns, the numbers of known ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from duel.datasets._images import check_file
from duel.datasets._scan import shown
from duel.diagnoses._base import Series
from duel.errors import DataError
from duel.foreign.names import meaning, step_rank

NAMES = 10_000  # of columns
NAME_LENGTH = 200
_CELL = 40  # characters of a cell that a message shows
_NUMBERS = 2_000_000  # that are kept of a log


@dataclass
class Log:
    """All names in order; of those that may be wanted, (row or step, value).

    columns  the names that the user has given, by meaning
    series   values may be NaN or infinite
    unread   what could not be read as a number, of the columns that may be wanted: how often, and the first
    """

    path: Path
    columns: Mapping[str, str]
    names: dict[str, None] = field(default_factory=dict)
    series: dict[str, Series] = field(default_factory=dict)
    unread: int = 0
    first_unread: str = ""
    _count: int = 0

    def see(self, name: str) -> bool:
        """Take note of a name; whether its numbers may be wanted. DataError for too many names."""
        if name not in self.names:
            if len(self.names) >= NAMES:
                raise DataError(f"{self.path} has more than {NAMES:,} columns: write a log of the losses")
            self.names[name] = None
        return name in self.columns.values() or meaning(name) is not None or step_rank(name) is not None

    def pass_over(self, name: str, place: int, cell: object) -> None:
        """Take note of what is no number."""
        self.unread += 1
        if self.unread == 1:
            self.first_unread = f"{shown(str(cell)[:_CELL])!r} in {shown(name)}, row {place}"

    def add(self, name: str, place: int, value: float) -> None:
        """Keep a number. DataError for too many."""
        if self._count >= _NUMBERS:
            raise DataError(f"{self.path} holds more than {_NUMBERS:,} numbers: log every tenth step")
        self._count += 1
        self.series.setdefault(name, []).append((place, value))


def check(path: Path) -> None:
    """DataError for what is no plain file of a bearable size."""
    try:
        check_file(path)
    except DataError as error:
        raise DataError(f"{path} cannot be read as a log: {error}") from error
