"""Folders of samples as the signals that diagnoses look at, beside the same of the real data."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from duel import recipe as recipes
from duel import signals, streams
from duel.datasets._base import Data, Split
from duel.errors import DataError, InputError
from duel.foreign.copies import Neighbourhood
from duel.foreign.folders import FEWEST, Sample, folders
from duel.foreign.images import Seen, decoded

Drawn = tuple[int, np.ndarray, np.ndarray | None]
"""A step, its images N×C×R×R and, where they were drawn for classes, their labels."""

_PARTS = 5  # that one folder's samples are cut into: as many looks as the most patient diagnosis wants
_TO_COUNT = 60  # images of a look, below which a class of 5 % may be missing three times by chance
_PER_LOOK = 200  # as many as duel itself looks at
_TRAIN = 2_000  # real images among which the nearest is looked for
_BYTES = 1 << 29  # of the images of five looks


def looks(
    samples: Path, against: str, now: int, notes: list[str]
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The signal events of samples, and the facts of the real data. Only what is looked at is decoded.

    now  the step of samples whose folders tell none. Raises InputError or DataError.
    """
    data = _loaded(against)
    if data.spec.kind != "image":
        raise InputError(f"{samples} holds images, and {data.name} are points: compare with images")
    by_step = folders(samples, data.spec.classes, now, notes)
    most = max(FEWEST, min(_PER_LOOK, _BYTES // _PARTS // math.prod(data.spec.shape)))
    seen = Seen(data.spec.shape[-1], data.spec.shape[0])
    drawn: Iterator[Drawn]
    if len(by_step) == 1:
        ((step, files),) = by_step.items()
        count, drawn = _cut(samples, step, files, most, seen, notes)
    else:
        count = min(most, *map(len, by_step.values()))
        drawn = ((step, *decoded(files, count, seen)) for step, files in by_step.items())
        notes.append(f"of each of {len(by_step)} steps' folders in {samples} {count} images are looked at")
    reference, facts, pixels, around = _reference(data, count)
    if count < _TO_COUNT and facts.get("held_out", {}).pop("label_accuracy", None) is not None:
        notes.append(f"looks of fewer than {_TO_COUNT} images do not tell whether a class is missing")
    found = []
    for step, images, labels in drawn:
        if len(images) < FEWEST:
            notes.append(f"step {step} has {len(images)} usable images, fewer than {FEWEST}: it is left out")
            continue
        prepared = signals.in_range(images)
        small = signals.features(prepared)
        values = reference.compare(small, labels) | around.compare(small)
        if count < _TO_COUNT:
            values.pop("class_shares", None)
        if not seen.enlarged:
            values |= signals.of_pixels(prepared, pixels)
        found.append({"event": "signal", "step": step, "values": signals.as_json(values)})
    notes += seen.remarks(samples, data.name)
    if not found:
        raise DataError(
            f"no step's folder in {samples} holds {FEWEST} usable images{seen.unusable}: draw more samples"
        )
    if len(found) < 3:
        steps = "is 1 step" if len(found) == 1 else f"are {len(found)} steps"
        notes.append(f"there {steps} with samples, and most diagnoses want 3 to 5 that agree")
    return found, facts


def _cut(
    samples: Path, step: int, files: Sequence[Sample], most: int, seen: Seen, notes: list[str]
) -> tuple[int, Iterator[Drawn]]:
    """One step's samples as disjoint looks: how many images each has, and the looks."""
    images, labels = decoded(files, _PARTS * most, seen)
    if len(images) < _PARTS * FEWEST:
        raise DataError(
            f"{samples} holds {len(images)} usable images, at least {_PARTS * FEWEST} are needed "
            f"({_PARTS} looks of {FEWEST}){seen.unusable}: draw more samples"
        )
    count = len(images) // _PARTS
    notes.append(
        f"of {len(files):,} files in {samples} {_PARTS * count:,} were looked at, as {_PARTS} looks of "
        f"{count} at step {step}"
    )
    cuts = [slice(n * count, (n + 1) * count) for n in range(_PARTS)]
    return count, ((step, images[cut], None if labels is None else labels[cut]) for cut in cuts)


def _loaded(against: str) -> Data:
    """The real data. DataError without advice on options of data sets, which only a training takes."""
    try:
        return recipes.data_set(against).load()
    except DataError as error:
        raise DataError(re.sub(r", or [^,:]*\bdata\.\w+=.*", "", str(error))) from error


def _reference(
    data: Data, count: int
) -> tuple[signals.Reference, dict[str, Any], signals.Pixels, Neighbourhood]:
    """The real side with as many samples as a look has, so that every number of it can be compared."""
    rng = streams.stream(0, "fixed", 1)
    train = _some(data.splits["train"], rng, _TRAIN)
    held = _some(
        data.splits["validation"] if len(data.splits["validation"]) else data.splits["test"], rng, count
    )
    if len(train) < FEWEST:
        raise DataError(
            f"{data.name} has {len(train)} training images, at least {FEWEST} are needed to compare with: "
            "add more, or compare with another data set"
        )
    samples = signals.in_range(train.samples)
    whole = signals.Reference.of(samples, train.labels, signals.in_range(held.samples), held.labels)
    near = whole.near[:count]
    fewer = signals.Reference.of(samples[:count], None, samples[:0], None)
    reference = replace(whole, near=near, distance=fewer.distance, radii=fewer.radii)
    facts = {**signals.facts(data), **reference.facts()}
    around = Neighbourhood.of(data.splits["train"], whole.held, rng)
    return reference, facts, signals.Pixels.of(np.asarray(samples[:_PER_LOOK])), around


def _some(split: Split, rng: np.random.Generator, most: int) -> Split:
    """At most so many samples of a split, in random order."""
    rows = rng.permutation(len(split))[:most]
    return replace(
        split, samples=split.samples[rows], labels=None if split.labels is None else split.labels[rows]
    )
