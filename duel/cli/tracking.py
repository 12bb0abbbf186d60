"""Show a run in other programs."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from duel.cli.app import Debug, app

_WAIT = 2  # seconds between two looks at a log that grows


@app.command()
def track(
    run: Annotated[Path, typer.Argument(help="A run folder.")],
    to: Annotated[
        str, typer.Option(metavar="NAME", help="tensorboard, csv, or module:Class.")
    ] = "tensorboard",
    out: Annotated[Path | None, typer.Option(help="A folder; RUN/NAME by default.")] = None,
    follow: Annotated[
        bool, typer.Option("--follow", help="Go on for as long as the run is trained.")
    ] = False,
    debug: Debug = False,
) -> None:
    """Write a run's losses, metrics, samples and findings for TensorBoard or another program."""
    from duel import track as tracks
    from duel.display import many
    from duel.run import Run, held

    it, make = Run(run), tracks.load(to)
    place = run / to.partition(":")[0] if out is None else out

    def goes_on() -> bool:
        if not held(run):
            return False
        time.sleep(_WAIT)
        return True

    count = tracks.mirror(it, make, place, goes_on if follow else tracks.once)
    print(f"{place}: {many(count, 'record')} of {run}")
    if to == "tensorboard":
        print(f"  tensorboard --logdir {place}")
