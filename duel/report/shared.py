"""What reports of runs and studies have in common: what is read, how numbers and provenance are said."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from duel.errors import DuelError
from duel.report.charts import Line
from duel.report.page import Html, escape
from duel.run import Run

Looks = dict[str, list[dict[str, Any]]]


def number(value: Any, digits: int = 4) -> str:
    """A number for people, with a true minus; a dash where there is none."""
    found = as_number(value)
    if found is None:
        return "–"
    if found == int(found) and abs(found) < 1e15:
        return f"{int(found):,}".replace("-", "−")
    return f"{found:.{digits}g}".replace("-", "−")


def between(low: Any, high: Any) -> str:
    """An interval: 1.2 to 3.4; nothing where it is not known."""
    if as_number(low) is None or as_number(high) is None:
        return ""
    return f"{number(low, 3)} to {number(high, 3)}"


def as_number(value: Any) -> float | None:
    """The value as a finite float; None for anything else that a log may hold."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        found = float(value)
    except OverflowError:
        return None
    return found if math.isfinite(found) else None


def arrow(better: Any) -> str:
    """Which way a metric gets better."""
    return {"lower": "lower is better", "higher": "higher is better"}.get(str(better), "")


def looks(run: Run) -> Looks:
    """The evaluations during training, by metric, in the order in which the run measures them."""
    found: Looks = {}
    for event in run.events("metric"):
        if as_number(event.get("step")) is not None and "name" in event:
            found.setdefault(str(event["name"]), []).append(event)
    return found


def curve(name: str, events: Iterable[Mapping[str, Any]], style: str = "0") -> Line:
    """A metric's values against the step, with their intervals as a band."""
    rows = list(events)
    values = {key: [as_number(row.get(key)) for row in rows] for key in ("value", "low", "high")}
    steps = [float(row["step"]) for row in rows]
    return Line(name, steps, values["value"], values["low"], values["high"], style)


def measured_at(rows: Iterable[Mapping[str, Any]], metric: str, checkpoint: str) -> list[float]:
    """The steps at which a metric was measured, by the rows of a study's table."""
    own = (row for row in rows if (row["metric"], row["checkpoint"]) == (metric, checkpoint))
    return [step for row in own if (step := as_number(row.get("step"))) is not None]


def span(steps: Iterable[float]) -> str:
    """Steps as text: "step 1,000", "steps 200 to 1,000"; nothing where there are none."""
    low, high = min(known := list(steps), default=None), max(known, default=None)
    if low == high:
        return "" if low is None else f"step {number(low)}"
    return f"steps {number(low)} to {number(high)}"


def state(run: Run) -> dict[str, Any]:
    """What run.json says; where it is damaged, only that its state is not known."""
    try:
        return run.state
    except DuelError:
        return {"state": "unknown"}


def provenance(run: Run) -> dict[str, Any]:
    """What provenance.json says; nothing where it is damaged."""
    try:
        return run.provenance
    except DuelError:
        return {}


def provenance_items(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Versions, machine, data and what else repeats a run, as name and text."""
    data, machine = _table(found, "data"), _table(found, "machine")
    splits = ", ".join(f"{name} {number(count)}" for name, count in _table(data, "splits").items())
    shape = "×".join(str(size) for size in _table(data, "spec").get("shape", ()))
    where = (machine.get("processor"), f"{machine.get('cores')} cores", machine.get("system"))
    return [
        ("data", f"{data.get('name')}, {shape}; {splits}"),
        ("fingerprint of the data", str(data.get("fingerprint"))),
        *([("notes on the data", "; ".join(map(str, data["notes"])))] if data.get("notes") else []),
        ("seed", str(found.get("seed"))),
        ("device", f"{found.get('device')}, threads: {found.get('threads')}"),
        ("machine", ", ".join(str(part) for part in where if part)),
        ("versions", ", ".join(f"{name} {which}" for name, which in _table(found, "versions").items())),
        ("started", str(found.get("started"))),
        ("command", str(found.get("command"))),
    ]


def _table(found: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = found.get(key)
    return value if isinstance(value, Mapping) else {}


def severity(finding: Mapping[str, Any]) -> Html:
    """A finding's severity, marked by weight and colour."""
    said = str(finding.get("severity"))
    kind = said if said in ("severe", "warning") else "info"
    return Html(f'<span class="{kind}">{escape(said)}</span>')
