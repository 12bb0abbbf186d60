"""What an exported file says of itself, so that it can be used without the run that it came from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from duel import recipe as recipes
from duel.datasets._base import Spec

if TYPE_CHECKING:
    from duel.interface import Interface
    from duel.networks._base import Networks
    from duel.run import Run, Weights

PREFIX = "duel."
_NEEDED = ("network", "game", "latent")  # the recipe's tables that decide what the networks are


def about(run: Run, checkpoint: str | int, weights: Weights) -> dict[str, str]:
    """The metadata of everything that is exported from a checkpoint: `facts` as text, tables as JSON."""
    return {
        PREFIX + key: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for key, value in facts(run, checkpoint, weights).items()
    }


def facts(run: Run, checkpoint: str | int, weights: Weights) -> dict[str, Any]:
    """What a generator is and what it takes and gives, as JSON can hold it.

    Nothing of it names this machine: of the data there are name and fingerprint, of the recipe only the
    tables that decide what the networks are.
    """
    from duel import __version__

    recipe, spec, data = run.recipe, run.spec, run.provenance["data"]
    tree = recipe.to_tree()
    return {
        "format": 1,
        "version": __version__,
        "recipe": run.name,
        "checkpoint": run.checkpoint_step(checkpoint),
        "weights": run.weights_used(checkpoint, weights),
        "kind": spec.kind,
        "shape": list(spec.shape),
        "scale": spec.scale,
        "normalisation": _normalisation(spec),
        "classes": list(spec.classes),
        "conditional": run.conditional,
        "latent_size": recipe.latent.size,
        "latent_prior": recipe.latent.prior,
        "data": data["name"],
        "data_fingerprint": data["fingerprint"],
        "networks": {name: tree[name] for name in _NEEDED if name in tree},
    }


def _normalisation(spec: Spec) -> str:
    if spec.kind == "image":
        return "images are in [-1, 1]: pixel = round((image + 1) * 127.5), from 0 to 255"
    return f"points are in [-1, 1]: point = points * {spec.scale}"


def interface_of(run: Run) -> Interface:
    """What flows into and out of a run's networks."""
    recipe = run.recipe
    return recipe.game.interface(run.spec, recipe.latent.size)


def rebuilt(metadata: Mapping[str, str], allow_code: bool) -> Networks:
    """Networks as the metadata describe them, with initial weights, on the CPU, in evaluation mode.

    KeyError, TypeError or ValueError for metadata that are not `about`'s; RecipeError for networks that
    this version cannot build, or that come from outside the package without `allow_code`.
    """
    from duel import streams

    values: dict[str, Any] = {
        key: metadata[PREFIX + key] if key == "kind" else json.loads(metadata[PREFIX + key])
        for key in ("format", "kind", "shape", "classes", "scale", "networks")
    }
    if values["format"] != 1:
        raise ValueError(f"it has format {values['format']!r}, this version reads format 1")
    spec = Spec(values["kind"], tuple(values["shape"]), tuple(values["classes"]), values["scale"])
    # a budget is asked of every recipe, and nothing is trained with this one
    recipe = recipes.resolve({**values["networks"], "name": "exported", "steps": 1}, allow_code)
    interface = recipe.game.interface(spec, recipe.latent.size)
    recipe.network.check(interface)
    networks = recipe.network.build(interface, streams.stream(0, "init"))
    for module in networks.named().values():
        module.eval()
    return networks
