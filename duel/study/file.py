"""A study file: a base recipe, what varies, seeds, budget and metrics, in TOML."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import field, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal

from duel.errors import RecipeError, listed, one_of
from duel.options import options
from duel.recipe import build
from duel.streams import LARGEST_SEED

Tree = dict[str, Any]

_ELSEWHERE = {"seed": "seeds", "steps": "[budget]", "epochs": "[budget]"}


@options
class Budget:
    """How long each configuration trains: exactly one of these, equal for all.

    steps    generator updates
    images   real images that the discriminator draws
    seconds  of computing, by a step's median cost on this machine, measured once before the study
    flops    floating-point operations of matrix products and convolutions, counted on one step
    """

    steps: int | None = None
    images: int | None = None
    seconds: float | None = None
    flops: float | None = None

    def __post_init__(self) -> None:
        given = [name for name, value in self.amounts.items() if value is not None]
        if len(given) != 1:
            said = " and ".join(given) or "nothing"
            raise ValueError(f"{said} is given, allowed: exactly one of steps, images, seconds, flops")
        if not self.amount > 0:
            raise ValueError(f"{self.kind} is {self.amount}, allowed are positive numbers")

    @property
    def amounts(self) -> dict[str, float | None]:
        return {"steps": self.steps, "images": self.images, "seconds": self.seconds, "flops": self.flops}

    @property
    def kind(self) -> str:
        """Which of the four is equal for all configurations."""
        return next(name for name, value in self.amounts.items() if value is not None)

    @property
    def amount(self) -> float:
        """How much of it."""
        return next(value for value in self.amounts.values() if value is not None)


@options
class Point:
    """A configuration with a name of its own, beside those of the factors.

    recipe, data  in place of the study's. set: changes on top of the study's own
    """

    name: str
    recipe: str | None = None
    data: str | None = None
    set: dict[str, Any] = field(default_factory=dict)


@options
class Range:
    """What `duel search` draws a number from: low to high; `log`: evenly over its logarithm."""

    low: float
    high: float
    log: bool = False
    integer: bool = False

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise ValueError(f"low is {self.low} and high is {self.high}, allowed: low below high")
        if self.integer and not (self.low.is_integer() and self.high.is_integer()):
            raise ValueError(
                f"low is {self.low} and high is {self.high}, allowed: whole numbers with integer"
            )
        if self.log and self.low <= 0:
            raise ValueError(f"low is {self.low} with log = true, allowed are positive numbers")


@options
class Search:
    """Of `duel search`: what is drawn from a range; factors come from their lists.

    trials   configurations to try
    at_once  so many are drawn before the results of these are known: more keep more workers busy, fewer
             learn more from each other
    ranges   key → `Range`
    """

    trials: int = 20
    at_once: int = 4
    ranges: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.trials < 1 or self.at_once < 1:
            raise ValueError(
                f"trials is {self.trials} and at_once is {self.at_once}, allowed are integers from 1"
            )


@options
class Study:
    """A study, checked.

    size      which of the file's sizes this is; None: as written
    claims    names of what it bears on, for the roadmap
    recipe    a named recipe or a TOML file
    data      a listed data set or a folder; the recipe's own if not given
    seeds     run r of every configuration uses seed r: that is what is paired
    metrics   of `duel evaluate`, those that suit the data if none is given; the first one chooses the best
              checkpoint (on validation) and is what configurations are compared by
    samples   generated samples per evaluation
    looks     evaluations on validation during training, evenly spread; 0: none, and no best checkpoint
    design    "grid": every combination of the factors' values; "one-at-a-time": each factor alone, around
              the centre that recipe and `set` make
    baseline  the configuration that others are compared with; the first one if not given
    set       changes of the recipe by dotted key, as `--set` has them
    factors   key → values; besides a recipe's keys also "recipe" and "data"
    paired    keys whose lists advance together, as one factor
    """

    name: str
    size: str | None = None
    title: str = ""
    claims: tuple[str, ...] = ()
    recipe: str
    data: str | None = None
    seeds: tuple[int, ...] = (0, 1, 2)
    metrics: tuple[str, ...] = ()
    features: str | None = None
    samples: int = 2000
    looks: int = 5
    design: Literal["grid", "one-at-a-time"] = "grid"
    baseline: str | None = None
    budget: Budget
    set: dict[str, Any] = field(default_factory=dict)
    factors: dict[str, list[Any]] = field(default_factory=dict)
    paired: dict[str, list[Any]] = field(default_factory=dict)
    points: tuple[Point, ...] = ()
    search: Search | None = None

    def __post_init__(self) -> None:
        if problems := list(self._problems()):
            raise ValueError("\n  ".join(problems))

    def _problems(self) -> Iterator[str]:
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            yield f"seeds is {list(self.seeds)}, allowed: one or more different integers"
        elif not all(0 <= seed <= LARGEST_SEED for seed in self.seeds):
            yield f"seeds is {list(self.seeds)}, allowed are integers from 0 to {LARGEST_SEED}"
        if self.samples < 2:
            yield f"samples is {self.samples}, allowed are integers from 2"
        if self.looks < 0:
            yield f"looks is {self.looks}, allowed are integers from 0"
        given = {
            **self.set,
            **self.factors,
            **self.paired,
            **{k: v for p in self.points for k, v in p.set.items()},
        }
        for key, place in _ELSEWHERE.items():
            if key in given:
                raise ValueError(f"{key} cannot be set or varied, it comes from {place}")
        for key, values in {**self.factors, **self.paired}.items():
            if not values:
                yield f"the factor {key} has no values: give at least one"
        if twice := sorted({*self.factors} & {*self.paired}):
            yield f"{twice[0]} is a factor and paired: leave out one of them"
        if len({len(values) for values in self.paired.values()}) > 1:
            lengths = ", ".join(f"{key}: {len(values)}" for key, values in self.paired.items())
            yield f"paired lists have different lengths ({lengths}): give equally many values"
        names = [point.name for point in self.points]
        if len(set(names)) < len(names):
            yield f"points has a name twice: {listed(names)}"


def read(file: str | Path, size: str | None = None) -> Study:
    """The study of a TOML file, in one of its sizes. RecipeError with every problem found."""
    path = Path(file)
    name_one = "name a TOML file, such as those in studies/"
    if path.is_dir():
        of_study = f", here {path / 'study.toml'}" if (path / "study.toml").is_file() else ""
        raise RecipeError(f"{path} is a folder and no study file: {name_one}{of_study}")
    try:
        tree = tomllib.loads(path.read_bytes().decode())
    except FileNotFoundError as error:
        raise RecipeError(f"there is no study file {path}: {name_one}") from error
    except UnicodeDecodeError as error:
        raise RecipeError(f"{path} is no text, so it is no study file: {name_one}") from error
    except (ValueError, RecursionError) as error:
        raise RecipeError(f"the study file {path} is not valid TOML: {error}") from error
    except OSError as error:
        raise RecipeError(f"the study file {path} cannot be read ({error.strerror}): {name_one}") from error
    return resolve({"name": path.stem, **sized(tree, size)})


def sized(tree: Tree, size: str | None) -> Tree:
    """The tree with one of its `sizes` applied: `set` is merged key by key, everything else replaced."""
    sizes = tree.get("sizes", {})
    base = {key: value for key, value in tree.items() if key != "sizes"}
    if size is None:
        return base
    if not isinstance(sizes, dict) or not isinstance(sizes.get(size), dict):
        known = sorted(sizes) if isinstance(sizes, dict) else []
        raise RecipeError(
            f"the study has no size {size!r}: {one_of(known, size)}; without one it is as written"
        )
    other = sizes[size]
    both = [base.get("set", {}), other.get("set", {})]
    # A `set` that is no table is told by `resolve`.
    merged = {"set": {**both[0], **both[1]}} if all(isinstance(each, dict) for each in both) else {}
    return {**base, **other, "size": size, **merged}


def resolve(tree: Mapping[str, Any]) -> Study:
    """The study of a tree. RecipeError with every problem found."""
    problems: list[str] = []
    values = dict(tree)
    version = values.pop("format", 1)
    if version != 1:
        raise RecipeError(f"the study has format {version!r}; this version reads format 1")
    values["budget"] = build("budget", Budget, values.get("budget", {}), problems)
    points = values.get("points", [])
    if isinstance(points, list):
        values["points"] = [build(f"points.{n}", Point, point, problems) for n, point in enumerate(points)]
    if "search" in values:
        values["search"] = _search(values["search"], problems)
    if not isinstance(seeds := values.get("seeds", []), list | tuple):
        problems.append(
            f"seeds is {seeds!r}, allowed: a list of different integers, such as seeds = [0, 1, 2]"
        )
    noted = {"budget", "points", "search", "seeds"} if problems else ()
    study = build("", Study, values, problems, noted)
    if problems:
        raise _study_error(problems)
    assert isinstance(study, Study)
    return study


def _study_error(problems: list[str]) -> RecipeError:
    """One error for all problems, one line each, in the words of a study's file."""
    said = [
        problem.removeprefix("the recipe: ").partition(": it must be given, for example --set")[0]
        for problem in problems
    ]
    if len(said) == 1 and "\n" not in said[0]:
        return RecipeError(f"the study file: {said[0]}")
    return RecipeError("\n  ".join(["the study file has several problems:", *said]))


def _search(table: Any, problems: list[str]) -> Any:
    ranges = table.get("ranges", {}) if isinstance(table, dict) else {}
    if not isinstance(table, dict) or not isinstance(ranges, dict):
        problems.append(f"search is {table!r}, expected a table with trials and ranges")
        return None
    found = {key: build(f"search.ranges.{key}", Range, value, problems) for key, value in ranges.items()}
    return build("search", Search, {**table, "ranges": found}, problems)


def to_tree(study: Study) -> Tree:
    """The study as nested tables, as TOML keeps it; what is None or empty is left out."""
    tree: Tree = _plain(study)
    return {key: value for key, value in tree.items() if value not in (None, "", [], {})}


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        found = {each.name: _plain(getattr(value, each.name)) for each in fields(value)}
        return {key: item for key, item in found.items() if item is not None}
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
