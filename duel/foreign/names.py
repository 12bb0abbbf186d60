"""Which column of a log is which.

A log is read for what duel's own step events hold. Its columns are known by these names; upper and lower
case and separators do not matter, "D" may also be dis, disc, discriminator, critic, netD, and "G" gen,
generator, netG:

| meaning | names |
|---|---|
| `step` | step, global_step, iteration, iter, update, batch, epoch; in a TensorBoard log each event's step |
| `loss_d` | D_loss, loss_D, loss/D, errD, D_cost … |
| `loss_g` | G_loss, loss_G, loss/G, errG, G_cost … |
| `d_real` | D(x), D_x, D_real, real_score, real_prob … |
| `d_fake_before` | D(G(z)), D_G_z1, D_fake, fake_score, fake_prob … |
| `fid`, `kid`, `fcd`, `frechet`, `swd`, `mmd` | so, or in full, or as fid50k, fid_score: lower is better |
| `is`, `cs`, `precision`, `recall`, `density`, `coverage` | so, or in full: higher is better |

Words such as train, avg, mean, total, epoch may stand beside a name, and groups before it ("train/loss_D");
but groups such as val, real and fake make a loss another one. Of several columns that fit, the most exact
is taken, then the first. Another name is given as `columns` = {"loss_d": "my_d_loss"}.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from itertools import product

from duel.datasets._scan import shown

LOSSES = ("loss_d", "loss_g")
STEP_FIELDS = (*LOSSES, "d_real", "d_fake_before")
METRICS = {
    "fid": "lower", "kid": "lower", "fcd": "lower", "frechet": "lower", "swd": "lower", "mmd": "lower",
    "is": "higher", "cs": "higher", "precision": "higher", "recall": "higher", "density": "higher",
    "coverage": "higher",
}  # fmt: skip

Rank = tuple[int, int]

_KEPT = 10_000  # names whose meaning is remembered
_SHOWN = 30  # names that a message lists
_STEPS = ("globalstep", "step", "steps", "iteration", "iterations", "iter", "iters", "update", "updates",
          "batch", "epoch", "epochs")  # fmt: skip
_D = ("d", "dis", "disc", "discriminator", "critic", "netd")
_G = ("g", "gen", "generator", "netg")
_COSTS = ("loss", "losses", "err", "error", "cost", "objective")
_OUTPUTS = ("score", "scores", "prob", "output")
_OF_REAL = ("real", "x", "realscore", "realprob", "realout")
_OF_FAKE = ("fake", "fakebefore", "gz", "gz1", "gzbefore", "fakescore", "fakeprob", "fakeout")


def _joined(firsts: Iterable[str], seconds: Iterable[str]) -> set[str]:
    return {first + second for first, second in product(firsts, seconds)}


_ALIASES: dict[str, set[str]] = {
    "loss_d": _joined(_D, _COSTS) | _joined(_COSTS, _D),
    "loss_g": _joined(_G, _COSTS) | _joined(_COSTS, _G),
    "d_real": _joined(_D, _OF_REAL) | _joined(("real", "x"), _OUTPUTS) | _joined(_OUTPUTS, ("real",)),
    "d_fake_before": _joined(_D, _OF_FAKE) | _joined(("fake",), _OUTPUTS) | _joined(_OUTPUTS, ("fake",)),
}
_METRIC_ALIASES: dict[str, set[str]] = {
    **{name: {name, f"{name}score"} for name in METRICS},
    "fid": {"fid", "fidscore", "frechetinceptiondistance"},
    "kid": {"kid", "kidscore", "kernelinceptiondistance"},
    "fcd": {"fcd", "frechetclassifierdistance"},
    "frechet": {"frechet", "frechetdistance"},
    "swd": {"swd", "slicedwassersteindistance"},
    "mmd": {"mmd", "maximummeandiscrepancy"},
    "is": {"is", "isscore", "inceptionscore"},
    "cs": {"cs", "classifierscore"},
}
_BESIDE = {"train", "training", "avg", "average", "mean", "running", "total", "epoch", "step", "batch",
           "iter", "adv", "adversarial", "gan"}  # fmt: skip
_HELD_OUT = {"val", "valid", "validation", "test", "eval"}
_OTHERS = _HELD_OUT | {"real", "fake", "grad", "lr", "std", "acc", "accuracy"}


@lru_cache(_KEPT)
def meaning(name: str) -> tuple[str, Rank] | None:
    """What a column is taken for, and how far from exact its name is; None for one that is not known.

    The rank is (groups in front that were passed over, 1 where words beside it were); less is more exact.
    """
    groups = name.split("/")[-8:]
    for dropped in range(len(groups)):
        words = _words("/".join(groups[dropped:]))
        before = set(_words("/".join(groups[:dropped])))
        for beside, known in ((_BESIDE, _ALIASES), (_BESIDE | _HELD_OUT, _METRIC_ALIASES)):
            if known is _ALIASES and before & _OTHERS:
                continue
            kept = [word for word in words if word not in beside]
            for loose, tried in enumerate(("".join(words), "".join(kept))):
                short = re.sub(r"\d+k?(full)?$", "", tried) if known is _METRIC_ALIASES else tried
                for found, aliases in known.items():
                    if short in aliases:
                        return found, (dropped, loose)
    return None


def step_rank(name: str) -> int | None:
    """How far from the best a name for steps is, from 0; None for a name of something else."""
    joined = "".join(_words(name))
    return _STEPS.index(joined) if joined in _STEPS else None


def listed(names: Iterable[str]) -> str:
    """Names of a log for a message: not too many, none too long, none that cannot be printed."""
    every = [shown(name) for name in names]
    more = f" and {len(every) - _SHOWN:,} others" if len(every) > _SHOWN else ""
    return (", ".join(every[:_SHOWN]) or "none") + more


def _words(name: str) -> list[str]:
    """ "train/lossD" → train, loss, d."""
    return re.findall(r"[a-z]+|\d+[a-z]*", re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", name).lower())
