"""Measure, diagnose, compare, report."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from duel.cli.app import (
    AllowCode,
    Checkpoint,
    DataChanges,
    Debug,
    WeightsOption,
    app,
    tell_of_long_work,
    which,
)
from duel.errors import InputError


@app.command()
def evaluate(
    target: Annotated[
        Path, typer.Argument(help="A run folder, a folder of images, or hub:OWNER/NAME[@REVISION].")
    ],
    against: Annotated[
        str | None, typer.Option(help="A listed data set or a folder; a run's own data by default.")
    ] = None,
    metrics: Annotated[str | None, typer.Option(help="Names, with commas: `duel list metrics`.")] = None,
    features: Annotated[str | None, typer.Option(help="The feature space: `duel list features`.")] = None,
    samples: Annotated[
        int | None, typer.Option(help="Generated samples; min(10,000, the reference's size) by default.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of everything random here.")] = 0,
    split: Annotated[
        Literal["train", "validation", "test"],
        typer.Option(help="Of the real data: train, validation or test."),
    ] = "test",
    floor: Annotated[bool, typer.Option("--floor", help="Also real samples against real ones.")] = False,
    checkpoint: Checkpoint = "last",
    weights: WeightsOption = "ema",
    changes: DataChanges = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    allow_code: AllowCode = False,
    debug: Debug = False,
) -> None:
    """Measure a run, or any folder of images, against real data."""
    from duel import display, hub
    from duel import evaluate as compute
    from duel import recipe as recipes

    tell_of_long_work()
    names = None if metrics is None else [name.strip() for name in metrics.split(",") if name.strip()]
    parsed = dict(recipes.parse_change(text) for text in changes or [])
    result = compute(
        hub.local(target, allow_code),
        against,
        metrics=names,
        features=features,
        samples=samples,
        seed=seed,
        split=split,
        floor=floor,
        checkpoint=which(checkpoint),
        weights=weights,
        changes=parsed,
        allow_code=allow_code
        or [name for name in (*(names or ()), features or "", against or "") if ":" in name],
    )
    print(json.dumps(result, indent=2) if as_json else display.evaluation_text(result))
    for warning in result.get("warnings", []):
        print(f"duel: {display.printable(warning)}", file=sys.stderr)


@app.command()
def diagnose(
    target: Annotated[
        Path | None, typer.Argument(help="A run folder, or a folder of somebody else's samples.")
    ] = None,
    log: Annotated[
        Path | None, typer.Option(help="Of another program: CSV, JSON lines or TensorBoard, file or folder.")
    ] = None,
    against: Annotated[
        str | None, typer.Option(help="Of a folder of samples: a listed data set or a folder of real images.")
    ] = None,
    columns: Annotated[
        list[str] | None,
        typer.Option("--column", metavar="NAME=COLUMN", help="Where the log has loss_d, loss_g, step, …"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
    allow_code: AllowCode = False,
    debug: Debug = False,
) -> None:
    """Say what is wrong with a training, on what evidence, and what to change."""
    from duel import diagnose as judge
    from duel import display
    from duel.run import is_run

    named = dict(_column(text) for text in columns or [])
    found = judge(target, log=log, against=against, columns=named, allow_code=allow_code)
    if as_json:
        print(json.dumps(found, indent=2))
        return
    own = str(target) if target is not None and is_run(target) else None
    print(display.findings_text(found["findings"], own))
    for note in found.get("notes", []):
        print(f"note: {note}")


def _column(text: str) -> tuple[str, str]:
    name, equals, column = text.partition("=")
    if not equals:
        raise InputError(f"--column is {text!r}, allowed: NAME=COLUMN, such as loss_d=train/errD")
    return name, column


@app.command()
def compare(
    paths: Annotated[list[Path], typer.Argument(metavar="RUN|STUDY…", help="Run folders, or one study.")],
    metric: Annotated[
        str | None, typer.Option(help="By default a study's first, or the first that all runs have.")
    ] = None,
    checkpoint: Annotated[
        Literal["last", "best"], typer.Option(help="last, or best: chosen on validation, measured on test.")
    ] = "last",
    baseline: Annotated[
        str | None, typer.Option(metavar="LABEL", help="What all are compared with; by default the first.")
    ] = None,
    every_pair: Annotated[bool, typer.Option("--all-pairs", help="Each with each other.")] = False,
    confidence: Annotated[float, typer.Option(help="Of the intervals.")] = 0.95,
    as_json: Annotated[bool, typer.Option("--json", help="Print the comparison as JSON.")] = False,
    allow_code: AllowCode = False,
    debug: Debug = False,
) -> None:
    """Say which configuration is better, and how sure that is: paired over seeds, corrected for many."""
    from duel import comparison, display

    found = comparison.compare(paths, metric, checkpoint, baseline, every_pair, confidence, allow_code)
    print(json.dumps(found.to_dict(), indent=2) if as_json else display.printable(comparison.text(found)))


@app.command()
def report(
    target: Annotated[Path, typer.Argument(metavar="RUN|STUDY", help="The folder of a run or of a study.")],
    out: Annotated[
        Path | None, typer.Option(help="FILE.html; report.html in that folder by default.")
    ] = None,
    debug: Debug = False,
) -> None:
    """Write all that a run or a study has to say into one HTML page that needs no network."""
    from duel import report as reports

    print(reports.write(target, out))
