"""One TensorBoard event file: records of a TFRecord file with checksums, and the scalars in each of them."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from duel.datasets._images import MAX_BYTES
from duel.errors import DataError
from duel.foreign.log import NAME_LENGTH

Scalar = tuple[int, str, float]
"""Step, tag, value."""

HEAD = 12  # bytes before a record's content
_CHECKED = 1 << 16  # bytes of a record whose checksum always counts; of a longer one where it holds a number
_RECORD = 1 << 24  # bytes of a record that is read; longer ones hold pictures and are passed over
_VARINT, _EIGHT, _BYTES, _FOUR = 0, 1, 2, 5  # wire types
_FORMS = {1: "<f", 2: "<d"}  # of a tensor's number, by dtype: float, double


def starts_record(head: bytes) -> bool:
    """Whether the first HEAD bytes of a file are those of a record: a length and its checksum."""
    return len(head) == HEAD and crc(head[:8]) == _unsigned(head[8:])


def scalars(path: Path, file: IO[bytes]) -> Iterator[Scalar | None]:
    """The scalars of an event file in its order; None at the end where its last record is cut off.

    DataError for one that is damaged.
    """
    for content in _records(path, file):
        if content is None:
            yield None
        else:
            yield from _scalars(path, content)


# ---------------------------------------------------------------- TFRecord


def _crc_table() -> tuple[int, ...]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return tuple(table)


_CRC = _crc_table()


def crc(content: bytes) -> int:
    """The CRC-32C (Castagnoli) of some bytes, masked as TFRecord files have it."""
    value = 0xFFFFFFFF
    for byte in content:
        value = _CRC[(value ^ byte) & 0xFF] ^ (value >> 8)
    value ^= 0xFFFFFFFF
    return (((value >> 15) | (value << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def _unsigned(content: bytes) -> int:
    return int.from_bytes(content, "little")


def _records(path: Path, file: IO[bytes]) -> Iterator[bytes | None]:
    """The contents of the records: length, its CRC, content, its CRC. None for one that is cut off."""
    size, place = os.fstat(file.fileno()).st_size, 0
    while head := file.read(HEAD):
        if len(head) < HEAD:
            yield None
            return
        if not starts_record(head):
            raise _damaged(path, place, "the checksum of its length is wrong")
        length = _unsigned(head[:8])
        end = place + HEAD + length + 4
        if end > min(size, MAX_BYTES):
            yield None
            return
        if length <= _RECORD:
            content, check = file.read(length), file.read(4)
            if len(content) < length or len(check) < 4:  # the file has become shorter
                yield None
                return
            checked = length <= _CHECKED or any(True for _ in _scalars(path, content))
            if checked and crc(content) != _unsigned(check):
                raise _damaged(path, place, "the checksum of its content is wrong")
            yield content
        place = end
        file.seek(place)


def _damaged(path: Path, place: int, why: str) -> DataError:
    return DataError(
        f"{path} is damaged or no TensorBoard event file (the record at byte {place:,}: {why}): copy it again"
    )


# ---------------------------------------------------------------- protobuf


def _scalars(path: Path, content: bytes) -> Iterator[Scalar]:
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
            tag = value[: 4 * NAME_LENGTH].decode("utf-8", "replace")[:NAME_LENGTH]
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
    form = _FORMS.get(dtype)
    if form is None or len(numbers) != struct.calcsize(form):
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
