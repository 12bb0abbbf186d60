"""One run of a study: train it, measure it, write down what came of it. Runs in a worker process."""

from __future__ import annotations

import math
import statistics
import threading
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from duel import io
from duel import recipe as recipes
from duel.diagnose import estimate_correlation
from duel.diagnoses._ranks import spearman
from duel.errors import DuelError
from duel.evaluate import Evaluator, run_source
from duel.recipe import Recipe, Tree
from duel.run import Run, held
from duel.session import Session, resolve, train

Row = dict[str, Any]
Measured = Mapping[str, Any]

_LOOK = 0.2  # seconds between two looks for the file that says stop
_SEEN = ("checkerboard", "oversmooth")  # findings that are rows of the table
_COLLAPSED = {"mode-collapse", "partial-collapse", "class-collapse", "divergence", "non-finite"}


@dataclass(frozen=True)
class Trial:
    """What a worker needs to know; plain values, so that it travels to another process or machine.

    shared  the columns of the table that are equal for all of its rows
    tree    the recipe with seed and budget; cost: seconds that its steps take, as far as is known
    run     its folder; row: the file to write at the end
    stop    where a file appears, the run saves and ends
    """

    label: str
    seed: int
    shared: Row
    tree: Tree
    cost: float
    run: Path
    row: Path
    stop: Path
    allow_code: bool | tuple[str, ...]


def play(trial: Trial) -> str:
    """Train (or take up) one run and write its rows; "done", "nonfinite", "failed" or "interrupted".

    Whatever goes wrong in it is its own result and nobody else's.
    """
    try:
        # A cluster's worker may still play it for an earlier call that was killed.
        while held(trial.run) and not trial.stop.exists():
            time.sleep(_LOOK)
        return "interrupted" if trial.stop.exists() else _play(trial)
    except (Exception, MemoryError) as error:
        known = isinstance(error, DuelError | OSError)
        fail(trial, str(error) if known else f"{type(error).__name__}: {error}")
        return "failed"


def fail(trial: Trial, said: str) -> None:
    """Write down that the run failed, and why."""
    row = {**trial.shared, "state": "failed", "checkpoint": "run", "metric": "", "value": None}
    io.write_json(trial.row, {"rows": [row], "error": said})


def prepare(trial: Trial) -> str:
    """Train (or find) the feature space that the run's metrics need, before the first run asks for it."""
    recipe = resolve(trial.tree, allow_code=trial.allow_code)
    wanted = recipe.evaluate
    evaluator = Evaluator(recipe.data.load(), wanted.metrics or None, wanted.features, "validation")
    return evaluator.extractor.name


def _play(trial: Trial) -> str:
    session = train(trial.tree, out=trial.run, allow_code=trial.allow_code, command="duel study")
    with session, _stopped_by(trial.stop, session):
        for _ in session:
            pass
    run = Run(trial.run, True)
    state = run.state["state"]
    if state == "interrupted":
        return "interrupted"
    ended = "nonfinite" if state == "nonfinite" else "done"
    shared = {**trial.shared, "state": ended, **_effort(run)}
    rows = [{**shared, **row} for row in of_the_run(run)]
    if ended == "done":
        rows = [{**shared, **row} for row in _measured(run, trial.allow_code)] + rows
    io.write_json(trial.row, {"rows": rows})
    return ended


@contextmanager
def _stopped_by(file: Path, session: Session) -> Iterator[None]:
    """Stop the session soon after the file appears, however seldom it logs."""
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(_LOOK):
            if file.exists():
                session.stop()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()


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
    return [
        {
            "metric": name,
            **{key: _finite(entry[key]) for key in ("value", "low", "high")},
            "better": entry["better"],
            **shared,
        }
        for name, entry in result["metrics"].items()
    ]


def _finite(value: float | None) -> float | None:
    """JSON has no infinity; a metric that is none has no value."""
    return value if value is not None and math.isfinite(value) else None


def of_the_run(run: Run) -> list[Row]:
    """What is said of the whole run: does it hold, how much does it swing, what does diagnosis find?

    A row for each name of `table.OF_RUNS` that has a value here.
    """
    findings = run.findings()
    standing = {finding["name"] for finding in findings}
    severe = [finding["name"] for finding in findings if finding["severity"] == "severe"]
    collapsed = not _COLLAPSED.isdisjoint(severe)
    decided = deciding(run)
    looks, better = [event["value"] for event in decided], decided[0]["better"] if decided else "lower"
    values: dict[str, tuple[float | None, str]] = {
        "collapsed": (float(collapsed or run.state["state"] == "nonfinite"), "lower"),
        "severe": (float(len(severe)), "lower"),
        "fluctuation": (fluctuation(looks), "lower"),
        "estimate-correlation": (estimate_correlation(run), "higher"),
        "balance": (balance(list(run.events("step"))), "lower"),
        "jumps": (jumps(looks, better), "lower"),
        "loss-goes-with-accuracy": (_loss_with_accuracy(run), "higher"),
        **{f"found-{name}": (float(name in standing), "lower") for name in _SEEN},
    }
    return [
        {"checkpoint": "run", "metric": name, "value": value, "better": better, "split": "validation"}
        for name, (value, better) in values.items()
        if value is not None
    ]


def deciding(run: Run) -> list[Row]:
    """The events of the metric that decides, the first one: one for each evaluation on validation."""
    events = list(run.events("metric"))
    return [event for event in events if event["name"] == events[0]["name"]]


def best_look(run: Run) -> Row | None:
    """The event of the best evaluation on validation, by the deciding metric; None without a number."""
    seen = [event for event in deciding(run) if math.isfinite(event["value"])]
    if not seen:
        return None
    return (min if seen[0]["better"] == "lower" else max)(seen, key=lambda event: event["value"])


def fluctuation(looks: list[float]) -> float | None:
    """Median change from look to look over the second half of training, relative to the median there.

    None with fewer than 3 looks there, or where the median is 0.
    """
    late = looks[len(looks) // 2 :]
    if len(late) < 3 or statistics.median(late) == 0:
        return None
    changes = [abs(b - a) for a, b in pairwise(late)]
    return statistics.median(changes) / abs(statistics.median(late))


def jumps(looks: list[float], better: str) -> float | None:
    """Looks that are worse than both of their neighbours by half: a fall that recovers (Hoeckler 2021).

    None with fewer than 3 looks.
    """
    if len(looks) < 3:
        return None
    bad = looks if better == "lower" else [-look for look in looks]
    half = [0.5 * abs(look) for look in looks]
    places = range(1, len(bad) - 1)
    return float(sum(all(bad[n] > bad[m] + half[m] for m in (n - 1, n + 1)) for n in places))


def _loss_with_accuracy(run: Run) -> float | None:
    """Spearman's correlation of the second player's loss with the discriminator's certainty in the log.

    None without an encoder, or for objectives whose logits are no probabilities.
    """
    if not run.recipe.game.encodes:
        return None
    steps = [event for event in run.events("step") if "d_real" in event]
    sure = [event["d_real"] - event["d_fake_before"] for event in steps]
    return spearman([event["loss_g"] for event in steps], sure) if len(steps) > 4 else None


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
    """A configuration's recipe with one of the seeds; a folder of data by its whole path."""
    tree = recipes.change(recipe.to_tree(), {"seed": seed})
    if "path" in tree["data"]:  # a cluster's workers stand in other folders
        tree["data"]["path"] = str(Path(tree["data"]["path"]).expanduser().absolute())
    return tree
