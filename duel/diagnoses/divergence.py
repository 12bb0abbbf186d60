from __future__ import annotations

from statistics import median

from duel.diagnoses._base import (
    Advice,
    Diagnosis,
    Evidence,
    Finding,
    Records,
    Series,
    confidence,
    no_batch_norm,
    rates,
)
from duel.options import options


@options
class Divergence(Diagnosis):
    """Losses grow without bound, and do not come back.

    Compared are the medians of |loss| over the last tenth of the log and over its quietest tenth, so that a
    spike that recovers is none.

    times    by how much a loss must have grown
    least    |loss| below which no growth counts
    entries  of the log, below which nothing is said
    """

    times: float = 20.0
    least: float = 30.0
    entries: int = 20

    def find(self, records: Records) -> Finding | None:
        for name in ("loss_d", "loss_g"):
            series = [(step, abs(value)) for step, value in records.logged(name)]
            if len(series) < self.entries:
                continue
            part = max(3, len(series) // 10)
            last = series[-part:]
            now, before = (
                _median(last),
                min(_median(series[n : n + part]) for n in range(0, len(series) - part, part)),
            )
            if now > self.least and now > self.times * max(before, 0.1) and _still_growing(series, part):
                return Finding(
                    severity="severe",
                    confidence=confidence(now, self.times * max(before, 0.1)),
                    evidence=(
                        Evidence(
                            f"|{name}|",
                            float(f"{now:.4g}"),
                            float(f"{self.times * max(before, 0.1):.4g}"),
                            (last[0][0], last[-1][0]),
                        ),
                    ),
                    explanation=(
                        "The losses have grown many times over and keep growing. The players push each "
                        "other's outputs ever further without getting better; nothing bounds them."
                    ),
                    advice=(
                        *_bounds(records),
                        Advice(rates(records, 0.25, 0.25), "smaller steps", None),
                    ),
                )
        return None


def _bounds(records: Records) -> tuple[Advice, ...]:
    """What bounds a critic, where nothing does."""
    if records.setting("objective.name") != "wasserstein":
        return (
            Advice(
                {"penalties": "r1", **no_batch_norm(records)},
                "a penalty on the discriminator's slope",
                "Mescheder et al. 2018, arXiv:1801.04406",
            ),
        )
    return (
        Advice(
            {"penalties": "interpolated"},
            "the Wasserstein loss needs a critic with a bounded slope",
            "Gulrajani et al. 2017, arXiv:1704.00028",
        ),
    )


def _median(series: Series) -> float:
    return median(value for _, value in series)


def _still_growing(series: Series, part: int) -> bool:
    """Whether the last part is no lower than the one before it."""
    return _median(series[-part:]) >= 0.8 * _median(series[-2 * part : -part])
