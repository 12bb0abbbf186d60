from __future__ import annotations

from statistics import median

from duel.diagnoses._base import Advice, Diagnosis, Evidence, Finding, Records, Series, confidence, rates
from duel.options import options


@options
class Spike(Diagnosis):
    """A loss jumped and came back: no divergence.

    Fathollahi 2022 printed such a log, whose first line is Loss_D 15.98 with D(x) 0.0000, and whose later
    ones are ordinary.

    times   how many times the median around it the jump must be
    least   by how much it must be above that median
    around  entries of the log before and after it
    """

    times: float = 5.0
    least: float = 2.0
    around: int = 5

    def find(self, records: Records) -> Finding | None:
        found = [jump for name in ("loss_d", "loss_g") for jump in self._jumps(name, records.logged(name))]
        if not found:
            return None
        name, step, value, usual = max(found, key=lambda jump: jump[2])
        return Finding(
            severity="info",
            confidence=confidence(value, self.times * max(usual, 1e-3)),
            evidence=(
                Evidence(f"|{name}|", float(f"{value:.4g}"), float(f"{self.times * usual:.4g}"), (step,)),
            ),
            explanation=(
                f"The loss jumped to {value:.3g} at step {step} and was back at {usual:.3g} soon after. One "
                "bad update does no lasting harm; several of them ask for smaller steps."
            ),
            advice=(Advice(rates(records, 0.5, 0.5), "smaller steps jump less", None),),
        )

    def _jumps(self, name: str, series: Series) -> list[tuple[str, int, float, float]]:
        """(name, step, |value|, usual |value|) of entries far above those before and after."""
        sizes = [(step, abs(value)) for step, value in series]
        found = []
        for number, (step, value) in enumerate(sizes):
            after = [each for _, each in sizes[number + 1 + self.around // 2 : number + 1 + 2 * self.around]]
            before = [
                each
                for _, each in sizes[max(0, number - 2 * self.around) : max(0, number - self.around // 2)]
            ]
            if len(after) < self.around:
                break
            usual = max(median(after), median(before) if len(before) >= self.around else 0.0)
            if value > self.times * usual and value > usual + self.least:
                found.append((name, step, value, usual))
        return found
