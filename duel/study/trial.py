"""One run of a study: train it, measure it, write down what came of it. Runs in a worker process."""

from __future__ import annotations

import statistics
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from duel import io
from duel import recipe as recipes
from duel.diagnose import estimate_correlation
from duel.errors import DuelError
from duel.evaluate import Evaluator, run_source
from duel.recipe import Recipe, Tree
from duel.run import Run
from duel.session import resolve, train

Row = dict[str, Any]
Measured = Mapping[str, Any]

_COLLAPSED = {"mode-collapse", "partial-collapse", "class-collapse", "divergence", "non-finite"}


@dataclass(frozen=True)
class Trial:
    """What a worker needs to know; plain values, so that it travels to another process or machine.

    shared  the columns of the table that are equal for all of its rows
    tree    the recipe with seed and budget; run: its folder; row: the file to write at the end
    stop    where a file appears, the run saves and ends
    """

    label: str
    seed: int
    shared: Row
    tree: Tree
    run: Path
    row: Path
    stop: Path
    allow_code: bool | tuple[str, ...]


def play(trial: Trial) -> str:
    """Train (or take up) one run and write its rows; "done", "nonfinite", "failed" or "interrupted".

    Whatever goes wrong in it is its own result and nobody else's.
    """
    try:
        return _play(trial)
    except (Exception, MemoryError) as error:
        said = str(error) if isinstance(error, DuelError | OSError) else f"{type(error).__name__}: {error}"
        row = {**trial.shared, "state": "failed", "checkpoint": "run", "metric": "", "value": None}
        io.write_json(trial.row, {"rows": [row], "error": said})
        return "failed"


def prepare(trial: Trial) -> str:
    """Train (or find) the feature space that the run's metrics need, before the first run asks for it."""
    recipe = resolve(trial.tree, allow_code=trial.allow_code)
    wanted = recipe.evaluate
    evaluator = Evaluator(recipe.data.load(), wanted.metrics or None, wanted.features, "validation")
    return evaluator.extractor.name


def _play(trial: Trial) -> str:
    with train(trial.tree, out=trial.run, allow_code=trial.allow_code, command="duel study") as session:
        for _ in session:
            if trial.stop.exists():
                session.stop()
    run = Run(trial.run, True)
    state = run.state["state"]
    if state == "interrupted":
        return "interrupted"
    ended = "nonfinite" if state == "nonfinite" else "done"
    shared = {**trial.shared, "state": ended, **_effort(run)}
    rows = [{**shared, **row} for row in _of_the_run(run)]
    if ended == "done":
        rows = [{**shared, **row} for row in _measured(run, trial.allow_code)] + rows
    io.write_json(trial.row, {"rows": rows})
    return ended


def _measured(run: Run, allow_code: bool | Collection[str]) -> list[Row]:
    """The metrics on the test split, at the last checkpoint and at the best one (best on validation)."""
    recipe = run.recipe
    wanted = recipe.evaluate
    evaluator = Evaluator(
        recipe.data.load(), wanted.metrics or None, wanted.features, "test", 0, allow_code, run.conditional
    )
    steps = {name: step for name in ("last", "best") if (step := run.state.get(name)) is not None}
    found: dict[int, Measured] = {}
    for step in dict.fromkeys(steps.values()):
        found[step] = evaluator.measure(run_source(run, step), wanted.samples)
        run.record_metrics({"step": step, **found[step]})
    return [
        {"checkpoint": name, "step": step, **row}
        for name, step in steps.items()
        for row in _rows(found[step])
    ]


def _rows(result: Measured) -> list[Row]:
    """An evaluation as rows of the table."""
    said = result["provenance"]
    shared = {
        "split": said["splits"]["real"],
        "samples": said["n_fake"],
        "features": said["features"]["name"],
    }
    numbers = ("value", "low", "high", "better")
    return [
        {"metric": name, **{key: entry[key] for key in numbers}, **shared}
        for name, entry in result["metrics"].items()
    ]


def _of_the_run(run: Run) -> list[Row]:
    """What is said of the whole run: does it hold, how much does it swing, what does diagnosis find?"""
    findings = [finding for finding in run.findings() if finding["severity"] == "severe"]
    collapsed = any(finding["name"] in _COLLAPSED for finding in findings)
    values: dict[str, tuple[float | None, str]] = {
        "collapsed": (float(collapsed or run.state["state"] == "nonfinite"), "lower"),
        "severe": (float(len(findings)), "lower"),
        "fluctuation": (fluctuation(_looks(run)), "lower"),
        "estimate-correlation": (estimate_correlation(run), "higher"),
        "balance": (balance(list(run.events("step"))), "lower"),
    }
    return [
        {"checkpoint": "run", "metric": name, "value": value, "better": better, "split": "validation"}
        for name, (value, better) in values.items()
        if value is not None
    ]


def _looks(run: Run) -> list[float]:
    """The deciding metric at each evaluation during training."""
    events = list(run.events("metric"))
    return [event["value"] for event in events if event["name"] == events[0]["name"]]


def fluctuation(looks: list[float]) -> float | None:
    """Median change from look to look over the second half of training, relative to the median there.

    None with fewer than 3 looks there, or where the median is 0.
    """
    late = looks[len(looks) // 2 :]
    if len(late) < 3 or statistics.median(late) == 0:
        return None
    changes = [abs(b - a) for a, b in pairwise(late)]
    return statistics.median(changes) / abs(statistics.median(late))


def balance(steps: list[Row]) -> float | None:
    """How far D(x) and D(G(z)) are from ½ on average, over the last fifth of the logged steps: 0 to ½.

    None for objectives whose logits are no probabilities.
    """
    late = steps[-max(1, len(steps) // 5) :]
    seen = [event[key] for event in late for key in ("d_real", "d_fake_before") if key in event]
    return statistics.fmean(abs(value - 0.5) for value in seen) if seen else None


def _effort(run: Run) -> Row:
    """Steps, images drawn, seconds of computing (a step's median cost × steps, without evaluations)."""
    events = list(run.events("step"))
    steps = events[-1]["step"] if events else 0
    speed = statistics.median(event["images_per_s"] for event in events) if events else 0.0
    images = events[-1]["images"] if events else 0
    return {"steps": steps, "images": images, "seconds": round(images / speed, 2) if speed else None}


def tree_of(recipe: Recipe, seed: int) -> Tree:
    """A configuration's recipe with one of the seeds."""
    return recipes.change(recipe.to_tree(), {"seed": seed})
