"""The evidence that `duel advise` rests on, made from studies' tables, and the judgement of its advice.

Each TABLE is a study's table.csv (or its folder), with the study's runs beside it: they say which data and
settings a row is of, and what diagnosis found. Writes duel/advise/evidence.json and prints, as Markdown, what
came of the study `recipes`, how far its data sets are apart, and for each data set the regret of the advice
given from the other ones alone, beside that of always taking the default.

    python bench/advise.py /tmp/ev/out/recipes /tmp/ev/out/labels > judgement.md

With --judge the file stays as it is and only the tables are printed.
"""

import argparse
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from duel import recipe as recipes
from duel import table
from duel.advise import evidence as evidences
from duel.advise.evidence import DEFAULT, RANKING, Evidence, Study
from duel.advise.look import look
from duel.advise.rule import LIMIT, Judged, Regret, distance, judge, together
from duel.compare import number
from duel.errors import InputError
from duel.intervals import t_interval
from duel.measured import apart
from duel.recipe import Recipe
from duel.run import Run

_NOT_SET = ("evaluate", "steps", "epochs")  # budget and measuring: they are equal within a study


@dataclass(frozen=True)
class Played:
    """A run of a study that came to an end, or diverged (value None)."""

    configuration: str
    data: str
    seed: int
    value: float | None
    recipe: Recipe
    findings: tuple[dict[str, Any], ...]


# ---------------------------------------------------------------- from tables to evidence


def gathered(tables: Iterable[Path]) -> Evidence:
    """The evidence of some tables. InputError where a run's folder is missing or settings are mixed."""
    findings: dict[str, dict[str, dict[str, Any]]] = {}
    places: dict[str, Recipe] = {}
    studies = []
    for file in tables:
        file = file / "table.csv" if file.is_dir() else file
        rows = table.from_csv(file.read_text(encoding="utf-8"))
        metric = deciding(rows)
        runs = played(rows, metric, file.parent)
        studies.append(study_of(str(rows[0]["study"]), metric, runs))
        for run in runs:
            places.setdefault(run.data, run.recipe)
        if studies[-1].name == RANKING:
            findings = findings_of(studies[-1], runs)
    data = {name: features(recipe) for name, recipe in places.items()}
    used = sorted({recipe for study in studies for recipe, _ in study.configurations.values()})
    digests = {name: evidences.recipe_digest(name) for name in used}
    return Evidence(data, tuple(studies), digests, findings)


def findings_of(study: Study, runs: Sequence[Played]) -> dict[str, dict[str, dict[str, Any]]]:
    """By configuration and diagnosis: what the first run that had it was told."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for (label, _, _), run in zip(study.values, runs, strict=True):
        for each in run.findings:
            kept = {key: each[key] for key in ("severity", "explanation", "advice")}
            found.setdefault(label, {}).setdefault(each["name"], kept)
    return found


def deciding(rows: Sequence[Mapping[str, Any]]) -> str:
    """The study's first metric of the last checkpoint. InputError where higher is better, or there is "
    "none."""
    first = next((row for row in rows if row["checkpoint"] == "last" and row["split"] == "test"), None)
    if first is None or first["better"] != "lower":
        raise InputError("advice needs a table whose first metric is of the test split and better when lower")
    return str(first["metric"])


def played(rows: Sequence[Mapping[str, Any]], metric: str, folder: Path) -> list[Played]:
    """The runs of a table; a failed one says nothing of its recipe and is left out."""
    undated = table.without_data(rows)
    values = {
        row["run"]: row["value"] for row in rows if row["checkpoint"] == "last" and row["metric"] == metric
    }
    found = []
    for row in {row["run"]: row for row in undated if row["state"] != "failed"}.values():
        run = Run(folder / row["run"], True)
        value = values.get(row["run"]) if row["state"] == "done" else None
        if value is not None and not (math.isfinite(value) and value > 0):
            raise InputError(f"{run.path} has {metric} {value}: allowed are positive numbers")
        named = Path(str(row["data"])).name
        found.append(
            Played(row["configuration"], named, int(row["seed"]), value, run.recipe, tuple(run.findings()))
        )
    return found


def settings(recipe: Recipe) -> dict[str, Any]:
    """What was changed in the named recipe, by dotted keys, without data, budget and measuring."""
    named = recipes.resolve(recipes.read(recipe.name))
    return {
        key: new
        for key, (_, new) in apart(named, recipe).items()
        if key.partition(".")[0] not in _NOT_SET and new is not None
    }


def study_of(name: str, metric: str, runs: Sequence[Played]) -> Study:
    """A study whose configurations go by their recipe's name where that tells them apart."""
    kinds: dict[tuple[str, str], Played] = {}
    for run in runs:
        key = (run.recipe.name, json.dumps(settings(run.recipe), sort_keys=True))
        kinds.setdefault(key, run)
    names = [recipe for recipe, _ in kinds]
    labels = {key: key[0] if names.count(key[0]) == 1 else run.configuration for key, run in kinds.items()}
    steps = {run.recipe.steps for run in runs}
    sides = {getattr(run.recipe.data, "resolution", None) for run in runs}
    if len(steps) != 1 or None in steps:
        raise InputError(f"the runs of {name} have different numbers of steps: {steps}")
    (step,) = steps
    configurations = {labels[key]: (key[0], settings(run.recipe)) for key, run in kinds.items()}
    values: dict[evidences.Run, float | None] = {}
    findings: dict[evidences.Run, tuple[str, ...]] = {}
    for run in runs:
        label = labels[run.recipe.name, json.dumps(settings(run.recipe), sort_keys=True)]
        values[label, run.data, run.seed] = run.value
        if name == RANKING:
            findings[label, run.data, run.seed] = tuple(sorted({each["name"] for each in run.findings}))
    side = sides.pop() if len(sides) == 1 else None
    return Study(name, metric, int(step or 0), side, configurations, values, findings)


def features(recipe: Recipe) -> dict[str, float]:
    """The features of the data that a run had, at the resolution that it had them."""
    tree = recipes.flatten({"data": recipe.to_tree()["data"]})
    name = tree.pop("data.name")
    return look(
        tree.get("data.path", name), {key: value for key, value in tree.items() if key != "data.path"}
    ).features


# ---------------------------------------------------------------- tables


def text(evidence: Evidence) -> str:
    """The tables of docs/evidence/advice.md."""
    study = evidence.study(RANKING)
    if study is None:
        return f"there is no table of the study {RANKING}: nothing to judge"
    parts = ["\n".join(values_table(study)), "\n".join(distance_table(evidence, study))]
    judged = judge(evidence)
    parts.append(
        "\n".join(judgement_table(judged))
        if judged
        else "fewer than two complete data sets: no judgement yet"
    )
    return "\n\n".join(parts)


def values_table(study: Study) -> list[str]:
    """Mean and interval of each configuration on each data set, over the seeds that all ran with."""
    labels = list(study.configurations)
    lines = [f"| {study.metric} | seeds | {' | '.join(labels)} |", f"|---|---|{'---|' * len(labels)}"]
    for data in study.data:
        seeds = study.seeds(data)
        cells = [cell([study.values[label, data, seed] for seed in seeds]) for label in labels]
        lines.append(f"| {data} | {len(seeds)} | {' | '.join(cells)} |")
    return lines


def cell(values: Sequence[float | None]) -> str:
    there = [value for value in values if value is not None]
    lost = f", {len(values) - len(there)} diverged" if len(there) < len(values) else ""
    if len(there) < 2:
        return (number(there[0]) if there else "–") + lost
    mean, low, high = t_interval(there)
    return f"{number(mean)} ({number(low)} to {number(high)}){lost}"


def distance_table(evidence: Evidence, study: Study) -> list[str]:
    """Each data set's distance to each other one, in units."""
    names = study.data
    lines = [f"| distance (at most {LIMIT:g}) | {' | '.join(names)} |", f"|---|{'---|' * len(names)}"]
    for one in names:
        apart_ = [distance(evidence.data[one], evidence.data[other]) for other in names]
        lines.append(f"| {one} | {' | '.join(f'{value:.2f}' for value in apart_)} |")
    return lines


def judgement_table(judged: Sequence[Judged]) -> list[str]:
    """Regret of the advice and of the default on each data set that was left out, and together."""
    lines = [
        "| left out | nearest of the others | advised | best | regret of the advice | passes | "
        f"regret of {DEFAULT} |",
        "|---|---|---|---|---|---|---|",
    ]
    for each in judged:
        nearest = each.choice.nearest
        near = "–" if nearest is None else f"{nearest} ({each.choice.distances[nearest]:.2f})"
        advised = each.advised + (" (far: the default)" if each.choice.label is None else "")
        lines.append(
            f"| {each.data} | {near} | {advised} | {each.best} | {shown(each.of_advice)} | "
            f"{'yes' if each.of_advice.passes else 'no'} | {shown(each.of_default)} |"
        )
    advice = together([each.of_advice for each in judged])
    default = together([each.of_default for each in judged])
    lines.append(f"| all | | | | {shown(advice)} | {'yes' if advice.passes else 'no'} | {shown(default)} |")
    return lines


def shown(regret: Regret) -> str:
    """A regret in per cent with its interval."""
    mean, low, high = regret.interval
    if not any(regret.ratios):
        return "0"
    return f"{percent(mean)} ({percent(low)} to {percent(high)})"


def percent(share: float) -> str:
    return "∞" if math.isinf(share) else f"{number(100 * share)} %"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("tables", nargs="*", type=Path, metavar="TABLE")
    parser.add_argument("--judge", action="store_true", help="print the tables of the evidence that is there")
    asked = parser.parse_args()
    if asked.judge == bool(asked.tables):
        parser.error("give tables, or --judge")
    if not asked.judge:
        evidences.write(gathered(asked.tables))
    print(text(evidences.read()))


if __name__ == "__main__":
    main()
