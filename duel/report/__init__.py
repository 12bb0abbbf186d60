"""Reports: a run or a study as one HTML file that opens anywhere, without a network."""

from __future__ import annotations

from pathlib import Path


def write(target: str | Path, out: str | Path | None = None) -> Path:
    """Write the report of a run or of a study, and return its file.

    out  FILE.html; report.html in the folder of the run or study by default

    A run or study under way gives a report of what there is so far. InputError where the folder holds
    neither, or the file cannot be written.
    """
    from duel import io, table
    from duel.errors import InputError
    from duel.report import run, study
    from duel.run import Run, as_checkpoint, is_run

    folder = Path(target)
    file = folder / "report.html" if out is None else Path(out)
    if file.suffix.lower() not in (".html", ".htm"):
        raise InputError(
            f"--out was given {file}, allowed are FILE.html and FILE.htm: name one, or leave --out out"
        )
    if file.is_dir():
        raise InputError(f"--out {file} is a folder: name a file in it")
    if is_run(folder):
        text = run.page(Run(folder))
    elif table.is_study(folder):
        text = study.page(folder)
    else:
        raise InputError(
            as_checkpoint(folder)
            or f"{target} is neither a run nor a study: `duel train` makes the one, `duel study` the other"
        )
    io.write_out(file, text.encode())
    return file
