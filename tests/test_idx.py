"""The IDX reader: right arrays from right files, DataError from everything else."""

from __future__ import annotations

import contextlib
import gzip
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_files import idx, idx_gz

from duel.datasets._idx import read_idx
from duel.errors import DataError

IMAGES = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)


@pytest.mark.parametrize("content", [idx(IMAGES), idx_gz(IMAGES)], ids=["plain", "gzipped"])
def test_reads_what_was_written(content: bytes) -> None:
    array = read_idx(content, 3)
    assert array.dtype == np.uint8
    np.testing.assert_array_equal(array, IMAGES)


def test_labels_have_one_dimension() -> None:
    np.testing.assert_array_equal(read_idx(idx(np.array([3, 1], np.uint8)), 1), [3, 1])


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "starts with nothing"),
        (b"\x00\x00\x0d\x03" + idx(IMAGES)[4:], "starts with 00000d03"),
        (idx(IMAGES[0]), "starts with 00000802"),
        (idx(IMAGES)[:9], "ends within its IDX header"),
        (idx(IMAGES)[:-1], "there are 23"),
        (idx(IMAGES) + b"\x00", "there are more"),
        (idx_gz(IMAGES)[:-3], "damaged"),
        (gzip.compress(idx(IMAGES)[:-1], mtime=0), "there are 23"),
        (b"\x1f\x8bnonsense", "damaged"),
        (gzip.compress(b"", mtime=0)[:10] + b"\xff" * 20, "damaged"),
    ],
)
def test_other_files_are_refused(content: bytes, fault: str) -> None:
    with pytest.raises(DataError, match=fault):
        read_idx(content, 3)


def test_a_flipped_bit_is_noticed() -> None:
    content = bytearray(gzip.compress(idx(IMAGES)))
    content[-6] ^= 1  # in the checksum
    with pytest.raises(DataError, match="damaged"):
        read_idx(bytes(content), 3)


def test_a_claim_beyond_the_limit_is_refused_unread() -> None:
    header = b"\x00\x00\x08\x03" + b"\xff\xff\xff\xff" * 3
    with pytest.raises(DataError, match="announces 79,228,162,458,924,105,385,300,197,375 bytes"):
        read_idx(header, 3)


def test_none_of_something_huge_is_refused_like_something_huge() -> None:
    """What the fuzzer found: the product is 0, and no array has such a shape."""
    header = bytes.fromhex("00000803b3e85638ffff000000000000")
    with pytest.raises(DataError, match=r"announces .* bytes, allowed are"):
        read_idx(header, 3)


def test_a_bomb_is_not_unpacked() -> None:
    bomb = gzip.compress(idx(IMAGES)[:-24] + bytes(50_000_000))
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match="there are more"):
            read_idx(bomb, 3)
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()


@given(st.binary(max_size=60), st.booleans(), st.booleans())
def test_any_bytes_give_an_array_or_a_data_error(content: bytes, header: bool, packed: bool) -> None:
    content = (b"\x00\x00\x08\x01" if header else b"") + content
    with contextlib.suppress(DataError):
        assert read_idx(gzip.compress(content) if packed else content, 1).dtype == np.uint8
