"""From a study to its configurations: which recipes, with which labels, and how many steps each."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from duel import recipe as recipes
from duel.errors import DuelError, RecipeError, listed, one_of
from duel.recipe import Recipe
from duel.study.file import Study

_FRAMES = 8  # sample grids per run, one for each picture of its film strip
CENTRE = "centre"


@dataclass(frozen=True)
class Configuration:
    """One recipe of a study, to be run with each seed.

    label   what people read: the factors' values, or a point's name; folder: the same as a folder's name
    factors key → its value here, for every factor of the study
    recipe  resolved, with seed 0 and without this machine's device; its budget is not settled yet
    given   the keys that the file sets in it
    """

    label: str
    folder: str
    factors: dict[str, Any]
    recipe: Recipe
    given: frozenset[str] = frozenset()

    @property
    def data(self) -> str:
        """The data set's name, or the folder's path."""
        return _data(self.recipe.to_tree())


def _data(tree: Mapping[str, Any]) -> str:
    return str(tree["data"].get("path", tree["data"]["name"]))


def configurations(study: Study, allow_code: bool | Collection[str] = False) -> list[Configuration]:
    """Every configuration, in the file's order. Equal recipes are one. RecipeError where one is wrong."""
    keys = [*study.factors, *study.paired]
    found: list[Configuration] = []
    for label, given in _choices(study, shortened(keys)):
        it = configuration(study, label, given, keys, allow_code)
        if not any(_same(it.recipe, other.recipe) for other in found):
            found.append(it)
    labels = [each.label for each in found]
    if len(set(labels)) < len(labels):
        raise RecipeError(f"two configurations have one name: {listed(labels)}; rename the points")
    if study.baseline is not None and study.baseline not in labels:
        raise RecipeError(f"baseline is {study.baseline!r}: {one_of(labels, study.baseline)}")
    return found


def configuration(
    study: Study,
    label: str,
    given: Mapping[str, Any],
    keys: Collection[str],
    allow_code: bool | Collection[str] = False,
) -> Configuration:
    """The configuration with these keys set; RecipeError, naming it, where that makes no recipe.

    keys: what varies in the study, and becomes the columns of the table
    """
    try:
        recipe = recipes.resolve(_tree(study, given), allow_code)
    except DuelError as error:
        raise type(error)(f"configuration {label}: {error}") from error
    tree = recipe.to_tree()
    factors = {key: given[key] if key in given else _value(key, tree) for key in keys}
    return Configuration(label, folder_name(label), factors, recipe, frozenset({*study.set, *given}))


def _choices(study: Study, short: Mapping[str, str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Label and what is set of each configuration; "recipe" and "data" stand among the keys."""
    joint = [dict(zip(study.paired, row, strict=True)) for row in zip(*study.paired.values(), strict=True)]
    alone = [[{key: value} for value in values] for key, values in study.factors.items()]
    factors = [*alone, joint] if joint else alone
    if study.design == "one-at-a-time":
        yield CENTRE, {}
        for values in factors:
            yield from ((label_of(given, short), given) for given in values)
    elif factors:
        for chosen in product(*factors):
            given = {key: value for part in chosen for key, value in part.items()}
            yield label_of(given, short), given
    elif not study.points:
        yield CENTRE, {}
    for point in study.points:
        own = {"recipe": point.recipe, "data": point.data}
        yield point.name, {**{key: value for key, value in own.items() if value is not None}, **point.set}


def _tree(study: Study, given: Mapping[str, Any]) -> dict[str, Any]:
    """The recipe's tree with the study's changes and this configuration's on top."""
    tree = recipes.read(given.get("recipe", study.recipe))
    data = given.get("data", study.data)
    changes = recipes.data_changes(data) if data is not None else {}
    own = {key: value for key, value in given.items() if key not in ("recipe", "data")}
    # One after the other: a factor's variant must drop the options that `set` gave another one.
    for each in (_defaults(study), changes, study.set, own):
        tree = recipes.change(tree, each)
    return tree


def _defaults(study: Study) -> dict[str, Any]:
    """What runs of a study have unless its file says otherwise: one thread, one checkpoint, its metrics."""
    wanted = {"evaluate.metrics": list(study.metrics), "evaluate.samples": study.samples}
    if study.features is not None:
        wanted["evaluate.features"] = study.features
    return {"threads": 1, "checkpoint.keep": 1, **wanted}


def with_budget(study: Study, configuration: Configuration, steps: int) -> Recipe:
    """Its recipe with these steps, and looks and pictures spread over them (unless the file sets those)."""
    spread = {"sample.every": max(1, -(-steps // _FRAMES)), "log.every": max(1, min(50, steps // 20))}
    if study.looks:
        spread["evaluate.every"] = max(1, steps // study.looks)
    chosen = {key: value for key, value in spread.items() if key not in configuration.given}
    # It was resolved before, with the permission that outside code needs.
    return recipes.resolve(recipes.change(configuration.recipe.to_tree(), {**chosen, "steps": steps}), True)


def steps_by_count(study: Study, recipe: Recipe) -> int | None:
    """The steps of a budget that needs no measuring; None for seconds and flops."""
    if study.budget.steps is not None:
        return study.budget.steps
    return None if study.budget.images is None else recipe.steps_for(study.budget.images)


def _same(one: Recipe, other: Recipe) -> bool:
    return replace(one, name="") == replace(other, name="")


def _value(key: str, tree: Mapping[str, Any]) -> Any:
    """What a configuration that was given no value for a factor has there."""
    if key in ("recipe", "data"):
        return tree["name"] if key == "recipe" else _data(tree)
    found: Any = tree
    for part in key.split("."):
        if isinstance(found, list):
            found = next((each for each in found if each["name"] == part), None)
        else:
            found = found.get(part) if isinstance(found, dict) else None
    if isinstance(found, list) and all(isinstance(each, dict) for each in found):
        return ",".join(each["name"] for each in found) or "none"
    return found.get("name", found) if isinstance(found, dict) else found


# ---------------------------------------------------------------- labels


def shortened(keys: Collection[str]) -> dict[str, str]:
    """Each dotted key by its last two parts, or as many as tell it from the others; without ".name"."""
    parts = {key: key.removesuffix(".name").split(".") for key in keys}
    found = {}
    for key, own in parts.items():
        others = [each for other, each in parts.items() if other != key]
        count = next((n for n in range(2, len(own)) if all(o[-n:] != own[-n:] for o in others)), len(own))
        found[key] = ".".join(own[-count:])
    return found


def label_of(given: Mapping[str, Any], short: Mapping[str, str]) -> str:
    """`latent.size=6, batch_size=32`."""
    return ", ".join(f"{short.get(key, key)}={shown(value)}" for key, value in given.items())


def shown(value: Any) -> str:
    """A factor's value in a label; a schedule as the values that it goes through."""
    if isinstance(value, Mapping):
        values = value.get("values")
        return "→".join(map(shown, values)) if values else ",".join(map(shown, value.values()))
    if isinstance(value, list | tuple):
        return "+".join(map(shown, value)) or "none"
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value) or "none"


def folder_name(label: str) -> str:
    """The label as the name of a folder: safe, at most 60 characters, different for different labels."""
    safe = re.sub(r"[^A-Za-z0-9._=+-]+", "-", label).strip("-.") or "configuration"
    if safe == label.replace(", ", "-") and len(safe) <= 60:
        return safe
    digest = hashlib.sha256(json.dumps(label).encode()).hexdigest()[:8]
    return f"{safe[:50]}-{digest}"
