"""What another program's training has left behind, put together from its log and its samples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from duel.errors import InputError
from duel.foreign.events import logged
from duel.foreign.finite import LoggedRecords

_OF_A_LOG = (
    "of a log alone only non-finite, divergence, spike, past-its-best (with a metric) and "
    "discriminator-too-strong (with D(x) and D(G(z))) are told: for the others give samples, too"
)


def records(
    *,
    samples: Path | None,
    log: Path | None,
    against: str | None,
    columns: Mapping[str, str] | None = None,
) -> tuple[LoggedRecords, list[str]]:
    """What another program's training has left behind, and notes on what was taken for what.

    samples  a folder of images: cut into five looks at the log's last step. Where its sub-folders have a step
             in their names, each of them is a look. Where all are named as classes of the real data are, the
             images count as drawn for these classes
    log      a CSV file with a header (or separated by tabs, semicolons, blanks), a file of JSON lines, or
             a TensorBoard event file or a folder of them
    against  the real data: a listed data set, or a folder; samples are brought to its size, as for
             `duel evaluate`
    columns  {"loss_d": NAME, …}: where the log has step, loss_d, loss_g, d_real, d_fake_before, or a metric

    The recipe is not known. Raises InputError, or DataError for what cannot be read.
    """
    if samples is None and log is None:
        raise InputError("there is nothing to diagnose: give a folder of samples, a log, or both")
    if samples is not None and against is None:
        raise InputError(
            f"the samples of {samples} are compared with something: add --against DATA or FOLDER"
        )
    if samples is None and against is not None:
        raise InputError(f"there is nothing to compare with {against}: give a folder of samples, too")
    if log is None and columns:
        raise InputError("columns are named, but there is no log: add --log FILE")
    notes: list[str] = []
    found = LoggedRecords()
    if log is not None:
        steps, metrics, end = logged(log, columns or {}, notes)
        found = LoggedRecords(steps=tuple(steps), metrics=tuple(metrics), ending=end)
        if samples is None:
            notes.append(_OF_A_LOG)
    if samples is not None and against is not None:
        # A log alone needs neither NumPy nor Pillow.
        from duel.foreign.samples import looks

        seen, facts = looks(samples, against, found.now, notes)
        found = replace(found, looks=tuple(seen), facts=facts)
    return found, notes
