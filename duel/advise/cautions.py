"""What is odd about data that are to be trained on, or about the evidence: one sentence each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from duel.advise import evidence as evidences
from duel.advise.evidence import Evidence
from duel.advise.look import Look
from duel.advise.rule import Choice

FEW = 500  # training images: DiffAugment's paper helps from 100 images to a fifth of CIFAR-10
_UNEVEN = 5  # times as many images in the largest class as in the smallest
_COPIES = 0.01  # share of what was looked at
_SMALL = 16  # pixels of a side: below, little can be seen


@dataclass(frozen=True)
class Size:
    """The side to train at.

    side, wanted       what the networks can make, and what it is nearest to
    smallest, largest  sides that they can make
    option             what brings the data there; empty where they are at that side by themselves
    """

    side: int
    wanted: int
    smallest: int
    largest: int
    option: Mapping[str, Any]


def cautions(it: Look, evidence: Evidence, choice: Choice, size: Size | None) -> Iterator[tuple[str, str]]:
    """(name, sentence) of all that is odd about the data or the evidence."""
    for note in it.notes:
        yield "data", note
    if it.unusable:
        yield (
            "unusable-files",
            f"{it.unusable:,} of the files looked at cannot be used: `duel data check` says why",
        )
    if not it.whole and it.files is not None:
        yield (
            "sample",
            f"{it.looked_at:,} of {it.files:,} files were looked at (drawn with seed 0): what is said of the "
            "whole is an estimate, and rare copies are missed",
        )
    if size is not None:
        yield from _about_images(it, size)
    if choice.label is not None and (old := evidences.outdated(evidence)):
        yield (
            "stale-evidence",
            f"the evidence was gathered with other versions of {', '.join(old)}: make it again with "
            "`python bench/advise.py TABLE…`",
        )


def _about_images(it: Look, size: Size) -> Iterator[tuple[str, str]]:
    if it.count < FEW:
        yield (
            "few-images",
            f"{it.count:,} training images are few: a discriminator soon knows them by heart, so the recipe "
            "has DiffAugment (Zhao et al. 2020, arXiv:2006.10738); more images help more",
        )
    counts = it.classes
    if counts and max(counts.values()) > _UNEVEN * min(counts.values()):
        most, least = (end(counts, key=lambda name: counts[name]) for end in (max, min))
        yield (
            "imbalance",
            f"the classes are uneven: {most} has {counts[most]:,} images, {least} {counts[least]:,}; samples "
            "will be as uneven, and rare classes poor",
        )
    repeated = it.copies + it.near_copies
    if repeated >= (max(1.0, _COPIES * it.looked_at) if it.whole else 1):
        yield (
            "copies",
            f"{repeated:,} of {it.looked_at:,} images looked at repeat another one ({it.copies:,} to the "
            f"pixel, {it.near_copies:,} nearly): near copies may stand in several splits and flatter every "
            "metric; remove them",
        )
    stored = it.sides[1] if it.sides else size.side
    if stored < _SMALL:
        yield (
            "small-images",
            f"the images have {stored} pixels a side: the networks make sides from {size.smallest}, but "
            "little can be judged of so few pixels",
        )
    if stored > size.largest:
        yield (
            "large-images",
            f"the images have {stored:,} pixels a side, and the networks make at most {size.largest}: they "
            f"are cut to their centre square and shrunk to {size.side}",
        )
    if size.side != size.wanted:
        yield (
            "resolution",
            f"the networks cannot make images of {size.wanted}×{size.wanted} pixels: "
            f"data.resolution={size.side} is the nearest that they can",
        )
