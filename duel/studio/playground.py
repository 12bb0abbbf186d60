"""A GAN of points in the plane that is trained step by step while one looks, on the from-scratch engine.

game = Playground(Settings(data="ring"))
game.play(100)
game.change({"penalties": "r1", "lr_g": 1e-3})
game.look().fake
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

import numpy as np

from duel import catalog, recipe, schedule, streams
from duel.datasets._base import Data, Spec, Split
from duel.errors import InputError, RecipeError
from duel.recipe import Recipe
from duel.scratch import activations, dual
from duel.scratch import train as engine
from duel.xp import numpy_functions

_SHOWN = 256  # points of each kind
_SIDE = 40  # of the heat map
_FEWEST_DRAWN, _MOST_DRAWN = 3, 2000
_DRAWN_SPREAD = 0.02  # around points that a user draws, in units of the square from −1 to 1
_NEAR = 0.12  # of a mode, in the same units: near enough to count it as covered
_COVERED = 0.02  # share of the generated points that a mode must have
_LARGEST = {"batch": 512, "latent": 64, "n_critic": 20}
_MOST_UNITS = 128


@dataclass(frozen=True)
class Settings:
    """What is played.

    data           "ring", "grid" or "drawn"; drawn: the points, in the square from −1 to 1
    objective, optimizer   of the catalog
    penalties      names of the catalog with commas, or ""; weight: of each
    clip           limit of the discriminator's weights; 0: none
    lr_d, lr_g     learning rates; beta1: of Adam
    n_critic       updates of the discriminator in a step
    hidden         units in each of the two hidden layers of both networks
    """

    data: str = "ring"
    drawn: tuple[tuple[float, float], ...] = field(default=(), repr=False)
    objective: str = "non-saturating"
    penalties: str = ""
    weight: float = 1.0
    clip: float = 0.0
    optimizer: str = "adam"
    lr_d: float = 0.002
    lr_g: float = 0.001
    beta1: float = 0.5
    n_critic: int = 1
    batch: int = 128
    latent: int = 2
    hidden: int = 48
    seed: int = 0


# Found by trying, with four seeds on the ring: with the first at most 2 modes of 8 are left, for 6,000 steps
# at least; the second then brings back 7 or 8 within 1,800.
PRESETS: dict[str, dict[str, Any]] = {
    "collapse": {"lr_g": 0.005, "lr_d": 0.0001, "penalties": "", "clip": 0.0, "n_critic": 1},
    "cure": {"lr_g": 0.001, "lr_d": 0.003, "penalties": "r1", "weight": 0.1},
}

# Changing these builds new networks: the training begins again.
_FIXED = ("data", "drawn", "latent", "hidden", "seed")


def settings(given: Mapping[str, Any], old: Settings | None = None) -> Settings:
    """Settings from JSON values. InputError for what they cannot be."""
    known = {each.name: each for each in fields(Settings)}
    values: dict[str, Any] = {}
    for name, value in given.items():
        if name not in known:
            raise InputError(f"there is no setting {name[:40]!r}, allowed: {', '.join(known)}")
        values[name] = _points(value) if name == "drawn" else _value(name, value)
    found = replace(old or Settings(), **values)
    if found.data not in ("ring", "grid", "drawn"):
        raise InputError(f"data is {found.data[:40]!r}, allowed are ring, grid and drawn")
    if found.data == "drawn" and len(found.drawn) < _FEWEST_DRAWN:
        raise InputError(f"{len(found.drawn)} points were drawn, at least {_FEWEST_DRAWN} are needed")
    for name, most in _LARGEST.items():
        if not 1 <= getattr(found, name) <= most:
            raise InputError(f"{name} is {getattr(found, name)}, allowed are integers from 1 to {most}")
    if not 1 <= found.hidden <= _MOST_UNITS:
        raise InputError(f"hidden is {found.hidden}, allowed are integers from 1 to {_MOST_UNITS}")
    return found


def _value(name: str, value: Any) -> Any:
    kind = type(getattr(Settings(), name))
    number = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e12
    if kind is str and isinstance(value, str) and len(value) < 200 and ":" not in value:
        return value
    if kind is float and number:
        return float(value)
    if kind is int and number and value == int(value):
        return int(value)
    raise InputError(f"{name} is {str(value)[:40]!r}, expected {kind.__name__}")


def _points(value: Any) -> tuple[tuple[float, float], ...]:
    if not isinstance(value, list | tuple) or len(value) > _MOST_DRAWN:
        raise InputError(f"drawn is to be a list of at most {_MOST_DRAWN:,} points [x, y]")
    try:
        found = np.array(value, np.float64).reshape(-1, 2)
    except (TypeError, ValueError) as error:
        raise InputError("drawn is to be a list of points [x, y]") from error
    if not (np.abs(found) <= 1).all():  # also where one is no number
        raise InputError("drawn points lie between −1 and 1")
    return tuple((float(x), float(y)) for x, y in found)


def as_recipe(it: Settings) -> Recipe:
    """The recipe that the engine plays. RecipeError where settings do not fit."""
    sides = {"generator": it.lr_g, "discriminator": it.lr_d}
    known = {option.name for option in catalog.entry("optimizers", it.optimizer).options}
    beta = {"beta1": it.beta1} if "beta1" in known else {}
    names = [name.strip() for name in it.penalties.split(",") if name.strip()]
    found = recipe.resolve(
        {
            "name": "playground",
            "engine": "scratch",
            "data": {"name": "grid" if it.data == "grid" else "ring"},
            "network": {
                "name": "dense",
                "generator_hidden": [it.hidden] * 2,
                "discriminator_hidden": [it.hidden] * 2,
            },
            "objective": {"name": it.objective},
            "penalties": [{"name": name, "weight": it.weight} for name in names],
            "constraints": [{"name": "clip", "limit": it.clip}] if it.clip else [],
            "optimizer": {side: {"name": it.optimizer, "lr": rate, **beta} for side, rate in sides.items()},
            "latent": {"size": it.latent},
            "batch_size": it.batch,
            "n_critic": it.n_critic,
            "steps": 10**9,
            "seed": it.seed,
            "threads": 1,
        }
    )
    engine.check(found)
    return found


def data_of(it: Settings) -> Data:
    """The points that are learned."""
    if it.data != "drawn":
        return recipe.data_set(it.data).load()
    rng = streams.stream(it.seed, "data", 99)
    centres = np.array(it.drawn)
    chosen = centres[rng.integers(len(centres), size=4000)]
    points = np.clip(chosen + _DRAWN_SPREAD * rng.standard_normal(chosen.shape), -1, 1).astype(np.float32)
    split = Split(points, None)
    return Data("drawn", Spec("points", (2,)), {"train": split, "validation": split, "test": split}, "drawn")


@dataclass(frozen=True)
class Look:
    """What there is to see between two steps, in the square from −1 to 1.

    fake      N×2, of always the same latent vectors; arrows: where the generator's loss falls, N×2
    field     side×side: D(x) (rows from below), a probability where the objective makes one, else the score
    low, high the field's range, of scores
    covered   modes that have generated points near them, of `modes`; None without modes
    numbers   losses and the discriminator's means; empty before the first step
    """

    step: int
    fake: np.ndarray
    arrows: np.ndarray
    field: np.ndarray
    low: float
    high: float
    probability: bool
    covered: int | None
    modes: int | None
    numbers: dict[str, float]


class Playground:
    """One game, from its settings on."""

    def __init__(self, it: Settings) -> None:
        """RecipeError or InputError for settings that cannot be."""
        self.settings = it
        self._recipe = as_recipe(it)
        self._data = data_of(it)
        self._now = engine.start(self._recipe, self._data)
        self._latent = streams.draw_latent(streams.stream(it.seed, "fixed"), _SHOWN, it.latent, "normal")
        self._numbers: dict[str, float] = {}

    @property
    def step(self) -> int:
        """Steps that are done."""
        return self._now.step

    @property
    def real(self) -> np.ndarray:
        """Some of the real points."""
        return self._data.splits["train"].samples[: 2 * _SHOWN]

    @property
    def diverged(self) -> bool:
        """Whether a weight is no number any more."""
        players = (self._now.generator, self._now.discriminator)
        return not all(np.isfinite(player.weights).all() for player in players)

    def play(self, steps: int) -> None:
        """So many steps; fewer where a number is none any more."""
        for _ in range(steps):
            if self.diverged:
                return
            found = engine.play_step(self._recipe, self._now)
            self._now.step += 1
            self._numbers = self._said(found)

    def _said(self, found: Mapping[str, Any]) -> dict[str, float]:
        view = numpy_functions().sigmoid if self._recipe.objective.probabilistic else np.asarray
        names = {"real_logits": "d_real", "fake_before": "d_fake", "fake_after": "d_fake_after"}
        with np.errstate(over="ignore", invalid="ignore"):
            outputs = {name: float(np.mean(view(found[key]))) for key, name in names.items()}
        return {"loss_d": float(found["loss_d"]), "loss_g": float(found["loss_g"]), **outputs}

    def change(self, given: Mapping[str, Any]) -> bool:
        """Other settings from the next step on; whether the training has begun again because of them."""
        new = settings(given, self.settings)
        found = as_recipe(new)
        if any(getattr(new, name) != getattr(self.settings, name) for name in _FIXED):
            self.__init__(new)  # type: ignore[misc]
            return True
        if new.optimizer != self.settings.optimizer:
            for player in (self._now.generator, self._now.discriminator):
                player.moments = {}  # another optimizer keeps others
        self._now.batches.size = new.batch
        self._now.scheduled = schedule.is_scheduled(found)
        self.settings, self._recipe = new, found
        return False

    # ------------------------------------------------------------ looking

    @np.errstate(over="ignore", invalid="ignore", divide="ignore")  # of a training that has diverged
    def look(self) -> Look:
        """As it stands now."""
        fake = engine.generate(self._now, self._latent, None)
        scores = self._scores(square(_SIDE))
        probability = self._recipe.objective.probabilistic
        shown = activations.sigmoid(scores) if probability else scores
        shown = np.nan_to_num(shown, nan=0.0, posinf=1e30, neginf=-1e30)
        modes = self._modes()
        return Look(
            step=self._now.step,
            fake=np.nan_to_num(fake),
            arrows=np.nan_to_num(self._arrows(fake)),
            field=shown.reshape(_SIDE, _SIDE),
            low=0.0 if probability else float(shown.min()),
            high=1.0 if probability else float(shown.max()),
            probability=probability,
            covered=None if modes is None else covered(fake, modes),
            modes=None if modes is None else len(modes),
            numbers=self._numbers,
        )

    def _scores(self, points: np.ndarray) -> np.ndarray:
        player = self._now.discriminator
        found: np.ndarray = player.network.apply(player.weights, points.astype(player.weights.dtype))[:, 0]
        return found

    def _arrows(self, fake: np.ndarray) -> np.ndarray:
        """For each generated point where its loss falls: the discriminator's message to the generator."""
        player, objective, xp = self._now.discriminator, self._recipe.objective, numpy_functions()
        outputs, steps = player.network.trace(player.weights, fake.astype(player.weights.dtype))
        real = None
        if objective.relativistic:
            real = self._scores(self._data.splits["train"].samples[: len(fake)])
        slopes = dual.gradient(
            lambda logits: xp.mean(objective.generator_loss(real, logits, xp)), outputs[:, 0]
        )
        found: np.ndarray = -player.network.input_gradient(player.weights, steps, slopes[:, None]) * len(fake)
        return found

    def _modes(self) -> np.ndarray | None:
        if self._data.modes is not None:
            return np.asarray(self._data.modes.centres / self._data.modes.scale)
        return None


def square(side: int) -> np.ndarray:
    """side² points of the square from −1 to 1: the centres of its cells, row by row from below."""
    edge = (np.arange(side) + 0.5) / side * 2 - 1
    y, x = np.meshgrid(edge, edge, indexing="ij")
    return np.stack([x.ravel(), y.ravel()], axis=1).astype(np.float32)


def covered(fake: np.ndarray, modes: np.ndarray) -> int:
    """How many modes have their share of the generated points near them."""
    distance = np.linalg.norm(fake[:, None] - modes[None], axis=2)
    nearest = distance.argmin(1)[distance.min(1) < _NEAR]
    return int((np.bincount(nearest, minlength=len(modes)) >= max(1, _COVERED * len(fake))).sum())


def as_json(it: Look) -> dict[str, Any]:
    """A look with few digits: it is sent many times a second."""
    span = it.high - it.low
    share = (it.field - it.low) / span if span > 0 else np.full_like(it.field, 0.5)
    return {
        "step": it.step,
        "fake": _rounded(it.fake),
        "arrows": _rounded(it.arrows, 5),
        "field": np.clip(np.rint(share * 255), 0, 255).astype(np.uint8).ravel().tolist(),
        "side": len(it.field),
        "low": it.low, "high": it.high, "probability": it.probability,
        "covered": it.covered, "modes": it.modes, "numbers": it.numbers,
    }  # fmt: skip


def _rounded(values: Sequence[Any] | np.ndarray, digits: int = 3) -> list[Any]:
    found: list[Any] = np.round(np.asarray(values, np.float64), digits).tolist()
    return found


def choices() -> dict[str, Any]:
    """What can be chosen, with help: every objective and penalty of the engine."""
    families = {"objective": "objectives", "penalties": "penalties", "optimizer": "optimizers"}
    listed = {
        name: [
            {"name": each.name, "help": each.summary}
            for each in catalog.entries(family)
            if _plays(name, each.name)
        ]
        for name, family in families.items()
    }
    return {"choices": listed, "defaults": {**asdict(Settings()), "drawn": []}, "presets": PRESETS}


def _plays(name: str, value: str) -> bool:
    """Whether the engine has it."""
    try:
        as_recipe(settings({name: value}))
    except (RecipeError, InputError):
        return False
    return True
