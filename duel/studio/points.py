"""Latent vectors in an address, so that what is seen can be shared: by seed and place, or written out.

s:SEED:PLACE       vector PLACE of `run.latent(…, seed=SEED)`
v:BASE64           the vector itself, float32
at=P,P,…           these; base=…&plus=…&minus=…: mean(base) + mean(plus) − mean(minus), one vector
steps=N&way=…      the walk through them
move=K:AMOUNT,…    all of them moved along directions
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from duel import latent as latents
from duel.errors import InputError
from duel.streams import LARGEST_SEED
from duel.studio.explore import Explorer, walk

_MOST = 256  # vectors at a time
_MOST_PLACE = 4096
_MOST_STEPS = 64
_FARTHEST = 20.0  # standard deviations


@dataclass(frozen=True)
class View:
    """What is to be shown: as the address has it."""

    at: str = ""
    base: str = ""
    plus: str = ""
    minus: str = ""
    steps: int = 0
    way: str = "spherical"
    move: str = ""
    seed: int = 0
    n: int = 0

    def vectors(self, look: Explorer) -> np.ndarray:
        """N×L. InputError for what is not to be had."""
        found = self._start(look)
        if self.steps:
            if not 2 <= self.steps <= _MOST_STEPS:
                raise InputError(f"{self.steps} steps were asked for, allowed are 2 to {_MOST_STEPS}")
            found = walk(found, self.steps, self.way)
        if len(found) > _MOST:
            raise InputError(f"{len(found)} images were asked for, allowed are at most {_MOST}")
        return found + shift(look, self.move) if self.move else found

    def _start(self, look: Explorer) -> np.ndarray:
        if self.base:
            parts = [_named(look, text) if text else None for text in (self.base, self.plus, self.minus)]
            assert parts[0] is not None
            one = latents.arithmetic(parts[0], parts[1], parts[2])
            return np.concatenate([one, _named(look, self.at)]) if self.at else one
        if self.at:
            return _named(look, self.at)
        if not 1 <= self.n <= _MOST:
            raise InputError(f"{self.n} images were asked for, allowed are 1 to {_MOST}")
        return look.run.latent(self.n, _seed(self.seed))


def _named(look: Explorer, text: str) -> np.ndarray:
    names = text.split(",")
    if len(names) > _MOST:
        raise InputError(f"{len(names)} latent vectors were named, allowed are at most {_MOST}")
    drawn: dict[int, np.ndarray] = {}
    return np.concatenate([_vector(look, name, drawn) for name in names])


def _vector(look: Explorer, name: str, drawn: dict[int, np.ndarray]) -> np.ndarray:
    kind, _, rest = name.partition(":")
    if kind == "v":
        return written(rest, look.size)
    seed, _, place = rest.partition(":")
    if kind != "s" or not (seed.isdecimal() and place.isdecimal()) or len(seed) > 19 or len(place) > 4:
        raise InputError(f"{name[:40]!r} names no latent vector, allowed: s:SEED:PLACE and v:BASE64")
    number, which = _seed(int(seed)), int(place)
    if which >= _MOST_PLACE:
        raise InputError(f"place {which} was asked for, allowed are 0 to {_MOST_PLACE - 1}")
    if number not in drawn or len(drawn[number]) <= which:
        drawn[number] = look.run.latent(which + 1, number)
    return drawn[number][which : which + 1]


def _seed(seed: int) -> int:
    if not 0 <= seed <= LARGEST_SEED:
        raise InputError(f"the seed is {seed}, allowed are integers from 0")
    return seed


def written(text: str, size: int) -> np.ndarray:
    """The vector (1×L) that `write` has written."""
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (ValueError, binascii.Error) as error:
        raise InputError("a latent vector cannot be read: it is no base64") from error
    if len(raw) != 4 * size:
        raise InputError(f"a latent vector of {len(raw) / 4:g} numbers was given, this run takes {size}")
    return np.frombuffer(raw, "<f4").astype(np.float32)[None]


def write(vector: np.ndarray) -> str:
    """A vector's name."""
    raw = np.asarray(vector, "<f4").reshape(-1).tobytes()
    return "v:" + base64.urlsafe_b64encode(raw).decode().rstrip("=")


def shift(look: Explorer, move: str) -> np.ndarray:
    """1×L: the sum of the named directions, "0:1.5,3:-2"."""
    amounts: Mapping[int, float] = dict(_amount(part) for part in move.split(","))
    total = np.zeros((1, look.size), np.float32)
    for number, amount in amounts.items():
        if not 0 <= number < len(look.found.vectors):
            raise InputError(
                f"there is no direction {number}, allowed are 0 to {len(look.found.vectors) - 1}"
            )
        total += np.float32(amount) * look.found.vectors[number]
    return total


def _amount(part: str) -> tuple[int, float]:
    number, _, amount = part.partition(":")
    try:
        found = float(amount)
    except ValueError as error:
        raise InputError(f"{part[:40]!r} is no movement, allowed: DIRECTION:AMOUNT") from error
    if not number.isdecimal() or len(number) > 4 or not abs(found) <= _FARTHEST:
        raise InputError(f"{part[:40]!r} is no movement: amounts go from −{_FARTHEST:g} to {_FARTHEST:g}")
    return int(number), found
