"""Advice before the first training: a recipe to start from, what to expect of it, and on what evidence."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from duel.advise.evidence import Evidence


def advise(
    data: str | Path,
    changes: Mapping[str, Any] | None = None,
    out: str | Path | None = None,
    evidence: Evidence | None = None,
) -> dict[str, Any]:
    """Look at data and at this machine, and say which recipe to start from; JSON values.

    data      a listed data set, or a folder of images
    changes   options of the data, `{"data.resolution": 32}`
    out       where the recipe is written as TOML, for `duel train`; nothing is written by default
    evidence  that which travels with the package by default

    Two steps are played on trial. DataError where there is nothing to train on, RecipeError for options
    that the data do not have, InputError where `out` cannot be written or is there already.
    """
    from duel.advise import advice

    return advice.advise(data, changes or {}, None if out is None else Path(out), evidence)
