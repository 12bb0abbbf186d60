"""A checkpoint with one flipped byte, cut anywhere, or with files too few or too many."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import duel
from duel import checkpoint
from duel.errors import CheckpointError
from duel.run import Run
from soak import runs as tiny
from soak.report import Report, first, progress

_SMALL = 4096  # bytes; smaller files are cut at every length


def main(report: Report, folder: Path, flips: int, cuts: int, resumes: int, seed: int) -> None:
    """So many flips over all files; `cuts` lengths of large files; every so many flips a resume."""
    tiny.without_curves()
    rng = random.Random(seed)
    run = folder / "run"
    tiny.train(run, 10)
    tiny.train(folder / "whole", 12)
    end, newest = tiny.content(folder / "whole"), run / "checkpoints" / checkpoint.folder_name(10)
    files = sorted(newest.iterdir())
    sizes = [file.stat().st_size for file in files]
    report.say(", ".join(f"{file.name} {size:,}" for file, size in zip(files, sizes, strict=True)))
    missed: list[str] = []
    taken = 0
    for number in range(flips):
        file = rng.choices(files, sizes)[0] if number % 2 else rng.choice(files)
        original = bytearray(file.read_bytes())
        at, mask = rng.randrange(len(original)), rng.randrange(1, 256)
        file.write_bytes(original[:at] + bytes([original[at] ^ mask]) + original[at + 1 :])
        if not _found(run, newest):
            missed.append(f"{file.name} byte {at} ^ {mask}")
        if number % max(1, flips // resumes) == 0:
            taken += 1
            missed += _taken_up(run, folder / "copy", end)
            progress(f"{number} of {flips} flips")
        file.write_bytes(original)
    said = (
        f"{flips} flipped bytes: all found, the checkpoint before is used; {taken} resumes warn and end alike"
    )
    report.check(not missed, said, first(missed))
    _cut(report, run, newest, rng, cuts)
    _missing_and_more(report, run, newest)


def _found(run: Path, newest: Path) -> bool:
    """Whether verifying and loading refuse the newest, and the one before is taken."""
    for look in (checkpoint.verify, checkpoint.load):
        try:
            look(newest)
        except CheckpointError:
            continue
        return False
    step, wrong = Run(run).newest_whole()
    return step == 5 and len(wrong) == 1


def _taken_up(run: Path, copy: Path, end: str) -> list[str]:
    """What is wrong with a resume of the damaged run."""
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(run, copy)
    with duel.train(resume=copy, steps=12) as session:
        events = list(session)
    warnings = [event["message"] for event in events if event["event"] == "warning"]
    if len(warnings) != 1 or not warnings[0].endswith("set aside, going on from step 5"):
        return [f"its resume warned {warnings}"]
    return [] if tiny.content(copy) == end else ["its resume ended elsewhere"]


def _cut(report: Report, run: Path, newest: Path, rng: random.Random, cuts: int) -> None:
    missed, tried = [], 0
    for file in sorted(newest.iterdir()):
        original = file.read_bytes()
        every = range(len(original))
        for length in every if len(original) <= _SMALL else rng.sample(every, min(cuts, len(every))):
            tried += 1
            file.write_bytes(original[:length])
            if not _found(run, newest):
                missed.append(f"{file.name} cut to {length}")
        file.write_bytes(original)
    report.check(not missed, f"{tried} cut files: all found", first(missed))


def _missing_and_more(report: Report, run: Path, newest: Path) -> None:
    whole, missed = tiny.content(run), []
    for file in sorted(newest.iterdir()):
        original = file.read_bytes()
        file.unlink()
        if not _found(run, newest):
            missed.append(f"without {file.name}")
        file.write_bytes(original)
    for name in ("zzz", "encoder.safetensors", ".hidden"):
        (newest / name).write_bytes(b"stranger")
        if tiny.content(run) != whole:
            missed.append(f"with {name}")
        (newest / name).unlink()
    report.check(not missed, "missing files are found, additional ones change nothing", first(missed))
