"""The report of one run: how it went, what came of it, what is wrong, and how to repeat it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from PIL import Image

from duel import pictures
from duel.errors import DuelError
from duel.report import charts, embedded
from duel.report.charts import Frame, Line
from duel.report.page import (
    Html,
    Section,
    bullets,
    code,
    document,
    folded,
    heading,
    inline_code,
    joined,
    pairs,
    panels,
    paragraph,
    table,
)
from duel.report.shared import (
    arrow,
    as_number,
    between,
    curve,
    looks,
    number,
    provenance,
    provenance_items,
    severity,
    state,
)
from duel.run import Run

_HEAVIEST = 700_000  # bytes of one picture: four of them keep the page below 4 MB

# What is drawn together, because it is compared.
_OUTPUTS = {
    "d_real": "D(x)",
    "d_fake_before": "D(G(z)) before the update",
    "d_fake_after": "D(G(z)) after it",
    "score_real": "score of x",
    "score_fake_before": "score of G(z) before the update",
    "score_fake_after": "score of G(z) after it",
}
_SIGNALS = {
    "How often the discriminator is right": ("accuracy_real", "accuracy_fake", "accuracy_held"),
    "Variety, where the data have 1": ("diversity", "twins"),
    "Coverage and precision of 200 samples": ("coverage", "precision"),
    "Norms of the gradients": ("gradient_g", "gradient_d"),
    "Movement at fixed latent vectors": ("movement", "sensitivity"),
    "Distance to training samples, over that of real ones": ("nearest",),
    "Labels": ("label_accuracy", "label_effect"),
    "Detail, beside the data's": ("sharpness", "checkerboard", "saturated"),
    "Slope of the critic": ("critic_slope",),
    "Share of weights at the limit of clipping": ("clipped",),
    "Encoder and generator": ("reconstruction", "match"),
    "Gap between batch norm's two statistics": ("norm_gap",),
}


def page(run: Run) -> str:
    """The whole file."""
    found = state(run)
    title = f"{run.path.resolve().name}: a run of {_recipe_name(run)}"
    return document(
        title,
        paragraph(_lead(run, found)),
        [
            Section("Samples", _samples(run)),
            Section("How good", _metrics(run)),
            Section("The game", _game(run)),
            Section("Findings", _findings(run)),
            Section("Evaluations on test", _evaluations(run)),
            Section("Recipe and provenance", _origin(run)),
        ],
    )


def _recipe_name(run: Run) -> str:
    try:
        return run.name
    except (DuelError, KeyError):
        return "a recipe that cannot be read"


_ENDS = {
    "running": "It has not ended, or was cut short",
    "done": "It is done",
    "interrupted": "It was interrupted and can be taken up",
    "stopped": "It was stopped early",
    "nonfinite": "It diverged: it ended with a number that is none",
    "failed": "It failed",
}


def _lead(run: Run, found: Mapping[str, Any]) -> str:
    last = max((event["step"] for event in run.events("step") if as_number(event.get("step"))), default=0)
    data = provenance(run).get("data")
    name = data.get("name") if isinstance(data, dict) else "data that are not known"
    end = _ENDS.get(str(found.get("state")), f"Its state is {found.get('state')}")
    return f"Trained on {name}. {end}, after {number(last)} of {number(found.get('steps'))} steps."


# ---------------------------------------------------------------- samples


def _samples(run: Run) -> Html:
    """The film strip, the last grid, and real images beside it."""
    grids = run.grids()
    parts: list[object] = []
    strip = _strip(run)
    if strip is not None:
        parts += [
            heading("While it learned"),
            paragraph("The same latent vectors at each moment.", "note"),
            strip,
        ]
    if grids:
        step, file = grids[-1]
        last = embedded.picture(file, f"generated samples at step {step}", 2 * embedded.GRID, _HEAVIEST)
        shown = [_captioned(f"Generated, step {number(step)}, not chosen", last)]
        real = run.samples_folder / "real.png"
        if real.is_file():
            picture = embedded.picture(real, "real training samples", 2 * embedded.GRID, _HEAVIEST)
            shown.append(_captioned("Real", picture))
        parts += [heading("At the end"), panels(shown)]
    return joined(parts) if parts else paragraph("No samples yet.")


def _captioned(caption: str, picture: Html) -> Html:
    return Html(f"<figure><figcaption>{caption}</figcaption>{picture}</figure>")


def _strip(run: Run) -> Html | None:
    """The film strip that the run's end drew; of a run that has not ended, one of what there is."""
    alt = "the first samples at several steps of the training"
    done = pictures.opened(run.path / "film.png") if (run.path / "film.png").is_file() else None
    if done is None:
        done = strip_of(run)
    return None if done is None else embedded.tag(done, alt, 2 * embedded.STRIP, _HEAVIEST)


def strip_of(run: Run, rows: int = 8) -> Image.Image | None:
    """A film strip of at most eight of a run's grids, so many samples high; None where there is one grid.

    Of points, whose plots are large, it has as many plots as it would have rows of images.
    """
    try:
        spec = run.spec
    except DuelError:
        return None
    grids = run.grids()
    count = 8 if spec.kind == "image" else rows
    chosen = {round(place * (len(grids) - 1) / (count - 1)) for place in range(count)} if grids else set()
    opened = [(grids[place][0], pictures.opened(grids[place][1])) for place in sorted(chosen)]
    frames = [
        (step, pictures.first_tiles(image, spec, rows=rows)) for step, image in opened if image is not None
    ]
    sizes = {frame.size for _, frame in frames}
    return pictures.film_strip(frames) if len(frames) > 1 and len(sizes) == 1 else None


# ---------------------------------------------------------------- metrics


def _metrics(run: Run) -> Html:
    found = looks(run)
    if not found:
        said = "Nothing was measured while it trained: evaluate.every says how often, and 0 is never."
        return paragraph(said)
    best = state(run).get("best")
    figures = [
        charts.figure(f"{name}, {arrow(events[0].get('better'))}", [curve(name, events)])
        for name, events in found.items()
    ]
    first = next(iter(found))
    chosen = f" The best checkpoint by {first} is that of step {number(best)}." if best is not None else ""
    note = f"On the validation split, with 95 % intervals (of the samples, not of other seeds).{chosen}"
    return joined([paragraph(note, "note"), panels(figures), folded("The numbers", _looks_table(found))])


def _looks_table(found: Mapping[str, Sequence[Mapping[str, Any]]]) -> Html:
    steps = sorted({event["step"] for events in found.values() for event in events})
    by_step = {name: {event["step"]: event for event in events} for name, events in found.items()}
    rows = [[number(step), *(_cell(by_step[name].get(step)) for name in found)] for step in steps]
    return table("On the validation split: value, and interval", ["step", *found], rows)


def _cell(event: Mapping[str, Any] | None) -> str:
    if event is None:
        return "–"
    interval = between(event.get("low"), event.get("high"))
    return f"{number(event.get('value'))}{f' ({interval})' if interval else ''}"


# ---------------------------------------------------------------- the game


def _game(run: Run) -> Html:
    """Losses, outputs and signals against the step."""
    steps = [event for event in run.events("step") if as_number(event.get("step")) is not None]
    signals = [
        {"step": event["step"], **event["values"]}
        for event in run.events("signal")
        if isinstance(event.get("values"), dict) and as_number(event.get("step")) is not None
    ]
    main = [
        _panel("Losses", steps, {"loss_d": "discriminator", "loss_g": "generator"}),
        _panel("The discriminator's output", steps, _OUTPUTS),
    ]
    others = [
        _panel(title, signals, {name: name.replace("_", " ") for name in names}, charts.SMALL)
        for title, names in _SIGNALS.items()
    ]
    shown = [panel for panel in main if panel is not None]
    small = [panel for panel in others if panel is not None]
    if not shown and not small:
        return paragraph("Nothing is logged yet.")
    note = "Of many entries a point is the mean of neighbours, the band from their lowest to their highest."
    parts: list[object] = [paragraph(note, "note"), panels(shown)]
    if small:
        parts += [heading("Signals"), panels(small, small=True)]
    return joined(parts)


def _panel(
    title: str, events: Sequence[Mapping[str, Any]], names: Mapping[str, str], frame: Frame = charts.WIDE
) -> Html | None:
    """One chart of these numbers; None where the events have none of them."""
    lines: list[Line] = []
    for key, name in names.items():
        values = [as_number(event.get(key)) for event in events]
        if any(value is not None for value in values):
            steps = [float(event["step"]) for event in events]
            lines.append(Line(name, steps, values, style=str(len(lines))))
    return charts.figure(title, lines, charts.axes_for(lines, frame)) if lines else None


# ---------------------------------------------------------------- findings


def _findings(run: Run) -> Html:
    """What diagnosis found, with the advice numbered as `duel train --from` takes it."""
    found = run.findings()
    if not found:
        return paragraph("Diagnosis found nothing.")
    parts: list[object] = []
    count = 0
    for finding in found:
        parts.append(Html(f"<h3>{_title(finding)}</h3>"))
        parts.append(paragraph(finding.get("explanation", "")))
        parts.append(bullets([_evidence(each) for each in finding.get("evidence", ())]))
        advice = []
        for each in finding.get("advice", ()):
            count += bool(each["set"])
            advice.append(_advice(each, count if each["set"] else None))
        if advice:
            parts += [paragraph("What to try:"), bullets(advice)]
    if count:
        command = f"duel train --from {shlex.quote(str(run.path))} --advice 1"
        parts.append(paragraph(Html(f"Apply one by its number: {inline_code(command)}")))
    return joined(parts)


def _title(finding: Mapping[str, Any]) -> Html:
    where = f", at step {number(finding['step'])}" if "step" in finding else ""
    name = joined([finding.get("name", "")])
    return Html(f"{name} ({severity(finding)}, confidence {number(finding.get('confidence'), 2)}{where})")


def _evidence(each: Mapping[str, Any]) -> str:
    steps = each.get("steps") or ["?"]
    when = f"step {steps[0]}" if len(set(steps)) == 1 else f"steps {steps[0]} to {steps[-1]}"
    return f"{each.get('signal')} is {each.get('value')}, threshold {each.get('threshold')} ({when})"


def _advice(each: Mapping[str, Any], place: int | None) -> Html:
    source = f" ({each['source']})" if each.get("source") else ""
    changes = " ".join(f"--set {key}={json.dumps(value)}" for key, value in each["set"].items())
    begin = f"[{place}] " if place else ""
    middle = Html(f"{inline_code(changes)}: ") if changes else Html("")
    return joined([Html(f"{begin}{middle}"), f"{each.get('reason')}{source}"])


# ---------------------------------------------------------------- evaluations, recipe, provenance


def _evaluations(run: Run) -> Html:
    """Those on the test split, each with what it was measured on."""
    found = [
        each for each in run.metrics() if _split(each) == "test" and isinstance(each.get("metrics"), dict)
    ]
    if not found:
        command = inline_code(f"duel evaluate {shlex.quote(str(run.path))} --floor")
        return paragraph(Html(f"None yet: {command} measures it and keeps the result here."))
    return joined(_evaluation(each) for each in found)


def _split(result: Mapping[str, Any]) -> Any:
    said = result.get("provenance")
    splits = said.get("splits") if isinstance(said, dict) else None
    return splits.get("real") if isinstance(splits, dict) else None


def _evaluation(result: Mapping[str, Any]) -> Html:
    said = result["provenance"]
    features = said.get("features") or {}
    accuracy = as_number(features.get("accuracy"))
    right = "" if accuracy is None else f" (accuracy {accuracy:.1%})"
    caption = (
        f"Step {number(result.get('step'))}, {number(said.get('n_fake'))} generated against "
        f"{number(said.get('n_real'))} real samples, features: {features.get('name')}{right}, "
        f"weights: {said.get('weights')}, seed {said.get('seed')}"
    )
    rows = [
        [
            name,
            number(entry.get("value")),
            between(entry.get("low"), entry.get("high")),
            _floor(entry.get("floor")),
            arrow(entry.get("better")),
        ]
        for name, entry in result["metrics"].items()
    ]
    head = ["metric", "value", "95 % interval", "real against real", "direction"]
    notes = dict.fromkeys(str(note) for each in result["metrics"].values() for note in each.get("notes", ()))
    shown = table(caption, head, rows, left=(0, 4))
    return joined([shown, folded("Notes on these numbers", bullets(notes, "note"))]) if notes else shown


def _floor(floor: Any) -> str:
    return number(floor.get("value") if isinstance(floor, Mapping) else floor)


def _origin(run: Run) -> Html:
    recipe = run.path / "recipe.toml"
    text = recipe.read_text("utf-8", errors="replace")
    return joined(
        [
            pairs(provenance_items(provenance(run))),
            folded("The resolved recipe (TOML)", code(text)),
        ]
    )
