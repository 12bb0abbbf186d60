"""A look at a folder of images before it is trained on."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import Any

from duel.datasets._scan import Found, Reasons, class_of, classes_of, list_folder, scan


@dataclass(frozen=True)
class Report:
    """What a folder holds.

    usable      number of images that would be loaded
    bad         files that cannot be used, each with the reason
    ignored     what is left out on purpose (hidden files, links to folders), each with the reason
    sizes       "width×height" in pixels → images
    modes       Pillow mode ("RGB", "L", …) → images
    classes     class → images; empty for a folder without sub-folders
    duplicates  groups of files with the same content
    """

    usable: int
    bad: Reasons
    ignored: Reasons
    sizes: Counter[str]
    modes: Counter[str]
    classes: dict[str, int]
    duplicates: tuple[tuple[str, ...], ...]

    def to_dict(self) -> dict[str, Any]:
        """The report for JSON; the most frequent size and mode come first."""
        return {
            "usable": self.usable,
            "bad": [{"file": name, "reason": reason} for name, reason in self.bad],
            "ignored": [{"file": name, "reason": reason} for name, reason in self.ignored],
            "sizes": dict(self.sizes.most_common()),
            "modes": dict(self.modes.most_common()),
            "classes": self.classes,
            "duplicates": [list(group) for group in self.duplicates],
        }


def check_folder(path: str) -> Report:
    """Decode every file of a folder and say what was found; nothing is written.

    Raises DataError as loading does for a path that is no folder, an empty folder and a mixture of
    images in the folder itself and in sub-folders. A folder without one usable image is reported.
    """
    listing = list_folder(path)
    images, bad = scan(listing)
    counts = Counter(class_of(image) for image in images)
    return Report(
        usable=len(images),
        bad=tuple(sorted(listing.bad + bad)),
        ignored=listing.ignored,
        sizes=Counter(f"{width}×{height}" for width, height in (image.size for image in images)),
        modes=Counter(image.mode for image in images),
        classes={name: counts[name] for name in classes_of(listing.root, images)},
        duplicates=_duplicates(images),
    )


def _duplicates(images: tuple[Found, ...]) -> tuple[tuple[str, ...], ...]:
    groups: dict[str, list[str]] = defaultdict(list)
    for image in images:
        groups[image.file.digest].append(image.file.name)
    return tuple(tuple(names) for names in groups.values() if len(names) > 1)
