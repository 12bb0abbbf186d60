"""The runs and studies of a folder in a few words, and one run in full. Cheap: asked every few seconds."""

from __future__ import annotations

import contextlib
import json
import os
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from duel import checkpoint, io, recipe, table
from duel.diagnose import advice
from duel.errors import DuelError, RunError
from duel.run import HUMAN_FILE, Run, held, is_run
from duel.studio import human, paths, tail

Card = dict[str, Any]

_MOST = 5000  # folders that are looked at
_SEVERITIES = ("severe", "warning", "info")


class Listing:
    """Remembers what does not change: a run's files are read again when one of them has changed."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._known: dict[str, tuple[tuple[int, ...], Card]] = {}

    def runs(self) -> list[Card]:
        """Every run directly beneath the folder, the newest first."""
        found = [self.card(path) for path in folders(self._root) if is_run(path) and not paths.has_link(path)]
        return sorted(found, key=lambda card: (card["started"], card["name"]), reverse=True)

    def card(self, path: Path) -> Card:
        """One run in a few words; what changes all the time is looked at now."""
        name = str(path.relative_to(self._root))
        mark = _mark(path)
        kept = self._known.get(name)
        if kept is None or kept[0] != mark:
            kept = (mark, _settled(path, name))
            self._known[name] = kept
        card = dict(kept[1])
        if card["state"] == "running":
            card["state"] = "training" if held(path) else "killed"
            if (step := tail.last(path / "events.jsonl").get("step")) is not None:
                card["step"] = step
        return card

    def studies(self) -> list[Card]:
        """Every study directly beneath the folder."""
        return [_study(path) for path in folders(self._root) if table.is_study(path) and not is_run(path)]


def folders(root: Path) -> Iterator[Path]:
    """Folders directly beneath it that have names which `paths` finds."""
    if not root.is_dir():
        return
    with os.scandir(root) as entries:
        names = sorted(
            each.name
            for each in entries
            if not each.name.startswith(".") and each.is_dir(follow_symlinks=False)
        )
    for name in names[:_MOST]:
        yield root / name


def _mark(path: Path) -> tuple[int, ...]:
    """Changes when one of the files does that a card is made of."""
    return tuple(
        _time(path / name)
        for name in ("run.json", "provenance.json", "recipe.toml", "metrics.jsonl", "findings.json",
                     "samples", HUMAN_FILE)
    )  # fmt: skip


def _time(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def _settled(path: Path, name: str) -> Card:
    """What a run's files say."""
    card: Card = {
        "name": name, "state": "unreadable", "recipe": "", "data": "", "kind": "", "step": None,
        "steps": None, "started": "", "metric": None, "findings": {}, "picture": None,
        "seed": None, "best": None, "why": "",
    }  # fmt: skip
    try:
        provenance, state = io.read_json(path / "provenance.json"), io.read_json(path / "run.json")
        grids = Run(path).grids()
        card |= {
            "recipe": str(_entry(recipe.read(path / "recipe.toml"), "recipe.toml", "name")),
            "data": str(_entry(provenance, "provenance.json", "data", "name")),
            "kind": str(_entry(provenance, "provenance.json", "data", "spec", "kind")),
            "step": _entry(state, "run.json", "last"),
            "steps": _entry(state, "run.json", "steps"),
            "started": str(_entry(provenance, "provenance.json", "started")),
            "seed": provenance.get("seed"),
            "best": state.get("best"),
            "metric": best_metric(path),
            "findings": _counts(path),
            "picture": grids[-1][0] if grids else None,
            "people": human.accuracy(human.judgements(path)),
            "state": str(_entry(state, "run.json", "state")),
        }
    except (DuelError, OSError, KeyError, TypeError, ValueError) as error:
        card["why"] = str(error).replace(f"{path}/", "")
    return card


def _entry(found: Any, file: str, *keys: str) -> Any:
    """An entry of what was read from a file. RunError that names both where it is not there."""
    for key in keys:
        if not isinstance(found, Mapping) or key not in found:
            raise RunError(f"{file} has no {'.'.join(keys)}: copy it again from where it came")
        found = found[key]
    return found


def best_metric(path: Path) -> dict[str, Any] | None:
    """The best value of the first metric that was measured, with its interval.

    On the validation split, which chooses the best checkpoint; else on the split that was measured first.
    """
    measured = [each for line in io.read_lines(path / "metrics.jsonl") if (each := _first_value(line))]
    if not measured:
        return None
    splits = [each["split"] for each in measured]
    split = "validation" if "validation" in splits else splits[0]
    alike = [each for each in measured if (each["name"], each["split"]) == (measured[0]["name"], split)]
    sign = -1 if measured[0]["better"] == "higher" else 1
    return min(alike, key=lambda each: float(sign * each["value"]), default=None)


def _first_value(line: Mapping[str, Any]) -> dict[str, Any] | None:
    """The first metric of an evaluation; None where it has none."""
    metrics, said = line.get("metrics"), line.get("provenance")
    if not isinstance(metrics, dict) or not metrics:
        return None
    name, found = next(iter(metrics.items()))
    if not isinstance(found, dict) or not isinstance(found.get("value"), int | float):
        return None
    splits = said.get("splits") if isinstance(said, dict) else None
    split = splits.get("real") if isinstance(splits, dict) else None
    kept = {key: found.get(key) for key in ("value", "low", "high", "better")}
    return {"name": name, "step": line.get("step"), "split": split, **kept}


def _counts(path: Path) -> dict[str, int]:
    """How many findings there are of each severity."""
    said = [each.get("severity") for each in findings(path)]
    return {name: said.count(name) for name in _SEVERITIES if name in said}


def findings(path: Path) -> list[dict[str, Any]]:
    """What findings.json holds, of what can be shown."""
    with contextlib.suppress(DuelError, OSError):
        found = Run(path).findings()
        return [each for each in found if isinstance(each, dict)]
    return []


def _study(path: Path) -> Card:
    """A study in a few words."""
    card: Card = {"name": path.name, "title": path.name, "runs": 0, "ended": 0, "configurations": 0}
    with contextlib.suppress(DuelError, OSError, ValueError, KeyError, TypeError):
        said = (
            tomllib.loads((path / "study.toml").read_text("utf-8")) if (path / "study.toml").is_file() else {}
        )
        planned = table.planned_labels(path)
        ended = len(list((path / "rows").glob("*.json")))
        seeds = said.get("seeds", [])
        card |= {
            "title": str(said.get("title") or said.get("name") or path.name),
            "configurations": len(planned),
            "ended": ended,
            "runs": len(planned) * len(seeds) if isinstance(seeds, list) else ended,
            "metrics": said.get("metrics", []),
        }
    return card


# ---------------------------------------------------------------- one run in full


def overview(run: Run, name: str, card: Card) -> dict[str, Any]:
    """Everything about a run but its events."""
    found = findings(run.path)
    return {
        **card,
        "name": name,
        "grids": [step for step, _ in run.grids()],
        "real": (run.samples_folder / "real.png").is_file(),
        "film": (run.path / "film.png").is_file(),
        "checkpoints": checkpoint.steps(run.checkpoints_folder),
        "recipe_text": _text(run.path / "recipe.toml"),
        "fields": _fields(run),
        "provenance": _json(run.path / "provenance.json"),
        "findings": numbered(found),
        "evaluations": list(run.metrics())[-200:],
        "people": human.summary(human.judgements(run.path)),
        **_abilities(run),
    }


def numbered(found: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Findings with their advice numbered as `duel train --from RUN --advice N` counts them."""
    numbers = iter(range(1, 1 + len(advice(found))))
    return [
        {
            **{key: value for key, value in finding.items() if key != "picture"},
            "advice": [
                {**each, "number": next(numbers) if each["set"] else None} for each in finding["advice"]
            ],
        }
        for finding in found
    ]


def _fields(run: Run) -> dict[str, Any]:
    try:
        return recipe.flatten(recipe.read(run.path / "recipe.toml"))
    except (DuelError, KeyError, TypeError):
        return {}


def _abilities(run: Run) -> dict[str, Any]:
    """What can be done with its checkpoint."""
    found: dict[str, Any] = {"conditional": False, "encoder": False, "classes": [], "shape": []}
    with contextlib.suppress(DuelError, KeyError, TypeError, ValueError):
        spec = run.spec
        interface = run.recipe.game.interface(spec, run.recipe.latent.size)
        found |= {
            "kind": spec.kind,
            "shape": list(spec.shape),
            "classes": list(spec.classes),
            "conditional": interface.generator_classes > 0,
            "encoder": bool(interface.encoder),
            "latent": run.recipe.latent.size,
            "prior": run.recipe.latent.prior,
        }
    return found


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", errors="replace")[:200_000]
    except OSError:
        return ""


def _json(path: Path) -> dict[str, Any]:
    try:
        return io.read_json(path)
    except DuelError:
        return {}


def finite(value: Any) -> Any:
    """The value as JSON takes it: numbers that are none become text ("nan", "inf")."""
    if isinstance(value, float) and value - value != 0:
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return value


def as_json(value: Any) -> bytes:
    """Compact JSON for the browser."""
    return json.dumps(finite(value), separators=(",", ":"), allow_nan=False).encode()
