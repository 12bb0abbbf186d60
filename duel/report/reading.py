"""What a study's folder says: its configurations, their runs, how far they are, what they left behind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from duel import io, table
from duel.errors import InputError
from duel.report.shared import Looks, looks
from duel.run import Run, is_run
from duel.study import file, plan

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Trial:
    """One run of a study.

    state  "done", "nonfinite" or "failed"; "running" where it has begun and not ended; else "waiting"
    run    None where its folder is not there (any more)
    """

    label: str
    seed: int
    state: str
    run: Run | None

    @property
    def name(self) -> str:
        return f"{self.label}, seed {self.seed}"

    @cached_property
    def looks(self) -> Looks:
        """The evaluations while it trained, by metric."""
        return {} if self.run is None else looks(self.run)

    @cached_property
    def findings(self) -> list[dict[str, Any]]:
        """What diagnosis says at its end."""
        return [] if self.run is None else self.run.findings()


@dataclass(frozen=True)
class Configuration:
    """One recipe of a study with all of its runs; the rest is as plan.json has it."""

    label: str
    data: str
    factors: Mapping[str, Any]
    planned: Mapping[str, Any]
    trials: tuple[Trial, ...]

    def count(self, *states: str) -> int:
        """How many of its runs are in one of these states."""
        return sum(trial.state in states for trial in self.trials)


@dataclass(frozen=True)
class Factor:
    """What was varied: one key, or several that advance together."""

    name: str
    keys: tuple[str, ...]

    def value(self, configuration: Configuration) -> str:
        """What it is in a configuration, as labels have it."""
        return ", ".join(plan.shown(configuration.factors.get(key)) for key in self.keys)


@dataclass(frozen=True)
class Reading:
    """A study as it stands: `rows` are the tidy table of the runs that have ended."""

    path: Path
    study: file.Study
    configurations: tuple[Configuration, ...]
    rows: tuple[Row, ...]

    @property
    def trials(self) -> list[Trial]:
        """All runs, by configuration and seed."""
        return [trial for each in self.configurations for trial in each.trials]

    @property
    def of_factors(self) -> list[Configuration]:
        """Those that the factors make; named points differ in more than a factor."""
        points = {point.name for point in self.study.points}
        return [each for each in self.configurations if each.label not in points]

    @property
    def metrics(self) -> list[str]:
        """Those measured on test, the deciding one first."""
        measured = [str(row["metric"]) for row in self.rows if row["checkpoint"] in ("last", "best")]
        # The file may say "frechet" where the rows say in which features: "frechet-random".
        wanted = [
            name for asked in self.study.metrics for name in measured if f"{name}-".startswith(f"{asked}-")
        ]
        return list(dict.fromkeys([*wanted, *measured]))

    @property
    def checkpoints(self) -> list[str]:
        """Which were measured on test."""
        there = {row["checkpoint"] for row in self.rows if row["value"] is not None}
        return [name for name in ("last", "best") if name in there]

    @property
    def factors(self) -> list[Factor]:
        """What was varied: each factor, and the paired keys as one."""
        keys = [*self.study.factors, *self.study.paired]
        short = plan.shortened(keys)
        alone = [Factor(short[key], (key,)) for key in self.study.factors]
        paired = tuple(self.study.paired)
        return [*alone, Factor(" and ".join(short[key] for key in paired), paired)] if paired else alone

    @property
    def baseline(self) -> str | None:
        """What others are compared with, by the name it has in comparisons; None where it has no row yet."""
        wanted = self.study.baseline or next((each.label for each in self.configurations), None)
        known = zip(self.rows, table.without_data(self.rows), strict=True)
        return next((str(new["configuration"]) for old, new in known if old["configuration"] == wanted), None)


def read(folder: Path) -> Reading:
    """All of it. DuelError where study.toml or plan.json is damaged or missing."""
    study = file.read(folder / "study.toml")
    planned = io.read_json(folder / "plan.json")["configurations"]
    try:
        rows = table.read(folder)
    except InputError:
        if any((folder / "rows").glob("*.json")):
            raise
        rows = []  # nothing has ended yet
    states = {(str(row["configuration"]), int(row["seed"])): str(row["state"]) for row in rows}
    return Reading(
        folder,
        study,
        tuple(_configuration(folder, each, study.seeds, states) for each in planned),
        tuple(rows),
    )


def _configuration(
    folder: Path, planned: Mapping[str, Any], seeds: Sequence[int], states: Mapping[tuple[str, int], str]
) -> Configuration:
    label = str(planned["label"])
    trials = []
    for seed in seeds:
        path = folder / "runs" / str(planned["folder"]) / f"seed-{seed}"
        run = Run(path) if is_run(path) else None
        state = states.get((label, seed)) or ("waiting" if run is None else "running")
        trials.append(Trial(label, seed, state, run))
    data = str(planned.get("data", ""))
    return Configuration(label, data, planned.get("factors", {}), planned, tuple(trials))
