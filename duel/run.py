"""A run folder: what a training run leaves behind, and the only module that knows its names.

recipe.toml       the resolved recipe
provenance.json   versions, machine, command, seed, data fingerprint and what the samples are
run.json          state ("running", the end's reason, or "failed"), total steps, last and best checkpoint,
                  recipes: checksums of what recipe.toml may say
events.jsonl      everything that happened, one JSON object a line
metrics.jsonl     every evaluation's result with its provenance
findings.json     what went wrong, with evidence and advice
samples/          real.png, one grid per look at fixed noise: 00000200.png
tensorboard/ csv/ what `duel track` wrote
checkpoints/      one folder per step (`duel.checkpoint`)
human.jsonl       people's blind tests of its samples, one JSON object a test (`duel.studio.human`)
film.png curves.png   the training at a glance, written at its end
.lock             held, and filled with its name, by the process that trains
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import platform
import re
import shutil
import sys
import tomllib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from duel import checkpoint, events, io
from duel.datasets._base import Data, Spec
from duel.errors import CheckpointError, RunError, one_of
from duel.ranks import world
from duel.recipe import FREE_ON_RESUME, Recipe, flatten, read, resolve, to_toml

if TYPE_CHECKING:
    import numpy as np
    from torch.nn import Module

    from duel.networks._base import Networks

Weights = Literal["ema", "raw"]

HUMAN_FILE = "human.jsonl"
_AT_ONCE = 256  # samples per batch when many are drawn


class Run:
    """A run folder that exists. Get one with `duel.load`.

    A run's samples, recipe and events can be read at any time, also while it trains and also on
    another machine; nothing here needs its data.
    """

    def __init__(self, path: str | Path, allow_code: bool | Collection[str] = False) -> None:
        """RunError where the folder holds no run."""
        self.path = Path(path)
        self._allow_code = allow_code
        if not self._recipe_file.is_file():
            raise RunError(
                as_checkpoint(self.path)
                or f"{path} is not a run: it has no recipe.toml; `duel train … --out {path}` makes one"
            )

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"

    # ------------------------------------------------------------ what is there

    @property
    def recipe(self) -> Recipe:
        """The resolved recipe."""
        return resolve(read(self._recipe_file), self._allow_code)

    @property
    def name(self) -> str:
        """The name of the recipe that it started from, whether or not that can be resolved here."""
        return str(read(self._recipe_file)["name"])

    @property
    def provenance(self) -> dict[str, Any]:
        """Versions, machine, command, seed, data fingerprint."""
        return io.read_json(self.path / "provenance.json")

    @property
    def spec(self) -> Spec:
        """What the samples are. RunError where the provenance does not say it."""
        try:
            stored = self.provenance["data"]["spec"]
            return Spec(stored["kind"], tuple(stored["shape"]), tuple(stored["classes"]), stored["scale"])
        except (KeyError, TypeError) as error:
            raise RunError(
                f"{self.path / 'provenance.json'} does not say what the samples are ({error!r}): "
                "it is damaged, copy it again from where it came"
            ) from error

    @property
    def state(self) -> dict[str, Any]:
        """`state`, `steps`, `last`, `best`: as run.json has them."""
        return io.read_json(self.path / "run.json")

    def events(self, kind: str | None = None) -> Iterator[dict[str, Any]]:
        """The events so far, or those of one kind ("step", "sample", …); without what is damaged."""
        for event in events.read(self.events_file):
            if kind is None or event.get("event") == kind:
                yield event

    def grids(self) -> list[tuple[int, Path]]:
        """(step, file) of each sample grid at fixed noise, in order."""
        files = sorted(self.samples_folder.glob("*.png"))
        return [(int(file.stem), file) for file in files if file.stem.isdecimal()]

    def checkpoint_step(self, which: str | int = "last") -> int:
        """The step of the checkpoint "last", "best" or a number. RunError where there is none."""
        available = checkpoint.steps(self.checkpoints_folder)
        step = which if isinstance(which, int) else self.state.get(which)
        if step is None or step not in available:
            if which == "best":
                raise RunError(f"{self.path} has no best checkpoint: it was trained without evaluate.every")
            found = ", ".join(str(number) for number in available) or "none yet"
            raise RunError(
                f"{self.path} has no checkpoint {which!r}: allowed are last, best or a step of: {found}"
            )
        return step

    def newest_whole(self) -> tuple[int | None, list[str]]:
        """The newest checkpoint that is as its manifest says, and what is wrong with those after it.

        None where there is no checkpoint yet. CheckpointError where there are some and all are damaged, or
        one of them cannot be judged (`checkpoint.damage`).
        """
        wrong: list[str] = []
        for step in reversed(checkpoint.steps(self.checkpoints_folder)):
            fault = checkpoint.damage(self.checkpoints_folder / checkpoint.folder_name(step))
            if fault is None:
                return step, wrong
            wrong.append(fault)
        if wrong:
            raise CheckpointError(
                f"no checkpoint of {self.path} can be read, so it cannot be taken up; the newest: {wrong[0]}"
            )
        return None, []

    def checkpoint_digest(self, step: int) -> str:
        """The SHA-256 of a checkpoint's manifest, which stands for all of its files."""
        return checkpoint.digest(self.checkpoints_folder / checkpoint.folder_name(step))

    def load_checkpoint(
        self, which: str | int = "last", *, choice: bool = True
    ) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
        """The tensors by network and the state of a checkpoint (`duel.checkpoint.load`).

        choice: whether the user could have named another one, which the error then offers
        """
        step = self.checkpoint_step(which)
        try:
            return checkpoint.load(self.checkpoints_folder / checkpoint.folder_name(step))
        except checkpoint.Damaged as error:
            raise checkpoint.Damaged(f"{error}; {self._in_place_of(step, choice)}") from error

    def _in_place_of(self, step: int, choice: bool) -> str:
        """What to do about a damaged checkpoint."""
        others = reversed(checkpoint.steps(self.checkpoints_folder))
        whole = next((other for other in others if other != step and self._is_whole(other)), None)
        if whole is None:
            return f"{self.path} has no other whole checkpoint: copy the run again from where it came"
        named = f"give --checkpoint {whole}, or " if choice else ""
        mend = f"`duel train --resume {self.path}` sets aside what is damaged and goes on from whole ones"
        return f"step {whole} is whole: {named}{mend}"

    def _is_whole(self, step: int) -> bool:
        with contextlib.suppress(CheckpointError):
            return checkpoint.damage(self.checkpoints_folder / checkpoint.folder_name(step)) is None
        return False

    # ------------------------------------------------------------ sampling

    def sample(
        self,
        n: int,
        seed: int = 0,
        checkpoint: str | int = "last",
        *,
        label: str | int | None = None,
        weights: Weights = "ema",
    ) -> np.ndarray:
        """`n` new samples: images N×C×H×W in [0, 1], or points N×2 in original units (float32).

        label    of a conditional run: a class by name or number for all samples; by default each is drawn
                 as often as in the training data
        weights  "ema": the averaged ones where the run keeps them; or "raw"

        The first k of n samples are the k that `sample(k, seed)` gives, to 1e-5. Raises RunError where
        the run has no checkpoint yet, n is not positive, or the label is not to be had.
        """
        import numpy as np

        if n < 1:
            raise RunError(f"{n} samples were asked for, allowed are integers from 1")
        parts = [part for part, _ in self.stream(n, seed, checkpoint, label=label, weights=weights)]
        return self._in_units(np.concatenate(parts))

    def stream(
        self,
        n: int,
        seed: int = 0,
        checkpoint: str | int = "last",
        *,
        label: str | int | None = None,
        weights: Weights = "ema",
    ) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
        """The same samples batch by batch, in [−1, 1] as the generator makes them, and their labels."""
        from duel import sampling

        generator = self.networks(checkpoint, weights).generator
        for latent, labels in self._inputs(n, seed, label):
            yield sampling.generate(generator, latent, labels), labels

    def latent(self, n: int, seed: int = 0) -> np.ndarray:
        """The latent vectors (n×L, float32) from which `sample(n, seed)` is made."""
        import numpy as np

        if n < 1:
            raise RunError(f"{n} latent vectors were asked for, allowed are integers from 1")
        return np.concatenate([latent for latent, _ in self._latent(n, seed)])

    def labels(self, n: int, seed: int = 0, label: str | int | None = None) -> np.ndarray | None:
        """The labels (int64 n) with which `sample(n, seed, label=label)` is made; None without labels."""
        import numpy as np

        parts = [labels for _, labels in self._inputs(n, seed, label) if labels is not None]
        return np.concatenate(parts) if parts else None

    def generate(
        self,
        latent: np.ndarray,
        *,
        label: str | int | Sequence[str | int] | np.ndarray | None = None,
        checkpoint: str | int = "last",
        weights: Weights = "ema",
    ) -> np.ndarray:
        """Samples for given latent vectors (N×L): images in [0, 1], or points in original units (float32).

        label  of a conditional run, which must be given one: a class for all, or N of them
        """
        import numpy as np

        from duel import sampling

        size = self.recipe.latent.size
        latent = np.asarray(latent, np.float32)
        if latent.ndim != 2 or latent.shape[1] != size:
            given = "×".join(map(str, latent.shape))
            raise RunError(f"latent vectors of shape {given} were given, {self.path} takes N×{size}")
        if isinstance(label, Sequence) and not isinstance(label, str):
            label = np.array([self.label_number(each) for each in label])
        if not isinstance(label, np.ndarray):
            number = self.label_number(label)
            if number is None and self.conditional:
                raise RunError(f"{self.path} is conditional: give label, one of its classes for all vectors")
            labels = None if number is None else np.full(len(latent), number)
        else:
            labels = self._checked_labels(label, len(latent))
        generator = self.networks(checkpoint, weights).generator
        return self._in_units(sampling.generate(generator, latent, labels))

    def encode(
        self,
        samples: np.ndarray,
        *,
        hidden: bool = False,
        checkpoint: str | int = "last",
        weights: Weights = "ema",
    ) -> np.ndarray:
        """Latent vectors E(x) (N×L, float32) of images in [0, 1] (N×C×H×W), or points in original units.

        Images may also be uint8. hidden: the encoder's last hidden layer (N×H) instead.

        RunError where the run has no encoder.
        """
        import numpy as np

        from duel import sampling

        spec = self.spec
        if samples.shape[1:] != spec.shape:
            given, wanted = ("×".join(map(str, shape)) for shape in (samples.shape[1:], spec.shape))
            raise RunError(f"samples of shape {given} were given, {self.path} takes {wanted}")
        if samples.dtype != np.uint8:
            image = spec.kind == "image"
            samples = samples * np.float32(2) - 1 if image else samples / np.float32(spec.scale)
        encoder = self.need_encoder(self.networks(checkpoint, weights))
        return sampling.encode(encoder, inner(samples), hidden)

    def networks(self, which: str | int = "last", weights: Weights = "ema") -> Networks:
        """The networks of a checkpoint, on the CPU, in evaluation mode; the averaged ones where kept."""
        from duel.checkpoint import parted, restore_module

        networks = self.untrained()
        self._refuse_unpublished(weights)
        tensors, _ = self.load_checkpoint(which)
        if weights == "ema":
            tensors = {**tensors, **parted(tensors.get("ema", {}))}
        for name, module in networks.named().items():
            restore_module(module, name, tensors)
        return networks

    def _refuse_unpublished(self, weights: Weights) -> None:
        """RunError for the raw weights of a model that was published with its averaged ones."""
        published = self.provenance.get("published")
        if weights == "raw" and isinstance(published, dict) and published.get("weights") == "ema":
            raise RunError(f"{self.path} was published with its averaged weights alone: use --weights ema")

    def weights_used(self, which: str | int, weights: Weights) -> Weights:
        """Which weights `networks` takes: "ema" only where the checkpoint has an average."""
        place = self.checkpoints_folder / checkpoint.folder_name(self.checkpoint_step(which))
        return "ema" if weights == "ema" and (place / "ema.safetensors").is_file() else "raw"

    def untrained(self) -> Networks:
        """The networks as they were before the first step, on the CPU, in evaluation mode."""
        from duel import streams

        recipe = self.recipe
        interface = recipe.game.interface(self.spec, recipe.latent.size)
        networks = recipe.network.build(interface, streams.stream(recipe.seed, "init"))
        for module in networks.named().values():
            module.eval()
        return networks

    def need_encoder(self, networks: Networks) -> Module:
        """The encoder. RunError where there is none."""
        if networks.encoder is None:
            raise RunError(
                f"{self.path} has no encoder: only bidirectional games train one (recipes bigan, bigan-dense)"
            )
        return networks.encoder

    # ------------------------------------------------------------ labels

    @property
    def conditional(self) -> bool:
        """Whether the generator takes labels."""
        recipe = self.recipe
        return recipe.game.interface(self.spec, recipe.latent.size).generator_classes > 0

    def label_number(self, label: str | int | None) -> int | None:
        """The number of a class given by name or number. RunError where that does not apply."""
        if label is None:
            return None
        if not self.conditional:
            raise RunError(
                f"{self.path} is not conditional, so a label does not apply: train one with "
                "game.name=conditional (recipe cgan), game.form=auxiliary or game.conditional=true"
            )
        classes = self.spec.classes
        if str(label) in classes:
            return classes.index(str(label))
        if str(label).isdecimal() and int(label) < len(classes):
            return int(label)
        raise RunError(f"there is no class {label!r}: {one_of(classes, str(label))}, or their numbers from 0")

    def _checked_labels(self, labels: np.ndarray, count: int) -> np.ndarray:
        import numpy as np

        if not self.conditional:
            self.label_number(0)  # says that labels do not apply
        classes = len(self.spec.classes)
        if labels.shape != (count,) or not ((labels >= 0) & (labels < classes)).all():
            raise RunError(
                f"label must be {count} numbers from 0 to {classes - 1}, one for each latent vector"
            )
        return labels.astype(np.int64)

    def _inputs(
        self, n: int, seed: int, label: str | int | None
    ) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
        """Latent vectors and labels, batch by batch; smaller draws are beginnings of larger ones."""
        import numpy as np

        from duel import streams

        number = self.label_number(label)
        if number is None and not self.conditional:
            yield from self._latent(n, seed)
            return
        counts = np.array(self.provenance["data"]["class_counts"], np.float64)
        bounds, rng = counts.cumsum() / counts.sum(), streams.stream(seed, "eval", 2)
        for latent, _ in self._latent(n, seed):
            drawn = np.searchsorted(bounds, rng.random(len(latent)), side="right").astype(np.int64)
            yield latent, drawn if number is None else np.full(len(latent), number)

    def _latent(self, n: int, seed: int) -> Iterator[tuple[np.ndarray, None]]:
        from duel import streams

        latent, rng = self.recipe.latent, streams.stream(seed, "eval")
        for start in range(0, n, _AT_ONCE):
            yield streams.draw_latent(rng, min(_AT_ONCE, n - start), latent.size, latent.prior), None

    def _in_units(self, samples: np.ndarray) -> np.ndarray:
        """From [−1, 1] to [0, 1] for images, to original units for points."""
        import numpy as np

        from duel import pictures

        spec = self.spec
        return pictures.to_unit(samples) if spec.kind == "image" else samples * np.float32(spec.scale)

    # ------------------------------------------------------------ writing: for those who train

    def record(self, event: dict[str, Any]) -> None:
        """Append an event to the log."""
        io.append_line(self.events_file, event)

    def record_metrics(self, result: dict[str, Any]) -> None:
        """Append an evaluation's result to metrics.jsonl."""
        io.append_line(self._metrics_file, result)

    def write_findings(self, findings: list[dict[str, Any]]) -> None:
        """Replace findings.json."""
        io.write_json(self.path / "findings.json", {"findings": findings})

    def findings(self) -> list[dict[str, Any]]:
        """What findings.json holds; nothing where there is none. DuelError where it cannot be read."""
        file = self.path / "findings.json"
        found = io.read_json(file).get("findings") if file.is_file() else []
        return [each for each in found if events.finding_fits(each)] if isinstance(found, list) else []

    def metrics(self) -> Iterator[dict[str, Any]]:
        """The evaluations so far, in order."""
        return io.read_lines(self._metrics_file)

    def drop_events_after(self, step: int) -> None:
        """Forget what was logged past a checkpoint that training is taken up from, and the run's end."""
        kept = [event for event in self.events() if _until(event, step) and event.get("event") != "end"]
        io.write_atomic(self.events_file, _lines(kept))
        measured = list(self.metrics())
        kept = [result for result in measured if _until(result, step)]
        if len(kept) < len(measured):
            io.write_atomic(self._metrics_file, _lines(kept))
        for number, file in self.grids():
            if number > step:
                file.unlink()

    def update_state(self, **changes: Any) -> None:
        """Change entries of run.json."""
        io.write_json(self.path / "run.json", {**self.state, **changes})

    def sweep(self) -> None:
        """Remove what a killed process left of files and checkpoints that it had not finished."""
        checkpoint.sweep(self.checkpoints_folder)
        for folder in (self.path, self.samples_folder):
            for rest in folder.glob(".*.part"):
                rest.unlink(missing_ok=True)

    def prune(self, keep: int) -> None:
        """Remove all but the last `keep` checkpoints and the best."""
        checkpoint.prune(self.checkpoints_folder, keep, self.state["best"])

    def write_recipe(self, recipe: Recipe, **changes: Any) -> None:
        """Replace the stored recipe, since what may change on resume has changed; and change run.json."""
        text = to_toml(recipe)
        # Both are known until the file is there: a process that is killed in between edits nothing.
        known = [_recipe_digest(self._recipe_file.read_text("utf-8")), _recipe_digest(text)]
        self.update_state(**changes, recipes=list(dict.fromkeys(known)))
        io.write_atomic(self._recipe_file, text.encode())

    @property
    def edited(self) -> bool:
        """Whether recipe.toml is not what was written; of runs of older versions that is not known."""
        known = self.state.get("recipes")
        return known is not None and _recipe_digest(self._recipe_file.read_text("utf-8")) not in known

    def refuse_edited(self) -> None:
        """RunError where recipe.toml was edited."""
        if self.edited:
            raise RunError(
                f"{self._recipe_file} was edited after the run had begun, which cannot be taken up so: undo "
                f"that, or begin a new run with it: duel train {self._recipe_file} --out NEW"
            )

    def write_picture(self, name: str, content: bytes) -> Path:
        """Write one of the run's pictures: "samples/real.png", "film.png", …"""
        path = self.path / name
        path.parent.mkdir(exist_ok=True)
        io.write_atomic(path, content)
        return path

    @property
    def samples_folder(self) -> Path:
        return self.path / "samples"

    @property
    def checkpoints_folder(self) -> Path:
        return self.path / "checkpoints"

    @property
    def _recipe_file(self) -> Path:
        return self.path / "recipe.toml"

    @property
    def _metrics_file(self) -> Path:
        return self.path / "metrics.jsonl"

    @property
    def events_file(self) -> Path:
        return self.path / "events.jsonl"


def inner(samples: np.ndarray) -> np.ndarray:
    """Samples as networks take them, float32 in [−1, 1]: from uint8 images; points are in it already."""
    import numpy as np

    if samples.dtype == np.uint8:
        return samples / np.float32(127.5) - np.float32(1)
    return samples.astype(np.float32)


class Lock:
    """Holds a run folder for this process until it is released or the process ends, however it ends.

    RunError naming the holder where another process (or another session of this one) trains there.
    """

    def __init__(self, path: Path, new: bool = False, kind: str = "run") -> None:
        """Take the lock of the run folder `path`; of a new run, whose place was free to choose, or an old.

        kind: what the folder is, where it is no run: "study", "search"
        """
        self._descriptor: int | None = None
        try:
            descriptor = os.open(path / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise _not_writable(path, error, new, kind) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.read(descriptor, 200).decode(errors="replace").strip() or "another process"
            os.close(descriptor)
            choices = "wait for it, stop it, or choose another --out" if new else "wait for it, or stop it"
            doing = f"{path} is being trained" if kind == "run" else f"the {kind} {path} is being played"
            raise RunError(f"{doing} by {holder}: {choices}") from None
        self._descriptor = descriptor

    def sign(self) -> None:
        """Write down who holds it, for others to read. OSError where that cannot be."""
        assert self._descriptor is not None
        os.ftruncate(self._descriptor, 0)
        os.write(self._descriptor, f"process {os.getpid()} on {platform.node()}".encode())

    def release(self) -> None:
        """Let others train there."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __del__(self) -> None:
        self.release()


def held(path: Path) -> bool:
    """Whether a process trains in the run folder at this moment."""
    try:
        with open(path / ".lock", "rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def _not_writable(path: Path, error: OSError, new: bool = True, kind: str = "run") -> RunError:
    other = "choose another --out" if new else "make it writable, or work on a copy elsewhere"
    return RunError(f"the {kind} folder {path} cannot be written ({error.strerror}): {other}")


def _recipe_digest(text: str) -> str:
    """The SHA-256 of what a recipe.toml says, but for the fields that may change anyway."""
    try:
        said = flatten(tomllib.loads(text))
    except (ValueError, RecursionError, KeyError, TypeError):  # also lists of tables without a name
        return "unreadable"
    fixed = {key: value for key, value in said.items() if key not in FREE_ON_RESUME}
    return io.sha256(json.dumps(fixed, sort_keys=True, default=str).encode())


def as_checkpoint(path: Path) -> str | None:
    """Where a folder is a checkpoint: of which run, and how to name it; else None."""
    place = Path(os.path.abspath(path))
    run = place.parent.parent
    if not (place.parent.name == "checkpoints" and place.name.isdecimal() and is_run(run)):
        return None
    shown = run if path.is_absolute() else os.path.relpath(run)
    return f"{path} is a checkpoint of {shown}: give {shown} and --checkpoint {int(place.name)}"


def weight(path: Path) -> int:
    """Bytes of all files in a folder; a training may remove some of them meanwhile."""
    size = 0
    for folder, _, names in os.walk(path):
        for name in names:
            with contextlib.suppress(OSError):
                size += (Path(folder) / name).lstat().st_size
    return size


def _lines(values: list[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(value).encode() + b"\n" for value in values)


def _until(logged: dict[str, Any], step: int) -> bool:
    """Whether a line of a log is of a step up to this one; a damaged line is not."""
    return isinstance(logged.get("step"), int) and logged["step"] <= step


def is_run(path: Path) -> bool:
    """Whether the folder holds a run."""
    return (path / "recipe.toml").is_file()


def write_published(
    path: Path,
    recipe: Recipe,
    provenance: dict[str, Any],
    *,
    step: int,
    planned: int,
    groups: Mapping[str, Mapping[str, Any]],
    evaluations: Sequence[dict[str, Any]],
    findings: list[dict[str, Any]],
) -> None:
    """Fill an empty folder with a run that was trained elsewhere, of which one checkpoint is here.

    step, planned  of the checkpoint; how many steps the training was to have
    groups         the checkpoint's tensors, as `duel.checkpoint.save` takes them
    """
    checkpoint.save(path / "checkpoints", step, groups, {})
    for each in evaluations:
        io.append_line(path / "metrics.jsonl", each)
    if findings:
        io.write_json(path / "findings.json", {"findings": findings})
    io.write_json(path / "provenance.json", provenance)
    io.write_json(
        path / "run.json", {"state": "done", "steps": max(step, planned), "last": step, "best": None}
    )
    io.write_atomic(path / "recipe.toml", to_toml(recipe).encode())


def is_unfinished(path: Path) -> bool:
    """Whether a folder holds nothing but what the making of a run leaves where it is cut short."""
    names = {entry.name for entry in path.iterdir()}
    first = {".lock", "provenance.json", "run.json", "checkpoints"}
    rest = {name for name in names - first if not _is_part(name)}
    begun = path / "checkpoints"
    started = {entry.name for entry in begun.iterdir()} if begun.is_dir() else set()
    only_weights = all(name == checkpoint.folder_name(0) or _is_part(name) for name in started)
    return ".lock" in names and not rest and only_weights


def _is_part(name: str) -> bool:
    return name.startswith(".") and name.endswith(".part")


def create(
    path: Path,
    recipe: Recipe,
    data: Data,
    steps: int,
    command: str,
    ancestor: dict[str, Any] | None = None,
    first: Callable[[Path], object] | None = None,
) -> tuple[Run, Lock]:
    """Make a run folder with recipe, provenance and state, and hold it. RunError where that cannot be.

    ancestor: what the provenance says of the run that this one comes from. first: writes the checkpoint
    that such a run begins with, beneath the folder that it is given. The recipe is written last: a folder
    with a recipe is a run, all of it there.
    """
    new = not path.exists()
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _not_writable(path, error) from error
    lock = Lock(path, new=True)
    if is_run(path):
        lock.release()
        raise RunError(f"another process has just started a run in {path}: choose another --out")
    try:
        lock.sign()
        _remove_fragments(path)
        text = to_toml(recipe)
        state = {"state": "running", "steps": steps, "last": None, "best": None}
        state["recipes"] = [_recipe_digest(text)]
        if first is not None:
            first(path / "checkpoints")
            state["last"] = 0
        io.write_json(path / "provenance.json", {**_provenance(recipe, data, command), **(ancestor or {})})
        io.write_json(path / "run.json", state)
        io.write_atomic(path / "recipe.toml", text.encode())
    except BaseException as error:
        lock.release()
        _remove_fragments(path)
        with contextlib.suppress(OSError):
            (path / "recipe.toml").unlink(missing_ok=True)
            (path / ".lock").unlink(missing_ok=True)
            if new:
                path.rmdir()
        if isinstance(error, OSError):
            raise _not_writable(path, error) from error
        raise
    return Run(path, allow_code=True), lock


def _remove_fragments(path: Path) -> None:
    """Remove what a `create` that was cut short wrote before the recipe."""
    with contextlib.suppress(OSError):
        shutil.rmtree(path / "checkpoints" / checkpoint.folder_name(0), ignore_errors=True)
        checkpoint.sweep(path / "checkpoints")
        for file in (path / "provenance.json", path / "run.json", *path.glob(".*.part")):
            file.unlink(missing_ok=True)
        if (path / "checkpoints").is_dir():
            (path / "checkpoints").rmdir()


def new_path(parent: Path, recipe: Recipe) -> Path:
    """The next free `NNNN-RECIPE-DATA` beneath a folder."""
    used = [int(found[0]) for entry in parent.glob("*") if (found := re.findall(r"^(\d{4,})-", entry.name))]
    data = getattr(recipe.data, "path", None)
    name = Path(data).resolve().name if data else recipe.to_tree()["data"]["name"]
    label = re.sub(r"[^A-Za-z0-9._-]+", "-", f"{recipe.name}-{name}")
    return parent / f"{max(used, default=0) + 1:04d}-{label}"


def _provenance(recipe: Recipe, data: Data, command: str) -> dict[str, Any]:
    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": command,
        "seed": recipe.seed,
        "device": recipe.device,
        "threads": recipe.threads,
        "processes": world().count,
        "versions": _versions(),
        "machine": {"system": platform.platform(), "processor": _processor(), "cores": os.cpu_count()},
        "data": {
            "name": data.name,
            "fingerprint": data.fingerprint,
            "spec": {
                "kind": data.spec.kind,
                "shape": list(data.spec.shape),
                "classes": list(data.spec.classes),
                "scale": data.spec.scale,
            },
            "splits": {name: len(split) for name, split in data.splits.items()},
            "class_counts": _class_counts(data),
            "notes": list(data.notes),
            "skipped": [{"file": file, "reason": reason} for file, reason in data.skipped],
        },
    }


def _class_counts(data: Data) -> list[int]:
    """Training samples of each class; empty without labels."""
    import numpy as np

    labels = data.splits["train"].labels
    return [] if labels is None else np.bincount(labels, minlength=len(data.spec.classes)).tolist()


def _versions() -> dict[str, str]:
    from importlib.metadata import version

    packages = ("torch", "numpy", "pillow", "safetensors")
    from duel import __version__

    return {
        "duel": __version__,
        "python": ".".join(str(part) for part in sys.version_info[:3]),
        **{name: version(name) for name in packages},
    }


def _processor() -> str:
    """The processor's name as Linux gives it, else what Python knows."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
