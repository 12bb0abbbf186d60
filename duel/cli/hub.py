"""Publish a run's model on the Hugging Face Hub, and fetch one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from duel.cli.app import AllowCode, Checkpoint, Debug, RunFolder, WeightsOption, app, which


@app.command()
def push(
    run: RunFolder,
    repo: Annotated[
        str, typer.Argument(metavar="OWNER/NAME", help="Where on the Hub; made where it is not there.")
    ],
    private: Annotated[bool, typer.Option("--private", help="Only you may see it.")] = False,
    licence: Annotated[
        str | None, typer.Option("--license", metavar="ID", help="As the Hub names it: mit, cc-by-4.0, …")
    ] = None,
    graph: Annotated[bool, typer.Option("--onnx", help="Also the generator as ONNX.")] = False,
    folder: Annotated[
        Path | None, typer.Option(help="Write what would be published into this folder; publish nothing.")
    ] = None,
    checkpoint: Checkpoint = "last",
    weights: WeightsOption = "ema",
    allow_code: AllowCode = False,
    debug: Debug = False,
) -> None:
    """Publish a run's networks on the Hugging Face Hub, with a model card from the run's own records."""
    from duel import hub
    from duel.display import many, size

    it = hub.load(run, allow_code)
    if folder is not None:
        for file in hub.write(it, folder, repo, which(checkpoint), weights, licence, graph):
            print(file)
        return
    pushed = hub.push(
        it, repo, private=private, checkpoint=which(checkpoint), weights=weights, licence=licence, graph=graph
    )
    total, seen = size(sum(pushed.files.values())), "private" if pushed.private else "public"
    print(f"{pushed.url}: {many(len(pushed.files), 'file')}, {total}, {seen}")


@app.command()
def pull(
    source: Annotated[str, typer.Argument(metavar="OWNER/NAME[@REVISION]", help="A model on the Hub.")],
    out: Annotated[Path | None, typer.Option(help="The run folder; runs/OWNER--NAME by default.")] = None,
    allow_code: AllowCode = False,
    debug: Debug = False,
) -> None:
    """Fetch a model from the Hugging Face Hub as a run folder."""
    from duel import hub

    place = out or Path("runs") / hub.parsed(source).repo.replace("/", "--")
    print(hub.pull(source, place, allow_code))
