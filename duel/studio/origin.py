"""The data that a run was trained on, and no others: a run from elsewhere may name any folder."""

from __future__ import annotations

from duel.datasets._base import Data
from duel.errors import DataError
from duel.run import Run


def own_data(run: Run) -> Data:
    """The run's data, where they are what its provenance says. DataError where they are gone, or others.

    Whoever writes a recipe can name a folder that is not theirs to read, but not the fingerprint of what is
    in it: only images that the run has seen are shown.
    """
    data = run.recipe.data.load()
    if data.fingerprint != run.provenance["data"].get("fingerprint"):
        raise DataError(f"the data of {run.path.name} are not those that it was trained on: bring them back")
    return data
