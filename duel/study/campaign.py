"""A study under way: plan it, play what is missing, say how far it is. All state is in the study's folder."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from duel import io, table
from duel.errors import DuelError, RunError
from duel.recipe import Recipe
from duel.run import Lock
from duel.session import check, resolve
from duel.study import trial as trials
from duel.study.cost import step_flops, step_seconds
from duel.study.executors import executor
from duel.study.file import Study, read, to_tree
from duel.study.plan import Configuration, configurations, steps_by_count, with_budget
from duel.study.trial import Trial

Event = dict[str, Any]

FREE = ("title", "claims", "seeds", "factors", "paired", "points", "baseline", "design", "search")
_LOOK = 1.0  # seconds between two looks at how far the runs are


@dataclass(frozen=True)
class Planned:
    """A configuration with its budget: `step_seconds` is a step's cost on this machine."""

    configuration: Configuration
    recipe: Recipe
    steps: int
    step_seconds: float


class Campaign:
    """Iterate to play a study: each item is an event. `stop()` saves what runs and ends.

    The folder holds study.toml, plan.json, runs/CONFIGURATION/seed-N (ordinary run folders), rows/ (what
    came of each), table.csv and events.jsonl. What is there is not done again.
    """

    def __init__(
        self,
        study: Study,
        out: str | Path,
        *,
        workers: int = 1,
        cluster: str | None = None,
        allow_code: bool | Collection[str] = False,
    ) -> None:
        """RecipeError or DataError where a configuration cannot be run, RunError where the folder cannot be
        used; nothing is written before that. Takes a second or two for each new configuration."""
        self.study, self.path = study, Path(out)
        self.workers, self._cluster = workers, cluster
        self._allow_code = allow_code if isinstance(allow_code, bool) else tuple(allow_code)
        _refuse_other(study, self.path)
        self.planned = plan(study, allow_code, _known_costs(self.path))
        self._stopping = False

    @property
    def trials(self) -> list[Trial]:
        """Every run, seed by seed, so that a study that is cut short has whole pairs."""
        return [self._trial(each, seed) for seed in self.study.seeds for each in self.planned]

    @property
    def seconds(self) -> float:
        """What all runs cost, one after the other, without evaluations."""
        return len(self.study.seeds) * sum(each.steps * each.step_seconds for each in self.planned)

    def stop(self) -> None:
        """Save the runs under way and end; the same command goes on from there."""
        self._stopping = True
        if self.path.is_dir():
            self._stop_file.touch()

    def __iter__(self) -> Iterator[Event]:
        _make(self.path)
        lock = Lock(self.path, new=True)
        try:
            lock.sign()
            self._write_plan()
            self._stop_file.unlink(missing_ok=True)
            for event in self._events():
                if event["event"] != "progress":
                    io.append_line(self.path / "events.jsonl", event)
                yield event
        finally:
            lock.release()

    def _events(self) -> Iterator[Event]:
        began, every = time.perf_counter(), self.trials
        left = [each for each in every if _state_of(each) in (None, "failed")]
        yield {
            "event": "start", "study": self.study.name, "runs": len(every), "left": len(left),
            "workers": self.workers, "cluster": self._cluster, "folder": str(self.path),
        }  # fmt: skip
        if left and not self._stopping:
            with executor(min(self.workers, len(left)), self._cluster) as pool:
                yield from self._played(pool, left)
        self._write_table()
        states = [_state_of(each) for each in every]
        counts = {name: states.count(name) for name in ("done", "nonfinite", "failed")}
        reason = "interrupted" if None in states else "done"
        seconds = round(time.perf_counter() - began, 1)
        yield {"event": "end", "reason": reason, **counts, "seconds": seconds, "folder": str(self.path)}

    def _played(self, pool: Any, left: Sequence[Trial]) -> Iterator[Event]:
        # Feature spaces that are trained are trained once, not by every worker at the same time.
        wait([pool.submit(trials.prepare, each) for each in _one_per_data(left)])
        before, began = self._share(), time.perf_counter()
        waiting: dict[Future[str], Trial] = {}
        for each in left:
            each.row.unlink(missing_ok=True)  # of a failed run, which is tried again
            waiting[pool.submit(trials.play, each)] = each
        while waiting:
            finished, _ = wait(waiting, timeout=_LOOK, return_when=FIRST_COMPLETED)
            for future in finished:
                yield from self._outcome(waiting.pop(future), future)
            if self._stopping:
                for future in [each for each in waiting if each.cancel()]:
                    del waiting[future]
            yield self._progress(before, began)

    def _outcome(self, trial: Trial, future: Future[str]) -> Iterator[Event]:
        error = future.exception()
        if error is not None:  # the process died of it each time
            said = f"its process ended without a word ({type(error).__name__}): memory may have run out"
            row = {**trial.shared, "state": "failed", "checkpoint": "run", "metric": "", "value": None}
            io.write_json(trial.row, {"rows": [row], "error": said})
        state = _state_of(trial)
        if state is None:
            return  # interrupted
        self._write_table()
        written = io.read_json(trial.row)
        row = next((row for row in written["rows"] if row["checkpoint"] == "last"), written["rows"][0])
        failed = {"error": written["error"]} if "error" in written else {}
        yield {
            "event": "run", "label": trial.label, "seed": trial.seed, "state": state,
            "metric": row["metric"], "value": row["value"], "run": str(trial.run), **failed,
        }  # fmt: skip

    def _progress(self, before: float, began: float) -> Event:
        share, passed = self._share(), time.perf_counter() - began
        done = sum(_state_of(each) is not None for each in self.trials)
        left = passed * (1 - share) / (share - before) if share > before else None
        return {"event": "progress", "done": done, "runs": len(self.trials), "share": share, "left_s": left}

    def _share(self) -> float:
        """How much of the study's computing is done, from the rows and the run folders."""
        total = done = 0.0
        for seed in self.study.seeds:
            for each in self.planned:
                trial = self._trial(each, seed)
                cost = each.steps * each.step_seconds
                total += cost
                done += cost * (1.0 if _state_of(trial) else _step(trial.run) / each.steps)
        return done / total if total else 1.0

    def _trial(self, planned: Planned, seed: int) -> Trial:
        where = planned.configuration
        run = self.path / "runs" / where.folder / f"seed-{seed}"
        shared = {
            "study": self.study.name, "size": self.study.size, "configuration": where.label, **where.factors,
            "recipe": planned.recipe.name, "data": where.data, "seed": seed,
            "run": str(run.relative_to(self.path)),
        }  # fmt: skip
        return Trial(
            where.label,
            seed,
            shared,
            trials.tree_of(planned.recipe, seed),
            run,
            self.path / "rows" / f"{where.folder}.seed-{seed}.json",
            self._stop_file,
            self._allow_code,
        )

    @property
    def _stop_file(self) -> Path:
        return self.path / ".stop"

    def _write_plan(self) -> None:
        import tomli_w

        io.write_atomic(self.path / "study.toml", tomli_w.dumps(to_tree(self.study)).encode())
        entries = [
            {
                "label": each.configuration.label,
                "folder": each.configuration.folder,
                "factors": each.configuration.factors,
                "recipe": each.recipe.name,
                "data": each.configuration.data,
                "steps": each.steps,
                "images": each.recipe.drawn(each.steps),
                "step_seconds": each.step_seconds,
            }
            for each in self.planned
        ]
        io.write_json(self.path / "plan.json", {"configurations": entries})

    def _write_table(self) -> None:
        rows = table.read(self.path)
        if rows:
            io.write_atomic(self.path / "table.csv", table.to_csv(rows).encode())


# ---------------------------------------------------------------- planning


def plan(
    study: Study, allow_code: bool | Collection[str] = False, costs: Mapping[str, float] | None = None
) -> list[Planned]:
    """Every configuration with its steps. Recipes and data are checked, a step of each is timed.

    costs: label → seconds per step where it is known already; a study's budget in seconds must not change
    when it is taken up again.
    """
    found = configurations(study, allow_code)
    return [_planned(study, each, (costs or {}).get(each.label)) for each in found]


def _planned(study: Study, configuration: Configuration, known_seconds: float | None) -> Planned:
    budget, counted = study.budget, steps_by_count(study, configuration.recipe)
    try:
        trial = resolve(with_budget(study, configuration.recipe, counted or 1))
        data = check(trial)
        seconds = step_seconds(trial, data) if known_seconds is None else known_seconds
        if counted is None:
            each = seconds if budget.seconds is not None else step_flops(trial, data)
            counted = max(1, round(budget.amount / each))
    except DuelError as error:
        raise type(error)(f"configuration {configuration.label}: {error}") from error
    return Planned(configuration, with_budget(study, configuration.recipe, counted), counted, seconds)


def _known_costs(path: Path) -> dict[str, float]:
    """Label → seconds per step, as an earlier call measured them."""
    if not (path / "plan.json").is_file():
        return {}
    entries = io.read_json(path / "plan.json")["configurations"]
    return {entry["label"]: entry["step_seconds"] for entry in entries}


def _refuse_other(study: Study, path: Path) -> None:
    """RunError where the folder holds something else than (an earlier part of) this study."""
    if path.exists() and not path.is_dir():
        raise RunError(f"--out {path} is a file: name a folder that is new, empty or this study's own")
    old = path / "study.toml"
    if not old.is_file():
        if path.is_dir() and any(entry.name != ".lock" for entry in path.iterdir()):
            raise RunError(f"--out {path} holds other files and no study: name a folder that is new or empty")
        return
    before, now = to_tree(read(old)), to_tree(study)
    changed = [
        f"{key}: the folder has {before.get(key)!r}, now {now.get(key)!r}"
        for key in sorted({*before, *now} - {*FREE})
        if before.get(key) != now.get(key)
    ]
    if changed:
        raise RunError("\n  ".join([f"{path} holds another study; choose another --out:", *changed]))


def _make(path: Path) -> None:
    try:
        for folder in (path, path / "runs", path / "rows"):
            folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(
            f"the study folder {path} cannot be written ({error.strerror}): choose another --out"
        ) from error


# ---------------------------------------------------------------- how far it is


def _state_of(trial: Trial) -> str | None:
    """What came of a run; None where it has not ended."""
    if not trial.row.is_file():
        return None
    rows = io.read_json(trial.row)["rows"]
    return str(rows[0]["state"])


def _one_per_data(left: Sequence[Trial]) -> list[Trial]:
    """The first run on each data set."""
    found: dict[str, Trial] = {}
    for each in left:
        found.setdefault(repr(each.tree["data"]), each)
    return list(found.values())


def _step(path: Path) -> int:
    """The step that a run has logged last, from the end of its event log."""
    import json

    log = path / "events.jsonl"
    if not log.is_file():
        return 0
    with open(log, "rb") as file:
        file.seek(max(0, log.stat().st_size - 8192))
        lines = file.read().splitlines()
    for line in reversed(lines):
        try:
            return int(json.loads(line)["step"])
        except (ValueError, KeyError, TypeError):
            continue
    return 0
