"""Run folders as rows of the tidy table: grouped by recipe, with numbers that were measured alike."""

from __future__ import annotations

import shlex
import tomllib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from duel import catalog, table
from duel import recipe as recipes
from duel.errors import InputError, one_of
from duel.recipe import Recipe
from duel.run import Run
from duel.table import OF_RUNS, Row

# What does not change what a run learns.
_IDLE = (
    "seed", "threads", "device", "log", "signals", "sample", "checkpoint", "data",
)  # fmt: skip
_SHOWN = 3  # differing fields that a label has room for


@dataclass(frozen=True)
class Measured:
    """What a comparison is made of.

    rows        of the tidy table
    metric, checkpoint   which of its numbers are compared
    baseline    the label that a study names; None: its first configuration
    planned     which cost the study's budget makes equal: "seconds", "flops" or neither
    notes       sentences about the rows
    """

    rows: list[Row]
    metric: str
    checkpoint: str
    baseline: str | None
    planned: str | None
    notes: tuple[str, ...]


def measured(
    paths: Sequence[Path],
    metric: str | None = None,
    checkpoint: str = "last",
    allow_code: bool | Collection[str] = False,
) -> Measured:
    """The rows of one study, or of run folders. InputError for other paths, or where numbers are lacking.

    metric  by default a study's first, or the first one that all runs were evaluated with
    """
    studies = [path for path in paths if table.is_study(path)]
    if not paths or (studies and len(paths) > 1):
        raise InputError("give run folders, or one study: nothing else can be compared")
    if studies:
        return _of_study(studies[0], metric, checkpoint)
    return _of_runs([Run(path, allow_code) for path in _once(paths)], metric, checkpoint)


def _no_metric(what: str, name: str, known: Sequence[str], of_runs: Sequence[str]) -> InputError:
    """There is no such metric, but those that are known, and those of whole runs after them."""
    whole = f" (those from {of_runs[0]} on are of whole runs)" if of_runs else ""
    return InputError(f"there is no metric {what}: {one_of([*known, *of_runs], name)}{whole}")


def _once(paths: Iterable[Path]) -> list[Path]:
    """Each folder once, however it was written."""
    return list({path.resolve(): path for path in paths}.values())


# ---------------------------------------------------------------- a study


def _of_study(folder: Path, metric: str | None, checkpoint: str) -> Measured:
    rows, said = table.read(folder), _study_file(folder)
    if not rows:
        raise InputError(f"{folder} has no rows yet: none of its runs has ended")
    # Metrics of whole runs ("fluctuation") have no checkpoint, whichever was asked for.
    of_runs, others = (_metrics(rows, place) for place in ("run", checkpoint))
    if metric is not None and metric not in [*of_runs, *others]:
        raise _no_metric(f"{metric!r} of the {checkpoint} checkpoint", metric, others, of_runs)
    # The file may say "frechet" where the rows say in which features: "frechet-random".
    asked = next((name for name in said.get("metrics", [])[:1] if name in [*of_runs, *others]), None)
    name = metric or asked or _first_metric(rows, checkpoint)
    planned = next((key for key in ("seconds", "flops") if key in said.get("budget", {})), None)
    baseline = said.get("baseline")
    return Measured(
        rows,
        name,
        "run" if name in of_runs and name not in others else checkpoint,
        None if baseline is None else _baseline(rows, str(baseline)),
        planned,
        tuple(_unfinished(folder, rows, said.get("seeds"))),
    )


def _metrics(rows: Sequence[Row], checkpoint: str) -> list[str]:
    """The names of the metrics at a checkpoint, in the order of the rows."""
    there = (str(row["metric"]) for row in rows if row["checkpoint"] == checkpoint and row["metric"])
    return list(dict.fromkeys(there))


def _study_file(folder: Path) -> dict[str, Any]:
    """What the folder's study.toml says; nothing where there is none."""
    file = folder / "study.toml"
    try:
        return tomllib.loads(file.read_text("utf-8")) if file.is_file() else {}
    except ValueError as error:
        raise InputError(f"{file} cannot be read: {error}") from error


def _first_metric(rows: Sequence[Row], checkpoint: str) -> str:
    name = next((row["metric"] for row in rows if row["checkpoint"] == checkpoint and row["metric"]), None)
    if name is None:
        raise InputError(f"no run has a number of the {checkpoint} checkpoint: there is nothing to compare")
    return str(name)


def _baseline(rows: Sequence[Row], label: str) -> str:
    """The study's baseline as it is called once the data are no part of the labels."""
    renamed = zip(rows, table.without_data(rows), strict=True)
    return next((str(new["configuration"]) for old, new in renamed if old["configuration"] == label), label)


def _unfinished(folder: Path, rows: Sequence[Row], seeds: Any) -> list[str]:
    """A sentence where the plan has runs that have no rows yet."""
    planned = len(table.planned_labels(folder)) * (len(seeds) if isinstance(seeds, list) else 0)
    ended = sum(len(of_label) for of_label in table.runs(rows).values())
    return [f"the study is not finished: {ended} of {planned} runs have ended"] if ended < planned else []


# ---------------------------------------------------------------- run folders


_Way = tuple[str, int, int]


@dataclass(frozen=True)
class _Number:
    """One line of a run's metrics.jsonl: a test evaluation of the checkpoint that is compared.

    way  feature space, number of samples, seed: what must be equal for all runs on the same data
    """

    way: _Way
    metrics: Mapping[str, Mapping[str, Any]]
    weights: str | None


def _of_runs(given: Sequence[Run], metric: str | None, checkpoint: str) -> Measured:
    labels, data = labelled({run.path: run.recipe for run in given}), data_names(given)
    runs = _with_partners(given, labels, data)
    shared = {run.path: _shared(run, labels[run.path], data[run.path]) for run in runs}
    alive = [run for run in runs if run.state["state"] not in ("nonfinite", "failed")]
    notes = [*_left_out_note(given, runs, data), *_state_notes(alive), *_difference_notes(runs, labels)]
    if metric in OF_RUNS:
        rows = _of_whole_runs(runs, shared, metric)
        return Measured(table.complete(rows), metric, "run", None, None, tuple(notes))
    if not alive:
        raise InputError("none of the runs came to its end: there is nothing to compare")
    numbers = {run.path: _numbers(run, checkpoint) for run in alive}
    name = _known(metric, numbers) or _common_metric(alive, numbers, data, checkpoint)
    chosen = _alike(alive, numbers, data, name, checkpoint)
    rows = [_row(shared[run.path], run, name, checkpoint, chosen.get(run.path)) for run in runs]
    notes = [*_weights_note(chosen.values()), *_features_note(chosen, data, name), *notes]
    return Measured(table.complete(rows), name, checkpoint, None, None, tuple(notes))


def _with_partners(runs: Sequence[Run], labels: Mapping[Path, str], data: Mapping[Path, str]) -> list[Run]:
    """The runs on data that several configurations were trained on; all where there is one data set."""
    on: dict[str, dict[str, None]] = {}
    for run in runs:
        on.setdefault(data[run.path], {})[labels[run.path]] = None
    if len(on) < 2:
        return list(runs)
    if all(len(of_data) < 2 for of_data in on.values()):
        there = "; ".join(f"on {name}: {next(iter(of_data))}" for name, of_data in on.items())
        raise InputError(
            "pairs need two configurations that were trained on the same data, and here are none "
            f"({there}): train another one on the same data; `duel evaluate` measures each against its own"
        )
    return [run for run in runs if len(on[data[run.path]]) > 1]


def _of_whole_runs(runs: Sequence[Run], shared: Mapping[Path, Row], metric: str) -> list[Row]:
    """A row for each run with what its log says of the whole of it, as a study's table has it."""
    from duel.study.trial import of_the_run  # slow to import, and seldom asked for

    rows = []
    for run in runs:
        said = of_the_run(run) if run.state["state"] != "failed" else []
        own = next((row for row in said if row["metric"] == metric), {"metric": metric, "value": None})
        rows.append({**shared[run.path], "checkpoint": "run", "split": "validation", **own})
    if all(row["value"] is None for row in rows):
        raise InputError(f"no run has a number for {metric}: docs/studies.md says what it is made from")
    return rows


def _known(name: str | None, numbers: Mapping[Path, list[_Number]]) -> str | None:
    """The metric that was asked for. InputError where there is none of that name."""
    there = dict.fromkeys(each for of in numbers.values() for number in of for each in number.metrics)
    # Of a Fréchet distance the name says in which features.
    known = dict.fromkeys([*there, *(each for each in catalog.names("metrics") if each != "frechet")])
    if name is not None and name not in known and not name.startswith("frechet-") and ":" not in name:
        raise _no_metric(repr(name), name, list(known), OF_RUNS)
    return name


def _alike(
    runs: Sequence[Run],
    numbers: Mapping[Path, list[_Number]],
    data: Mapping[Path, str],
    name: str,
    checkpoint: str,
) -> dict[Path, _Number]:
    """Each run's newest number of a metric, measured as that of all others on the same data.

    InputError with the commands where there is none.
    """
    having = {path: [n for n in of if name in n.metrics] for path, of in numbers.items()}
    every = [number for of in having.values() for number in of]
    chosen: dict[Path, _Number] = {}
    problems = []
    for of_data in _by_data(runs, data).values():
        try:
            way = _common_way(of_data, having, name, checkpoint, every)
        except InputError as error:
            problems.append(str(error))
            continue
        chosen |= {run.path: [n for n in having[run.path] if n.way == way][-1] for run in of_data}
    if problems:
        raise InputError("\n".join(problems))
    return chosen


def _numbers(run: Run, checkpoint: str) -> list[_Number]:
    """The run's evaluations of this checkpoint on the test split of its own data, oldest first."""
    step, fingerprint = _step(run, checkpoint), run.provenance["data"]["fingerprint"]
    found = []
    for line in run.metrics():
        said = line.get("provenance", {})
        own = said.get("data", {}).get("fingerprint") == fingerprint
        if line.get("step") == step and said.get("splits", {}).get("real") == "test" and own:
            way = (said["features"]["name"], said["n_fake"], said["seed"])
            found.append(_Number(way, line["metrics"], said.get("weights")))
    return found


def _step(run: Run, checkpoint: str) -> int:
    step = run.state.get(checkpoint)
    if step is None:
        why = "was trained without evaluate.every" if checkpoint == "best" else "has not saved one yet"
        raise InputError(f"{run.path} has no {checkpoint} checkpoint: it {why}")
    return int(step)


def _common_metric(
    runs: Sequence[Run], numbers: Mapping[Path, list[_Number]], data: Mapping[Path, str], checkpoint: str
) -> str:
    """The first metric of the first run's evaluations, newest first, that all runs were measured with."""
    every = [number for of in numbers.values() for number in of]
    problems = []
    for of_data in _by_data(runs, data).values():
        own = [number for run in of_data for number in numbers[run.path]]
        if lacking := [run for run in of_data if not numbers[run.path]]:
            problems.append(_asking(lacking, None, checkpoint, own or every))
    if problems:
        raise InputError("\n".join(problems))
    names = [{name for number in of for name in number.metrics} for of in numbers.values()]
    common = set.intersection(*names)
    of_first = (name for number in reversed(numbers[runs[0].path]) for name in number.metrics)
    first = next((name for name in of_first if name in common), None)
    if first is None:
        features = "random" if any(map(_has_no_labels, runs)) else every[-1].way[0]
        raise InputError(
            f"the runs have no metric in common: give each `duel evaluate RUN --features {features} "
            f"--samples {every[-1].way[1]}`"
        )
    return first


def _by_data(runs: Sequence[Run], data: Mapping[Path, str]) -> dict[str, list[Run]]:
    return {
        name: [run for run in runs if data[run.path] == name]
        for name in dict.fromkeys(data[run.path] for run in runs)
    }


def _common_way(
    runs: Sequence[Run],
    having: Mapping[Path, list[_Number]],
    name: str,
    checkpoint: str,
    every: Sequence[_Number],
) -> _Way:
    """The newest way in which all these runs, on the same data, were measured.

    every: the numbers of all runs, also of those on other data. InputError with the commands where there is
    none.
    """
    known = [number.way for run in runs for number in having[run.path]]
    common = [way for way in known if all(any(n.way == way for n in having[run.path]) for run in runs)]
    if common:
        first = [number.way for number in having[runs[0].path] if number.way in common]
        return first[-1]
    lacking = [run for run in runs if not having[run.path]]
    measured = [number for run in runs for number in having[run.path]]
    if lacking or not measured:
        raise InputError(_asking(lacking or runs, name, checkpoint, measured or every))
    target = measured[-1]
    others = [run for run in runs if all(number.way != target.way for number in having[run.path])]
    raise InputError(
        f"{name} was not measured in one way for all runs\n" + _asking(others, name, checkpoint, [target])
    )


def _asking(runs: Sequence[Run], name: str | None, checkpoint: str, like: Sequence[_Number]) -> str:
    """Which runs lack a number, and the command that measures it as the newest of `like`; one line for each.

    InputError where a metric was asked for by name that the data of one cannot have.
    """
    what = f"no {name}" if name else "no evaluation"
    unlabelled = [run for run in runs if _has_no_labels(run)]
    features = like[-1].way[0] if like else None
    if features == "classifier" and unlabelled:
        if name:
            raise InputError(
                f"{name} needs labels, which the data of {unlabelled[0].path} have not: give --metric "
                "frechet-random, or leave out the runs on these data"
            )
        features = "random"
    options = f" --metrics {name}" if name else ""
    if like:
        _, samples, seed = like[-1].way
        options += f" --features {features} --samples {samples}" + (f" --seed {seed}" if seed else "")
    if checkpoint != "last":
        options += f" --checkpoint {checkpoint}"
    alike = " (measured as the others)" if like else ""
    return "\n".join(
        f"{run.path} has {what} of its {checkpoint} checkpoint on the test split{alike}: "
        f"duel evaluate {shlex.quote(str(run.path))}{options}"
        for run in runs
    )


def _has_no_labels(run: Run) -> bool:
    """Whether a run's data are known to have no classes."""
    return bool(run.provenance["data"].get("spec", {}).get("classes") == [])


def _shared(run: Run, label: str, data: str) -> Row:
    """The columns that all rows of a run have in common."""
    recipe, last = run.recipe, int(run.state["last"] or 0)
    return {
        "configuration": label,
        "recipe": recipe.name,
        "data": data,
        "seed": recipe.seed,
        "state": {"nonfinite": "nonfinite", "failed": "failed"}.get(str(run.state["state"]), "done"),
        "steps": last,
        "images": recipe.drawn(last),
        "seconds": _seconds(run),
        "run": str(run.path),
    }


def _row(shared: Row, run: Run, metric: str, checkpoint: str, number: _Number | None) -> Row:
    value = {} if number is None else number.metrics[metric]
    row: Row = {**shared, "checkpoint": checkpoint, "metric": metric if number else ""}
    row |= {key: value.get(key) for key in ("value", "low", "high", "better")}
    if number is not None:
        row |= {"step": _step(run, checkpoint), "split": "test"}
        row |= {"samples": number.way[1], "features": number.way[0]}
    return row


def _seconds(run: Run) -> float:
    """How long the run took: each time it was taken up, its events' clock began at 0 again."""
    total = before = 0.0
    for event in run.events():
        now = float(event.get("time", before))
        total, before = total + (before if now < before else 0.0), now
    return round(total + before, 3)


def data_names(runs: Sequence[Run]) -> dict[Path, str]:
    """The name of each run's data; with part of the fingerprint where one name stands for several."""
    data = {run.path: run.provenance["data"] for run in runs}
    known: dict[str, set[str]] = {}
    for each in data.values():
        known.setdefault(each["name"], set()).add(each["fingerprint"])
    return {
        path: each["name"] if len(known[each["name"]]) == 1 else f"{each['name']} ({each['fingerprint'][:8]})"
        for path, each in data.items()
    }


# ---------------------------------------------------------------- labels


def labelled(given: Mapping[Path, Recipe]) -> dict[Path, str]:
    """A label for each run: equal for recipes that are equal but for their seed and data.

    It is the recipe's name where that tells all apart, else what differs: "dcgan, width=16". Where more
    fields differ than there is room for, it has those that suffice, and how many more there are ("+4").
    """
    kinds: list[Recipe] = []
    kind_of: dict[Path, int] = {}
    for path, recipe in given.items():
        same = next((k for k, other in enumerate(kinds) if not apart(other, recipe)), len(kinds))
        kinds[same:] = kinds[same:] or [recipe]
        kind_of[path] = same
    named = len({recipe.name for recipe in kinds}) > 1
    labels = [""] * len(kinds)
    for name in dict.fromkeys(recipe.name for recipe in kinds):
        of_name = [number for number, recipe in enumerate(kinds) if recipe.name == name]
        parts = _told_apart([kinds[number] for number in of_name])
        for number, part in zip(of_name, parts, strict=True):
            labels[number] = ", ".join(filter(None, [name if named or not part else "", part]))
    return {path: labels[number] for path, number in kind_of.items()}


def apart(old: Recipe, new: Recipe) -> dict[str, tuple[Any, Any]]:
    """`recipe.differences` of what a run learns by: without seed, data, device and what is only written."""
    found = recipes.differences(old, new)
    return {key: pair for key, pair in found.items() if key.partition(".")[0] not in _IDLE and key != "name"}


def _told_apart(kinds: Sequence[Recipe]) -> list[str]:
    """What each of some recipes of one name has of its own; nothing where there is one."""
    if len(kinds) == 1:
        return [""]
    keys = list(dict.fromkeys(key for other in kinds[1:] for key in apart(kinds[0], other)))
    flat = [recipes.flatten(recipe.to_tree()) for recipe in kinds]
    # With another objective its options are others, too: that needs no words if the names suffice.
    spoken = [key for key in keys if key.endswith(".name") or f"{key.rpartition('.')[0]}.name" not in keys]
    keys = spoken if _kinds(spoken, flat) == len(kinds) else keys
    shown = keys if len(keys) <= _SHOWN else _enough(keys, flat)
    rest = f" +{len(keys) - len(shown)}" if len(keys) > len(shown) else ""
    short = _short(shown)
    return [", ".join(f"{short[key]}={_said(each.get(key))}" for key in shown) + rest for each in flat]


def _kinds(keys: Sequence[str], flat: Sequence[Mapping[str, Any]]) -> int:
    """How many recipes can be told apart by these keys."""
    return len({str([each.get(key) for key in keys]) for each in flat})


def _enough(keys: Sequence[str], flat: Sequence[Mapping[str, Any]]) -> list[str]:
    """The first keys that tell all apart, a variant's name before its options."""
    shown: list[str] = []
    for key in sorted(keys, key=lambda key: not key.endswith(".name")):
        if _kinds([*shown, key], flat) > _kinds(shown, flat):
            shown.append(key)
    return shown


def _short(keys: Sequence[str]) -> dict[str, str]:
    """The shortest ends of dotted keys that are all different; a variant's name goes by its place."""
    spoken = {key: key.removesuffix(".name") for key in keys}
    for length in range(1, 1 + max(key.count(".") + 1 for key in keys)):
        ends = {key: ".".join(text.split(".")[-length:]) for key, text in spoken.items()}
        if len(set(ends.values())) == len(keys):
            return ends
    return {key: key for key in keys}


def _said(value: Any) -> str:
    return "none" if value is None else str(value).replace("'", "")


# ---------------------------------------------------------------- notes


def _weights_note(numbers: Iterable[_Number]) -> list[str]:
    used = {number.weights for number in numbers}
    return ["some runs were measured with averaged weights, others without"] if len(used) > 1 else []


def _features_note(chosen: Mapping[Path, _Number], data: Mapping[Path, str], name: str) -> list[str]:
    """On which data the numbers are of other features: ratios can be pooled, the numbers cannot."""
    spaces = {data[path]: number.way[0] for path, number in chosen.items()}
    if len(set(spaces.values())) < 2:
        return []
    said = ", ".join(f"{space} on {each}" for each, space in spaces.items())
    return [f"{name} was measured in the features {said}"]


def _left_out_note(given: Sequence[Run], runs: Sequence[Run], data: Mapping[Path, str]) -> list[str]:
    lacking = [run for run in given if run not in runs]
    said = ", ".join(f"{run.path} ({data[run.path]})" for run in lacking)
    return [f"left out, since no other configuration has their data: {said}"] if lacking else []


def _state_notes(runs: Sequence[Run]) -> list[str]:
    """Runs that ended before their time, or have not ended."""
    notes = []
    for run in runs:
        state = run.state
        if state["state"] in ("running", "interrupted"):
            notes.append(
                f"{run.path} is {state['state']} at step {state['last']} of {state['steps']}: take it up "
                "for a fair comparison"
            )
    return notes


def _difference_notes(runs: Sequence[Run], labels: Mapping[Path, str]) -> list[str]:
    """How much more differs between two configurations than their labels say."""
    first = runs[0]
    seen = {labels[first.path]}
    notes = []
    for run in runs[1:]:
        label = labels[run.path]
        count = len(apart(first.recipe, run.recipe))
        if label not in seen and count > _SHOWN:
            notes.append(f"{labels[first.path]} and {label} differ in {count} fields of their recipes")
        seen.add(label)
    return notes
