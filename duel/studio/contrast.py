"""Several runs, or a study, side by side: curves with bands over the seeds, what differs, who is better."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from duel import comparison, measured, recipe, table
from duel.errors import DuelError, MetricError
from duel.intervals import t_interval
from duel.run import Run

MOST = 60  # runs
_POINTS = 300  # of a curve
_CURVES = ("loss_d", "loss_g", "d_real", "d_fake_before", "score_real", "score_fake_before")


def of_runs(runs: Sequence[tuple[str, Run]]) -> dict[str, Any]:
    """What a page needs to compare runs: labels, differences, curves by label, the verdict."""
    labels = _labels(runs)
    return {
        "runs": [
            {"name": name, "label": labels[name], "grids": [step for step, _ in run.grids()],
             "seed": _flat(run).get("seed")}
            for name, run in runs
        ],
        "differences": differences(runs),
        "curves": curves(runs, labels),
        "verdict": verdict([run.path for _, run in runs]),
    }  # fmt: skip


def of_study(folder: Path) -> dict[str, Any]:
    """A study's verdict, with the labels of its plan."""
    return {"labels": table.planned_labels(folder), "verdict": verdict([folder])}


def _labels(runs: Sequence[tuple[str, Run]]) -> dict[str, str]:
    """A label for each run, equal where only the seed differs; its name where a run cannot be read.

    Where the runs are of several data, these are part of it: numbers on other data are no repetition.
    """
    try:
        found = measured.labelled({run.path: run.recipe for _, run in runs})
        data = measured.data_names([run for _, run in runs])
    except (DuelError, KeyError, TypeError):
        return {name: name for name, _ in runs}
    several = len(set(data.values())) > 1
    return {
        name: f"{found[run.path]} on {data[run.path]}" if several else found[run.path] for name, run in runs
    }


def _flat(run: Run) -> dict[str, Any]:
    try:
        return recipe.flatten(recipe.read(run.path / "recipe.toml"))
    except (DuelError, KeyError, TypeError):
        return {}


def differences(runs: Sequence[tuple[str, Run]]) -> list[dict[str, Any]]:
    """Every field in which the recipes differ, with each run's value."""
    flat = [_flat(run) for _, run in runs]
    keys = list(dict.fromkeys(key for each in flat for key in each))
    return [
        {"key": key, "values": [str(each[key]) if key in each else "" for each in flat]}
        for key in keys
        if len({str(each.get(key)) for each in flat}) > 1
    ]


# ---------------------------------------------------------------- curves


def curves(runs: Sequence[tuple[str, Run]], labels: Mapping[str, str]) -> list[dict[str, Any]]:
    """A chart for each number: for each label the mean over its runs, and the band of its 95 % interval."""
    read = {name: _series(run) for name, run in runs}
    names = list(dict.fromkeys(key for each in read.values() for key in each))
    order = [name for name in names if name not in _CURVES] + [name for name in _CURVES if name in names]
    groups: dict[str, list[str]] = {}
    for name, _ in runs:
        groups.setdefault(labels[name], []).append(name)
    return [
        {"name": key, "lines": lines}
        for key in order
        if (lines := [
            {"label": label, **band([read[name][key] for name in members if key in read[name]])}
            for label, members in groups.items()
            if any(key in read[name] for name in members)
        ])
    ]  # fmt: skip


def _series(run: Run) -> dict[str, dict[int, float]]:
    """Number → step → value: metrics on validation, then losses and outputs."""
    found: dict[str, dict[int, float]] = {}
    for event in run.events():
        step = event.get("step")
        if not isinstance(step, int):
            continue
        if event.get("event") == "metric" and _is_number(event.get("value")):
            found.setdefault(str(event["name"]), {})[step] = float(event["value"])
        elif event.get("event") == "step":
            for key in _CURVES:
                if _is_number(event.get(key)):
                    found.setdefault(key, {})[step] = float(event[key])
    return {key: thinned(values) for key, values in found.items()}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def thinned(values: Mapping[int, float]) -> dict[int, float]:
    """At most 300 points: the mean of each stretch, at its last step."""
    steps = sorted(values)
    size = math.ceil(len(steps) / _POINTS)
    if size <= 1:
        return dict(values)
    parts = [steps[first : first + size] for first in range(0, len(steps), size)]
    return {part[-1]: math.fsum(values[step] for step in part) / len(part) for part in parts}


def band(series: Sequence[Mapping[int, float]]) -> dict[str, Any]:
    """Mean and 95 % interval at each step that all series have; of one series only itself."""
    common = sorted(set.intersection(*(set(each) for each in series)))
    steps = common or sorted(series[0])
    mean: list[float] = []
    low: list[float | None] = []
    high: list[float | None] = []
    for step in steps:
        values = [each[step] for each in series if step in each]
        middle = math.fsum(values) / len(values)
        ends: tuple[float | None, float | None] = (None, None)
        if len(values) > 1:
            with contextlib.suppress(MetricError):
                ends = t_interval(values)[1:]
        mean.append(middle)
        low.append(ends[0])
        high.append(ends[1])
    return {"steps": steps, "mean": mean, "low": low, "high": high, "runs": len(series)}


# ---------------------------------------------------------------- who is better


def verdict(folders: Sequence[Path]) -> dict[str, Any]:
    """What `duel compare` says; or why it says nothing."""
    try:
        found = comparison.compare(folders)
        return {"text": comparison.text(found)}
    except DuelError as error:
        return {"why_not": _without_paths(str(error), folders)}


def _without_paths(text: str, folders: Sequence[Path]) -> str:
    for folder in folders:
        text = text.replace(f"{folder.parent}/", "")
    return text
