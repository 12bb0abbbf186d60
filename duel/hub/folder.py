"""A run's model as a folder of plain files, and such a folder as a run again.

README.md          the model card
config.json        what the generator takes and gives, how it was trained
model.safetensors  all of the run's networks with the weights that were chosen
recipe.toml        the resolved recipe; of paths of this machine only the last part
metrics.jsonl      the evaluations of these weights
findings.json      what diagnosis has to say
samples.png        64 samples of seed 0
model.onnx         the generator for other programs, where that was asked for
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from duel import checkpoint as checkpoints
from duel import events, export, io
from duel import recipe as recipes
from duel.datasets._images import one_line
from duel.errors import CheckpointError, RunError
from duel.export.about import facts
from duel.hub.described import Config, Evaluation, Machine, Origin, evaluation, first_problem
from duel.run import write_published

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

    from duel.recipe import Recipe
    from duel.run import Run, Weights

CARD, CONFIG, WEIGHTS, RECIPE = "README.md", "config.json", "model.safetensors", "recipe.toml"
METRICS, FINDINGS, SAMPLES, GRAPH = "metrics.jsonl", "findings.json", "samples.png", "model.onnx"

NEEDED = (CONFIG, RECIPE, WEIGHTS)
MOST_BYTES = {CONFIG: 8 << 20, RECIPE: 1 << 18, WEIGHTS: 8 << 30, METRICS: 16 << 20, FINDINGS: 4 << 20}
"""What is fetched of a model, and how large it may be. Nothing else is: no pickle, no code."""
OURS = (CARD, *MOST_BYTES, SAMPLES, GRAPH)

_SAMPLES = 64


@dataclass(frozen=True)
class Evidence:
    """What a run says of one of its checkpoints: all that a model card may claim."""

    config: Config
    recipe: dict[str, Any]
    evaluations: tuple[Evaluation, ...]
    findings: tuple[dict[str, Any], ...]


# ---------------------------------------------------------------- a run to a model


def evidence(run: Run, checkpoint: str | int, weights: Weights) -> Evidence:
    """What is known of a checkpoint. RunError or CheckpointError where the run lacks it."""
    provenance = run.provenance
    try:
        counts = {"class_counts": provenance["data"]["class_counts"]}
        known = {**facts(run, checkpoint, weights), **counts, "provenance": _origin(run, provenance)}
        config = Config.model_validate(known)
    except (ValidationError, KeyError, TypeError, AttributeError) as error:
        raise RunError(
            f"{run.path / 'provenance.json'} does not say what a model must say ({error!r:.200}): it is "
            "damaged, copy it again from where it came"
        ) from error
    found = [evaluation(line) for line in run.metrics()]
    return Evidence(
        config,
        _without_paths(run.recipe.to_tree()),
        tuple(each for each in found if each and _is_of(each, config)),
        tuple({key: each[key] for key in _FINDING} for each in run.findings()),
    )


_FINDING = ("name", "severity", "confidence", "evidence", "explanation", "advice")


def _origin(run: Run, provenance: Mapping[str, Any]) -> Origin:
    """Of the provenance what names neither this machine nor a file on it."""
    data, machine = provenance["data"], provenance.get("machine", {})
    looks = sum("values" in event for event in run.events("signal"))
    return Origin(
        **{key: provenance[key] for key in ("started", "seed", "device", "threads") if key in provenance},
        processes=provenance.get("processes", 1),
        steps=run.state.get("steps"),
        looks=looks or provenance.get("published", {}).get("looks", 0),
        versions=provenance.get("versions", {}),
        machine=Machine(
            system=str(machine.get("system", "")).partition("-")[0] or None,  # without the kernel's build
            processor=machine.get("processor"),
            cores=machine.get("cores"),
        ),
        splits=data.get("splits", {}),
        notes=list(data.get("notes", [])),
        skipped=len(data.get("skipped", [])),
    )


def _is_of(each: Evaluation, config: Config) -> bool:
    """Whether an evaluation is of these very weights."""
    asked = each.provenance
    return asked.checkpoint == config.checkpoint and asked.weights == config.weights


def _without_paths(tree: dict[str, Any]) -> dict[str, Any]:
    """The recipe with `./NAME` in place of each path to the data."""
    data = {key: _named(key, value) for key, value in tree["data"].items()}
    return {**tree, "data": data}


def _named(key: str, value: Any) -> Any:
    if isinstance(value, list):
        return [_named(key, each) for each in value]
    local = isinstance(value, str) and (key in ("path", "pattern") or value.startswith(("/", ".", "~")))
    return f"./{os.path.basename(value.rstrip('/'))}" if local else value


def write(run: Run, folder: Path, found: Evidence, card: str, graph: bool) -> list[Path]:
    """Write a model's files into an empty folder; which they are. `graph`: also as ONNX."""
    import tomli_w

    config = found.config
    step, weights = config.checkpoint, config.weights
    others = [name for name in run.networks(step, weights).named() if name != "generator"]
    export.write_safetensors(run, folder / WEIGHTS, step, weights, others)
    export.write_samples(run, folder / SAMPLES, _SAMPLES, 0, step, weights=weights)
    if graph:
        export.write_onnx(run, folder / GRAPH, step, weights)
    # What strangers' programs look for first, then what else `duel` needs.
    described = {**facts(run, step, weights), **json.loads(config.model_dump_json())}
    io.write_json(folder / CONFIG, described)
    io.write_atomic(folder / RECIPE, tomli_w.dumps(found.recipe).encode())
    for each in found.evaluations:
        io.append_line(folder / METRICS, each.model_dump(exclude_none=True))
    if found.findings:
        io.write_json(folder / FINDINGS, {"findings": list(found.findings)})
    io.write_atomic(folder / CARD, card.encode())
    return sorted(folder.iterdir())


# ---------------------------------------------------------------- a model to a run


def unpack(model: Path, run: Path, origin: str, allow_code: bool | Collection[str]) -> None:
    """Fill an empty folder `run` with the run that a model's files describe; `origin`: where they are from.

    It has what can be used: recipe, provenance, one checkpoint with the networks, evaluations, findings.
    There is no optimizer state, so it cannot be taken up. Every file is taken for a stranger's: types and
    sizes are checked, the networks must have exactly the tensors that the recipe's would have, and variants
    from outside the package need `allow_code`. CheckpointError or RecipeError for what cannot be used.
    """
    config = _config(model / CONFIG, origin)
    recipe = recipes.resolve(recipes.read(model / RECIPE), allow_code)
    tensors = _tensors(model / WEIGHTS, recipe, config, origin)
    groups: dict[str, Mapping[str, Any]] = dict(checkpoints.parted(tensors))
    if config.weights == "ema":
        # As in a checkpoint that has both; `provenance["published"]` says that these are not the raw ones.
        groups["ema"] = {
            name: value for name, value in tensors.items() if not name.startswith("discriminator.")
        }
    lines = filter(None, map(evaluation, io.read_lines(model / METRICS)))
    write_published(
        run,
        recipe,
        _provenance(config, origin),
        step=config.checkpoint,
        planned=config.provenance.steps or 0,
        groups=groups,
        evaluations=[each.model_dump(exclude_none=True) for each in lines if _is_of(each, config)],
        findings=_findings(model / FINDINGS),
    )


def _config(file: Path, origin: str) -> Config:
    try:
        return Config.model_validate_json(file.read_bytes())
    except ValidationError as error:
        raise CheckpointError(
            f"{CONFIG} of {origin} is not as `duel push` writes it ({first_problem(error)}): it is damaged, "
            "or of another version of duel"
        ) from error


def _findings(file: Path) -> list[dict[str, Any]]:
    if not file.is_file():
        return []
    found = io.read_json(file).get("findings")
    fitting = [each for each in found if events.finding_fits(each)] if isinstance(found, list) else []
    return [{key: each[key] for key in _FINDING} for each in fitting]


def _provenance(config: Config, origin: str) -> dict[str, Any]:
    """As a run's own provenance.json has it, and where the model was published."""
    trained = config.provenance.model_dump(exclude={"splits", "notes", "skipped", "looks", "steps"})
    spec = config.spec
    described = {"kind": spec.kind, "shape": config.shape, "classes": config.classes, "scale": spec.scale}
    return {
        **trained,
        "command": f"duel pull {origin}",
        "data": {
            "name": config.data,
            "fingerprint": config.data_fingerprint,
            "spec": described,
            "splits": config.provenance.splits,
            "class_counts": config.class_counts,
            "notes": config.provenance.notes,
            "skipped": [],
        },
        "published": {"from": origin, "weights": config.weights, "looks": config.provenance.looks},
    }


# ---------------------------------------------------------------- the networks' tensors


def _tensors(file: Path, recipe: Recipe, config: Config, origin: str) -> dict[str, Tensor]:
    """All tensors of a model's file, after a look at its header. CheckpointError where they do not fit."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, "pt") as opened:
            names = list(opened.keys())
            wanted = _wanted(recipe, config, 2 * len(names))
            shapes = {name: tuple(opened.get_slice(name).get_shape()) for name in names}
            _check(shapes, {name: tuple(each.shape) for name, each in wanted.items()}, "shape")
            tensors = {name: opened.get_tensor(name) for name in names}
            types = {name: each.dtype for name, each in tensors.items()}
            _check(types, {name: each.dtype for name, each in wanted.items()}, "type")
            return tensors
    except _Misfit as error:
        raise CheckpointError(
            f"{WEIGHTS} of {origin} does not fit its recipe ({error}): they are of two models, or damaged"
        ) from error
    except (SafetensorError, OSError, ValueError, TypeError, KeyError) as error:
        raise CheckpointError(f"{WEIGHTS} of {origin} cannot be read ({one_line(error)})") from error


class _Misfit(Exception):
    """Why tensors and networks are not of one model."""


def _wanted(recipe: Recipe, config: Config, most: int) -> dict[str, Tensor]:
    """The tensors, without memory, that the recipe's networks have. _Misfit for more than `most` parameters.

    What a stranger's recipe asks for is known before anything is allocated.
    """
    from torch._subclasses.fake_tensor import FakeTensorMode
    from torch.random import fork_rng

    interface = recipe.game.interface(config.spec, recipe.latent.size)
    recipe.network.check(interface)
    try:
        with fork_rng(devices=[]), FakeTensorMode(), _at_most(most):
            return checkpoints.joined(recipe.network.modules(interface).named())
    except (RuntimeError, ArithmeticError, ValueError, TypeError) as error:  # sizes beyond all numbers
        raise _Misfit(one_line(error)) from error


@contextmanager
def _at_most(parameters: int) -> Iterator[None]:
    """_Misfit as soon as modules that are made meanwhile have more parameters than that."""
    from torch.nn.modules.module import register_module_parameter_registration_hook

    count = 0

    def counted(module: Module, name: str, value: object) -> None:
        nonlocal count
        count += 1
        if count > parameters:
            raise _Misfit("the recipe's networks have more tensors than the file")

    hook = register_module_parameter_registration_hook(counted)
    try:
        yield
    finally:
        hook.remove()


def _check(found: Mapping[str, Any], wanted: Mapping[str, Any], what: str) -> None:
    """_Misfit with the first tensor that is not as wanted."""
    for name in sorted(wanted.keys() | found.keys()):
        if name not in found:
            raise _Misfit(f"{name} is missing")
        if name not in wanted:
            raise _Misfit(f"{name[:100]!r} is of none of its networks")
        if found[name] != wanted[name]:
            raise _Misfit(f"{name} has the {what} {found[name]}, not {wanted[name]}")
