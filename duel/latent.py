"""Latent vectors as a space to walk in and to calculate with. Pure functions of arrays.

The mean of three smiling women, minus that of three neutral women, plus that of three neutral men, is a
smiling man (Radford, Metz, Chintala 2016, arXiv:1511.06434, section 6.3.2):

    run = duel.load("runs/faces")
    z = run.latent(64, seed=1)  # what `run.sample(64, seed=1)` is made of: look at it and choose
    smiling = latent.arithmetic(z[[3, 17, 40]], plus=z[[8, 21, 33]], minus=z[[5, 9, 12]])
    images = run.generate(latent.spherical(z[:1], smiling, 8)[0])  # 8×C×H×W, from the first to him
"""

from __future__ import annotations

import numpy as np

from duel.errors import InputError


def linear(a: np.ndarray, b: np.ndarray, steps: int) -> np.ndarray:
    """The straight way from each vector of `a` to its partner in `b` (both N×L): float32 N×steps×L.

    Both ends belong to it. InputError for fewer than 2 steps or other shapes.
    """
    a, b, t = _checked(a, b, steps)
    return np.asarray((1 - t) * a + t * b, np.float32)


def spherical(a: np.ndarray, b: np.ndarray, steps: int) -> np.ndarray:
    """The great arc from each vector of `a` to its partner in `b` (both N×L): float32 N×steps×L.

    sin((1 − t)ω)/sin ω · a + sin(tω)/sin ω · b for the angle ω between them (Shoemake 1985; White 2016,
    arXiv:1609.04468): the length stays that of normal vectors, where the straight way passes the middle,
    which the generator has never seen. Between parallel vectors this is the straight way, the limit for
    ω → 0; so it is between opposite ones, where no arc is the shortest, and from or to zero. InputError
    for fewer than 2 steps or other shapes.
    """
    a, b, t = _checked(a, b, steps)
    lengths = np.linalg.norm(a, axis=-1, keepdims=True) * np.linalg.norm(b, axis=-1, keepdims=True)
    cosine = (a * b).sum(-1, keepdims=True) / np.where(lengths > 0, lengths, 1)
    angle = np.arccos(np.clip(cosine, -1, 1))
    sine = np.sin(angle)
    straight = (sine < 1e-6) | (lengths == 0)
    safe = np.where(straight, 1, sine)
    of_a = np.where(straight, 1 - t, np.sin((1 - t) * angle) / safe)
    of_b = np.where(straight, t, np.sin(t * angle) / safe)
    return np.asarray(of_a * a + of_b * b, np.float32)


def arithmetic(
    base: np.ndarray, plus: np.ndarray | None = None, minus: np.ndarray | None = None
) -> np.ndarray:
    """mean(base) + mean(plus) − mean(minus), float32 1×L, of any numbers of vectors (N×L each, or one of L).

    The means of a few vectors that show the same are steadier than single ones. What is not given is 0.
    InputError for arrays of other shapes, or without a vector.
    """
    base = np.atleast_2d(np.asarray(base, np.float64))
    plus, minus = (None if each is None else np.atleast_2d(each) for each in (plus, minus))
    for each in (base, plus, minus):
        if each is not None and (np.ndim(each) != 2 or not len(each) or np.shape(each)[1] != base.shape[-1]):
            given = "×".join(map(str, np.shape(each)))
            raise InputError(f"vectors of shape {given} were given, allowed are N×L with N from 1 and one L")
    total = base.mean(0, keepdims=True)
    if plus is not None:
        total = total + np.asarray(plus, np.float64).mean(0)
    if minus is not None:
        total = total - np.asarray(minus, np.float64).mean(0)
    return np.asarray(total, np.float32)


def _checked(a: np.ndarray, b: np.ndarray, steps: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Both ends as float64 N×1×L, and the positions between them, 1×steps×1."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if a.ndim != 2 or a.shape != b.shape:
        given = " and ".join("×".join(map(str, each.shape)) for each in (a, b))
        raise InputError(f"ends of shape {given} were given, allowed are two of the same shape N×L")
    if steps < 2:
        raise InputError(
            f"{steps} steps were asked for, allowed are integers from 2: both ends belong to them"
        )
    return a[:, None], b[:, None], np.linspace(0, 1, steps)[None, :, None]
