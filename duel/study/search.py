"""A search for the best configuration: Optuna draws them, a study's machinery plays them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from duel import io, table
from duel import recipe as recipes
from duel.errors import DuelError, InputError, RecipeError
from duel.intervals import t_interval
from duel.run import Run
from duel.study import worker_count
from duel.study.campaign import JOURNAL, Campaign, Event, Planned, budgeted
from duel.study.executors import executor
from duel.study.file import Range, Search, Study, Tree, read
from duel.study.plan import Configuration, configuration, label_of, shortened, with_budget
from duel.study.trial import best_look

_PAIRED = "paired"  # the parameter that stands for all paired keys
_DIGITS = 3  # of a drawn number: enough for a rate or a weight, and short in a recipe


def search(
    file: str | Path,
    out: str | Path | None = None,
    *,
    trials: int | None = None,
    size: str | None = None,
    workers: int | None = None,
    allow_code: bool | Collection[str] = False,
) -> SearchCampaign:
    """The search that a study file asks for, checked and ready: iterate over it to play it.

    out      its folder, runs/search-NAME by default; a search there is taken up
    trials   configurations to try, in place of the file's
    others   as those of `duel.study.study`

    Raises RecipeError, DataError, RunError or InputError, with nothing written.
    """
    found = read(file, size)
    if found.search is None:
        raise RecipeError(f"{file} has no table [search] with trials and ranges: see docs/studies.md")
    if trials is not None and trials < 1:
        raise InputError(f"--trials is {trials}, allowed are integers from 1")
    wanted = found.search if trials is None else replace(found.search, trials=trials)
    found = replace(found, search=wanted)
    place = Path("runs") / f"search-{found.name}" if out is None else Path(out)
    return SearchCampaign(found, wanted, place, workers=worker_count(workers), allow_code=allow_code)


class SearchCampaign(Campaign):
    """Iterate to play a search: each item is an event. Its folder is a study's, and grows trial by trial.

    A trial is one configuration with all seeds; what it is worth is the mean over the seeds of the deciding
    metric at its best look on validation. The same file gives the same trials, whatever the number of
    workers and however often it was cut short.
    """

    kind: ClassVar[str] = "search"
    free: ClassVar[frozenset[str]] = frozenset({"name", "title", "claims", "points", "baseline", "design"})

    def __init__(
        self,
        study: Study,
        wanted: Search,
        out: str | Path,
        *,
        workers: int = 1,
        allow_code: bool | Collection[str] = False,
    ) -> None:
        """As of Campaign. Every value that may be drawn is tried once, beside the first of the others."""
        _optuna()
        self._wanted, self.done = wanted, 0
        self.space = space(study, wanted)
        self._short = shortened([*study.factors, *study.paired, *wanted.ranges])
        # Neither means anything where configurations are drawn.
        study = replace(study, baseline=None, points=())
        super().__init__(study, out, workers=workers, allow_code=allow_code)
        self.done = _done(self.path / JOURNAL)

    def _plan(self) -> list[Planned]:
        ends = {name: ends_of(values) for name, values in self.space.items()}
        first = {name: values[0] for name, values in ends.items()}
        # Timed once, for the estimate.
        self.first = budgeted(self.study, self._configuration(first))
        for name, values in ends.items():
            for value in values[1:]:
                budgeted(self.study, self._configuration({**first, name: value}), self.first.step_seconds)
        return []  # grows with each draw

    @property
    def runs(self) -> int:
        """How many runs are left to this call."""
        return len(self.study.seeds) * max(0, self._wanted.trials - self.done)

    @property
    def seconds(self) -> float:
        """What they cost, one after the other, if each costs what the first values do."""
        return self.runs * self.first.steps * self.first.step_seconds

    # ------------------------------------------------------------ playing

    def _events(self) -> Iterator[Event]:
        began = time.perf_counter()
        journal = _opened(self.path / JOURNAL)
        _take_up(journal, list(self.space))
        self.done = _count(journal, "COMPLETE", "PRUNED")
        limit = self._wanted.trials + _count(journal, "FAIL")
        yield {**self._start(self.runs), "trials": self._wanted.trials}
        with executor(min(self.workers, self._wanted.at_once * len(self.study.seeds)), None) as pool:
            while not self._stopping and (batch := self._batch(journal, limit)):
                yield from self._played_batch(pool, journal, batch)
        self._write_table()
        yield self._ended(journal, began)

    def _batch(self, journal: Any, limit: int) -> dict[int, Tree]:
        """The next trials: number → parameters. Those that were cut short, and new ones up to a whole batch.

        What is drawn depends on the trials before the batch alone, not on who ended first.
        """
        import numpy as np

        open_ = {trial.number: trial.params for trial in journal.trials if trial.state.name == "RUNNING"}
        drawn = len(journal.trials) - _count(journal, "WAITING")
        start, size = min(open_, default=drawn), self._wanted.at_once
        for number in range(drawn, min(limit, (start // size + 1) * size)):
            # A seed of its own for each: those drawn before a kill must not be drawn again after it.
            seed = int(np.random.SeedSequence([0, number]).generate_state(1)[0])
            journal.sampler = _optuna().samplers.TPESampler(seed=seed)
            trial = journal.ask({name: _distribution(values) for name, values in self.space.items()})
            open_[trial.number] = trial.params
        return open_

    def _played_batch(self, pool: Any, journal: Any, batch: Mapping[int, Tree]) -> Iterator[Event]:
        found = {number: self._budgeted(params) for number, params in batch.items()}
        new = {each.configuration.label: each for each in found.values() if isinstance(each, Planned)}
        self.planned = list({**{each.configuration.label: each for each in self.planned}, **new}.values())
        self._write_plan()
        every = self.trials
        todo = [each for each in every if each.label in new and self._state(each) in (None, "failed")]
        yield from self._played(pool, todo, every)
        for number, planned in found.items():
            yield from self._told(journal, number, batch[number], planned)

    def _budgeted(self, params: Tree) -> Planned | DuelError:
        """What was drawn; the error where these values do not go together."""
        try:
            it = self._configuration(params)
            return budgeted(self.study, it, self._costs().get(it.label))
        except DuelError as error:
            return error

    def _told(self, journal: Any, number: int, params: Tree, planned: Planned | DuelError) -> Iterator[Event]:
        """Tell Optuna what came of a trial; nothing where it was interrupted."""
        event: Event = {"event": "trial", "number": number, "label": self._label(params), "value": None}
        state = _optuna().trial.TrialState
        if isinstance(planned, DuelError):
            journal.tell(number, state=state.PRUNED)
            yield {**event, "state": "refused", "error": str(planned)}
            return
        runs = [self._trial(planned, seed) for seed in self.study.seeds]
        ends = [self._state(run) for run in runs]
        if None in ends:
            return
        looks = [best_look(Run(run.run, True)) for run in runs if "failed" not in ends]
        if "failed" in ends:
            journal.tell(number, state=state.FAIL)  # tried again by the next call
            yield {**event, "state": "failed"}
        elif "nonfinite" in ends or None in looks:
            journal.tell(number, state=state.PRUNED)  # which the sampler takes for worse than any number
            yield {**event, "state": "nonfinite"}
        else:
            value = statistics.fmean(look["value"] for look in looks if look is not None)
            first = looks[0] or {}
            journal.tell(number, value if first["better"] == "lower" else -value)
            yield {**event, "state": "done", "metric": first["name"], "value": value}

    def _ended(self, journal: Any, began: float) -> Event:
        failed = len(_failed(journal, list(self.space)))
        short = _count(journal, "COMPLETE", "PRUNED") + failed < self._wanted.trials
        open_ = _count(journal, "RUNNING") or (self._stopping and short)
        return {
            "event": "end",
            "reason": "interrupted" if open_ else "done",
            "done": _count(journal, "COMPLETE"),
            "pruned": _count(journal, "PRUNED"),
            "failed": failed,
            "seconds": round(time.perf_counter() - began, 1),
            "folder": str(self.path),
            **self._best(journal),
        }

    def _best(self, journal: Any) -> dict[str, Any]:
        """The best trial so far, with its number on the test split, and its recipe as best.toml."""
        complete = [trial for trial in journal.trials if trial.state.name == "COMPLETE"]
        if not complete:
            return {}
        best = min(complete, key=lambda trial: (trial.value, trial.number))
        label = self._label(best.params)
        rows = [
            row
            for row in table.read(self.path)
            if row["configuration"] == label and row["checkpoint"] == "best"
        ]
        rows = [row for row in rows if row["metric"] == rows[0]["metric"]]
        steps = next(each["steps"] for each in self._entries() if each["label"] == label)
        recipe = with_budget(self.study, self._configuration(best.params), steps)
        file = self.path / "best.toml"
        io.write_atomic(file, recipes.to_toml(replace(recipe, seed=self.study.seeds[0])).encode())
        found = {
            "number": best.number,
            "label": label,
            "metric": rows[0]["metric"],
            "value": best.value if rows[0]["better"] == "lower" else -best.value,
            "test": over_seeds(rows),
            "seeds": len(rows),
            "recipe": str(file),
        }
        return {"best": found}

    # ------------------------------------------------------------ configurations

    def _configuration(self, params: Tree) -> Configuration:
        given = self._given(params)
        return configuration(self.study, label_of(given, self._short), given, given.keys(), self._allow_code)

    def _label(self, params: Tree) -> str:
        return label_of(self._given(params), self._short)

    def _given(self, params: Tree) -> Tree:
        """What drawn parameters set in the recipe: key → value."""
        given: Tree = {}
        for name, values in self.space.items():
            if isinstance(values, Range):
                given[name] = rounded(params[name], values)
            else:
                given |= values[params[name]]
        return given

    # ------------------------------------------------------------ the folder

    def _fixed(self, study: Study) -> Tree:
        tree = super()._fixed(study)
        return {**tree, "search": {k: v for k, v in tree.get("search", {}).items() if k != "trials"}}

    def _entries(self) -> list[Tree]:
        """Those of the trials of earlier calls, too."""
        file = self.path / "plan.json"
        before = io.read_json(file)["configurations"] if file.is_file() else []
        return list({each["label"]: each for each in [*before, *super()._entries()]}.values())

    def _write_plan(self) -> None:
        (self.path / JOURNAL).touch()  # first of all: it says what kind of folder this is
        super()._write_plan()


# ---------------------------------------------------------------- the space

Values = Range | dict[str, Tree]  # a range, or what each choice sets, by its name


def space(study: Study, wanted: Search) -> dict[str, Values]:
    """What is searched in, by parameter. RecipeError where that makes no sense."""
    listed = [{key: value} for key, values in study.factors.items() for value in values]
    joint = [dict(zip(study.paired, row, strict=True)) for row in zip(*study.paired.values(), strict=True)]
    found: dict[str, Values] = {}
    for given in [*listed, *joint]:
        name = _PAIRED if len(given) > 1 else next(iter(given))
        choices = found.setdefault(name, {})
        assert isinstance(choices, dict)
        said = label_of(given, {})
        if said in choices:
            raise RecipeError(f"two values of {name} read {said}: leave one of them out")
        choices[said] = given
    if twice := sorted({*study.factors, *study.paired} & {*wanted.ranges}):
        raise RecipeError(f"{twice[0]} has a list and a range: leave out one of them")
    if not study.looks:
        raise RecipeError("looks is 0, but what a trial is worth is seen on validation: give at least 1")
    if "data" in study.factors:
        raise RecipeError("data is a factor: values on different data sets cannot be compared, search in one")
    found |= wanted.ranges
    if not found:
        raise RecipeError("there is nothing to search in: give [search.ranges] or [factors]")
    return found


def ends_of(values: Values) -> list[Any]:
    """Both ends of a range, or every choice."""
    return [values.low, values.high] if isinstance(values, Range) else list(values)


def rounded(value: float, within: Range) -> float | int:
    """A drawn number with three digits, and still within its range."""
    if within.integer:
        return int(value)
    return min(max(float(f"{value:.{_DIGITS}g}"), within.low), within.high)


def _distribution(values: Values) -> Any:
    distributions = _optuna().distributions
    if isinstance(values, dict):
        return distributions.CategoricalDistribution(list(values))
    if values.integer:
        return distributions.IntDistribution(int(values.low), int(values.high), log=values.log)
    return distributions.FloatDistribution(values.low, values.high, log=values.log)


# ---------------------------------------------------------------- the journal


def _optuna() -> Any:
    try:
        import optuna
    except ImportError as error:
        raise InputError("a search needs the extra duel[search]: pip install 'duel[search]'") from error
    optuna.logging.set_verbosity(optuna.logging.ERROR)  # what came of a trial is said by us
    return optuna


def _opened(file: Path) -> Any:
    """The journal's study. What a kill left of a line, or of Optuna's own lock, is removed: ours is held."""
    optuna = _optuna()
    for rest in file.parent.glob(f"{file.name}.lock*"):
        rest.unlink()
    content = file.read_bytes() if file.is_file() else b""
    whole = content[: content.rfind(b"\n") + 1]
    if whole != content:
        io.write_atomic(file, whole)
    storage = _storage(file)
    # Which way is better is known only once something was measured: what is minimised has its sign then.
    return optuna.create_study(storage=storage, study_name="search", load_if_exists=True)


def _storage(file: Path) -> Any:
    storages = _optuna().storages
    return storages.JournalStorage(storages.journal.JournalFileBackend(str(file)))


def _done(file: Path) -> int:
    """How many trials have ended by a search's journal, which is read only; 0 where there is none."""
    if not file.is_file():
        return 0
    try:
        journal = _optuna().load_study(study_name="search", storage=_storage(file))
    except KeyError:  # it was cut short before its first trial
        return 0
    return _count(journal, "COMPLETE", "PRUNED")


def _take_up(journal: Any, names: list[str]) -> None:
    """Trials that failed are enqueued again; one that was cut short as it was drawn is given up."""
    for trial in journal.trials:
        if trial.state.name == "RUNNING" and {*names} - trial.params.keys():
            journal.tell(trial.number, state=_optuna().trial.TrialState.FAIL)
    for trial in _failed(journal, names):
        journal.enqueue_trial(trial.params)


def _failed(journal: Any, names: list[str]) -> list[Any]:
    """The trials with failed runs that were not tried again."""
    found = {}
    for trial in journal.trials:
        params = trial.params or trial.system_attrs.get("fixed_params", {})
        if {*names} <= params.keys():
            found[repr(sorted(params.items()))] = trial
    return [trial for trial in found.values() if trial.state.name == "FAIL"]


def _count(journal: Any, *states: str) -> int:
    return sum(trial.state.name in states for trial in journal.trials)


# ---------------------------------------------------------------- the result


def over_seeds(rows: list[Tree]) -> Tree:
    """Value, low and high of a metric over seeds: Student's t; of one seed its own interval."""
    if len(rows) == 1:
        return {key: rows[0][key] for key in ("value", "low", "high")}
    value, low, high = t_interval([row["value"] for row in rows])
    return {"value": value, "low": low, "high": high}
