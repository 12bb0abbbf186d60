"""scalars.csv: one line for each number, for spreadsheets and data frames."""

from __future__ import annotations

import csv
from pathlib import Path

from duel.track.records import Record


class Csv:
    """Writes the columns step, time, name, value. Pictures and texts stay in the run folder."""

    def __init__(self, out: Path) -> None:
        """Begin anew in the folder `out`. OSError where that cannot be."""
        out.mkdir(parents=True, exist_ok=True)
        self._file = open(out / "scalars.csv", "w", newline="", encoding="utf-8")  # noqa: SIM115 closed below
        self._lines = csv.writer(self._file, lineterminator="\n")
        self._lines.writerow(("step", "time", "name", "value"))

    def add(self, record: Record) -> None:
        """A line for each number."""
        for name, value in record.scalars.items():
            self._lines.writerow((record.step, f"{record.time:.3f}", name, repr(value)))

    def flush(self) -> None:
        """Let others see what was written."""
        self._file.flush()

    def close(self) -> None:
        """No more lines come."""
        self._file.close()
