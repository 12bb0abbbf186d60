"""The evidence that advice rests on: results of studies with the data sets' features, one JSON file.

`bench/advise.py` makes the file from studies' tables; it travels with the package.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from duel import catalog, io
from duel.advise.look import FEATURES
from duel.errors import InputError

FILE = Path(__file__).with_name("evidence.json")
RANKING = "recipes"  # the study whose recipes are ranked
LABELS = "labels"  # the study that says whether labels help
DEFAULT = "dcgan"  # what is advised where there is no evidence

Run = tuple[str, str, int]  # configuration, data set, seed


@dataclass(frozen=True)
class Study:
    """What came of a study: one metric at the last checkpoint, measured on the test split; lower is better.

    steps, side     generator updates, and the pixels of a side (None: the data sets' own)
    configurations  label → the recipe's name, and what was changed in it (dotted keys)
    values          of each run; None for one that diverged
    findings        names of what a run's diagnosis found, where that is known
    """

    name: str
    metric: str
    steps: int
    side: int | None
    configurations: Mapping[str, tuple[str, Mapping[str, Any]]]
    values: Mapping[Run, float | None]
    findings: Mapping[Run, tuple[str, ...]]

    @property
    def data(self) -> list[str]:
        """The data sets in the order of the runs."""
        return list(dict.fromkeys(data for _, data, _ in self.values))

    def seeds(self, data: str) -> list[int]:
        """The seeds with which all configurations ran on a data set, to their end or until they diverged."""
        known = sorted({seed for _, name, seed in self.values if name == data})
        return [
            seed for seed in known if all((label, data, seed) in self.values for label in self.configurations)
        ]


@dataclass(frozen=True)
class Evidence:
    """The whole file.

    data      data set → its features (`look.FEATURES`)
    recipes   recipe → the digest of its file when the studies ran
    findings  configuration of the ranking study → diagnosis → severity, explanation, advice as it gave them
    """

    data: Mapping[str, Mapping[str, float]]
    studies: tuple[Study, ...]
    recipes: Mapping[str, str]
    findings: Mapping[str, Mapping[str, Mapping[str, Any]]]

    def study(self, name: str) -> Study | None:
        """The study of that name; None where the file has none."""
        return next((study for study in self.studies if study.name == name), None)


def read(path: Path | None = None) -> Evidence:
    """The evidence of a file (default: `FILE`). InputError where it is damaged or made for other features."""
    file = path or FILE
    found = io.read_json(file)
    rebuild = "make it again with `python bench/advise.py TABLE…`"
    if found.get("features") != _features():
        raise InputError(
            f"{file} is stale: its features of the data are not those of this version; {rebuild}"
        )
    try:
        studies = tuple(map(_study, found["studies"]))
        return Evidence(found["data"], studies, found["recipes"], found["findings"])
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{file} is damaged ({type(error).__name__}: {error}); {rebuild}") from error


def _study(given: Mapping[str, Any]) -> Study:
    configurations = {
        label: (str(each["recipe"]), each["set"]) for label, each in given["configurations"].items()
    }
    values: dict[Run, float | None] = {}
    findings: dict[Run, tuple[str, ...]] = {}
    for row in given["runs"]:
        run = (str(row["configuration"]), str(row["data"]), int(row["seed"]))
        if run[0] not in configurations or run in values:
            raise ValueError(f"the run {run} is there twice, or of no configuration")
        values[run] = row["value"]
        if values[run] is not None and not row["value"] > 0:
            raise ValueError(f"the run {run} has the value {row['value']}, allowed are positive numbers")
        if row["findings"] is not None:
            findings[run] = tuple(row["findings"])
    numbers = int(given["steps"]), given["side"]
    return Study(given["name"], given["metric"], *numbers, configurations, values, findings)


def write(evidence: Evidence, path: Path | None = None) -> None:
    """Write the evidence, by default to `FILE`, so that `read` gives it back."""
    io.write_json(
        path or FILE,
        {
            "features": _features(),
            "recipes": evidence.recipes,
            "data": evidence.data,
            "studies": [_as_json(study) for study in evidence.studies],
            "findings": evidence.findings,
        },
    )


def _as_json(study: Study) -> dict[str, Any]:
    return {
        "name": study.name,
        "metric": study.metric,
        "steps": study.steps,
        "side": study.side,
        "configurations": {
            label: {"recipe": recipe, "set": dict(changes)}
            for label, (recipe, changes) in study.configurations.items()
        },
        "runs": [
            {
                "configuration": run[0], "data": run[1], "seed": run[2], "value": value,
                "findings": list(study.findings[run]) if run in study.findings else None,
            }
            for run, value in study.values.items()
        ],
    }  # fmt: skip


def _features() -> dict[str, list[Any]]:
    """What the features are and how they are measured in: another wording is another feature."""
    return {name: [unit, what] for name, (unit, what) in FEATURES.items()}


def recipe_digest(name: str) -> str:
    """SHA-256 of what a named recipe's file says, comments aside."""
    tree = tomllib.loads(catalog.recipes()[name].read_text(encoding="utf-8"))
    return io.sha256(json.dumps(tree, sort_keys=True).encode())


def outdated(evidence: Evidence) -> list[str]:
    """The recipes that have changed, or gone, since the evidence was gathered."""
    known = catalog.recipes()
    return [
        name
        for name, digest in evidence.recipes.items()
        if name not in known or recipe_digest(name) != digest
    ]
