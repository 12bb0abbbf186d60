"""What is wrong with a training: every diagnosis of the catalog, asked about a run's records."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from duel import catalog, events
from duel import recipe as recipes
from duel.diagnoses import _ranks
from duel.diagnoses._base import LOOKS, Diagnosis, Finding, Records, Severity, unclipped
from duel.errors import DuelError, RecipeError, RunError
from duel.recipe import Recipe
from duel.run import Run, as_checkpoint, is_run

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

_ORDER = events.SEVERITIES
_KINDS = ("step", "signal", "metric")
_PAIRS = 8  # samples beside their nearest training images
_AT_ONCE = 1000  # training images


def at_least(severity: Severity, least: Severity) -> bool:
    """Whether a finding is as severe as that or more."""
    return _ORDER.index(severity) <= _ORDER.index(least)


def advice(found: Sequence[Mapping[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
    """(finding, advice) of each advice that changes the recipe, in the order in which they are numbered."""
    return [(each["name"], one) for each in found for one in each["advice"] if one["set"]]


@cache
def _diagnoses() -> dict[str, Diagnosis]:
    names = catalog.names("diagnoses")
    return {name: catalog.load_class("diagnoses", name)() for name in names}


def findings(records: Records, takes: Callable[[Mapping[str, Any]], bool] = bool) -> list[dict[str, Any]]:
    """What the records show, as JSON: the severe first, then by confidence.

    takes: whether the recipe takes an advice's changes; others are left out
    """
    found = [(name, finding) for name, each in _diagnoses().items() if (finding := each.find(records))]
    found.sort(key=lambda pair: (_ORDER.index(pair[1].severity), -pair[1].confidence))
    return [_as_json(name, finding, records, takes) for name, finding in found]


def _as_json(
    name: str, finding: Finding, records: Records, takes: Callable[[Mapping[str, Any]], bool]
) -> dict[str, Any]:
    entry = {"name": name, **asdict(finding)}
    entry["evidence"] = [{**each, "steps": list(each["steps"])} for each in entry["evidence"]]
    advised = [{**each, "set": unclipped(records, each["set"])} for each in entry["advice"]]
    entry["advice"] = [each for each in advised if not each["set"] or takes(each["set"])]
    return entry


def changed(recipe: Recipe, changes: Mapping[str, Any]) -> Recipe:
    """The recipe with an advice's changes. RecipeError where they do not fit."""
    return recipes.resolve(recipes.change(recipe.to_tree(), changes), allow_code=True)


# ---------------------------------------------------------------- a run's records


class Journal:
    """Collects events as they come, and says what the records show so far.

    total: the steps that the run is to make
    """

    def __init__(self, recipe: Recipe, total: int | None) -> None:
        self._recipe = recipe
        self._flat = recipes.flatten(recipe.to_tree())
        self._total = total
        self._facts: dict[str, Any] = {}
        self._events: dict[str, list[dict[str, Any]]] = {kind: [] for kind in _KINDS}
        self._announced: set[tuple[str, str]] = set()
        self._taken: dict[str, bool] = {}

    def add(self, event: dict[str, Any]) -> None:
        """Take note of an event; kinds that no diagnosis looks at are passed over."""
        kind = event["event"]
        if "facts" in event:
            self._facts = event["facts"]
        elif kind == "finding":
            self._announced.add((event["name"], event["severity"]))
        elif kind in self._events:
            self._events[kind].append(event)

    def records(self) -> Records:
        """As they are now."""
        return Records(
            recipe=self._flat,
            total=self._total,
            facts=self._facts,
            steps=tuple(self._events["step"]),
            looks=tuple(self._events["signal"]),
            metrics=tuple(self._events["metric"]),
        )

    def findings(self) -> list[dict[str, Any]]:
        """What the records show now, with the advice that the recipe takes."""
        return findings(self.records(), self._takes)

    def news(self) -> list[dict[str, Any]]:
        """Those that no event has told of, in this severity."""
        return [each for each in self.findings() if (each["name"], each["severity"]) not in self._announced]

    def _takes(self, changes: Mapping[str, Any]) -> bool:
        """Whether the recipe takes the changes, and is another one with them."""
        key = json.dumps(changes, sort_keys=True)
        if key not in self._taken:
            try:
                other = changed(self._recipe, changes)
                self._taken[key] = bool(recipes.differences(self._recipe, other))
            except RecipeError:
                self._taken[key] = False
        return self._taken[key]


def journal(run: Run) -> Journal:
    """All that a run has recorded so far."""
    found = _empty_journal(run)
    for event in run.events():
        found.add(event)
    return found


def _empty_journal(run: Run) -> Journal:
    steps = run.state.get("steps")
    return Journal(run.recipe, steps if isinstance(steps, int) else None)


def estimate_correlation(run: Run) -> float | None:
    """How far a run's Wasserstein estimate goes with its metric: Spearman's rank correlation, from −1 to 1.

    1: the estimate falls whenever the metric gets better, be that less or more. The metric is the one that
    chooses the best checkpoint, on the validation split. None with fewer than 5 steps that were both looked
    at and evaluated (with another objective than wasserstein there are none), or where one never changes.
    """
    return _ranks.estimate_correlation(journal(run).records())


def history(run: Run) -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """What was to be seen at each look of a run, from its records: (step, findings)."""
    found = _empty_journal(run)
    for event in run.events():
        found.add(event)
        if "values" in event:
            yield event["step"], found.findings()


def diagnose(
    target: str | Path | Run | None = None,
    *,
    log: str | Path | None = None,
    against: str | None = None,
    columns: Mapping[str, str] | None = None,
    allow_code: bool | Collection[str] = False,
) -> dict[str, Any]:
    """What is wrong with a training, as `{"findings": […]}`: the severe first.

    target   a run; or a folder of samples that another program has made
    log      that program's log: CSV, JSON lines or TensorBoard (`duel.foreign`)
    against  the real data of such samples: a listed data set, or a folder
    columns  where the log has loss_d, loss_g, …, if that is not to be guessed from its names

    Each finding has name, severity, confidence, evidence, explanation, advice and, for a run, a picture:
    the sample grid nearest to its evidence; of memorisation, samples above their nearest training images,
    which are drawn now (`memorised.png`). A run that ended with a number that is none has that finding
    first. Beside them there are `"notes"`: what could not be judged and why, what was left out and, for
    others' trainings, what was taken for what.

    Raises RunError or DataError where there is nothing to judge.
    """
    if isinstance(target, Run) or (target is not None and is_run(Path(target))):
        if log is not None or against is not None or columns:
            raise RunError(
                f"{target} is a run, which has its own log and data: leave out log, against and columns"
            )
        run = target if isinstance(target, Run) else Run(target, allow_code)
        told = journal(run)
        return {"findings": with_memorised(standing(run, told), run), "notes": notes(run, told.records())}
    _refuse_no_samples(target, against)
    from duel.foreign import non_finite
    from duel.foreign import records as records_of

    samples = None if target is None else Path(target)
    logged = None if log is None else Path(log)
    seen, said = records_of(samples=samples, log=logged, against=against, columns=columns)
    return {"findings": [*non_finite(seen), *findings(seen)], "notes": said}


def _refuse_no_samples(target: str | Path | None, against: str | None) -> None:
    """RunError for a target that can be neither a run nor a folder of samples."""
    if target is None:
        return
    path = Path(target)
    if not path.exists():
        raise RunError(f"{path} does not exist: give a run folder, or samples with --against DATA")
    if not path.is_dir():
        raise RunError(f"{path} is a file: a log is given as --log {path}, samples as a folder of images")
    if (place := as_checkpoint(path)) is not None:
        raise RunError(f"{place.partition(': give ')[0]}: diagnose that run")
    if any((path / name).exists() for name in ("run.json", "provenance.json", "events.jsonl")):
        raise RunError(
            f"{path} is a run without recipe.toml, so it is not known what was trained: copy it again from "
            "where it came"
        )
    if against is None:
        raise RunError(
            f"{path} is no run (it has no recipe.toml); a folder of samples needs --against DATA or FOLDER, "
            "to be compared with"
        )


def notes(run: Run, records: Records) -> list[str]:
    """What cannot be judged yet and why, and what of the run's files is not as it was written."""
    found = [_unseen(run, records), events.note(run.events_file)]
    if _damaged_findings(run):
        found.append(f"{run.path / 'findings.json'} is damaged; what is said here is from the events alone")
    if run.edited:
        found.append(
            "recipe.toml was edited since the run: what is advised is meant for it as it is now, and what "
            "was seen is of the run as it was"
        )
    return [each for each in found if each is not None]


def _unseen(run: Run, records: Records) -> str | None:
    """Why a run was looked at too seldom for most diagnoses; None where it was not."""
    count, every = len(records.looks), run.recipe.signals.every
    if count >= LOOKS:
        return None
    what = "of samples and networks nothing can be said yet" if records.steps else "nothing can be said yet"
    if not run.events_file.exists():
        return f"{what}: events.jsonl is missing, in which {LOOKS} looks are needed"
    if not every and not count:
        what = what.removesuffix(" yet")
        return f"{what}: this run is never looked at (signals.every=0), {LOOKS} looks are needed"
    looks = "1 look is" if count == 1 else f"{count or 'no'} look{'s are' if count else ' is'}"
    return f"{what}: {looks} recorded, {LOOKS} are needed (signals.every={every})"


def _damaged_findings(run: Run) -> bool:
    """Whether findings.json is there and cannot be read."""
    try:
        run.findings()
    except DuelError:
        return True
    return False


def standing(run: Run, told: Journal) -> list[dict[str, Any]]:
    """What is wrong with a run now, with pictures; a number that is none comes first."""
    own: list[dict[str, Any]] = []
    with contextlib.suppress(DuelError):  # of a damaged findings.json: the rest is known without it
        own = [each for each in run.findings() if each["name"] == "non-finite"]
    return with_pictures([*own, *told.findings()], run)


def with_pictures(found: Sequence[dict[str, Any]], run: Run) -> list[dict[str, Any]]:
    """The findings, each with the sample grid that is nearest to the last step of its evidence."""
    grids = run.grids()
    if not grids:
        return list(found)
    pictured = []
    for each in found:
        step = max((step for item in each["evidence"] for step in item["steps"]), default=0)
        nearest = min(grids, key=lambda grid: abs(grid[0] - step))
        pictured.append({**each, "picture": str(nearest[1])})
    return pictured


# ---------------------------------------------------------------- what was learnt by heart


def with_memorised(found: Sequence[dict[str, Any]], run: Run) -> list[dict[str, Any]]:
    """The findings; that of memorisation has a picture of its own, where this machine can draw it."""
    named = [each["name"] for each in found]
    picture = draw_memorised(run) if "memorisation" in named else None
    if picture is None:
        return list(found)
    return [{**each, "picture": str(picture)} if each["name"] == "memorisation" else each for each in found]


def draw_memorised(run: Run) -> Path | None:
    """Draw eight samples of the last checkpoint (those of seed 0), below each its nearest training image.

    None where that cannot be: points, no checkpoint, training data that are not here or have changed, a
    folder that cannot be written to.
    """
    import numpy as np

    from duel import pictures

    try:
        step = run.checkpoint_step("last")
        train = _train_images(run)
        if train is None:
            return None
        drawn = np.concatenate([batch for batch, _ in run.stream(_PAIRS, checkpoint=step)])
        samples = pictures.to_uint8(drawn)
        pairs = np.concatenate([samples, train[nearest_images(samples, train)]])
        title = f"step {step}: samples, and below each its nearest training image"
        picture = _titled(pictures.grid(pairs, columns=_PAIRS), title)
        return run.write_picture("memorised.png", pictures.png(picture))
    except (DuelError, OSError):
        return None


def nearest_images(samples: np.ndarray, train: np.ndarray) -> np.ndarray:
    """For each of N images (uint8 N×C×H×W) the number of its nearest of M, by small versions as in a look."""
    import numpy as np

    from duel.metrics._neighbours import nearest
    from duel.signals import features, in_range

    parts = [train[first : first + _AT_ONCE] for first in range(0, len(train), _AT_ONCE)]
    base = np.concatenate([features(in_range(part)) for part in parts])
    return nearest(features(in_range(samples)), base, 1)[1][:, 0]


def _train_images(run: Run) -> np.ndarray | None:
    """The run's training images; None for points, and where the data are no longer what they were."""
    if run.spec.kind != "image":
        return None
    with _offline():
        data = run.recipe.data.load()
    same = data.fingerprint == run.provenance["data"].get("fingerprint")
    return data.splits["train"].samples if same else None


def _titled(image: Image.Image, title: str) -> Image.Image:
    """The picture with a line of text above it."""
    from PIL import Image, ImageDraw

    whole = Image.new("RGB", (image.width, image.height + 16), "white")
    whole.paste(image.convert("RGB"), (0, 16))
    ImageDraw.Draw(whole).text((4, 2), title, fill="black")
    return whole


@contextlib.contextmanager
def _offline() -> Iterator[None]:
    """Without downloads: nobody who asks what is wrong expects a data set to be fetched."""
    before = os.environ.get("DUEL_OFFLINE")
    os.environ["DUEL_OFFLINE"] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["DUEL_OFFLINE"]
        else:
            os.environ["DUEL_OFFLINE"] = before
