"""From a look at data and the evidence to a recipe, with reasons, costs and warnings."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from duel import io, session
from duel import recipe as recipes
from duel.advise import evidence as evidences
from duel.advise.cautions import FEW, Size, cautions
from duel.advise.evidence import DEFAULT, RANKING, Evidence, Study
from duel.advise.look import Look, look
from duel.advise.reasons import FOR_POINTS, Gain, expected, labels_gain, reasons, watch
from duel.advise.rule import FAR, LIMIT, Choice, choose
from duel.datasets._base import SPLITS, Data, Spec, Split, fit_images
from duel.datasets.folder import Folder
from duel.errors import InputError, RecipeError
from duel.recipe import Recipe, Tree

_SIDES = range(4, 1025)


@dataclass(frozen=True)
class Start:
    """The recipe to start from: its name, and what is changed in it (dotted keys, without the data's)."""

    name: str
    set: Mapping[str, Any]


def advise(
    data: str | Path, changes: Mapping[str, Any], out: Path | None, evidence: Evidence | None
) -> dict[str, Any]:
    """As `duel.advise.advise`."""
    if out is not None:
        _refuse_there(out)
    it = look(data, changes)
    known = evidences.read() if evidence is None else evidence
    choice = choose(known, it.features) if it.features else Choice(None, {}, {})
    study = known.study(RANKING)
    gain = labels_gain(known) if choice.label and len(it.classes) > 1 else None
    start = _start(it, choice, study, gain)
    size = _size(it, start, changes)
    options = {} if size is None else size.option
    of_data = {**recipes.data_changes(data), **changes, **options}
    tree = recipes.change(recipes.read(start.name), {**of_data, **start.set})
    recipe = session.resolve(tree)
    cost = session.estimate(recipe, _trial(it.sample, size))
    steps = recipe.total_steps(it.count)
    found = {
        "format": 1,
        "data": it.to_dict(),
        "machine": _machine(recipe),
        "evidence": _nearness(choice),
        "recipe": {"name": start.name, "set": {**start.set, **options}},
        "expected": expected(choice, study),
        "cost": {"steps": steps, "seconds": round(cost["seconds"] * steps, 1)}
        | {key: int(cost[key]) for key in ("memory_bytes", "disk_bytes")},
        "watch": watch(known, study, choice),
        "reasons": reasons(it, known, study, choice, start.set.get("network.width"), gain),
        "warnings": [
            {"name": name, "message": message} for name, message in cautions(it, known, choice, size)
        ],
        "out": None if out is None else str(out),
        "command": _command(data, changes, start, options, out),
    }
    if out is not None:
        io.write_out(out, _toml(tree, recipe, found).encode())
    return found


def _refuse_there(out: Path) -> None:
    """InputError where a file is there already: a recipe may have been worked on by hand."""
    if out.is_dir():
        raise InputError(f"--out {out} is a folder: name a file in it")
    if out.exists():
        raise InputError(f"--out {out} exists, and is kept as it is: name a new file, or remove that one")


def _nearness(choice: Choice) -> dict[str, Any]:
    """How near the evidence is. far: whether it is beyond the limit; None where nothing has a distance."""
    nearest = choice.nearest
    apart = None if nearest is None else choice.distances[nearest]
    return {
        "far": None if apart is None else apart > LIMIT,
        "rule": FAR,
        "limit": LIMIT,
        "nearest": nearest,
        "distance": None if apart is None else round(apart, 2),
        "distances": {name: round(value, 2) for name, value in choice.distances.items()},
    }


# ---------------------------------------------------------------- the recipe


def _start(it: Look, choice: Choice, study: Study | None, gain: Gain | None) -> Start:
    if choice.label is None or study is None:
        name, changes = (DEFAULT if it.features else FOR_POINTS), dict[str, Any]()
    else:
        name, given = study.configurations[choice.label]
        changes = {**given, "steps": study.steps}
    if gain is not None and gain.sure:
        changes["game.name"] = "conditional"
    if it.features and it.count < FEW:
        changes["augmentations"] = "diffaugment"
    return Start(name, changes)


def _size(it: Look, start: Start, changes: Mapping[str, Any]) -> Size | None:
    """None for points. A folder's images are not made larger than they are, unless that is asked for."""
    if it.sides is None:
        return None
    given = it.sides[1] if it.files is None else Folder.resolution
    wanted = changes.get("data.resolution") or min(given, it.sides[1])
    allowed = list(_sides(start, it.sample.spec))
    side = min(allowed, key=lambda one: (abs(one - wanted), -one))
    option = {} if side == changes.get("data.resolution", given) else {"data.resolution": side}
    return Size(side, wanted, allowed[0], allowed[-1], option)


def _sides(start: Start, spec: Spec) -> Iterator[int]:
    """The sides of images that the recipe's networks can make, ascending."""
    recipe = recipes.resolve(recipes.change(recipes.read(start.name), start.set))
    for side in _SIDES:
        sized = replace(spec, shape=(spec.shape[0], side, side))
        try:
            recipe.network.check(recipe.game.interface(sized, recipe.latent.size))
        except RecipeError:
            continue
        yield side


def _trial(sample: Data, size: Size | None) -> Data:
    """The sample at the side that is trained at."""
    if size is None:
        return sample
    split = sample.splits["train"]
    images = fit_images(split.samples, size.side, "resize")
    sized = Split(images, split.labels)
    spec = replace(sample.spec, shape=images.shape[1:])
    return replace(sample, spec=spec, splits=dict.fromkeys(SPLITS, sized))


def _toml(tree: Tree, recipe: Recipe, found: Mapping[str, Any]) -> str:
    """The recipe as TOML: what is not there has its default. The reasons stand above it."""
    import tomli_w

    plain = dict(tree)
    if isinstance(recipe.data, Folder):
        plain["data"] = {**tree["data"], "path": recipe.data.path}
    said = [*found["reasons"], *(each["message"] for each in found["warnings"])]
    head = ["advised by `duel advise`", *said]
    comments = [f"# {''.join(c if c.isprintable() else '?' for c in line)}" for line in head]
    return "\n".join(comments) + "\n" + tomli_w.dumps(plain)


def _command(
    data: str | Path, changes: Mapping[str, Any], start: Start, options: Mapping[str, Any], out: Path | None
) -> str:
    """How the recipe is trained."""
    if out is not None:
        return f"duel train {shlex.quote(str(out))}"
    sets = {**start.set, **changes, **options}
    said = [f"--set {shlex.quote(f'{key}={_typed(value)}')}" for key, value in sets.items()]
    return " ".join(["duel train", start.name, "--data", shlex.quote(str(data)), *said])


def _typed(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _machine(recipe: Recipe) -> dict[str, Any]:
    """Cores that may be used, bytes of memory, the device that would train."""
    import torch

    cuda = recipe.device == "cuda"
    return {
        "cores": len(os.sched_getaffinity(0)),
        "threads": recipe.threads,
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "device": recipe.device,
        "cuda": torch.cuda.get_device_name() if cuda else None,
    }
