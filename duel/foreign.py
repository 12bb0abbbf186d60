"""Records of a training that another program has made, from its log and a folder of its samples.

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

Steps need not be there: rows are numbered where no step column is, or where each of them goes back. Numbers
that are none (nan, inf, and what no 32-bit float holds) are left out and counted in the notes. Cells that
hold no number are passed over; of "0.48 / 0.10" the first is taken.

All of this is hostile input: sizes are looked at before anything is allocated, and what is damaged is a
DataError.
"""

from __future__ import annotations

import csv
import json
import math
import os
import re
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from duel.datasets._images import MAX_BYTES, check_file
from duel.datasets._scan import shown
from duel.diagnoses._base import Records, Series
from duel.errors import DataError, InputError, one_of

if TYPE_CHECKING:
    import numpy as np

    from duel.datasets._base import Data, Split
    from duel.datasets._images import Decoded
    from duel.signals import Reference

STEP_FIELDS = ("loss_d", "loss_g", "d_real", "d_fake_before")
METRICS = {
    "fid": "lower", "kid": "lower", "fcd": "lower", "frechet": "lower", "swd": "lower", "mmd": "lower",
    "is": "higher", "cs": "higher", "precision": "higher", "recall": "higher", "density": "higher",
    "coverage": "higher",
}  # fmt: skip

_LARGEST = 3.4028235e38  # of a 32-bit float; a loss beyond it has overflowed
_LARGEST_STEP = 2**63 - 1
_TEXT_BYTES = 1 << 28  # of a log that is text
_LINE = 1 << 20  # characters
_NUMBERS = 2_000_000  # that are kept of a log
_NAMES = 10_000  # of columns
_ENTRIES = 20_000  # of a log that are looked at
_EVENT_FILES = 1_000
_SHOWN = 30  # names that an error lists
_NAME_LENGTH = 200

_PARTS = 5  # that one folder's samples are cut into: as many looks as the most patient diagnosis wants
_FEWEST = 20  # images of a look
_TO_COUNT = 60  # images of a look, below which a class of 5 % may be missing three times by chance
_PER_LOOK = 200  # as many as duel itself looks at
_LOOKS = 100
_TRAIN = 2_000  # real images among which the nearest is looked for
_SAMPLE_BYTES = 1 << 29  # of the images of five looks


def records(
    *,
    samples: Path | None,
    log: Path | None,
    against: str | None,
    columns: Mapping[str, str] | None = None,
) -> tuple[Records, list[str]]:
    """What another program's training has left behind, and notes on what was taken for what.

    samples  a folder of images: cut into five looks at the log's last step. Where its sub-folders have a step
             in their names, each of them is a look. Where all are named as classes of the real data are, the
             images count as drawn for these classes
    log      a CSV file with a header (or separated by tabs, semicolons, blanks), a file of JSON lines, or
             a TensorBoard event file or a folder of them
    against  the real data: a listed data set, or a folder; samples are brought to its size, as for
             `duel evaluate`
    columns  {"loss_d": NAME, …}: where the log has step, loss_d, loss_g, d_real, d_fake_before, or a metric

    The recipe is not known. Raises InputError, or DataError for what cannot be read.
    """
    if samples is None and log is None:
        raise InputError("there is nothing to diagnose: give a folder of samples, a log, or both")
    if samples is not None and against is None:
        raise InputError(
            f"the samples of {samples} are compared with something: add --against DATA or FOLDER"
        )
    if samples is None and against is not None:
        raise InputError(f"there is nothing to compare with {against}: give a folder of samples, too")
    if log is None and columns:
        raise InputError("columns are named, but there is no log: add --log FILE")
    notes: list[str] = []
    steps, metrics = ([], []) if log is None else _logged(log, columns or {}, notes)
    found = Records(steps=tuple(steps), metrics=tuple(metrics))
    if samples is not None and against is not None:
        looks, facts = _looks(samples, against, found.now, notes)
        found = replace(found, looks=tuple(looks), facts=facts)
    return found, notes


# ---------------------------------------------------------------- names of columns

_D = ("d", "dis", "disc", "discriminator", "critic", "netd")
_G = ("g", "gen", "generator", "netg")
_STEPS = ("globalstep", "step", "steps", "iteration", "iterations", "iter", "iters", "update", "updates",
          "batch", "epoch", "epochs")  # fmt: skip


def _losses(players: Sequence[str]) -> set[str]:
    words = ("loss", "losses", "err", "error", "cost", "objective")
    return {name for one in players for word in words for name in (one + word, word + one)}


_ALIASES: dict[str, set[str]] = {
    "loss_d": _losses(_D),
    "loss_g": _losses(_G),
    "d_real": {f"{one}{real}" for one in _D for real in ("real", "x", "realscore", "realprob", "realout")}
    | {f"{real}{word}" for real in ("real", "x") for word in ("score", "scores", "prob", "output")}
    | {"scorereal", "scoresreal", "probreal", "outputreal"},
    "d_fake_before": {
        f"{one}{fake}"
        for one in _D
        for fake in ("fake", "fakebefore", "gz", "gz1", "gzbefore", "fakescore", "fakeprob", "fakeout")
    }
    | {f"fake{word}" for word in ("score", "scores", "prob", "output")}
    | {"scorefake", "scoresfake", "probfake", "outputfake"},
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
_BESIDE_METRIC = _BESIDE | {"val", "valid", "validation", "test", "eval"}
_OTHERS = {
    "val",
    "valid",
    "validation",
    "test",
    "eval",
    "real",
    "fake",
    "grad",
    "lr",
    "std",
    "acc",
    "accuracy",
}


@lru_cache(_NAMES)
def _meaning(name: str) -> tuple[str, tuple[int, int]] | None:
    """What a column is taken for, and how far from exact its name is; None for one that is not known."""
    groups = name.split("/")[-8:]
    for dropped in range(len(groups)):
        words = _words("/".join(groups[dropped:]))
        before = set(_words("/".join(groups[:dropped])))
        for beside, known in ((_BESIDE, _ALIASES), (_BESIDE_METRIC, _METRIC_ALIASES)):
            if known is _ALIASES and before & _OTHERS:
                continue
            kept = [word for word in words if word not in beside]
            for loose, tried in enumerate(("".join(words), "".join(kept))):
                short = re.sub(r"\d+k?(full)?$", "", tried) if known is _METRIC_ALIASES else tried
                for meaning, aliases in known.items():
                    if short in aliases:
                        return meaning, (dropped, loose)
    return None


def _words(name: str) -> list[str]:
    """ "train/lossD" → train, loss, d."""
    return re.findall(r"[a-z]+|\d+[a-z]*", re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", name).lower())


def _named(names: Iterable[str]) -> str:
    """Names of a log for a message: not too many, none too long, none that cannot be printed."""
    every = [shown(name) for name in names]
    more = f" and {len(every) - _SHOWN:,} others" if len(every) > _SHOWN else ""
    return (", ".join(every[:_SHOWN]) or "none") + more


# ---------------------------------------------------------------- a log


@dataclass
class _Log:
    """What is read of a log: all names in order; of those that may be wanted, (row or step, value).

    Values may be NaN or infinite.
    """

    path: Path
    columns: Mapping[str, str]
    names: dict[str, None] = field(default_factory=dict)
    series: dict[str, Series] = field(default_factory=dict)
    numbers: int = 0

    def see(self, name: str) -> bool:
        """Take note of a name; whether its numbers may be wanted."""
        if name not in self.names:
            if len(self.names) >= _NAMES:
                raise DataError(f"{self.path} has more than {_NAMES:,} columns: write a log of the losses")
            self.names[name] = None
        return name in self.columns.values() or _meaning(name) is not None or _is_step(name)

    def add(self, name: str, place: int, value: float) -> None:
        if self.numbers >= _NUMBERS:
            raise DataError(f"{self.path} holds more than {_NUMBERS:,} numbers: log every tenth step")
        self.numbers += 1
        self.series.setdefault(name, []).append((place, value))


def _is_step(name: str) -> bool:
    return "".join(_words(name)) in _STEPS


def _logged(
    path: Path, columns: Mapping[str, str], notes: list[str]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The step and metric events of a log."""
    allowed = ["step", *STEP_FIELDS, *METRICS]
    for meaning in columns:
        if meaning not in allowed:
            raise InputError(f"there is no {shown(meaning)} to name a column for: {one_of(allowed, meaning)}")
    try:
        log = _read(path, columns, notes)
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error}): give a log file") from error
    chosen = _chosen(log, notes)
    if "loss_d" not in chosen and "loss_g" not in chosen:
        raise DataError(
            f"neither player's loss is known in {path}, whose columns are: {_named(log.names)}; "
            "name one with --column loss_d=NAME or --column loss_g=NAME"
        )
    kept = {meaning: _finite(name, log.series.get(name, []), notes) for meaning, name in chosen.items()}
    steps = _step_events({name: kept[name] for name in STEP_FIELDS if name in kept}, notes)
    rows = [(step, name, value) for name in METRICS for step, value in kept.get(name, [])]
    rows.sort(key=lambda row: row[0])
    metrics = [
        {
            "event": "metric",
            "step": step,
            "name": name,
            **dict.fromkeys(("value", "low", "high"), value),
            "better": METRICS[name],
        }
        for step, name, value in rows
    ]
    if metrics:
        notes.append("the log gives no intervals of its metrics: each value counts as exact")
    return steps, metrics


def _chosen(log: _Log, notes: list[str]) -> dict[str, str]:
    """The column of each meaning. DataError where one that was named is not there."""
    for meaning, name in log.columns.items():
        if name not in log.names:
            raise DataError(
                f"{log.path} has no column {shown(name)} for {meaning}; its columns are: {_named(log.names)}"
            )
    chosen = {meaning: name for meaning, name in log.columns.items() if meaning != "step"}
    ranks: dict[str, tuple[int, int]] = {}
    for name in log.series:
        found = _meaning(name)
        if found is None or name in log.columns.values() or found[0] in log.columns:
            continue
        meaning, rank = found
        if meaning not in chosen or rank < ranks[meaning]:
            chosen[meaning], ranks[meaning] = name, rank
    taken = [
        f"{meaning}: {shown(chosen[meaning])}" for meaning in (*STEP_FIELDS, *METRICS) if meaning in chosen
    ]
    if taken:
        notes.append(f"columns taken from {log.path}: {', '.join(taken)}")
    rest = [name for name in log.names if name not in chosen.values() and not _is_step(name)]
    rest = [name for name in rest if name != log.columns.get("step")]
    if rest:
        notes.append(f"columns not used: {_named(rest)}")
    return chosen


def _finite(name: str, series: Series, notes: list[str]) -> Series:
    """The entries that are numbers; a note on the others."""
    kept = [(step, value) for step, value in series if abs(value) <= _LARGEST]
    lost = [step for step, value in series if not abs(value) <= _LARGEST]
    if lost:
        at_end = not abs(series[-1][1]) <= _LARGEST
        notes.append(
            f"{shown(name)} is no finite number in {len(lost):,} of {len(series):,} entries, first at step "
            f"{lost[0]}; they are left out"
            + (", and it ends so: that training has diverged" if at_end else "")
        )
    return kept


def _step_events(series: Mapping[str, Series], notes: list[str]) -> list[dict[str, Any]]:
    """One event for each step; where a step stands in the log several times, for each of its entries."""
    events: dict[tuple[int, int], dict[str, Any]] = {}
    for name, entries in series.items():
        before, again = None, 0
        for step, value in entries:
            again = again + 1 if step == before else 0
            before = step
            events.setdefault((step, again), {"event": "step", "step": step})[name] = value
    ordered = [events[key] for key in sorted(events)]
    every = math.ceil(len(ordered) / _ENTRIES)
    if every > 1:
        notes.append(f"of the log's {len(ordered):,} entries one in {every} is looked at")
        ordered = ordered[(len(ordered) - 1) % every :: every]
    return ordered


def _read(path: Path, columns: Mapping[str, str], notes: list[str]) -> _Log:
    """The log, with steps; its kind is told by its content. DataError for what is none."""
    log = _Log(path, columns)
    if path.is_dir():
        return _read_events(log, _event_files(path), notes)
    if not path.exists():
        raise DataError(f"{path} does not exist: give a CSV, JSON-lines or TensorBoard log")
    _check(path)
    with path.open("rb") as file:
        start = file.read(12)
    if "tfevents" in path.name or (len(start) == 12 and _crc(start[:8]) == _unsigned(start[8:])):
        return _read_events(log, [("", path)], notes)
    if path.stat().st_size > _TEXT_BYTES:
        raise DataError(
            f"{path} is too large: {path.stat().st_size:,} bytes, at most {_TEXT_BYTES:,} of a text are "
            "read: log every tenth step"
        )
    encoding = "utf-16" if start[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    with path.open(encoding=encoding, errors="replace", newline="") as text:
        first = next((line for line in _lines(path, text) if line.strip()), "")
        text.seek(0)
        lines = _lines(path, text)
        rows = _json_rows(log, lines) if first.lstrip().startswith("{") else _table_rows(log, lines)
    return _with_steps(log, rows, notes)


def _lines(path: Path, text: IO[str]) -> Iterator[str]:
    """The lines of a text, none of them too long."""
    while line := text.readline(_LINE + 1):
        if len(line) > _LINE:
            raise DataError(f"{path} has a line of more than {_LINE:,} characters: it is no log")
        yield line


def _check(path: Path) -> None:
    try:
        check_file(path)
    except DataError as error:
        raise DataError(f"{path} cannot be read as a log: {error}") from error


def _number(cell: str) -> float | None:
    """The number in a cell, of "[3/25]" or "0.48 / 0.10" the first; None where there is none."""
    try:
        return float(cell.strip(" \t[]").partition("/")[0].partition("±")[0].replace("_", "?"))
    except ValueError:
        return None


def _table_rows(log: _Log, lines: Iterator[str]) -> int:
    """Read a table with a header line; the number of its rows."""
    header = ""
    for line in lines:
        header = line.strip().lstrip("#").strip()
        if header:
            break
    if not header:
        raise DataError(f"{log.path} is empty: give a log with a header line")
    separator = max(",;\t|", key=header.count)
    separator = separator if separator in header else " "
    comma = separator in ";\t|"  # then a comma is a decimal one
    number = 0
    try:
        # Not strict: a table of another program may quote as it likes.
        names = _distinct(next(csv.reader([header], delimiter=separator, skipinitialspace=True)))
        wanted = [(place, name) for place, name in enumerate(names) if log.see(name)]
        if all(_number(name) is not None for name in names):
            raise DataError(
                f"the first line of {log.path} holds numbers only: give the columns names, such as "
                "step,loss_d,loss_g"
            )
        for row in csv.reader(lines, delimiter=separator, skipinitialspace=True):
            if not row:
                continue
            number += 1
            for place, name in wanted:
                cell = row[place] if place < len(row) else ""
                value = _number(cell.replace(",", ".") if comma else cell)
                if value is not None:
                    log.add(name, number, value)
    except csv.Error as error:
        raise DataError(f"{log.path} cannot be read as a table after row {number}: {error}") from error
    return number


def _distinct(names: Sequence[str]) -> list[str]:
    """Column names, cut to a length and made different."""
    found: dict[str, None] = {}
    for place, name in enumerate(names[: _NAMES + 1], 1):
        short = name.strip()[:_NAME_LENGTH] or f"column {place}"
        found[short if short not in found else f"{short} (column {place})"] = None
    return list(found)


def _json_rows(log: _Log, lines: Iterator[str]) -> int:
    """Read one JSON object a line; the number of lines. A last line that is cut off is left out."""
    number, broken = 0, 0
    for place, line in enumerate(lines, 1):
        if not line.strip():
            continue
        if broken:
            raise DataError(f"line {broken} of {log.path} is no JSON object: write one in each line")
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        if not isinstance(row, dict):
            broken = place
            continue
        number += 1
        for name, value in _flat(row):
            if log.see(name):
                log.add(name, number, value)
    if broken and not number:
        raise DataError(f"{log.path} holds no JSON object in its first line: write one in each line")
    return number


def _flat(row: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """The numbers of an object, and of those in it as group/name."""
    for name, value in row.items():
        inner = value.items() if isinstance(value, dict) else [("", value)]
        for key, each in inner:
            found: float | None = None
            if isinstance(each, str):
                found = _number(each[:_NAME_LENGTH])
            elif isinstance(each, int | float) and not isinstance(each, bool):
                try:
                    found = float(each)
                except OverflowError:
                    found = math.inf
            if found is not None:
                yield (f"{name}/{key}" if key else name)[:_NAME_LENGTH], found


def _with_steps(log: _Log, rows: int, notes: list[str]) -> _Log:
    """Rows' numbers replaced by steps, where a column says them and never goes back."""
    named = log.columns.get("step")
    order = {name: number for number, name in enumerate(_STEPS)}
    usual = sorted(
        (name for name in log.series if _is_step(name)), key=lambda name: order["".join(_words(name))]
    )
    back = []
    for name in [named] if named in log.series else usual:
        assert name is not None
        known = {row: int(value) for row, value in log.series[name] if abs(value) < _LARGEST_STEP}
        steps = list(known.values())
        if any(after < before for before, after in pairwise(steps)):
            back.append(name)
            continue
        last, of_row = 0, [0]
        for row in range(1, rows + 1):
            last = known.get(row, last)
            of_row.append(last)
        log.series = {
            each: [(of_row[row], value) for row, value in series]
            for each, series in log.series.items()
            if each != name
        }
        notes.append(f"steps are those of the column {shown(name)}")
        return log
    why = f"the column {_named(back)} goes back" if back else "no column of steps is known"
    notes.append(f"{why}: the rows of {log.path} are numbered instead")
    return log


# ---------------------------------------------------------------- TensorBoard

_CHECKED = (
    1 << 16
)  # bytes of a record whose checksum is always looked at; of a longer one where it holds a number
_RECORD = 1 << 24  # bytes of a record that is read; longer ones hold pictures and are passed over
_VARINT, _EIGHT, _BYTES, _FOUR = 0, 1, 2, 5  # wire types
_DT_FLOAT, _DT_DOUBLE = 1, 2


def _crc_table() -> tuple[int, ...]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return tuple(table)


_CRC = _crc_table()


def _crc(content: bytes) -> int:
    """The CRC-32C (Castagnoli) of some bytes, masked as TFRecord files have it."""
    value = 0xFFFFFFFF
    for byte in content:
        value = _CRC[(value ^ byte) & 0xFF] ^ (value >> 8)
    value ^= 0xFFFFFFFF
    return (((value >> 15) | (value << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def _unsigned(content: bytes) -> int:
    return int.from_bytes(content, "little")


def _event_files(root: Path) -> list[tuple[str, Path]]:
    """The event files below a folder by name: (folder below the root, file). No links are followed."""
    found: list[tuple[str, Path]] = []
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        below = Path(folder).relative_to(root).as_posix()
        found += [
            ("" if below == "." else below, Path(folder) / name)
            for name in sorted(files)
            if "tfevents" in name
        ]
        if len(found) > _EVENT_FILES:
            raise DataError(
                f"{root} holds more than {_EVENT_FILES:,} event files: give one training's folder"
            )
    if not found:
        raise DataError(
            f"{root} holds no TensorBoard event files (…tfevents…): give such a folder, or a log file"
        )
    return found


def _read_events(log: _Log, files: Sequence[tuple[str, Path]], notes: list[str]) -> _Log:
    """The scalars of event files. Those of a sub-folder are named folder/tag.

    torch's add_scalars("loss", {"D": …}) writes the tag "loss" to a folder "loss_D", tensorboardX's to
    "loss/D": both are loss/D.
    """
    for below, path in files:
        _check(path)
        with path.open("rb") as file:
            whole = True
            for content in _records_of(path, file):
                if content is None:
                    whole = False
                    continue
                for step, tag, value in _scalars(path, content):
                    name = _tag_name(below, tag)
                    if log.see(name):
                        log.add(name, step, value)
            if not whole:
                notes.append(f"the last record of {path} is cut off and was left out")
    log.series = {name: _in_order(name, series, notes) for name, series in log.series.items()}
    return log


def _tag_name(below: str, tag: str) -> str:
    if not below:
        return tag
    if f"/{tag}/" in f"/{below}/":
        return below
    folder, _, last = below.rpartition("/")
    start = tag.replace("/", "_") + "_"
    if last.startswith(start) and len(last) > len(start):
        name = f"{tag}/{last[len(start) :]}"
        return f"{folder}/{name}" if folder else name
    return f"{below}/{tag}"


def _in_order(name: str, series: Series, notes: list[str]) -> Series:
    """A series whose steps do not go back.

    A training that was taken up again at an earlier step has written the steps since then twice: the later
    ones count. Where that would leave less than half, or all have one step, the entries are numbered.
    """
    kept: Series = []
    for step, value in series:
        while kept and kept[-1][0] > step:
            kept.pop()
        kept.append((step, value))
    if 2 * len(kept) < len(series) or (len(series) > 1 and kept[0][0] == kept[-1][0]):
        notes.append(f"{shown(name)} has no steps of its own: its entries are numbered instead")
        return list(enumerate((value for _, value in series), 1))
    if len(kept) < len(series):
        lost = len(series) - len(kept)
        notes.append(f"{lost:,} of {len(series):,} entries of {shown(name)} are replaced by later ones")
    return kept


def _records_of(path: Path, file: IO[bytes]) -> Iterator[bytes | None]:
    """The records of a TFRecord file: length, its CRC, content, its CRC. None for one that is cut off."""
    size, place = os.fstat(file.fileno()).st_size, 0
    while head := file.read(12):
        if len(head) < 12:
            yield None
            return
        length = _unsigned(head[:8])
        if _crc(head[:8]) != _unsigned(head[8:]):
            raise _damaged(path, place, "the checksum of its length is wrong")
        end = place + 12 + length + 4
        if end > min(size, MAX_BYTES):
            yield None
            return
        if length <= _RECORD:
            content, check = file.read(length), file.read(4)
            if len(content) < length or len(check) < 4:  # the file has become shorter
                yield None
                return
            checked = length <= _CHECKED or any(True for _ in _scalars(path, content))
            if checked and _crc(content) != _unsigned(check):
                raise _damaged(path, place, "the checksum of its content is wrong")
            yield content
        place = end
        file.seek(place)


def _damaged(path: Path, place: int, why: str) -> DataError:
    return DataError(
        f"{path} is damaged or no TensorBoard event file (the record at byte {place:,}: {why}): copy it again"
    )


def _scalars(path: Path, content: bytes) -> Iterator[tuple[int, str, float]]:
    """(step, tag, value) of an Event: its step (2) and each scalar Value (1) of its Summary (5)."""
    try:
        step, found = 0, []
        for number, kind, value in _fields(content):
            if (number, kind) == (2, _VARINT):
                step = value - (1 << 64) if value >> 63 else value
            elif (number, kind) == (5, _BYTES):
                found += [each for n, k, each in _fields(value) if (n, k) == (1, _BYTES)]
        for each in found:
            tag, scalar = _value(each)
            if scalar is not None:
                yield step, tag, scalar
    except (ValueError, struct.error) as error:
        raise DataError(
            f"{path} holds a record that is no TensorBoard event ({error}): copy it again"
        ) from error


def _value(content: bytes) -> tuple[str, float | None]:
    """The tag (1) and simple_value (2) or tensor (8) of a Summary.Value; None for a histogram, an image, …"""
    tag, scalar = "", None
    for number, kind, value in _fields(content):
        if (number, kind) == (1, _BYTES):
            tag = value[: 4 * _NAME_LENGTH].decode("utf-8", "replace")[:_NAME_LENGTH]
        elif (number, kind) == (2, _FOUR):
            scalar = struct.unpack("<f", value)[0]
        elif (number, kind) == (8, _BYTES):
            scalar = _tensor(value)
    return tag, scalar


def _tensor(content: bytes) -> float | None:
    """The one number of a TensorProto of float or double (dtype, 1): its content (4) or values (5, 6)."""
    dtype, numbers = 0, b""
    for number, kind, value in _fields(content):
        if (number, kind) == (1, _VARINT):
            dtype = value
        elif number in (4, 5, 6) and kind in (_BYTES, _FOUR, _EIGHT):
            numbers += value[: 9 - len(numbers)]
    form, size = {_DT_FLOAT: ("<f", 4), _DT_DOUBLE: ("<d", 8)}.get(dtype, ("", 0))
    if not form or len(numbers) != size:
        return None
    scalar: float = struct.unpack(form, numbers)[0]
    return scalar


def _fields(content: bytes) -> Iterator[tuple[int, int, Any]]:
    """(number, wire type, value) of a protobuf message's fields; a message inside stays bytes. ValueError."""
    place = 0
    while place < len(content):
        key, place = _varint(content, place)
        number, kind = key >> 3, key & 7
        if kind == _VARINT:
            value, place = _varint(content, place)
            yield number, kind, value
            continue
        if kind == _BYTES:
            size, place = _varint(content, place)
        elif kind in (_EIGHT, _FOUR):
            size = 8 if kind == _EIGHT else 4
        else:
            raise ValueError(f"a field of the unknown kind {kind}")
        if size > len(content) - place:
            raise ValueError("a field that is longer than its message")
        yield number, kind, content[place : place + size]
        place += size


def _varint(content: bytes, place: int) -> tuple[int, int]:
    """An unsigned number of at most 64 bits, and the place after it."""
    value = 0
    for shift in range(0, 70, 7):
        if place >= len(content):
            raise ValueError("a number that is cut off")
        byte = content[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, place
    raise ValueError("a number of more than 64 bits")


# ---------------------------------------------------------------- samples


@dataclass(frozen=True)
class _Sample:
    """A file's path and the label that its folder asks for."""

    path: Path
    label: int | None


@dataclass
class _Seen:
    """What was met while decoding."""

    side: int
    channels: int
    read: int = 0
    smaller: int = 0
    larger: int = 0
    bad: list[str] = field(default_factory=list)


def _looks(
    samples: Path, against: str, now: int, notes: list[str]
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The signal events of samples, and the facts of the real data. Only what is looked at is decoded."""
    from duel import recipe as recipes
    from duel import signals

    data = recipes.data_set(against).load()
    if data.spec.kind != "image":
        raise InputError(f"{samples} holds images, and {data.name} are points: compare with images")
    folders = _folders(samples, data.spec.classes, now, notes)
    most = max(_FEWEST, min(_PER_LOOK, _SAMPLE_BYTES // _PARTS // math.prod(data.spec.shape)))
    seen = _Seen(data.spec.shape[-1], data.spec.shape[0])
    drawn: Iterator[tuple[int, np.ndarray, np.ndarray | None]]
    if len(folders) == 1:
        step, files = next(iter(folders.items()))
        every, asked = _decoded(files, _PARTS * most, seen)
        if len(every) < _PARTS * _FEWEST:
            raise DataError(
                f"{samples} holds {len(every)} usable images, at least {_PARTS * _FEWEST} are needed "
                f"({_PARTS} looks of {_FEWEST}){_reasons(seen)}: draw more samples"
            )
        count = len(every) // _PARTS
        cuts = [slice(n * count, (n + 1) * count) for n in range(_PARTS)]
        drawn = ((step, every[cut], None if asked is None else asked[cut]) for cut in cuts)
        notes.append(
            f"of {len(files):,} files in {samples} {_PARTS * count:,} were looked at, as {_PARTS} looks of "
            f"{count} at step {step}"
        )
    else:
        count = min(most, *map(len, folders.values()))
        drawn = ((step, *_decoded(files, count, seen)) for step, files in folders.items())
        notes.append(f"of each of {len(folders)} steps' folders in {samples} {count} images are looked at")
    reference, facts, pixels = _reference(data, count)
    if count < _TO_COUNT and facts.get("held_out", {}).pop("label_accuracy", None) is not None:
        notes.append(f"looks of fewer than {_TO_COUNT} images do not tell whether a class is missing")
    looks = []
    for step, images, labels in drawn:
        if len(images) < _FEWEST:
            notes.append(f"step {step} has {len(images)} usable images, fewer than {_FEWEST}: it is left out")
            continue
        prepared = signals.in_range(images)
        values = reference.compare(signals.features(prepared), labels)
        if count < _TO_COUNT:
            values.pop("class_shares", None)
        if seen.smaller * 2 < seen.read:  # what is enlarged has no detail of its own
            values |= signals.of_pixels(prepared, pixels)
        looks.append({"event": "signal", "step": step, "values": signals.as_json(values)})
    _remark(seen, samples, data.name, notes)
    if not looks:
        raise DataError(
            f"no step's folder in {samples} holds {_FEWEST} usable images{_reasons(seen)}: draw more samples"
        )
    if len(looks) < 3:
        notes.append(f"there are {len(looks)} steps with samples: most diagnoses want 3 to 5 that agree")
    return looks, facts


def _remark(seen: _Seen, samples: Path, name: str, notes: list[str]) -> None:
    """Notes on images that could not be used or are not what one expects."""
    if seen.bad:
        notes.append(f"{len(seen.bad):,} files of {samples} could not be used{_reasons(seen)}")
    if seen.smaller * 2 >= seen.read:
        notes.append(
            f"the samples are smaller than {name}'s {seen.side} pixels: nothing is said of their sharpness"
        )
    if seen.larger * 2 >= seen.read:
        notes.append(
            f"the samples are over four times as large as {name}'s {seen.side} pixels: if they are sheets of "
            "many samples, cut them into single ones first"
        )


def _reasons(seen: _Seen) -> str:
    return f" ({seen.bad[0]})" if seen.bad else ""


def _reference(data: Data, count: int) -> tuple[Reference, dict[str, Any], Any]:
    """The real side with as many samples as a look has, so that every number of it can be compared."""
    import numpy as np

    from duel import signals, streams

    rng = streams.stream(0, "fixed", 1)
    train = _some(data.splits["train"], rng, _TRAIN)
    held = _some(
        data.splits["validation"] if len(data.splits["validation"]) else data.splits["test"], rng, count
    )
    if len(train) < _FEWEST:
        raise DataError(
            f"{data.name} has {len(train)} training images, at least {_FEWEST} are needed to compare with: "
            "add more, or compare with another data set"
        )
    samples = signals.in_range(train.samples)
    whole = signals.Reference.of(samples, train.labels, signals.in_range(held.samples), held.labels)
    near = whole.near[:count]
    fewer = signals.Reference.of(samples[:count], None, samples[:0], None)
    reference = replace(whole, near=near, distance=fewer.distance, radii=fewer.radii)
    facts = {**signals.facts(data), **reference.facts()}
    return reference, facts, signals.Pixels.of(np.asarray(samples[:_PER_LOOK]))


def _some(split: Split, rng: np.random.Generator, most: int) -> Split:
    """At most so many samples of a split, in random order."""
    rows = rng.permutation(len(split))[:most]
    return replace(
        split, samples=split.samples[rows], labels=None if split.labels is None else split.labels[rows]
    )


def _folders(root: Path, classes: Sequence[str], now: int, notes: list[str]) -> dict[int, list[_Sample]]:
    """The files of each step, in order; of a folder without steps all at the step `now`."""
    from duel.datasets._scan import walk
    from duel.export import class_folders

    if not root.is_dir():
        fault = "is no folder" if root.exists() else "does not exist"
        raise DataError(f"{root} {fault}: give a folder of samples")
    names = sorted(walk(root)[0])
    if not names:
        raise DataError(f"{root} holds no files: give a folder of samples")
    inside = sorted({name.partition("/")[0] for name in names if "/" in name})
    number = {name: label for label, name in [*enumerate(class_folders(classes)), *enumerate(classes)]}
    if inside and set(inside) <= set(number) and all("/" in name for name in names):
        notes.append(f"the sub-folders of {root} are taken for classes of the data: {_named(inside)}")
        return {now: [_Sample(root / name, number[name.partition("/")[0]]) for name in names]}
    steps = {folder: step for folder in inside if (step := _step_of(folder)) is not None}
    if not steps:
        return {now: [_Sample(root / name, None) for name in names]}
    found: dict[int, list[_Sample]] = {}
    owner: dict[int, str] = {}
    for name in names:
        folder = name.partition("/")[0]
        if "/" in name and folder in steps:
            step = steps[folder]
            if owner.setdefault(step, folder) != folder:
                raise DataError(
                    f"{root} has two folders of step {step}, {shown(owner[step])} and {shown(folder)}: give "
                    "each a step of its own"
                )
            found.setdefault(step, []).append(_Sample(root / name, None))
    left = len(names) - sum(map(len, found.values()))
    if left:
        notes.append(f"{left:,} files of {root} lie in no step's folder and are left out")
    few = [step for step, files in found.items() if len(files) < _FEWEST]
    if len(few) < len(found):
        for step in few:
            notes.append(f"step {step} has {len(found[step])} files, fewer than {_FEWEST}: it is left out")
            del found[step]
    ordered = sorted(found)
    if len(ordered) > _LOOKS:
        last = len(ordered) - 1
        ordered = [ordered[round(n * last / (_LOOKS - 1))] for n in range(_LOOKS)]
        notes.append(f"of {last + 1:,} steps' folders {_LOOKS} are looked at")
    return {step: found[step] for step in ordered}


def _step_of(name: str) -> int | None:
    """The step in a folder's name: the number after step, iter or epoch, else the last one."""
    named = re.findall(r"(?:step|iter|iteration|epoch|kimg)s?[ _=-]*(\d{1,18})(?!\d)", name.lower(), re.ASCII)
    numbers = named or re.findall(r"(?<!\d)\d{1,18}(?!\d)", name, re.ASCII)
    return int(numbers[-1]) if numbers else None


def _decoded(files: Sequence[_Sample], most: int, seen: _Seen) -> tuple[np.ndarray, np.ndarray | None]:
    """At most so many images in random order, uint8 N×C×R×R, and their labels, if they have any.

    DataError where the reference has colours and the samples have none, or the other way.
    """
    import numpy as np

    from duel import streams
    from duel.datasets._images import decode, pixels

    images: list[np.ndarray] = []
    labels: list[int | None] = []
    coloured = 0
    for row in streams.stream(0, "eval", 2).permutation(len(files)):
        if len(images) == most:
            break
        try:
            image = decode(files[row].path)
        except DataError as error:
            seen.bad.append(f"{shown(files[row].path.name)}: {error}")
            continue
        coloured += _note(image, seen)
        images.append(pixels(image.square, seen.side))
        labels.append(files[row].label)
    if not images:
        return np.empty((0, seen.channels, seen.side, seen.side), np.uint8), None
    found = np.stack(images)
    if seen.channels == 1:
        # Others' programs save grey samples as RGB with equal channels.
        if (found[:, :1] != found).any():
            raise DataError(f"{_where(files)} are colour, the reference's grey: {_SAME_CHANNELS}")
        found = found[:, :1]
    elif not coloured:
        raise DataError(f"{_where(files)} are grey, the reference's colour: {_SAME_CHANNELS}")
    known = [label for label in labels if label is not None]
    return found, np.array(known, np.int64) if len(known) == len(labels) else None


_SAME_CHANNELS = "bring both to the same number of channels"


def _where(files: Sequence[_Sample]) -> str:
    return f"the images of {files[0].path.parent}"


def _note(image: Decoded, seen: _Seen) -> bool:
    """Take note of an image's size; whether its file has colours."""
    from duel.datasets._images import is_grey

    seen.read += 1
    seen.smaller += min(image.size) < seen.side
    seen.larger += min(image.size) > 4 * seen.side
    return not is_grey(image.mode)
