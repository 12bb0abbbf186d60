from __future__ import annotations

from statistics import median

from duel.diagnoses._base import (
    Advice,
    Diagnosis,
    Finding,
    Records,
    adam,
    confidence,
    evidence,
    lasting,
    no_batch_norm,
    rates,
)
from duel.options import options

_CERTAIN = 0.99  # of D(x); of D(G(z)) what is left to 1
_ENTRIES = 20  # of a log, below which nothing is said


@options
class DiscriminatorTooStrong(Diagnosis):
    """The discriminator is always right, and the generator gets nowhere.

    Arjovsky, Bottou 2017 (arXiv:1701.04862), section 2: a perfect discriminator's gradient vanishes or is
    useless. Being always right is no fault by itself: critics with a bounded slope are.

    Of another program's log alone it is known from the outputs, where these are certain over a whole quarter
    of it while the generator's loss is no lower than at first; what the samples are like is not known then.

    separation  the chance that a held-out sample scores above a generated one, from which on it is right
    precision   share of the precision of held-out samples, below which the samples are far from the data
    looks       so many looks in a row must agree
    """

    separation: float = 0.97
    precision: float = 0.05
    looks: int = 5

    def find(self, records: Records) -> Finding | None:
        if not records.looks:
            return _by_the_log(records)
        right = records.held_out("precision")
        name = "separation_held" if records.signal("separation_held") else "separation"
        sure = lasting(records.signal(name), lambda value: value > self.separation, self.looks)
        if not right or not sure:
            return None
        far = lasting(records.signal("precision"), lambda value: value < self.precision * right, self.looks)
        if not far or _comes_nearer(records, self.looks):
            return None
        return Finding(
            severity="severe",
            confidence=confidence(1 - sure[-1][1], 1 - self.separation),
            evidence=(
                evidence(name, sure, self.separation),
                evidence("precision", far, round(self.precision * right, 4)),
            ),
            explanation=(
                "The discriminator tells generated samples from real ones without a mistake, and the "
                "samples do not come nearer to the data. It learns faster than the generator can follow, "
                "and what it passes back is of no use."
            ),
            advice=_advice(records),
        )


def _by_the_log(records: Records) -> Finding | None:
    """What D(x), D(G(z)) and the generator's loss say without samples; None where one is not known."""
    real, fake, loss = (records.logged(name) for name in ("d_real", "d_fake_before", "loss_g"))
    count = min(len(real), len(fake), len(loss))
    if count < _ENTRIES:
        return None
    part = max(_ENTRIES // 2, count // 4)
    sure = lasting(real, lambda value: _CERTAIN < value <= 1, part)
    caught = lasting(fake, lambda value: 0 <= value < 1 - _CERTAIN, part)
    first, last = (median(value for _, value in each) for each in (loss[:part], loss[-part:]))
    if not sure or not caught or last < first:
        return None
    return Finding(
        severity="warning",
        confidence=confidence(caught[-1][1], 1 - _CERTAIN),
        evidence=(
            evidence("D(x)", sure, _CERTAIN),
            evidence("D(G(z))", caught, round(1 - _CERTAIN, 3)),
            evidence("the generator's loss", loss[-part:], float(f"{first:.4g}")),
        ),
        explanation=(
            "The discriminator has been certain of every sample for long, and the generator's loss is no "
            "lower than at first. It learns faster than the generator can follow, and what it passes back is "
            "of little use; look at the samples."
        ),
        advice=_advice(records),
    )


def _advice(records: Records) -> tuple[Advice, ...]:
    advice = [
        *adam(records),
        Advice(
            rates(records, 1.0, 0.1),
            "a slower discriminator stays within the generator's reach",
            "Heusel et al. 2017, arXiv:1706.08500",
        ),
        Advice({"n_critic": 1}, "fewer updates of the discriminator for each of the generator", None),
        Advice(
            {"objective.name": "wasserstein", "penalties": "interpolated", **no_batch_norm(records)},
            "a critic with a bounded slope gives a direction however sure it is",
            "Gulrajani et al. 2017, arXiv:1704.00028",
        ),
        Advice(
            {"penalties": "r1", **no_batch_norm(records)},
            "a penalty on the slope at real samples",
            "Mescheder et al. 2018, arXiv:1801.04406",
        ),
    ]
    bounded = bool(records.setting("penalties.r1.weight"))
    return tuple(advice[:-1] if bounded else advice)


def _comes_nearer(records: Records, looks: int) -> bool:
    """Whether the samples' distance to the training data has fallen by a tenth within these looks."""
    nearest = [value for _, value in records.signal("nearest")[-looks:]]
    return len(nearest) > 1 and nearest[-1] < 0.9 * nearest[0]
