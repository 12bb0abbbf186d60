from __future__ import annotations

from typing import Any

from duel.diagnoses._base import Advice, Diagnosis, Evidence, Finding, Records, confidence
from duel.diagnoses._ranks import estimate_correlation, estimates, spearman_interval
from duel.options import options


@options
class EstimateMisleads(Diagnosis):
    """The critic's estimate of the Wasserstein distance does not go with the metric.

    Arjovsky et al. 2017 (arXiv:1701.07875), section 4.2, see it fall as samples get better, and take it for a
    measure of quality. Stanczuk et al. 2021 (arXiv:2103.01678) find that in practice it does not approximate
    that distance. So each run is asked for itself: Spearman's rank correlation over the steps at which both
    are known. Its interval takes the evaluations for independent, which those of one run are not: it is the
    narrowest that it can be, and the finding no proof.

    correlation  the curve is no guide where even the upper end of the 95 % interval is below it
    evaluations  so many shared steps are wanted
    """

    correlation: float = 0.5
    evaluations: int = 8

    def find(self, records: Records) -> Finding | None:
        steps = tuple(step for step, _, _ in estimates(records))
        found = estimate_correlation(records)
        if found is None or len(steps) < self.evaluations:
            return None
        low, high = spearman_interval(found, len(steps))
        if high >= self.correlation:
            return None
        metric = records.metric()[0]
        return Finding(
            severity="info",
            confidence=confidence(high, self.correlation),
            evidence=(
                Evidence(
                    f"rank correlation of wasserstein_estimate and {metric}, upper end",
                    float(f"{high:.4g}"),
                    self.correlation,
                    steps,
                ),
            ),
            explanation=(
                f"The critic's estimate of the Wasserstein distance does not go with {metric}: over "
                f"{len(steps)} evaluations their rank correlation is {found:.2f} ({low:.2f} to {high:.2f}), "
                "where 1 is wanted. In this run a falling curve of the estimate is no sign of better samples."
            ),
            advice=(
                Advice({}, "go by the metric, and by samples", "Stanczuk et al. 2021, arXiv:2103.01678"),
                Advice(
                    _more_updates(records),
                    "the estimate is meant for a critic that is near its best at every step",
                    "Arjovsky et al. 2017, arXiv:1701.07875",
                ),
            ),
        )


def _more_updates(records: Records) -> dict[str, Any]:
    """Twice the critic's updates for each of the generator; empty where a schedule gives them."""
    updates = records.setting("n_critic")
    return {"n_critic": 2 * updates} if isinstance(updates, int) else {}
