"""The model card: what a model's own evidence says, as Markdown with the Hub's metadata above it.

Names and notes come from runs, and a run may come from anywhere: they are written so that Markdown and HTML
take them for text.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from duel.display import many
from duel.hub.described import Config, Evaluation, Value
from duel.hub.folder import GRAPH, SAMPLES, Evidence
from duel.markdown import escaped

TASK = "unconditional-image-generation"  # the Hub's only name for what a GAN of images does
_LONGEST = 400
_CLASSES = 20  # names that are listed
_LOOKS = 5


def card(repo: str, found: Evidence, licence: str | None, graph: bool) -> str:
    """README.md of a model at `repo` (OWNER/NAME). `graph`: whether model.onnx is beside it."""
    sections = [
        _title(found),
        f"![Samples of seed 0, not chosen]({SAMPLES})",
        _use(repo, found, graph),
        _measured(found),
        _findings(found),
        _data(found.config),
        _training(found),
        _limits(found, licence),
    ]
    return f"---\n{_front(repo, found, licence)}\n---\n\n" + "\n\n".join(sections) + "\n"


# ---------------------------------------------------------------- metadata


def _front(repo: str, found: Evidence, licence: str | None) -> str:
    """The card's metadata as YAML."""
    from huggingface_hub import EvalResult, ModelCardData

    config = found.config
    results = [
        EvalResult(
            task_type=TASK if config.kind == "image" else "other",
            dataset_type=_one_line(_hub_data(found.recipe) or each.provenance.data.name),
            dataset_name=_one_line(each.provenance.data.name),
            dataset_split=_one_line(each.provenance.splits.real),
            metric_type=_one_line(name),
            metric_name=_one_line(f"{name} ({each.provenance.features.name} features)"),
            metric_value=value.value,
            metric_args=_bounds(each, value),
        )
        for each in latest(found.evaluations)
        for name, value in each.metrics.items()
        if all(map(math.isfinite, (value.value, value.low, value.high)))
    ]
    data = ModelCardData(
        license=licence,
        library_name="duel",
        pipeline_tag=TASK if config.kind == "image" else None,
        tags=["gan", "duel", *_tag(found.recipe["objective"]["name"]), *_tag(config.recipe)],
        datasets=_hub_data(found.recipe),
        model_name=repo.partition("/")[2],
        eval_results=results or None,
    )
    text: str = data.to_yaml()
    return text


def _bounds(each: Evaluation, value: Value) -> dict[str, Any]:
    return {
        "low": value.low,
        "high": value.high,
        "confidence": each.provenance.confidence,
        "real_samples": value.n_real,
        "generated_samples": value.n_fake,
        "seed": each.provenance.seed,
    }


def _one_line(text: str) -> str:
    return " ".join("".join(one if one.isprintable() else " " for one in text).split())[:_LONGEST]


def _tag(name: str) -> list[str]:
    tag = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:50]
    return [tag] if tag else []


def _hub_data(recipe: Mapping[str, Any]) -> str | None:
    """The name of the data on the Hub, where they are from there."""
    data = recipe["data"]
    source = data.get("source")
    local = not isinstance(source, str) or source.startswith(".")
    return None if data["name"] != "hf" or local else str(source)


# ---------------------------------------------------------------- sections


def _title(found: Evidence) -> str:
    config = found.config
    of = config.provenance.steps
    planned = f" of {of:,}" if of else ""
    what = _samples(config)
    averaged = "averaged weights" if config.weights == "ema" else "weights"
    given = f" of {_es(len(config.classes), 'class')} to choose from" if config.conditional else ""
    return (
        f"# {escaped(config.recipe)} on {escaped(config.data)}\n\n"
        f"A Generative Adversarial Network that makes {what}{given}: the {averaged} after "
        f"{config.checkpoint:,}{planned} steps of the recipe {escaped(config.recipe)}, trained on "
        f"{escaped(config.data)} with duel. "
        "All below is from the run's own records."
    )


def _samples(config: Config) -> str:
    if config.kind == "points":
        return "points in the plane"
    channels, height, width = config.shape
    colours = {1: "grey", 3: "RGB"}.get(channels, f"{channels}-channel")
    return f"{colours} images of {height}×{width} pixels"


def _use(repo: str, found: Evidence, graph: bool) -> str:
    call = 'run.sample(64, seed=1, label="…")' if found.config.conditional else "run.sample(64, seed=1)"
    return f"""## Use

With duel (`pip install 'duel[hub]'`):

```python
import duel

run = duel.load("hub:{repo}")
images = {call}  # float32 in [0, 1]; points in their own units
```

```sh
duel sample hub:{repo} --n 64 --seed 1
```

{_without(repo, found, graph)}"""


def _without(repo: str, found: Evidence, graph: bool) -> str:
    """How to use it without duel: the graph, or the bare tensors."""
    config, latent = found.config, found.recipe["latent"]
    drawn = {
        "normal": f"rng.standard_normal((64, {latent['size']}))",
        "uniform": f"rng.uniform(-1, 1, (64, {latent['size']}))",
    }[latent["prior"]]
    if graph:
        label = ', "label": np.zeros(64, np.int64)' if found.config.conditional else ""
        pixels, points = "pixels = ((samples + 1) * 127.5).round()", f"points = samples * {config.scale}"
        last = pixels if config.kind == "image" else points
        return f"""Without duel, `{GRAPH}` runs wherever ONNX does:

```python
import numpy as np
import onnxruntime

rng = np.random.default_rng(0)
session = onnxruntime.InferenceSession("{GRAPH}")
latent = {drawn}.astype(np.float32)
(samples,) = session.run(None, {{"latent": latent{label}}})
{last}
```"""
    return f"""Without duel, `model.safetensors` holds the tensors (`generator.…`), its header what they are;
`duel export hub:{repo} --out model.onnx` makes a graph that onnxruntime and browsers run:

```python
from safetensors import safe_open

with safe_open("model.safetensors", "numpy") as file:
    weights = {{name: file.get_tensor(name) for name in file.keys()}}
    about = file.metadata()
```"""


def latest(evaluations: Iterable[Evaluation]) -> list[Evaluation]:
    """Of evaluations that were asked for alike, the last."""
    kept: dict[tuple[object, ...], Evaluation] = {}
    for each in evaluations:
        asked = each.provenance
        key = (asked.data.fingerprint, asked.splits.real, asked.features.name, asked.n_fake, asked.seed)
        names = tuple(sorted(each.metrics))
        kept.pop((*key, names), None)
        kept[(*key, names)] = each
    return list(kept.values())


def _measured(found: Evidence) -> str:
    parts = [_evaluation(each) for each in latest(found.evaluations)]
    none = "Not measured: no evaluation of these weights is on record."
    return "\n\n".join(["## Measured", *(parts or [none])])


def _evaluation(each: Evaluation) -> str:
    asked = each.provenance
    space = escaped(asked.features.name)
    if asked.features.accuracy is not None:
        space += f" (a classifier that is right on {asked.features.accuracy:.1%} of the test images)"
    caption = (
        f"Against {asked.n_real:,} samples of the {escaped(asked.splits.real)} split of "
        f"{escaped(asked.data.name)}, in the feature space {space}, seed {asked.seed}."
    )
    rows = [
        (
            escaped(name),
            _number(value.value),
            f"{_number(value.low)} to {_number(value.high)}",
            value.better,
            f"{value.n_fake:,}",
            f"{value.n_real:,}" if value.n_real else "none",
            "not measured" if value.floor is None else _number(value.floor),
        )
        for name, value in each.metrics.items()
    ]
    interval = f"{asked.confidence:.0%} interval"
    head = ("metric", "value", interval, "better", "generated", "real", "real against real")
    notes = [
        f"- {escaped(name)}: {escaped(note)}" for name, value in each.metrics.items() for note in value.notes
    ] + [f"- {escaped(note)}" for note in (*asked.features.notes, *asked.data.notes)]
    return "\n\n".join([caption, _table(head, rows), *(["\n".join(notes)] if notes else [])])


def _findings(found: Evidence) -> str:
    looks = found.config.provenance.looks
    if found.findings:
        text = "\n".join(_finding(each) for each in found.findings)
    elif looks >= _LOOKS:
        text = f"Nothing, after {looks} looks into the training."
    else:
        text = f"Not diagnosed: {many(looks, 'look')} into the training on record, {_LOOKS} are needed."
    return f"## What diagnosis found\n\n{text}"


def _finding(each: Mapping[str, Any]) -> str:
    evidence = "; ".join(
        f"{escaped(item['signal'])} {_number(item['value'])} (threshold {_number(item['threshold'])})"
        for item in each["evidence"]
    )
    said = f"- {escaped(each['severity'])}: {escaped(each['name'])}. {escaped(each['explanation'])}"
    return said + (f" Evidence: {evidence}." if evidence else "")


def _data(config: Config) -> str:
    origin = config.provenance
    names = ", ".join(escaped(name) for name in config.classes[:_CLASSES])
    more = len(config.classes) - _CLASSES
    splits = ", ".join(f"{escaped(name)} {count:,}" for name, count in origin.splits.items())
    rows = [
        ("name", escaped(config.data)),
        ("fingerprint", escaped(config.data_fingerprint)),
        ("samples", splits or "not recorded"),
        ("classes", (names + (f" and {more:,} more" if more > 0 else "")) or "no labels"),
        *([("left out", f"{many(origin.skipped, 'file')} that could not be used")] if origin.skipped else []),
        *(("note", escaped(note)) for note in origin.notes),
    ]
    return "## Data\n\n" + _table(("", ""), rows)


def _training(found: Evidence) -> str:
    recipe, origin = found.recipe, found.config.provenance
    sides = [recipe["optimizer"][side] for side in ("generator", "discriminator")]
    rows = [
        ("game", recipe["game"]["name"]),
        ("networks", recipe["network"]["name"]),
        ("objective", recipe["objective"]["name"]),
        *((key, ", ".join(each["name"] for each in recipe[key])) for key in _LISTS if recipe.get(key)),
        ("latent vector", f"{recipe['latent']['size']} components, {recipe['latent']['prior']}"),
        ("optimizers (generator, discriminator)", ", ".join(each["name"] for each in sides)),
        ("learning rates", ", ".join(_rate(each.get("lr")) for each in sides)),
        ("batch", recipe["batch_size"]),
        ("discriminator updates per step", _rate(recipe["n_critic"])),
        ("steps", f"{found.config.checkpoint:,} of {origin.steps or found.config.checkpoint:,}"),
        ("seed", origin.seed),
        ("engine, precision", f"{recipe['engine']}, {recipe['precision']}"),
        ("device", f"{origin.device}, {_es(origin.processes, 'process')}"),
        ("threads", origin.threads),
        ("processor", origin.machine.processor),
        ("versions", ", ".join(f"{name} {number}" for name, number in origin.versions.items())),
        ("begun", origin.started),
    ]
    known = [(name, escaped("not recorded" if value in (None, "") else value)) for name, value in rows]
    return "## Training\n\n" + _table(("", ""), known) + "\n\nAll of the recipe: `recipe.toml`."


_LISTS = ("penalties", "constraints", "augmentations")


def _rate(value: Any) -> str:
    """A number, or that it follows a schedule."""
    if isinstance(value, int | float):
        return f"{value:g}"
    return "not recorded" if value is None else "a schedule"


def _limits(found: Evidence, licence: str | None) -> str:
    metrics = {name for each in found.evaluations for name in each.metrics}
    splits = {each.provenance.splits.real for each in found.evaluations}
    outside = sorted(set(_outside(found.recipe)))
    unmeasured = {
        "How good the samples are": not metrics,
        "On the test split": bool(metrics) and "test" not in splits,
        "On Inception's features (FID as published elsewhere)": "fid" not in metrics,
        "Copies of training samples": "memorisation" not in metrics,
    }
    lines = [
        *(f"{what}: not measured." for what, missing in unmeasured.items() if missing),
        "Other seeds: not measured. This is one training run, and another may come out better or worse.",
        "What the data leave out or show unfairly: not measured; the samples will, too.",
        *([f"The recipe names code from outside duel: {escaped(', '.join(outside))}."] if outside else []),
        f"Licence: {escaped(licence) if licence else 'not given, ask the owner'}.",
    ]
    return "## Limits\n\n" + "\n".join(f"- {line}" for line in lines)


def _outside(tree: Any) -> Iterable[str]:
    """The names of variants from outside the package, wherever they stand in a recipe."""
    for each in tree.values() if isinstance(tree, Mapping) else tree if isinstance(tree, list) else ():
        yield from _outside(each)
    if isinstance(tree, Mapping) and ":" in str(tree.get("name", "")):
        yield str(tree["name"])


# ---------------------------------------------------------------- words


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table of cells that are Markdown already."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def _es(count: int, what: str) -> str:
    return f"{count:,} {what}{'es' * (count != 1)}"


def _number(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else escaped(value)
