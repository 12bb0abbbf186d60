"""The reader of CIFAR's pickles: it reads data, carries nothing out, and fails with DataError only."""

from __future__ import annotations

import contextlib
import os
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_files import (
    BYTE_TYPE,
    DTYPE,
    NDARRAY,
    RECONSTRUCT,
    cifar_batch,
    integer,
    pickled_array,
    pickled_dict,
    pickled_list,
    short,
    string,
)

from duel.datasets import _pickled_arrays
from duel.datasets._pickled_arrays import read_arrays
from duel.errors import DataError

IMAGES = np.random.default_rng(0).integers(256, size=(3, 3, 32, 32), dtype=np.uint8)
BATCH = cifar_batch(IMAGES, [3, 1, 4])


def test_reads_a_batch() -> None:
    batch = read_arrays(BATCH)
    assert batch["labels"] == [3, 1, 4]
    assert batch["batch_label"] == "made"
    assert batch["data"].dtype == np.uint8
    np.testing.assert_array_equal(batch["data"], IMAGES.reshape(3, 3072))


def test_strings_may_be_referred_to_again() -> None:
    again = pickled_dict(names=pickled_list([short("a") + b"q\x05", b"h\x05", b"j\x05\x00\x00\x00"]))
    assert read_arrays(again) == {"names": ["a", "a", "a"]}


class Malicious:
    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (self.command,)


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_nothing_is_carried_out(protocol: int, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    content = pickle.dumps(Malicious(f"touch {ran}"), protocol=protocol)
    with pytest.raises(DataError, match=r"opcode|protocol"):
        read_arrays(content)
    assert not ran.exists()


@pytest.mark.parametrize(
    "name",
    [b"posix\nsystem", b"os\nsystem", b"builtins\neval", b"numpy\nload", b"numpy.core.multiarray\nscalar"],
)
def test_other_names_are_refused(name: bytes) -> None:
    with pytest.raises(DataError, match=f"GLOBAL with the name '{name.decode().replace(chr(10), ' ')}'"):
        read_arrays(pickled_dict(data=b"c" + name + b"\n"))


@pytest.mark.parametrize(
    ("opcodes", "name"),
    [
        (b"\x8c\x02os\x8c\x06system\x93", "SHORT_BINUNICODE"),
        (b"(ios\nsystem\n", "INST"),
        (b"(cnumpy\ndtype\no", "OBJ"),
        (b"cnumpy\ndtype\n)\x81", "EMPTY_TUPLE"),
        (b"\x82\x01", "EXT1"),
        (b"Pname\n", "PERSID"),
        (b"I01\n", "INT"),
        (b"2", "DUP"),
    ],
)
def test_other_opcodes_are_refused_by_name(opcodes: bytes, name: str) -> None:
    with pytest.raises(DataError, match=f"the opcode {name},"):
        read_arrays(pickled_dict(data=opcodes))


@pytest.mark.parametrize(
    "call",
    [
        RECONSTRUCT + DTYPE + b"K\x00\x85" + short("b") + b"\x87R",
        RECONSTRUCT + NDARRAY + integer(1 << 30) + b"\x85" + short("b") + b"\x87R",
        DTYPE + short("O") + b"K\x00K\x01\x87R",
        NDARRAY + b"K\x05\x85R",
        short("text") + b"K\x05\x85R",
        DTYPE + short("u1") + b"K\x00K\x01\x87R(K\x03" + short("|") + b"NNNNNNtb",
        RECONSTRUCT + pickled_array((2,), b"ab") + b"K\x00\x85" + short("b") + b"\x87R",
    ],
)
def test_allowed_names_are_called_in_one_way_only(call: bytes) -> None:
    with pytest.raises(DataError, match=r"opcode (REDUCE|BUILD)"):
        read_arrays(pickled_dict(data=call))


@pytest.mark.parametrize(
    ("array", "fault"),
    [
        (pickled_array((2, 2), b"abc"), "do not fill"),
        (pickled_array((2, 2), b"abcde"), "do not fill"),
        (pickled_array((2**31 - 1,) * 4, b"abc"), "do not fill"),
        (pickled_array((-1, -1), b"a"), "no counts"),
        (pickled_array((), b"a"), "1 to 4"),
        (pickled_array((1,) * 5, b"a"), "1 to 4"),
        (pickled_array((1,), b"a").replace(b"\x89", b"N"), "another layout"),
        (pickled_array((1,), b"a").replace(BYTE_TYPE, short("u1")), "no bytes"),
        (RECONSTRUCT + NDARRAY + b"K\x00\x85" + short("b") + b"\x87RK\x01b", "five parts"),
    ],
)
def test_an_array_must_fit_its_data(array: bytes, fault: str) -> None:
    with pytest.raises(DataError, match=fault):
        read_arrays(pickled_dict(data=array))


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "damaged"),
        (BATCH[:-1], "damaged"),
        (BATCH + b"x", "bytes follow"),
        (b"\x80\x03}.", "protocol 3"),
        (b"\x80\x02].", "no dictionary"),
        (b"\x80\x02}}.", "no dictionary"),
        (b"\x80\x02u.", "mark"),
        (b"\x80\x02\x85.", "empty stack"),
        (b"\x80\x02K\x01(e.", "no list"),
        (b"\x80\x02}(K\x01u.", "no strings"),
        (b"\x80\x02}(K\x01K\x01u.", "no strings"),
        (b"\x80\x02}h\x07.", "refers back"),
        (b"\x80\x02q\x01.", "no dictionary"),
        (b"\x80\x02S'\\q'\n.", "damaged"),  # Python warns of this escape, and warnings are errors here
        (b"\x80\x02}T" + struct.pack("<i", 2**31 - 1) + b"abc.", "damaged"),
        (b"\x80\x02}T" + struct.pack("<i", -5) + b"abc.", "damaged"),
    ],
)
def test_garbage_is_refused(content: bytes, fault: str) -> None:
    with pytest.raises(DataError, match=fault):
        read_arrays(content)


def test_a_value_cannot_contain_itself() -> None:
    with pytest.raises(DataError, match="refers back"):
        read_arrays(b"\x80\x02}q\x01(" + short("self") + b"h\x01u.")


def test_deep_nesting_neither_recurses_nor_crashes() -> None:
    with pytest.raises(DataError, match="no dictionary"):
        read_arrays(b"\x80\x02]" + b"\x85" * 90_000 + b".")


def test_too_many_opcodes_are_refused() -> None:
    with pytest.raises(DataError, match="more than 100,000 opcodes"):
        read_arrays(b"\x80\x02" + b"}" * 100_001 + b".")


def test_too_many_bytes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_pickled_arrays, "_MAX_BYTES", 100)
    with pytest.raises(DataError, match="allowed are 100"):
        read_arrays(BATCH)


PIECES = st.sampled_from(
    [
        *(b"}", b"]", b"(", b"t", b"e", b"u", b"R", b"b", b"\x85", b"\x86", b"\x87", b"N", b"\x89", b"."),
        *(b"K\x00", b"K\x01", b"q\x01", b"h\x01", short("u1"), short("b"), short("|"), string(b"abcd")),
        *(RECONSTRUCT, NDARRAY, DTYPE, BYTE_TYPE, pickled_array((2,), b"ab"), integer(-1), short("text")),
    ]
)


def check_only_data_error(content: bytes) -> None:
    with contextlib.suppress(DataError):
        assert isinstance(read_arrays(content), dict)


@given(st.binary(max_size=200))
def test_any_bytes_give_data_or_a_data_error(content: bytes) -> None:
    check_only_data_error(content)


@given(st.lists(PIECES, max_size=25))
def test_any_opcodes_give_data_or_a_data_error(pieces: list[bytes]) -> None:
    check_only_data_error(b"\x80\x02" + b"".join(pieces) + b".")


SMALL = pickled_dict(labels=pickled_list([b"K\x01"]), data=pickled_array((2, 3), b"abcdef"))


@given(st.integers(0, len(SMALL) - 1), st.binary(max_size=4), st.integers(0, 4))
def test_any_change_gives_data_or_a_data_error(place: int, inserted: bytes, removed: int) -> None:
    check_only_data_error(SMALL[:place] + inserted + SMALL[place + removed :])
