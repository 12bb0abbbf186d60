"""Others' trainings as records: their logs (CSV, JSON lines, TensorBoard) and folders of their samples.

`names` says which columns are known. All of this is hostile input: sizes are looked at before anything is
allocated, and what is damaged is a DataError.
"""

from duel.foreign.finite import non_finite
from duel.foreign.names import METRICS, STEP_FIELDS
from duel.foreign.reading import records

__all__ = ["METRICS", "STEP_FIELDS", "non_finite", "records"]
