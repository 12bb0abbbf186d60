from __future__ import annotations

from duel.diagnoses._base import Advice, Diagnosis, Evidence, Finding, Records, confidence, rates
from duel.options import options


@options
class PastItsBest(Diagnosis):
    """The metric was better some evaluations ago, and not by chance.

    since   evaluations after the best, all of which must be worse beyond both intervals
    times   by how much the best of these must be worse
    """

    since: int = 3
    times: float = 1.5

    def find(self, records: Records) -> Finding | None:
        name, lower, rows = records.metric()
        if len(rows) <= self.since:
            return None
        sign = 1 if lower else -1
        best = min(range(len(rows)), key=lambda number: sign * rows[number][1])
        after = rows[best + 1 :]
        if len(after) < self.since:
            return None
        step, value, low, high = rows[best]
        worse = [row for row in after[-self.since :] if (row[2] > high if lower else row[3] < low)]
        last = min((row[1] for row in after[-self.since :]), key=lambda each: sign * each)
        ratio = last / max(value, 1e-12) if lower else value / max(last, 1e-12)
        bound = self.times * value if lower else value / self.times
        if len(worse) < self.since or not ratio > self.times:
            return None
        return Finding(
            severity="warning",
            confidence=confidence(ratio, self.times),
            evidence=(
                Evidence(
                    name, float(f"{last:.4g}"), float(f"{bound:.4g}"), (step, *(row[0] for row in worse))
                ),
            ),
            explanation=(
                f"The best {name} was {value:.4g} at step {step}; the last {self.since} evaluations are all "
                f"worse, now {last:.4g}. "
                f"Training on has made it worse: stop, and take the checkpoint of step {step}."
            ),
            advice=(
                Advice(rates(records, 0.25, 0.25), "smaller steps stay near what was found", None),
                Advice(
                    {"ema.decay": 0.999},
                    "an average over the steps wanders less",
                    "Yazıcı et al. 2018, arXiv:1806.04498",
                ),
                Advice({"steps": step}, "so long was it getting better", None),
            ),
        )
