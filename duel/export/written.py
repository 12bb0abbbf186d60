"""What an export left where."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Written:
    """One file or folder.

    what        its content in words: "generator", "64 images"
    difference  by how much the file's outputs are from the checkpoint's at most, in units of the largest
                output where that is above 1; None where the file holds numbers and computes nothing
    """

    file: Path
    what: str
    difference: float | None = None

    def __str__(self) -> str:
        checked = "" if self.difference is None else f", at most {self.difference:.1e} from the checkpoint"
        return f"{self.file}: {self.what}{checked}"
