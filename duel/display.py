"""How a session is shown while it runs: JSON lines, nothing, or what people read."""

from __future__ import annotations

import json
import math
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from duel.datasets._check import Report
    from duel.runs import Listed
    from duel.session import Session

Event = dict[str, Any]
_SHOWN = 12  # entries of a list that can be long


class Quiet:
    """Warnings on standard error, nothing else."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def __enter__(self) -> Quiet:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing to put away."""

    def event(self, event: Event) -> None:
        """Show one event."""
        if event["event"] == "warning" or event.get("reason") in ("nonfinite", "stopped"):
            print(f"duel: {event['message']}", file=sys.stderr)

    def finished_already(self) -> None:
        """The run had nothing left to do."""


class Json(Quiet):
    """The events as they are, one a line."""

    def event(self, event: Event) -> None:
        print(json.dumps(event), flush=True)

    def finished_already(self) -> None:
        step = self.session.total_steps
        print(json.dumps({"event": "end", "step": step, "time": 0.0, "reason": "done"}), flush=True)


class People(Quiet):
    """A line before the start, a progress bar (or a line per entry without a terminal), the results."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._bar: Any = None
        self._task: Any = None
        self._size = 1
        self._what = "images"

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def event(self, event: Event) -> None:
        super().event(event)
        handler = getattr(self, f"_on_{event['event']}", None)
        if handler is not None:
            handler(event)

    def finished_already(self) -> None:
        print(self.session.finished())

    def _on_start(self, event: Event) -> None:
        self._size = event["train_size"]
        self._what = units(event)
        print(start_line(event), flush=True)
        if sys.stdout.isatty():
            self._bar = _progress_bar()
            self._task = self._bar.add_task("", total=event["steps"], completed=event["step"], numbers="")
            self._bar.start()

    def _on_step(self, event: Event) -> None:
        if self._bar is None:
            print(log_line(event, self.session, self._size, self._what), flush=True)
        else:
            shown = numbers_line(event, self._size, self._what)
            self._bar.update(self._task, completed=event["step"], numbers=shown)

    def _on_finding(self, event: Event) -> None:
        text = finding_text(event)
        print(text, flush=True) if self._bar is None else self._bar.console.print(text, markup=False)

    def _on_end(self, event: Event) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
        print(end_text(event, self.session))


def many(count: int, what: str) -> str:
    """A number with its noun: 1 → "1 run", 1200 → "1,200 runs"."""
    return f"{count:,} {what}{'s' * (count != 1)}"


def units(start: Event) -> str:
    """What the data are, as the `start` event says it: "images", or "samples" where they are points."""
    return "images" if start["kind"] == "image" else "samples"


def start_line(event: Event) -> str:
    """About how long, how much memory and disk."""
    cost = event["estimate"]
    left = many(event["steps"] - event["step"], "step")
    if event["step"]:
        left = f"from step {event['step']} of {event['steps']}: {left}"
    elif "init_from" in event:
        left = f"from the weights of {event['init_from']['run']}, step {event['init_from']['step']}: {left}"
    if "advised" in event:
        changes = ", ".join(f"{key}={_shown(value)}" for key, value in event["advised"]["set"].items())
        left = f"as {event['advised']['run']}, with {changes} (for {event['advised']['finding']}): {left}"
    what = many(event["train_size"], f"training {units(event).removesuffix('s')}")
    return (
        f"{event['recipe']} on {event['data']} ({what}, {event['device']}, "
        f"{many(event['threads'], 'thread')}): {left}, about {duration(cost['seconds'])}, "
        f"{size(cost['memory_bytes'])} of memory, {size(cost['disk_bytes'])} of disk, in {event['run']}"
    )


def log_line(event: Event, session: Session, size: int, what: str) -> str:
    """The log line of the DCGAN tutorial, with what its fields mean kept apart.

    D(G(z)) stands before and after the discriminator's update, both on the same fake samples.
    """
    epoch, number, count = session.recipe.epoch(event["step"], size)
    epochs = math.ceil(session.recipe.drawn(session.total_steps) / size)
    return f"[{epoch + 1}/{epochs}][{number}/{count}] {numbers(event)} {event['images_per_s']:.0f} {what}/s"


def numbers_line(event: Event, size: int, what: str) -> str:
    """What stands beside the progress bar."""
    return f"epoch {event['images'] / size:.1f}  {event['images_per_s']:.0f} {what}/s  {numbers(event)}"


def numbers(event: Event) -> str:
    """Losses and the discriminator's outputs."""
    kind = "d" if "d_real" in event else "score"
    return (
        f"Loss_D {_number(event['loss_d'])} Loss_G {_number(event['loss_g'])} "
        f"D(x) {_number(event[kind + '_real'])} "
        f"D(G(z)) {_number(event[kind + '_fake_before'])} / {_number(event[kind + '_fake_after'])}"
    )


def _number(value: float) -> str:
    """Four decimals; of a million or more, whose digits nobody reads, the power of ten."""
    return f"{value:.4f}" if abs(value) < 1e6 else f"{value:.4e}"


def end_text(event: Event, session: Session) -> str:
    """Where the results are, and what to try next."""
    run, step, duel = session.run.path, event["step"], program()
    how = {
        "done": "done",
        "interrupted": "stopped, to be continued",
        "stopped": "stopped early",
        "nonfinite": "failed",
    }[event["reason"]]
    lines = [f"{how} after {many(step, 'step')}, {duration(event['time'])}"]
    for name, label in (("grid", "sample grid"), ("film", "film strip"), ("curves", "training curves")):
        if name in event:
            lines.append(f"  {label:<16}{event[name]}")
    lines.append(f"  {'run folder':<16}{run}")
    longer = f" --steps {2 * step}" if event["reason"] == "done" else ""
    place = shlex.quote(str(run))
    lines.append("next")
    if session.run.findings():
        lines.append(f"  {duel} diagnose {place}")
    lines += [
        f"  {duel} sample {place} --n 100 --seed 1 --out sample.png",
        f"  {duel} evaluate {place} --floor",
        f"  {duel} train --resume {place}{longer}",
    ]
    return "\n".join(lines)


def finding_text(
    finding: Mapping[str, Any], numbers: Mapping[int, int] | None = None, *, own: bool = True
) -> str:
    """A finding: what, on what evidence, what it means, what to change.

    numbers  of the advice, by its position; without them it is shown as it stands
    own      whether duel has trained it, so that advice is said as settings of its recipe, too
    """
    where = f" at step {finding['step']}" if "step" in finding else ""
    sure = f" (confidence {finding['confidence']:.2g})"
    lines = [f"{finding['severity'].upper()} {finding['name']}{where}{sure}: {finding['explanation']}"]
    lines += [f"  seen   {_seen(each)}" for each in finding["evidence"]]
    for position, each in enumerate(finding["advice"]):
        number = f"[{numbers[position]}] " if numbers and position in numbers else ""
        settings = each["set"].items() if own else ()
        changes = " ".join(f"--set {key}={_shown(value)}" for key, value in settings)
        source = f" ({each['source']})" if each["source"] else ""
        lines.append(f"  advice {number}{changes}{': ' if changes else ''}{each['reason']}{source}")
    if "picture" in finding:
        lines.append(f"  look   {finding['picture']}")
    return "\n".join(lines)


def _seen(evidence: Mapping[str, Any]) -> str:
    """A piece of evidence: "twins 0.004, below 0.05 (steps 100 to 300)"."""
    value, threshold, steps = evidence["value"], evidence["threshold"], evidence["steps"]
    when = f"step {steps[0]}" if len(set(steps)) == 1 else f"steps {min(steps)} to {max(steps)}"
    if isinstance(value, str) or isinstance(threshold, str):
        return f"{evidence['signal']} {value}, not {threshold} ({when})"
    side = "above" if value > threshold else "below" if value < threshold else "at"
    return f"{evidence['signal']} {_rounded(value)}, {side} {_rounded(threshold)} ({when})"


def _rounded(value: float) -> str:
    """Four digits; whole numbers below a million as they are."""
    return f"{value:,.0f}" if value == round(value) and abs(value) < 1e6 else f"{value:.4g}"


def _shown(value: Any) -> str:
    """A value as `--set` takes it."""
    return shlex.quote(value if isinstance(value, str) else json.dumps(value))


def findings_text(found: Sequence[Mapping[str, Any]], run: str | None) -> str:
    """All findings; of a run, the advice with the settings, numbered as `duel train --from` takes it."""
    if not found:
        return "nothing found"
    texts, count = [], 0
    for finding in found:
        numbers = {}
        for position, each in enumerate(finding["advice"]):
            if each["set"] and run is not None:
                count += 1
                numbers[position] = count
        texts.append(finding_text(finding, numbers, own=run is not None))
    if run is not None and count:
        texts.append(f"try one: {program()} train --from {shlex.quote(run)} --advice 1")
    return "\n".join(texts)


def program() -> str:
    """How the command was called, so that it can be called again: `duel` where the shell finds it."""
    if shutil.which("duel"):
        return "duel"
    as_module = sys.argv[0].endswith("__main__.py")
    return f"{shlex.quote(sys.executable)} -m duel" if as_module else shlex.quote(sys.argv[0])


def printable(text: str) -> str:
    """The text with control characters written out: a file's name must not command the terminal."""
    return "".join(c if c.isprintable() or c == "\n" else f"\\x{ord(c):02x}" for c in text)


def evaluation_text(result: Mapping[str, Any]) -> str:
    """Metrics as a table, each with its interval, then what must be said beside them."""
    provenance = result["provenance"]
    features = provenance["features"]
    accuracy = "" if features["accuracy"] is None else f" (test accuracy {features['accuracy']:.1%})"
    lines = [
        f"{provenance['target']}, {provenance['n_fake']} samples, against {provenance['n_real']} of "
        f"{provenance['data']['name']}, {provenance['splits']['real']} split",
        f"features: {features['name']}{accuracy}",
    ]
    lines += [_metric_line(name, entry) for name, entry in result["metrics"].items()]
    notes = [note for entry in result["metrics"].values() for note in entry["notes"]]
    for note in dict.fromkeys([*provenance["data"]["notes"], *features["notes"], *notes]):
        lines.append(f"  note: {note}")
    return "\n".join(lines)


def _metric_line(name: str, entry: Mapping[str, Any]) -> str:
    line = (
        f"  {name:<22}{entry['value']:>10.4f}   {entry['low']:.4f} to {entry['high']:.4f}"
        f"   {entry['better']} is better"
    )
    if "floor" in entry:
        line += f", real against real {entry['floor']:.4f}"
    for baseline, value in entry.get("baselines", {}).items():
        line += f", {baseline} {value:.4f}"
    return line


def portrait_text(found: Mapping[str, Any]) -> str:
    """What `duel data inspect` found, beside the picture."""
    shape = "×".join(str(part) for part in found["shape"])
    counts = ", ".join(f"{name} {count:,}" for name, count in found["splits"].items())
    lines = [f"{found['name']}: {found['kind']} {shape}; {counts}"]
    if found["kind"] == "image":
        lines.append(
            f"pixels: mean {found['pixel_mean']:.3f}, standard deviation {found['pixel_std']:.3f}; "
            f"{found['share_0']:.1%} black, {found['share_255']:.1%} white"
        )
    repeated = {name.replace("_", " "): count for name, count in found["duplicates"].items() if count}
    lines.append(
        "duplicates: " + (", ".join(f"{name} {count}" for name, count in repeated.items()) or "none")
    )
    lines += [f"note: {note}" for note in found["notes"]]
    return "\n".join([*lines, str(found["picture"])])


def report_text(report: Report) -> str:
    """What `duel data check` found, in the order of what matters."""
    from duel.datasets._scan import shown as readable

    bad = many(len(report.bad), "file")
    lines = [f"{many(report.usable, 'usable image')}, {bad} that cannot be used"]
    for title, found in (("cannot be used", report.bad), ("left out on purpose", report.ignored)):
        if found:
            lines += [title, *(f"  {readable(name)}: {reason}" for name, reason in found)]
    counts = {"sizes": report.sizes, "modes": report.modes, "classes": report.classes}
    for title, counted in counts.items():
        if counted:
            top = sorted(counted.items(), key=lambda item: -item[1])
            shown = ", ".join(f"{name} ({count})" for name, count in top[:_SHOWN])
            more = f", and {len(top) - _SHOWN} more" if len(top) > _SHOWN else ""
            lines.append(f"{title}: {shown}{more}")
    if report.duplicates:
        extra = sum(len(group) - 1 for group in report.duplicates)
        repeats = "1 file repeats" if extra == 1 else f"{extra:,} files repeat"
        lines.append(f"duplicates: {repeats} another's content")
        lines += ["  " + " = ".join(map(readable, group)) for group in report.duplicates[:_SHOWN]]
    return printable("\n".join(lines))


def runs_text(found: Sequence[Listed], folder: Path) -> str:
    """The runs of a folder as a table, and what they weigh together."""
    if not found:
        return f"no runs in {folder}"
    head = ("run", "recipe", "data", "state", "steps", "started", "size")
    rows = [head, *map(_run_row, found)]
    widths = [max(len(row[place]) for row in rows) for place in range(len(head))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
    total = size(sum(each.size for each in found))
    advice = f"remove one: duel runs {shlex.quote(str(folder))} --delete NAME"
    return printable("\n".join([*lines, f"{many(len(found), 'run')}, {total}; {advice}"]))


def _run_row(it: Listed) -> tuple[str, ...]:
    steps = "" if it.steps is None else f"{it.step or 0} of {it.steps}"
    started = it.started[:16].replace("T", " ")
    return it.name, it.recipe, it.data, it.state, steps, started, size(it.size)


def duration(seconds: float) -> str:
    """7 → "7 s", 200 → "3 min 20 s", 8000 → "2 h 13 min"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def size(count: float) -> str:
    """Bytes for people: 0.4 MB, 12 MB, 1.3 GB."""
    mega = count / 1e6
    if mega >= 1000:
        return f"{mega / 1000:.1f} GB"
    return f"{mega:.0f} MB" if mega >= 10 else f"{mega:.1f} MB"


def _progress_bar() -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
    from rich.table import Column

    # In a narrow terminal the numbers are cut at their end; bar, count and time left stay.
    fixed = Column(no_wrap=True, min_width=12)
    return Progress(
        BarColumn(bar_width=10),
        MofNCompleteColumn(table_column=fixed),
        TimeRemainingColumn(table_column=Column(no_wrap=True, min_width=8)),
        TextColumn("{task.fields[numbers]}", table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1)),
        console=Console(),
        refresh_per_second=4,
        expand=True,
    )
