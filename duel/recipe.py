"""Recipes: everything that decides what a training run does, in one typed, frozen value.

A recipe is read from TOML as a plain tree of tables, changed key by key, and then resolved: names become
options classes, defaults are filled in, and every mistake is reported at once. `Recipe.to_tree` is
the way back.
"""

from __future__ import annotations

import inspect
import os
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import fields, is_dataclass, replace
from itertools import chain, islice
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from duel import catalog, schedule
from duel.augmentations._base import Augmentation
from duel.constraints._base import Constraint
from duel.datasets._base import DataSet
from duel.errors import DataError, RecipeError, one_of
from duel.games._base import Game
from duel.networks._base import Network
from duel.objectives._base import Objective
from duel.optimizers._base import Optimizer
from duel.options import options
from duel.penalties._base import Penalty
from duel.schedule import Schedule, values_of
from duel.streams import LARGEST_SEED

Tree = dict[str, Any]


@options
class Latent:
    """size: components of a latent vector. prior: "normal" N(0, 1) or "uniform" U(−1, 1)."""

    size: int = 100
    prior: Literal["normal", "uniform"] = "normal"


@options
class Optimizers:
    """One optimizer per player."""

    generator: Optimizer
    discriminator: Optimizer


@options
class Ema:
    """An average of the generator's (and the encoder's) weights over the steps, to sample with.

    average ← d·average + (1 − d)·weights after each step, with d = min(decay, (1 + t)/(10 + t)) where t
    counts the steps before it, so that the initial weights are soon forgotten. Batch norm's statistics are
    taken over as they are.

    decay  0.999, say; a number or a schedule. 0: no average is kept
    """

    decay: float | Schedule = 0.0

    def __post_init__(self) -> None:
        if not all(0 <= value < 1 for value in values_of(self.decay)):
            raise ValueError(f"decay is {self.decay}, allowed are numbers from 0 up to, not including, 1")


@options
class Scratch:
    """How the from-scratch engine computes.

    gradient    "backprop"; "forward": dual numbers alone, one tangent for each parameter, exact and for tiny
                networks; or "forward-gradient": an estimate from random tangents in one forward pass
                (Baydin et al. 2022, arXiv:2202.08587)
    directions  random tangents whose estimates are averaged; of "forward-gradient"
    bias        "apart"; or "row": each layer's inputs get a column of ones, and the bias is a part of the
                weight matrix, also for l1 and l2 (Bensi, Nocchi 2023)
    """

    gradient: Literal["backprop", "forward", "forward-gradient"] = "backprop"
    directions: int = 1
    bias: Literal["apart", "row"] = "apart"

    def __post_init__(self) -> None:
        if self.directions != 1 and self.gradient != "forward-gradient":
            raise ValueError(
                f"directions is {self.directions}, but only gradient=forward-gradient draws any: set it, too"
            )


@options
class Log:
    """every: steps between two entries of losses in the event log."""

    every: int = 10


@options
class Signals:
    """every: steps between two looks into the training, which `duel.diagnose` judges. 0: none."""

    every: int = 100

    def __post_init__(self) -> None:
        if self.every < 0:
            raise ValueError(f"every is {self.every}, allowed are integers from 0 (no looks)")


@options
class Sample:
    """every: steps between two sample grids; the first is drawn before training.

    count: images on a grid (a scatter plot of points always shows 2,000).
    """

    every: int = 200
    count: int = 64


@options
class Checkpoint:
    """every: steps between two checkpoints (the end is always one). keep: how many of the last stay."""

    every: int = 1000
    keep: int = 2


@options
class Evaluate:
    """Metrics during training, on the validation split.

    every     steps between two evaluations; none where it is not given. Each saves a checkpoint first
    metrics   names; those of `duel evaluate` where none is given. The first one chooses the best checkpoint
    features  the feature space; the one that suits the data where it is not given
    samples   generated samples per evaluation
    patience  early stopping: after so many evaluations without a new best value of the first metric
    """

    every: int | None = None
    metrics: tuple[str, ...] = ()
    features: str | None = None
    samples: int = 2000
    patience: int | None = None

    def __post_init__(self) -> None:
        if self.patience is not None and self.every is None:
            raise ValueError("patience is given, but nothing is evaluated: give evaluate.every, too")


@options
class Recipe:
    """A resolved recipe.

    name        which recipe it started from; names the run folder
    data …      one variant of each family; `penalties`, `constraints` and `augmentations` hold any number
    batch_size  real samples that go through the discriminator together, and latent vectors
    accumulate  so many batches make one update, whose gradient is their mean
    n_critic    discriminator updates per step; a step is one generator update with these before it. A
                number, or a schedule of shape "step" with whole values
    joint_pass  real and fake go through the discriminator in one pass, so batch norm sees them
                together; otherwise in two (the default, as in the DCGAN tutorial)
    sync_batch_norm  where several processes train together, batch norm sees the batches of all of them, so
                that their number does not matter; otherwise each its own share
    steps       how long to train; or epochs (real samples drawn / size of the training split)
    seed        of every random number
    threads     CPU threads; all cores unless given. Results are repeatable for an equal number
    engine      "torch", or "scratch": NumPy and dual numbers, for the dense networks of the plain game on
                the CPU. Both play the same game from the same random numbers
    scratch     how the from-scratch engine computes
    on_nonfinite   when a loss or weight is no longer a number: "stop", or "rollback": go back to the last
                checkpoint with both learning rates halved
    max_rollbacks  how often, before the run stops after all
    device      "cpu" or "cuda"; "auto" becomes what is there
    precision   "bfloat16": the networks compute in it where that is safe (autocast), weights and losses
                stay float32. Made for GPUs; a CPU is slower with it. "float64": everything in it, to check
                one engine against another
    """

    name: str
    data: DataSet
    network: Network
    game: Game
    objective: Objective
    penalties: tuple[Penalty, ...] = ()
    constraints: tuple[Constraint, ...] = ()
    augmentations: tuple[Augmentation, ...] = ()
    optimizer: Optimizers
    latent: Latent = Latent()
    ema: Ema = Ema()
    batch_size: int = 64
    accumulate: int = 1
    n_critic: int | Schedule = 1
    joint_pass: bool = False
    sync_batch_norm: bool = True
    steps: int | None = None
    epochs: int | None = None
    seed: int = 0
    threads: int | None = None
    engine: Literal["torch", "scratch"] = "torch"
    scratch: Scratch = Scratch()
    on_nonfinite: Literal["stop", "rollback"] = "stop"
    max_rollbacks: int = 3
    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["float32", "bfloat16", "float64"] = "float32"
    log: Log = Log()
    signals: Signals = Signals()
    sample: Sample = Sample()
    checkpoint: Checkpoint = Checkpoint()
    evaluate: Evaluate = Evaluate()

    def to_tree(self) -> Tree:
        """The recipe as nested tables, as TOML keeps it; what is None is left out."""
        tree: Tree = _to_tree(self)
        return tree

    def at(self, step: int) -> Recipe:
        """The recipe with the numbers that its schedules have after so many steps."""
        return schedule.at(self, step)

    def slower(self, halvings: int) -> Recipe:
        """The recipe with both learning rates halved so many times."""
        sides = {
            side: _with_rate(getattr(self.optimizer, side), 0.5**halvings)
            for side in ("generator", "discriminator")
        }
        return replace(self, optimizer=Optimizers(**sides)) if halvings else self

    def drawn(self, step: int) -> int:
        """Real samples that the discriminator has drawn after so many steps."""
        per_update = self.batch_size * self.accumulate
        if isinstance(self.n_critic, int):
            return step * self.n_critic * per_update
        return int(self.n_critic.total(step)) * per_update

    def steps_for(self, samples: float) -> int:
        """The smallest number of steps after which so many real samples have been drawn."""
        low, high = 0, max(1, round(samples))
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if self.drawn(middle) >= samples else (middle + 1, high)
        return low

    def total_steps(self, train_size: int) -> int:
        """How many steps the budget comes to on a training split of that size."""
        if self.steps is not None:
            return self.steps
        assert self.epochs is not None
        wanted = self.epochs * train_size
        above = self.steps_for(wanted)
        below = max(1, above - 1)
        return below if wanted - self.drawn(below) < self.drawn(above) - wanted else above

    def epoch(self, step: int, train_size: int) -> tuple[int, int, int]:
        """Where a step stands: its epoch (from 0), its number in that epoch, the epoch's steps.

        An epoch is as many real samples drawn as the training split holds.
        """
        epoch = (self.drawn(step - 1) if step else 0) // train_size
        first, following = (self.steps_for(number * train_size) for number in (epoch, epoch + 1))
        return epoch, step - first, following - first


def _with_rate(options: Optimizer, share: float) -> Optimizer:
    """An optimizer's options with its learning rate times `share`."""
    lr = getattr(options, "lr", None)
    if lr is None:
        raise RecipeError(
            f"the optimizer {type(options).__name__} has no option lr that a rollback could halve: "
            "use on_nonfinite=stop"
        )
    slower = (
        replace(lr, values=tuple(share * value for value in lr.values))
        if isinstance(lr, Schedule)
        else share * lr
    )
    return replace(options, lr=slower)  # type: ignore[call-arg]


# Where in the tree a variant stands, and of which family; the lists hold any number of variants.
_ONE = {
    "data": "datasets",
    "network": "networks",
    "game": "games",
    "objective": "objectives",
    "optimizer.generator": "optimizers",
    "optimizer.discriminator": "optimizers",
}
_MANY = {"penalties": "penalties", "constraints": "constraints", "augmentations": "augmentations"}
_TABLES: dict[str, type[Any]] = {
    "latent": Latent,
    "ema": Ema,
    "scratch": Scratch,
    "log": Log,
    "signals": Signals,
    "sample": Sample,
    "checkpoint": Checkpoint,
    "evaluate": Evaluate,
}
_DEFAULTS = {
    "data": "digits",
    "game": "plain",
    "objective": "non-saturating",
    "optimizer.generator": "adam",
    "optimizer.discriminator": "adam",
}
_AT_LEAST_ONE = (
    "batch_size", "accumulate", "n_critic", "steps", "epochs", "threads", "latent.size",
    "log.every", "sample.every", "sample.count", "checkpoint.every", "checkpoint.keep", "max_rollbacks",
    "evaluate.every", "evaluate.samples", "evaluate.patience", "scratch.directions",
)  # fmt: skip
_LIMIT = 10**12
_FORMAT = 1  # of recipe files; written down once there is another
_FIRST_OPTION = {"hf": "source", "shards": "pattern"}  # what `--data NAME:…` sets
_AT_MOST = {"sample.count": 1024, "threads": 256}
# What may differ when a run is taken up again.
FREE_ON_RESUME = (
    "steps", "epochs", "threads", "device",
    "log.every", "signals.every", "sample.every", "checkpoint.every", "checkpoint.keep", "evaluate.every",
    "evaluate.patience", "on_nonfinite", "max_rollbacks", "data.path",
    "data.pattern",
)  # fmt: skip


# ---------------------------------------------------------------- reading


def read(source: str | Path) -> Tree:
    """The tree of a named recipe or of a TOML file. RecipeError where there is neither.

    A file may say `format = 1`, as one without it is; RecipeError for any other.
    """
    named = catalog.recipes()
    path = named.get(str(source), Path(source))
    if not str(source).strip():
        raise RecipeError(f"the recipe's name is empty: {one_of(sorted(named), '')}; or give a TOML file")
    if not path.is_file():
        if path.suffix == ".toml" or path.exists():
            why = "is no file" if path.exists() else "does not exist"
            raise RecipeError(
                f"the recipe file {path} {why}: give a TOML file, or a name from `duel list recipes`"
            )
        hint = one_of(sorted(named), str(source))
        raise RecipeError(f"there is no recipe {str(source)!r}: {hint}; or give a TOML file")
    try:
        tree = tomllib.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError, OSError) as error:  # also what is no UTF-8, or nested too deeply
        raise RecipeError(f"the recipe file {path} is not valid TOML: {error}") from error
    version = tree.pop("format", _FORMAT)
    if type(version) is not int or version != _FORMAT:
        raise RecipeError(
            f"the recipe file {path} has format {version!r}; this version reads format {_FORMAT}"
        )
    return {"name": path.stem, **tree}


def data_changes(data: str | Path) -> Tree:
    """What `--data` changes: a listed data set by its name, else the folder of that path.

    "hf:NAME" and "shards:PATTERN" stand for a data set and its first option.
    """
    names = catalog.names("datasets")
    prefix, _, rest = data.partition(":") if isinstance(data, str) else ("", "", "")
    if rest and prefix in _FIRST_OPTION:
        return {"data.name": prefix, f"data.{_FIRST_OPTION[prefix]}": rest}
    if isinstance(data, str) and (data in names or ":" in data):
        if _has_images(Path(data)):
            raise DataError(
                f"{data!r} is a listed data set, and here is a folder of images of that name: "
                f"write ./{data} for the folder; for the data set work from another folder"
            )
        return {"data.name": data}
    if not Path(data).exists():
        raise DataError(f"there is no data set and no folder {str(data)!r}: {one_of(names, str(data))}")
    return {"data.name": "folder", "data.path": str(data)}


def _has_images(folder: Path) -> bool:
    """Whether pictures lie in a folder or one below, by their names; the first of many files count."""
    files = chain.from_iterable(folder.glob(pattern) for pattern in ("*.*", "*/*.*"))
    return any(file.suffix.lower() in (".png", ".jpg", ".jpeg", ".webp") for file in islice(files, 1000))


def data_set(
    data: str | Path, changes: Mapping[str, Any] | None = None, allow_code: bool | Collection[str] = False
) -> DataSet:
    """A data set by name or folder, with options as dotted keys (`{"data.batches": [1]}`)."""
    wrong = [key for key in changes or {} if not key.startswith("data.")]
    if wrong:
        raise RecipeError(f"{wrong[0]!r} is no option of a data set: write data.OPTION=VALUE")
    tree = change({}, {**data_changes(data), **(changes or {})})
    problems: list[str] = []
    found = _variant("data", "datasets", tree["data"], None, allow_code, problems)
    if problems:
        raise recipe_error(problems)
    assert isinstance(found, DataSet)
    return found


def parse_change(text: str) -> tuple[str, Any]:
    """`key=value` as the command line has it. The value is read as TOML, else taken as a string."""
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise RecipeError(f"--set was given {text!r}: write KEY=VALUE, for example --set network.width=32")
    try:
        return key.strip(), tomllib.loads(f"value = {value}")["value"]
    except (ValueError, RecursionError):
        return key.strip(), value.strip()


# ---------------------------------------------------------------- changing


def change(tree: Tree, changes: Mapping[str, Any]) -> Tree:
    """The tree with dotted keys set to new values.

    Another name for a variant drops the old one's options (but for those that every variant of the
    family shares). In a list of variants an element is addressed by its name and added where it is
    not there yet: `penalties.r1.weight`. `steps` and `epochs` replace each other.

    The result is a tree of its own: neither `tree` nor a table or list in `changes` becomes a part of it.
    """
    tree = _copy(tree)
    # Names first: a change of variant must not drop an option that the same call sets.
    for key in sorted(changes, key=lambda key: not _names_variant(key)):
        _change_one(tree, key, _copy(changes[key]))
    return tree


def _names_variant(key: str) -> bool:
    return key in _ONE or key in _MANY or key.removesuffix(".name") in _ONE


def _change_one(tree: Tree, key: str, value: Any) -> None:
    place, _, option = key.rpartition(".")
    family_list, _, element = place.partition(".")
    if key in _ONE and isinstance(value, str):
        _switch(tree, key, value)
    elif option == "name" and place in _ONE:
        _switch(tree, place, value)
    elif key in _MANY:
        tree[key] = _variant_list(value)
    elif family_list in _MANY and element:
        name, rest = _split_element(family_list, element)
        _table(_list_element(tree, family_list, name), rest, key)[option] = value
    else:
        _table(tree, place, key)[option] = value
        if key in ("steps", "epochs"):
            tree.pop({"steps": "epochs", "epochs": "steps"}[key], None)


def _switch(tree: Tree, place: str, name: str) -> None:
    """Another variant at a place: the options that both share through the family's base stay."""
    parent, _, last = place.rpartition(".")
    table = _table(tree, parent, place)
    old = table.get(last, {})
    old = {"name": old} if isinstance(old, str) else old
    if not isinstance(old, dict):
        raise RecipeError(f"{place} is {old!r}, expected a table with a name")
    if old.get("name", _DEFAULTS.get(place)) == name:
        table[last] = {**old, "name": name}
        return
    common = _common_options(_ONE[place], name)
    kept = {key: value for key, value in old.items() if key in common and _may_be(common[key], value)}
    table[last] = {"name": name, **kept}


def _common_options(family: str, name: str) -> dict[str, str]:
    """Name → type, as the source writes it, of the options that a variant shares with its family."""
    if name not in catalog.names(family):
        return {}
    return {option.name: option.type for option in catalog.entry(family, name).options if option.common}


def _may_be(type_text: str, value: Any) -> bool:
    """Whether a choice (`Literal[…]`) allows a value; other types are checked later."""
    return not type_text.startswith("Literal[") or repr(value) in type_text


def _variant_list(value: Any) -> Any:
    """`"r1,noise"` → a list of tables; "none" and "" → the empty list; a list stays."""
    if not isinstance(value, str):
        return value
    return [{"name": name.strip()} for name in value.split(",") if name.strip() not in ("", "none")]


def _split_element(family: str, element: str) -> tuple[str, str]:
    """A listed variant's name and what lies below it: noise.sigma → noise, sigma. Others as they are."""
    name, _, rest = element.partition(".")
    return (name, rest) if name in catalog.names(_MANY[family]) else (element, "")


def _list_element(tree: Tree, key: str, name: str) -> Tree:
    if name.isdecimal():
        raise RecipeError(
            f"{key}.{name} is no element: those of a list go by their names, such as {key}."
            f"{catalog.names(_MANY[key])[0]}.OPTION"
        )
    given = _variant_list(tree.get(key, []))
    if not isinstance(given, list) or not all(isinstance(each, dict) for each in given):
        raise RecipeError(f"{key} is {given!r}, expected a list of tables, each with a name")
    elements: list[Tree] = given
    tree[key] = elements
    for element in elements:
        if element.get("name") == name:
            return element
    elements.append({"name": name})
    return elements[-1]


def _table(tree: Tree, place: str, key: str) -> Tree:
    for part in place.split(".") if place else []:
        tree = tree.setdefault(part, {})
        if not isinstance(tree, dict):
            raise RecipeError(f"{key!r} cannot be set: {place!r} is a single value, not a table")
    return tree


def _copy(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _copy(item) for key, item in value.items()}
    return [_copy(item) for item in value] if isinstance(value, list | tuple) else value


# ---------------------------------------------------------------- resolving


def resolve(tree: Tree, allow_code: bool | Collection[str] = False) -> Recipe:
    """The recipe of a tree, with all defaults filled in.

    `allow_code` says which variants from outside the package ("module:Class") may be imported: all,
    none, or these names. Raises RecipeError with every problem found.
    """
    problems: list[str] = []
    values: dict[str, Any] = {
        key: value for key, value in _copy(tree).items() if key.partition(".")[0] not in ("optimizer",)
    }
    optimizer = _copy(tree.get("optimizer", {}))
    if not isinstance(optimizer, Mapping):
        problems.append(f"optimizer is {optimizer!r}, expected the tables generator and discriminator")
        optimizer = {}
    problems += _unknown("optimizer", optimizer, ("generator", "discriminator"))

    def one(place: str, given: Any) -> Any:
        return _variant(place, _ONE[place], given, _DEFAULTS.get(place), allow_code, problems)

    for place in ("data", "network", "game", "objective"):
        values[place] = one(place, values.get(place, {}))
    for place, family in _MANY.items():
        given = _variant_list(values.get(place, []))
        values[place] = _variants(place, family, given, allow_code, problems)
    for place, table in _TABLES.items():
        values[place] = build(place, table, values.get(place, {}), problems)
    sides = ("generator", "discriminator")
    players = {side: one(f"optimizer.{side}", optimizer.get(side, {})) for side in sides}
    values["optimizer"] = None if None in players.values() else Optimizers(**players)
    values |= {place: None for place in _MANY if None in values[place]}
    # The rest is checked even if a part failed, so that one call reports everything.
    failed = {place for place, value in values.items() if value is None}
    whole = {key: value for key, value in values.items() if key not in failed}
    recipe = build("", Recipe, {"name": "recipe", **whole}, problems, failed)
    if recipe is not None:
        problems += _range_problems(recipe)
    if problems:
        raise recipe_error(problems)
    assert isinstance(recipe, Recipe)
    return recipe


def recipe_error(problems: list[str]) -> RecipeError:
    """One error for all problems, one line each."""
    if len(problems) == 1:
        return RecipeError(problems[0])
    return RecipeError("\n  ".join([f"the recipe has {len(problems)} problems:", *problems]))


def _variant(
    place: str,
    family: str,
    given: Any,
    default: str | None,
    allow_code: bool | Collection[str],
    problems: list[str],
) -> Any:
    """An instance of the named variant's options class, or None with a problem noted."""
    table = {"name": given} if isinstance(given, str) else given
    if not isinstance(table, dict):
        problems.append(f"{place} is {given!r}, expected a table with a name")
        return None
    name = table.get("name", default)
    if not isinstance(name, str):
        problems.append(f"{place}.name is missing: {one_of(catalog.names(family), '')}")
        return None
    if ":" in name and not (allow_code is True or (allow_code is not False and name in allow_code)):
        problems.append(
            f"{place}.name is {name!r}, which would run code from outside: type it on this command line "
            "or add --allow-code if you trust it"
        )
        return None
    try:
        cls = catalog.load_class(family, name)
    except RecipeError as error:
        problems.append(f"{place}.name: {error}")
        return None
    base = _BASES[family]
    if not (isinstance(cls, type) and issubclass(cls, base) and is_dataclass(cls)):
        problems.append(f"{place}.name is {name!r}, which is no @options class derived from {base.__name__}")
        return None
    if inspect.isabstract(cls):
        lacking = ", ".join(sorted(cls.__abstractmethods__))
        problems.append(
            f"{place}.name is {name!r}, which leaves out what {base.__name__} needs: define {lacking}"
        )
        return None
    return build(place, cls, {key: value for key, value in table.items() if key != "name"}, problems)


def _variants(
    place: str, family: str, given: Any, allow_code: bool | Collection[str], problems: list[str]
) -> tuple[Any, ...]:
    if not isinstance(given, list | tuple):
        problems.append(f"{place} is {given!r}, expected a list of tables, each with a name")
        return ()
    labels = [item.get("name", n) if isinstance(item, dict) else n for n, item in enumerate(given)]
    return tuple(
        _variant(f"{place}.{label}", family, item, None, allow_code, problems)
        for label, item in zip(labels, given, strict=True)
    )


def build(place: str, cls: type[Any], table: Any, problems: list[str], failed: Collection[str] = ()) -> Any:
    """`cls(**table)`, or None with each mistake noted in `problems` as one sentence.

    place   where the table stands, for the sentences; `failed` fields are noted already
    """
    if not isinstance(table, dict):
        problems.append(f"{place} is {table!r}, expected a table")
        return None
    known = [field.name for field in fields(cls)]
    problems += _unknown(place, table, known)
    before = len(problems)
    given = {key: _plain(f"{place}.{key}", value, problems) for key, value in table.items() if key in known}
    if len(problems) > before:
        return None
    try:
        return cls(**given)
    except ValidationError as error:
        details: list[dict[str, Any]] = [dict(detail) for detail in error.errors()]
        sentences = [_sentence(place, detail) for detail in details if set(detail["loc"]).isdisjoint(failed)]
        problems += dict.fromkeys(sentences)
        return None


def _plain(place: str, value: Any, problems: list[str]) -> Any:
    """A value of TOML as an option takes it: lists become tuples, a table with values a schedule."""
    if isinstance(value, dict) and "values" in value:
        return build(place, Schedule, value, problems)
    return _tuples(value)


def _unknown(place: str, table: Mapping[str, Any], known: Collection[str]) -> list[str]:
    prefix = f"{place}." if place else ""
    return [
        f"there is no field {prefix + key!r}: {one_of(sorted(known), key)}"
        for key in table
        if key not in known
    ]


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value


_KINDS = ("float", "int", "Schedule")  # how pydantic marks the members of "a number or a schedule"
_EXAMPLE = '{values = [1, 5], at = [0, 1000], shape = "step"}'


def _sentence(place: str, detail: dict[str, Any]) -> str:
    """One of pydantic's errors as: what was given, what is allowed."""
    number_or_schedule = detail["loc"] and detail["loc"][-1] in _KINDS
    loc = detail["loc"][:-1] if number_or_schedule else detail["loc"]
    where = ".".join(str(part) for part in (place, *loc) if part != "")
    if detail["type"] == "value_error":
        return f"{place or 'the recipe'}: {detail['ctx']['error']}"
    if detail["type"].startswith("missing"):
        return f"{where} is missing: it must be given, for example --set {where}=…"
    if number_or_schedule:
        whole = "an integer" if where == "n_critic" else "a number"
        return f"{where} is {detail['input']!r}, allowed: {whole} or a schedule {_EXAMPLE}"
    allowed = detail["msg"].removeprefix("Input should be ").replace("a valid integer", "an integer")
    allowed = allowed.replace("a valid ", "a ").replace("a tuple", 'a list, such as ["…", "…"]')
    return f"{where} is {detail['input']!r}, allowed: {allowed}"


def _range_problems(recipe: Recipe) -> list[str]:
    flat = flatten(recipe.to_tree())
    problems = [
        f"{key} is {flat[key]}, allowed are integers from 1 to {_AT_MOST.get(key, _LIMIT):,}"
        for key in _AT_LEAST_ONE
        if key in flat and not 1 <= flat[key] <= _AT_MOST.get(key, _LIMIT)
    ]
    for player in ("generator", "discriminator"):
        if flat.get(f"optimizer.{player}.lr") == 0:
            problems.append(f"optimizer.{player}.lr is 0, allowed are positive numbers")
    if not flat.get("network.init_std", 1.0) > 0:
        problems.append(f"network.init_std is {flat['network.init_std']}, allowed are positive numbers")
    kinds = [flat[key] for key in ("network.init_conv", "network.init_linear") if key in flat]
    if flat.get("network.init_std", 0.02) not in (0.02, 0.0) and "normal" not in kinds:
        problems.append(
            f"network.init_std is {flat['network.init_std']}, but no initial weights are normal with that "
            "spread: set network.init_conv or network.init_linear to normal, too"
        )
    if not 0 <= recipe.seed <= LARGEST_SEED:
        problems.append(f"seed is {recipe.seed}, allowed are integers from 0 to {LARGEST_SEED}")
    if recipe.engine == "torch" and recipe.scratch != Scratch():
        problems.append("scratch is about the from-scratch engine: set engine=scratch, too, or leave it out")
    if isinstance(recipe.n_critic, Schedule) and not _counts(recipe.n_critic):
        problems.append(
            f"n_critic follows {list(recipe.n_critic.values)} in the shape {recipe.n_critic.shape!r}: "
            f"allowed are whole numbers from 1 in the shape 'step', such as {_EXAMPLE}"
        )
    if (recipe.steps is None) == (recipe.epochs is None):
        given = (
            "neither steps nor epochs is given" if recipe.steps is None else "both steps and epochs are given"
        )
        problems.append(f"{given}: give one of them")
    return problems


def _counts(numbers: Schedule) -> bool:
    return numbers.shape == "step" and all(value == int(value) >= 1 for value in numbers.values)


def on_this_machine(recipe: Recipe) -> Recipe:
    """The recipe with device and threads settled. RecipeError where "cuda" is asked for and missing.

    Threads: all cores, or as many as OMP_NUM_THREADS says ("4", or "4,2" for nested ones) where that is
    fewer.
    """
    asked = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    cores = len(os.sched_getaffinity(0))
    limit = int(asked) if asked.isdecimal() and len(asked) < 10 else 0
    threads = recipe.threads or min(limit or cores, cores)
    if recipe.engine == "scratch":
        if recipe.device == "cuda":
            raise RecipeError(
                "device is 'cuda', but the from-scratch engine computes on the CPU: use device=cpu or "
                "engine=torch"
            )
        return replace(recipe, device="cpu", threads=threads)
    import torch

    device = recipe.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    elif device == "cuda" and not torch.cuda.is_available():
        raise RecipeError(
            "device is 'cuda', but torch finds no CUDA device here: use device=auto or device=cpu"
        )
    return replace(recipe, device=device, threads=threads)


# ---------------------------------------------------------------- writing and comparing


def to_toml(recipe: Recipe) -> str:
    """The resolved recipe as TOML text; reading it gives the same recipe."""
    import tomli_w

    return tomli_w.dumps(recipe.to_tree())


def _to_tree(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        tree = {field.name: _to_tree(getattr(value, field.name)) for field in fields(value)}
        tree = {key: item for key, item in tree.items() if item is not None}
        family = _family_of(value)
        return {"name": catalog.name_of(family, value), **tree} if family else tree
    return [_to_tree(item) for item in value] if isinstance(value, tuple) else value


_BASES: dict[str, type[Any]] = {
    "datasets": DataSet, "networks": Network, "games": Game, "objectives": Objective, "penalties": Penalty,
    "constraints": Constraint, "augmentations": Augmentation, "optimizers": Optimizer,
}  # fmt: skip


def _family_of(value: Any) -> str | None:
    return next((family for family, base in _BASES.items() if isinstance(value, base)), None)


def flatten(tree: Tree, prefix: str = "") -> dict[str, Any]:
    """Dotted keys to plain values; the elements of a list of variants go by their names."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
            value = {item["name"]: item for item in value}
        if isinstance(value, dict):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def differences(old: Recipe, new: Recipe) -> dict[str, tuple[Any, Any]]:
    """Dotted key → (old value, new value) wherever two recipes differ; None where one has no value."""
    before, after = flatten(old.to_tree()), flatten(new.to_tree())
    keys = [*before, *(key for key in after if key not in before)]
    return {key: (before.get(key), after.get(key)) for key in keys if before.get(key) != after.get(key)}
