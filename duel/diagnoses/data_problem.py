from __future__ import annotations

from duel.diagnoses._base import Advice, Diagnosis, Evidence, Finding, Records, confidence
from duel.options import options


@options
class DataProblem(Diagnosis):
    """The training data themselves: few, copies, classes of very different size, a channel that is constant.

    few        training samples, below which a generator can only repeat them
    copies     share of samples that stand in the data more than once
    imbalance  size of the largest class over that of the smallest
    """

    few: int = 100
    copies: float = 0.1
    imbalance: float = 10.0

    def find(self, records: Records) -> Finding | None:
        facts, found, sentences = records.facts, [], []
        train = facts.get("train")
        if train is not None and train < self.few:
            found.append(Evidence("training samples", train, self.few, (0,)))
            sentences.append(f"There {'is' if train == 1 else 'are'} only {train} to learn from.")
        copies = facts.get("copies") or 0.0
        if copies > self.copies:
            found.append(Evidence("copies", copies, self.copies, (0,)))
            sentences.append(f"{copies:.0%} of the training samples are copies of others.")
        counts = [count for count in facts.get("class_counts") or [] if count]
        ratio = max(counts) / min(counts) if counts else 1.0
        if ratio > self.imbalance:
            found.append(
                Evidence("class_counts, largest over smallest", float(f"{ratio:.3g}"), self.imbalance, (0,))
            )
            sentences.append(f"The largest class has {ratio:.0f} times as many samples as the smallest.")
        constant = facts.get("constant_channels") or []
        if constant:
            found.append(Evidence("constant_channels", len(constant), 0, (0,)))
            sentences.append(f"Channel {', '.join(map(str, constant))} is the same in every image.")
        if not found:
            return None
        return Finding(
            severity="warning",
            confidence=confidence(float(found[0].value), float(found[0].threshold)),
            evidence=tuple(found),
            explanation=(
                " ".join(sentences)
                + " The generator learns the data as they are: what is there often is drawn often, and "
                "what hardly varies teaches nothing."
            ),
            advice=(
                Advice({}, "mend the data: `duel data inspect` and `duel data check` show them", None),
                Advice(
                    {"augmentations": "diffaugment"},
                    "augmentation, where there are few different samples",
                    "Zhao et al. 2020, arXiv:2006.10738",
                ),
            ),
        )
