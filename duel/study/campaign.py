"""A study under way: plan it, play what is missing, say how far it is. All state is in the study's folder."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from duel import io, table
from duel import recipe as recipes
from duel.cost import step_flops, step_seconds, steps_within
from duel.errors import DuelError, RunError
from duel.recipe import Recipe
from duel.run import Lock, Run, is_run
from duel.session import check, resolve
from duel.study import trial as trials
from duel.study.executors import executor, reach
from duel.study.file import Study, read, to_tree
from duel.study.plan import Configuration, configurations, steps_by_count, with_budget
from duel.study.trial import Trial

Event = dict[str, Any]

JOURNAL = "search.journal"  # what a search has and a study has not
_LOOK = 1.0  # seconds between two looks at how far the runs are
_TAIL = 8192  # bytes at the end of a log in which the last step is looked for


@dataclass(frozen=True)
class Planned:
    """A configuration with its budget: `step_seconds` is a step's cost on this machine."""

    configuration: Configuration
    recipe: Recipe
    steps: int
    step_seconds: float


class Campaign:
    """Iterate to play a study: each item is an event. `stop()` saves what runs and ends, as does leaving.

    The folder holds study.toml, plan.json, runs/CONFIGURATION/seed-N (ordinary run folders), rows/ (what
    came of each), table.csv and events.jsonl. What is there is not done again.
    """

    # What may differ when a study is taken up: it changes which runs there are, and none of them.
    free: ClassVar[frozenset[str]] = frozenset(
        {"name", "title", "claims", "seeds", "factors", "paired", "points", "baseline", "design", "search"}
    )
    kind: ClassVar[str] = "study"

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
        used, InputError where the cluster cannot; nothing is written before that. Takes a second or two for
        each new configuration."""
        self.path = Path(out)
        self.workers, self.cluster = workers, cluster
        self._allow_code = allow_code if isinstance(allow_code, bool) else tuple(allow_code)
        self._stopping = False
        self._states: dict[Path, str | None] = {}
        self._prepared: set[str] = set()
        self.study = self._taken_up(study)
        if cluster is not None:
            reach(cluster).close()
        self.planned = self._plan()

    def _plan(self) -> list[Planned]:
        planned = plan(self.study, self._allow_code, self._costs())
        for each in planned:
            self._refuse_changed(each)
        return planned

    @property
    def trials(self) -> list[Trial]:
        """Every run, seed by seed, so that a study that is cut short has whole pairs."""
        return [self._trial(each, seed) for seed in self.study.seeds for each in self.planned]

    @property
    def runs(self) -> int:
        """How many runs it has."""
        return len(self.study.seeds) * len(self.planned)

    @property
    def seconds(self) -> float:
        """What all runs cost, one after the other, without evaluations."""
        return len(self.study.seeds) * sum(each.steps * each.step_seconds for each in self.planned)

    @property
    def left(self) -> list[Trial]:
        """The runs that are to be played (on): those that have not ended, and those that failed."""
        return [each for each in self.trials if self._state(each) in (None, "failed")]

    @property
    def seconds_left(self) -> float:
        """What is left of `seconds`: runs that have begun go on from where they are."""
        shares = [_step(each.run) / int(each.tree["steps"]) for each in self.left]
        return sum(each.cost * (1 - share) for each, share in zip(self.left, shares, strict=True))

    def stop(self) -> None:
        """Save the runs under way and end; the same command goes on from there."""
        self._stopping = True
        with contextlib.suppress(OSError):  # there is no folder yet, or what failed is the disk
            self._stop_file.touch()

    def __iter__(self) -> Iterator[Event]:
        _make(self.path)
        lock = Lock(self.path, new=True, kind=self.kind)
        try:
            lock.sign()
            self._stop_file.unlink(missing_ok=True)  # of a process that was killed
            self._write_plan()
            for event in self._events():
                if event["event"] != "progress":
                    io.append_line(self.path / "events.jsonl", event)
                yield event
        except OSError as error:
            raise DuelError(
                f"the study folder {self.path} cannot be written ({error.strerror or error}): mend that, and "
                "the same command goes on from there"
            ) from error
        finally:
            with contextlib.suppress(OSError):
                self._stop_file.unlink(missing_ok=True)
            lock.release()

    def _events(self) -> Iterator[Event]:
        began, every, left = time.perf_counter(), self.trials, self.left
        yield self._start(len(left))
        if left and not self._stopping:
            with executor(min(self.workers, len(left)), self.cluster) as pool:
                yield from self._played(pool, left, every)
        self._write_table()
        yield self._end(every, began)

    # ------------------------------------------------------------ playing

    def _played(self, pool: Any, left: Sequence[Trial], every: Sequence[Trial]) -> Iterator[Event]:
        """Play the runs that are `left` of all; an event as each ends, and how far all are, every second."""
        before, began = self._share(every), time.perf_counter()
        waiting: dict[Future[str], Trial] = {}
        try:
            for _ in self._preparing(pool, left):
                yield {**self._progress(every, before, began), "preparing": True}
            for each in left:
                each.row.unlink(missing_ok=True)  # of a failed run, which is tried again
                self._states[each.row] = None
                waiting[pool.submit(trials.play, each)] = each
            while waiting:
                finished, _ = wait(waiting, timeout=_LOOK, return_when=FIRST_COMPLETED)
                for future in finished:
                    yield from self._outcome(waiting.pop(future), future)
                if self._stopping:
                    for future in [each for each in waiting if each.cancel()]:
                        del waiting[future]
                yield self._progress(every, before, began)
        except BaseException:
            self.stop()  # leaving waits for the runs under way
            raise

    def _preparing(self, pool: Any, left: Sequence[Trial]) -> Iterator[None]:
        """Train the feature spaces once, before all workers would at the same time; a word every second."""
        jobs = {repr(each.tree["data"]): each for each in reversed(left)}
        new = [pool.submit(trials.prepare, each) for key, each in jobs.items() if key not in self._prepared]
        self._prepared.update(jobs)
        while new and not self._stopping:
            yield
            new = list(wait(new, timeout=_LOOK).not_done)

    def _outcome(self, trial: Trial, future: Future[str]) -> Iterator[Event]:
        try:
            error = future.exception()
        except CancelledError:
            if self._stopping:
                return
            raise DuelError(
                f"the cluster at {self.cluster} is gone: start it again, and the same command goes on from "
                "there"
            ) from None
        if error is not None:
            trials.fail(trial, _died(error))
        state = self._states[trial.row] = _state_of(trial)
        if state is None:
            return  # interrupted
        self._write_table()
        written = io.read_json(trial.row)
        row = next((row for row in written["rows"] if row["checkpoint"] == "last"), written["rows"][0])
        run = str(self.path / trial.shared["run"])
        failed = {"error": written["error"]} if "error" in written else {}
        yield {
            "event": "run", "label": trial.label, "seed": trial.seed, "state": state,
            "metric": row["metric"], "value": row["value"], "run": run, **failed,
        }  # fmt: skip

    # ------------------------------------------------------------ how far it is

    def _start(self, left: int) -> Event:
        return {
            "event": "start", "study": self.study.name, "runs": self.runs, "left": left,
            "workers": self.workers, "cluster": self.cluster, "folder": str(self.path),
        }  # fmt: skip

    def _end(self, every: Sequence[Trial], began: float) -> Event:
        states = [self._state(each) for each in every]
        counts = {name: states.count(name) for name in ("done", "nonfinite", "failed")}
        reason = "interrupted" if None in states else "done"
        seconds = round(time.perf_counter() - began, 1)
        return {"event": "end", "reason": reason, **counts, "seconds": seconds, "folder": str(self.path)}

    def _progress(self, every: Sequence[Trial], before: float, began: float) -> Event:
        share, passed = self._share(every), time.perf_counter() - began
        done = sum(self._state(each) is not None for each in every)
        left = passed * (1 - share) / (share - before) if share > before else None
        return {"event": "progress", "done": done, "runs": self.runs, "share": share, "left_s": left}

    def _share(self, every: Sequence[Trial]) -> float:
        """How much of the study's computing is done, from the rows and the run folders."""
        done = sum(
            each.cost * (1.0 if self._state(each) else _step(each.run) / each.tree["steps"]) for each in every
        )
        total = sum(each.cost for each in every) * self.runs
        return done * len(every) / total if total else 1.0

    def _state(self, trial: Trial) -> str | None:
        """What came of a run; None where it has not ended. Read once: only `_outcome` changes it."""
        if trial.row not in self._states:
            self._states[trial.row] = _state_of(trial)
        return self._states[trial.row]

    # ------------------------------------------------------------ the folder

    def _trial(self, planned: Planned, seed: int) -> Trial:
        where = planned.configuration
        path = self.path.absolute()  # a cluster's workers stand in other folders
        run = path / "runs" / where.folder / f"seed-{seed}"
        shared = {
            "study": self.study.name, "size": self.study.size, "configuration": where.label, **where.factors,
            "recipe": planned.recipe.name, "data": where.data, "seed": seed,
            "run": str(run.relative_to(path)),
        }  # fmt: skip
        return Trial(
            where.label,
            seed,
            shared,
            trials.tree_of(planned.recipe, seed),
            planned.steps * planned.step_seconds,
            run,
            path / "rows" / f"{where.folder}.seed-{seed}.json",
            self._stop_file.absolute(),
            self._allow_code,
        )

    @property
    def _stop_file(self) -> Path:
        return self.path / ".stop"

    def _write_plan(self) -> None:
        import tomli_w

        io.write_atomic(self.path / "study.toml", tomli_w.dumps(to_tree(self.study)).encode())
        io.write_json(self.path / "plan.json", {"configurations": self._entries()})

    def _entries(self) -> list[dict[str, Any]]:
        """What plan.json says of each configuration."""
        return [
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

    def _costs(self) -> dict[str, float]:
        """Label → seconds per step, as an earlier call measured them."""
        if not (self.path / "plan.json").is_file():
            return {}
        entries = io.read_json(self.path / "plan.json")["configurations"]
        return {entry["label"]: entry["step_seconds"] for entry in entries}

    def _fixed(self, study: Study) -> dict[str, Any]:
        """What must not change when the study is taken up."""
        return {key: value for key, value in to_tree(study).items() if key not in self.free}

    def _write_table(self) -> None:
        rows = table.read(self.path)
        if rows:
            io.write_atomic(self.path / "table.csv", table.to_csv(rows).encode())

    def _taken_up(self, study: Study) -> Study:
        """The study by the name that its folder knows it by: its rows have that, and a file may be renamed.

        RunError where the folder holds something else than (an earlier part of) this study.
        """
        path = self.path
        if path.exists() and not path.is_dir():
            raise RunError(f"--out {path} is a file: name a folder that is new, empty or this study's own")
        old = path / "study.toml"
        if not old.is_file():
            begun = {".lock", "runs", "rows"}
            if path.is_dir() and any(entry.name not in begun for entry in path.iterdir()):
                raise RunError(
                    f"--out {path} holds other files and no study: name a folder that is new or empty"
                )
            return study
        kind = "search" if (path / JOURNAL).is_file() else "study"
        if kind != self.kind:
            raise RunError(f"{path} holds a {kind} and no {self.kind}: choose another --out")
        begun_as = read(old)
        before, now = self._fixed(begun_as), self._fixed(study)
        changed = [
            f"{key}: the folder has {before.get(key)!r}, now {now.get(key)!r}"
            for key in sorted({*before, *now})
            if before.get(key) != now.get(key)
        ]
        if changed:
            raise RunError(
                "\n  ".join([f"{path} holds another {self.kind}; choose another --out:", *changed])
            )
        return replace(study, name=begun_as.name)

    def _refuse_changed(self, planned: Planned) -> None:
        """RunError where the configuration's runs are of another recipe: a point may keep its name."""
        kept = [trial for seed in self.study.seeds if is_run((trial := self._trial(planned, seed)).run)]
        if not kept:
            return
        # Of what may change when a run is taken up only the steps matter to its result.
        idle = {*recipes.FREE_ON_RESUME} - {"steps", "epochs"}
        old = Run(kept[0].run, self._allow_code).recipe
        new = recipes.resolve(kept[0].tree, True)  # as it was before
        found = recipes.differences(old, new)
        changed = [
            f"{key}: its runs have {values[0]!r}, now {values[1]!r}"
            for key, values in found.items()
            if key not in idle
        ]
        if changed:
            head = f"{self.path} has runs of another {kept[0].label!r}: rename it, or choose another --out"
            raise RunError("\n  ".join([head, *changed]))


# ---------------------------------------------------------------- planning


def plan(
    study: Study, allow_code: bool | Collection[str] = False, costs: Mapping[str, float] | None = None
) -> list[Planned]:
    """Every configuration with its steps. Recipes and data are checked, a step of each is timed.

    costs: label → seconds per step where it is known already; a study's budget in seconds must not change
    when it is taken up again.
    """
    found = configurations(study, allow_code)
    return [budgeted(study, each, (costs or {}).get(each.label)) for each in found]


def budgeted(study: Study, configuration: Configuration, known_seconds: float | None = None) -> Planned:
    """A configuration with the steps that the study's budget gives it; the costs of a step are measured.

    RecipeError or DataError, naming it, where it cannot be run.
    """
    budget, counted = study.budget, steps_by_count(study, configuration.recipe)
    try:
        trial = resolve(with_budget(study, configuration, counted or 1))
        data = check(trial)
        if counted is None and budget.seconds is not None and known_seconds is not None:
            counted = max(1, round(budget.amount / known_seconds))
        if counted is None:
            price = step_flops if budget.seconds is None else step_seconds
            counted = steps_within(trial, budget.amount, lambda recipe: price(recipe, data))
        recipe = with_budget(study, configuration, counted)
        seconds = known_seconds
        if seconds is None:
            measured = budget.seconds is None
            seconds = step_seconds(resolve(recipe), data) if measured else budget.amount / counted
    except DuelError as error:
        raise type(error)(f"configuration {configuration.label}: {error}") from error
    return Planned(configuration, recipe, counted, seconds)


def _make(path: Path) -> None:
    try:
        for folder in (path, path / "runs", path / "rows"):
            folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(
            f"the study folder {path} cannot be written ({error.strerror}): choose another --out"
        ) from error


# ---------------------------------------------------------------- runs


def _state_of(trial: Trial) -> str | None:
    """What came of a run, by its row file."""
    return str(io.read_json(trial.row)["rows"][0]["state"]) if trial.row.is_file() else None


def _died(error: BaseException) -> str:
    """What is known of a run whose worker could not say it."""
    # By its name: a cluster's errors are there only where its package is.
    if isinstance(error, BrokenProcessPool) or type(error).__name__ == "KilledWorker":
        return "its process ended without a word, each time it was tried: memory may have run out"
    return f"{type(error).__name__}: {error}"


def _step(path: Path) -> int:
    """The step that a run has logged last, from the end of its event log."""
    log = path / "events.jsonl"
    if not log.is_file():
        return 0
    with open(log, "rb") as file:
        file.seek(max(0, log.stat().st_size - _TAIL))
        lines = file.read().splitlines()
    for line in reversed(lines):
        try:
            return int(json.loads(line)["step"])
        except (ValueError, KeyError, TypeError):
            continue
    return 0
