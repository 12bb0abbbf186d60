"""Files: whole or not at all, found where data live, downloaded with a checksum."""

import hashlib
import io as bytes_io
import os

import pytest

from duel import io
from duel.errors import ChecksumError, DataError, DuelError


def test_write_atomic_replaces_the_whole_file(tmp_path):
    path = tmp_path / "file"
    io.write_atomic(path, b"old, and longer")
    io.write_atomic(path, b"new")
    assert path.read_bytes() == b"new"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_failed_write_leaves_the_old_file_and_no_fragment(tmp_path, monkeypatch, call):
    path = tmp_path / "file"
    io.write_atomic(path, b"old")

    def fail(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(OSError, match="No space"):
        io.write_atomic(path, b"new")
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_lines_come_back_and_a_cut_last_line_is_left_out(tmp_path):
    path = tmp_path / "events.jsonl"
    io.append_line(path, {"step": 1})
    io.append_line(path, {"step": 2})
    path.write_bytes(path.read_bytes() + b'{"step": 3, "lo')
    assert [line["step"] for line in io.read_lines(path)] == [1, 2]
    io.append_line(path, {"step": 4})
    assert [line["step"] for line in io.read_lines(path)] == [1, 2, 4]


def test_json_of_another_format_is_refused_by_name(tmp_path):
    path = tmp_path / "run.json"
    io.write_json(path, {"state": "done"})
    assert io.read_json(path) == {"format": 1, "state": "done"}
    path.write_text('{"format": 7}')
    with pytest.raises(DuelError, match="format 7; this version reads format 1"):
        io.read_json(path)


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\xfe"])
def test_broken_json_is_our_own_error(tmp_path, content):
    path = tmp_path / "run.json"
    path.write_bytes(content)
    with pytest.raises(DuelError, match=r"run\.json"):
        io.read_json(path)


def test_json_refuses_what_json_cannot_say(tmp_path):
    with pytest.raises(ValueError, match="Out of range"):
        io.write_json(tmp_path / "run.json", {"loss": float("nan")})
    assert not (tmp_path / "run.json").exists()


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def answers(content: bytes):
    def open_url(url, timeout):
        return bytes_io.BytesIO(content)

    return open_url


def test_a_download_appears_only_with_the_right_checksum(tmp_path, monkeypatch):
    monkeypatch.delenv("DUEL_OFFLINE", raising=False)
    path = tmp_path / "deep" / "file"
    io.download("https://example.org/file", path, md5(b"right"), answers(b"right"))
    assert path.read_bytes() == b"right"
    with pytest.raises(ChecksumError, match="MD5"):
        io.download("https://example.org/other", tmp_path / "other", md5(b"right"), answers(b"wrong"))
    assert not (tmp_path / "other").exists()
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["deep"]


def test_published_file_prefers_duel_data_and_checks_it(tmp_path, monkeypatch):
    monkeypatch.setenv("DUEL_DATA", str(tmp_path))
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "file").write_bytes(b"content")
    found = io.published_file("set", "file", md5(b"content"), "https://example.org/file")
    assert found == tmp_path / "set" / "file"
    with pytest.raises(ChecksumError, match="get it again"):
        io.published_file("set", "file", md5(b"other"), "https://example.org/file")


def test_a_missing_file_is_named_with_where_it_was_looked_for_and_where_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setenv("DUEL_DATA", str(tmp_path))
    monkeypatch.setenv("DUEL_OFFLINE", "1")
    with pytest.raises(DataError) as caught:
        io.published_file("set", "file.gz", md5(b""), "https://example.org/file.gz")
    message = str(caught.value)
    assert "file.gz" in message
    assert str(tmp_path / "set") in message
    assert "https://example.org/file.gz" in message
