"""A small coverage-guided fuzzer: inputs that reach new lines of the reader are kept and mutated on.

Each target is fuzzed in a child with bounded memory; the parent knows the input that a crash of the whole
process came from, because the child puts it into shared memory first.
"""

from __future__ import annotations

import mmap
import os
import random
import resource
import signal
import struct
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from duel.errors import DuelError
from soak import runs as tiny
from soak import targets as reading
from soak.report import Report, progress
from soak.targets import Target

_SHARED = 1 << 20
_LONGEST = 1 << 14  # bytes of an input
_SECONDS = 10.0  # for one input
_HANG = f"hang: more than {_SECONDS:.0f} s, twice"
_ROOM = 2 << 30  # bytes of address space that reading may take on top
_GROWTH = 200e6  # bytes that the process may grow by over a whole trial
_NUMBERS = [0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]
_WORDS = (
    b"[" * 3000,
    b'{"format":',
    b"null",
    b"1e999",
    b"-1",
    b"\x00",
    b"\xff\xfe",
    b"\n",
    b'"',
    b"9" * 5000,
)


class Hang(BaseException):
    """One input took too long."""


# ---------------------------------------------------------------- mutations


def mutated(rng: random.Random, corpus: list[bytes]) -> bytes:
    """One of the corpus, changed in one to four places."""
    data = bytearray(rng.choice(corpus))
    for _ in range(rng.randint(1, 4)):
        data = rng.choice(_MUTATIONS)(rng, data, corpus)
    return bytes(data[:_LONGEST])


def _flip(rng: random.Random, data: bytearray, corpus: list[bytes]) -> bytearray:
    if data:
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return data


def _byte(rng: random.Random, data: bytearray, corpus: list[bytes]) -> bytearray:
    if data:
        data[rng.randrange(len(data))] = rng.randrange(256)
    return data


def _number(rng: random.Random, data: bytearray, corpus: list[bytes]) -> bytearray:
    number, kind = rng.choice(_NUMBERS), rng.choice(("<H", ">H", "<I", ">I", "<Q", ">Q"))
    packed = struct.pack(kind, number & (1 << 8 * struct.calcsize(kind)) - 1)
    at = rng.randrange(len(data) + 1)
    data[at : at + len(packed)] = packed
    return data


def _copy(rng: random.Random, data: bytearray, corpus: list[bytes]) -> bytearray:
    start, at = rng.randrange(len(data) + 1), rng.randrange(len(data) + 1)
    block = data[start : start + rng.randint(1, 64)]
    data[at : at + rng.choice((0, len(block)))] = block
    return data


def _cut(rng: random.Random, data: bytearray, corpus: list[bytes]) -> bytearray:
    at = rng.randrange(len(data) + 1)
    del data[at : at + rng.choice((1, 2, 4, 16, len(data)))]
    return data


def _splice(rng: random.Random, data: bytearray, corpus: list[bytes]) -> bytearray:
    other = rng.choice(corpus)
    return data[: rng.randrange(len(data) + 1)] + other[rng.randrange(len(other) + 1) :]


def _word(rng: random.Random, data: bytearray, corpus: list[bytes]) -> bytearray:
    at = rng.randrange(len(data) + 1)
    data[at:at] = rng.choice(_WORDS)
    return data


_MUTATIONS: list[Callable[[random.Random, bytearray, list[bytes]], bytearray]] = [
    *(_flip, _flip, _byte, _byte, _number, _copy, _cut, _splice, _word),
]


# ---------------------------------------------------------------- coverage


class Lines:
    """Which lines of some files were reached, and whether the last input reached new ones."""

    def __init__(self, files: tuple[str, ...]) -> None:
        self._files = set(files)
        self.seen: set[tuple[Any, int]] = set()
        self.fresh = False

    def _in_file(self, frame: FrameType, event: str, argument: Any) -> Any:
        where = (frame.f_code, frame.f_lineno)
        if where not in self.seen:
            self.seen.add(where)
            self.fresh = True
        return self._in_file

    def _calls(self, frame: FrameType, event: str, argument: Any) -> Any:
        return self._in_file if frame.f_code.co_filename in self._files else None

    def __enter__(self) -> Lines:
        self.fresh = False
        sys.settrace(self._calls)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(None)


# ---------------------------------------------------------------- one target


def fuzz(target: Target, inputs: int, seed: int, shared: mmap.mmap, limit: float) -> dict[str, Any]:
    """So many inputs, or so many as fit into `limit` seconds; what came out of them."""
    rng, lines, corpus = random.Random(seed), Lines(target.traced), list(target.seeds)
    found: dict[str, bytes] = {}
    began, first_size, refused, tried = time.monotonic(), 0, 0, 0
    for number in range(inputs):
        data = corpus[number] if number < len(target.seeds) else mutated(rng, corpus)
        shared[:4] = struct.pack("<I", len(data))
        shared[4 : 4 + len(data)] = data
        trouble, was_refused = _once(target, data, lines)
        if trouble == _HANG:  # the machine may have stood still, not the reader
            trouble, was_refused = _once(target, data, lines)
        tried += 1
        refused += was_refused
        if trouble is not None:
            found.setdefault(trouble, data)
        if lines.fresh and len(corpus) < 2000:
            corpus.append(data)
        if number == inputs // 5:
            first_size = _resident()
        if number % 500 == 0 and time.monotonic() - began > limit:
            break
    grown = _resident() - first_size if first_size else 0
    seconds = time.monotonic() - began
    counts = {"tried": tried, "refused": refused, "corpus": len(corpus), "lines": len(lines.seen)}
    return {**counts, "grown": grown, "seconds": seconds, "found": found}


def _once(target: Target, data: bytes, lines: Lines) -> tuple[str | None, bool]:
    """What came out that is no DuelError, and whether one did."""
    signal.setitimer(signal.ITIMER_REAL, _SECONDS)
    try:
        with lines:
            target.read(data)
    except DuelError:
        return None, True
    except Hang:
        return _HANG, False
    except BaseException as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        own = [each for each in traceback.extract_tb(error.__traceback__) if "/duel/" in each.filename]
        at = own[-1] if own else where
        return f"{type(error).__name__} at {Path(at.filename).name}:{at.lineno}", False
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return None, False


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _hang(*_: object) -> None:
    raise Hang


def _bound_memory() -> None:
    size = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (size + _ROOM, size + _ROOM))


# ---------------------------------------------------------------- all of them


def main(report: Report, folder: Path, inputs: int, seed: int, only: list[str], limit: float) -> None:
    """`inputs` over all targets (or over those named), each in a child; at most `limit` seconds for one."""
    tiny.without_curves()
    all_targets = reading.targets(folder)
    chosen = {name: all_targets[name] for name in only or all_targets if only or all_targets[name].share}
    shares = sum(target.share for target in chosen.values()) or 1.0
    total = 0
    for name, target in chosen.items():
        count = max(len(target.seeds) + 1, round(inputs * (target.share or 1.0) / shares))
        total += _in_a_child(report, name, target, count, seed, limit)
    report.say(f"{total:,} inputs in all")


def _in_a_child(report: Report, name: str, target: Target, count: int, seed: int, limit: float) -> int:
    import json

    progress(f"{name}: {count:,} inputs")
    shared = mmap.mmap(-1, _SHARED)
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        status = 1
        try:
            os.close(reader)
            reading.quiet()
            signal.signal(signal.SIGALRM, _hang)
            _bound_memory()
            result = fuzz(target, count, seed, shared, limit)
            result["found"] = {trouble: data.hex() for trouble, data in result["found"].items()}
            with os.fdopen(writer, "w") as out:
                json.dump(result, out)
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    os.close(writer)
    with os.fdopen(reader) as answer:
        text = answer.read()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status:
        last = shared[4 : 4 + struct.unpack("<I", shared[:4])[0]]
        report.check(False, f"{name}: the process ended with {status}", reading.reproduction(name, last))
        return 0
    result = json.loads(text)
    rate = result["tried"] / max(result["seconds"], 1e-9)
    report.say(
        f"{name}: {result['tried']:,} inputs, {rate:,.0f}/s, "
        f"{result['refused'] / result['tried']:.0%} refused, "
        f"{result['lines']} lines, {result['corpus']} kept, {result['grown'] / 1e6:+.0f} MB"
    )
    for trouble, data in list(result["found"].items())[:10]:
        report.say(f"  {trouble}: {reading.reproduction(name, bytes.fromhex(data))[:600]}")
    report.check(not result["found"], f"{name}: only DuelErrors came out", f"{len(result['found'])} others")
    report.check(
        result["grown"] < _GROWTH, f"{name}: memory does not grow", f"{result['grown'] / 1e6:.0f} MB"
    )
    return int(result["tried"])


def replay(folder: Path, name: str, content: bytes) -> None:
    """One input again, with its traceback."""
    reading.targets(folder)[name].read(content)
