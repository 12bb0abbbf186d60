"""Files of samples as pixels of the real data's size, and what was odd about them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from duel import streams
from duel.datasets._images import Decoded, decode, is_grey, pixels
from duel.datasets._scan import shown
from duel.errors import DataError
from duel.foreign.folders import Sample

_SAME_CHANNELS = "bring both to the same number of channels"


@dataclass
class Seen:
    """What was met while decoding. side, channels: of the real data; the rest counts images."""

    side: int
    channels: int
    read: int = 0
    smaller: int = 0
    larger: int = 0
    bad: list[str] = field(default_factory=list)

    @property
    def enlarged(self) -> bool:
        """Whether half of the images or more are smaller than the data's, so without detail of their own."""
        return self.smaller * 2 >= self.read

    @property
    def reason(self) -> str:
        """Why the first unusable file is none, in brackets, for the end of a sentence; else nothing."""
        return f" ({self.bad[0]})" if self.bad else ""

    @property
    def unusable(self) -> str:
        """How many files cannot be used, and the first, in brackets; else nothing."""
        if len(self.bad) < 2:
            return self.reason
        return f" ({len(self.bad):,} files could not be used, {self.bad[0]})"

    def note(self, image: Decoded) -> None:
        """Take note of an image's size."""
        self.read += 1
        self.smaller += min(image.size) < self.side
        self.larger += min(image.size) > 4 * self.side

    def remarks(self, samples: Path, name: str) -> list[str]:
        """Notes on images that could not be used or are not what one expects. name: of the real data."""
        found = []
        if self.bad:
            found.append(f"{len(self.bad):,} files of {samples} could not be used{self.reason}")
        if self.enlarged:
            found.append(
                f"the samples are smaller than {name}'s {self.side} pixels: nothing is said of their "
                "sharpness"
            )
        if self.larger * 2 >= self.read:
            found.append(
                f"the samples are over four times as large as {name}'s {self.side} pixels: if they are "
                "sheets of many samples, cut them into single ones first"
            )
        return found


def decoded(files: Sequence[Sample], most: int, seen: Seen) -> tuple[np.ndarray, np.ndarray | None]:
    """At most so many images in random order, uint8 N×C×R×R, and their labels, if they have any.

    DataError where the reference has colours and the samples have none, or the other way.
    """
    images: list[np.ndarray] = []
    labels: list[int | None] = []
    coloured = False
    for row in streams.stream(0, "eval", 2).permutation(len(files)):
        if len(images) == most:
            break
        try:
            image = decode(files[row].path)
        except DataError as error:
            seen.bad.append(f"{shown(files[row].path.name)}: {error}")
            continue
        seen.note(image)
        coloured = coloured or not is_grey(image.mode)
        images.append(pixels(image.square, seen.side))
        labels.append(files[row].label)
    if not images:
        return np.empty((0, seen.channels, seen.side, seen.side), np.uint8), None
    found = np.stack(images)
    where = f"the images of {files[0].path.parent}"
    if seen.channels == 1:
        # Others' programs save grey samples as RGB with equal channels.
        if (found[:, :1] != found).any():
            raise DataError(f"{where} are colour, the reference's grey: {_SAME_CHANNELS}")
        found = found[:, :1]
    elif not coloured:
        raise DataError(f"{where} are grey, the reference's colour: {_SAME_CHANNELS}")
    known = [label for label in labels if label is not None]
    return found, np.array(known, np.int64) if len(known) == len(labels) else None
