"""Files: written whole or not at all, found where data live, downloaded with a checksum.

No torch here. Every file of a run goes through `write_atomic`; the one exception is the event log,
which grows by whole lines (`append_line`) and is read back tolerantly.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from duel.errors import ChecksumError, DataError, DuelError, InputError

_BLOCK = 1 << 20
_WAIT = 10  # seconds for a host's answer


def write_atomic(path: Path, content: bytes) -> None:
    """Write `content` to `path` so that a reader, at any moment, finds the old file or the new one.

    The bytes go to a file beside it, are synced, and take the name by a rename; then the folder is
    synced so that the rename survives a power cut. Raises OSError; then the old file is untouched.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with open(beside, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise OSError(error.errno, error.strerror, str(path)) from error
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def write_out(out: Path, content: bytes) -> None:
    """Write the file that a user's --out names, with the folders on its way. InputError where that cannot be.

    A full disk stays an OSError: another place is not what helps.
    """
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(out, content)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise
        raise InputError(f"--out {out} cannot be written ({error.strerror}): choose another place") from error


def write_json(path: Path, value: Any) -> None:
    """Write a JSON document, atomically, with `"format": 1` as its first key."""
    text = json.dumps({"format": 1, **value}, indent=2, allow_nan=False)
    write_atomic(path, text.encode() + b"\n")


def append_line(path: Path, value: Any) -> None:
    """Append one JSON line. A crash can cut the last line; `read_lines` leaves such a line out."""
    with open(path, "ab+") as file:
        cut = file.tell() > 0 and file.seek(-1, os.SEEK_END) >= 0 and file.read(1) != b"\n"
        file.write(b"\n" * cut + json.dumps(value).encode() + b"\n")


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The JSON objects of a file of lines, in order; a line cut by a crash is left out."""
    if not path.exists():
        return
    with open(path, encoding="utf-8", errors="replace") as file:
        for line in file:
            try:
                value = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(value, dict):
                yield value


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file; DuelError with the reason where there is none."""
    if not path.exists():
        raise DuelError(f"{path} is missing: its folder is not complete, copy it again from where it came")
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DuelError(f"{path} cannot be read as JSON: {error}") from error
    if not isinstance(value, dict):
        raise DuelError(f"{path} holds {type(value).__name__}, expected a JSON object")
    if value.get("format") != 1:
        given = value.get("format")
        raise DuelError(f"{path} has format {given!r}; this version reads format 1")
    return value


def sync_folder(folder: Path) -> None:
    """Make the folder's entries durable (fsync)."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def publish_folder(temporary: Path, final: Path) -> None:
    """Give a finished folder its name, in one step. An older folder of that name makes way."""
    sync_folder(temporary)
    if final.exists():
        shutil.rmtree(final)
    os.replace(temporary, final)
    sync_folder(final.parent)


def make_folder(place: Path, write: Callable[[Path], None], is_there: Callable[[], bool]) -> None:
    """Fill a new folder with `write` and give it the name `place` in one step.

    Where another process was faster (`is_there()`), its result is in use and stays. Raises OSError.
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=".part-", dir=place.parent))
    try:
        write(temporary)
        if not is_there():
            publish_folder(temporary, place)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def sha256(content: bytes) -> str:
    """The SHA-256 of some bytes, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def file_digest(path: Path, algorithm: str = "sha256") -> str:
    """The checksum of a file, read block by block; `algorithm` as hashlib names it."""
    digest = hashlib.new(algorithm, usedforsecurity=False)
    with open(path, "rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def cache_folder() -> Path:
    """Where downloads and decoded folders are kept: `$XDG_CACHE_HOME/duel`, else `~/.cache/duel`."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "duel"


def data_folders(name: str) -> list[Path]:
    """Where the files of the data set `name` are looked for, in order: `$DUEL_DATA`, the cache."""
    given = os.environ.get("DUEL_DATA")
    return [Path(base) / name for base in ([given] if given else []) + [str(cache_folder() / "data")]]


def published_file(data_set: str, name: str, checksum: str, url: str) -> Path:
    """A file of a published data set: found in `$DUEL_DATA` or the cache, else downloaded once.

    The checksum that the publisher announced (MD5 or SHA-256, told apart by their length) is checked
    wherever the file comes from. Raises ChecksumError for another content, DataError where the file is
    missing and cannot be fetched.
    """
    folders = data_folders(data_set)
    for folder in folders:
        if (folder / name).is_file():
            return check_content(folder / name, checksum)
    try:
        return download(url, folders[-1] / name, checksum)
    except OSError as error:
        looked = " and ".join(str(folder) for folder in folders)
        raise DataError(
            f"{data_set} needs the file {name}, which is not in {looked} and could not be downloaded "
            f"({error}): get it from {url} and put it into one of these folders"
        ) from error


def check_content(path: Path, checksum: str) -> Path:
    """The path itself when its content has this MD5 or SHA-256; else ChecksumError."""
    algorithm = "MD5" if len(checksum) == 32 else "SHA-256"
    found = file_digest(path, algorithm.replace("-", "").lower())
    if found != checksum:
        raise ChecksumError(
            f"{path} has the {algorithm} {found}, but the published file has {checksum}: "
            "remove it and get it again (it is incomplete or another version)"
        )
    return path


def download(
    url: str,
    path: Path,
    checksum: str,
    open_url: Callable[..., Any] = urllib.request.urlopen,
) -> Path:
    """Fetch `url` into `path`; the file appears there only whole and with the right MD5 or SHA-256.

    With `DUEL_OFFLINE` set nothing is fetched. Raises OSError when the network says no.
    """
    if os.environ.get("DUEL_OFFLINE"):
        raise OSError("DUEL_OFFLINE is set")
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with open_url(url, timeout=20) as answer, open(beside, "wb") as file:
            shutil.copyfileobj(answer, file, _BLOCK)
        check_content(beside, checksum)
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)
    return path


def unreachable(address: str) -> str | None:
    """Why the host of a URL cannot be reached; None where it can, and where a proxy stands in between.

    For libraries that would try for half a minute, with a line for each time.
    """
    import socket
    from urllib.parse import urlsplit
    from urllib.request import getproxies

    url = urlsplit(address)
    if getproxies() or not url.hostname:
        return None
    try:
        port = url.port or (80 if url.scheme == "http" else 443)
        socket.create_connection((url.hostname, port), _WAIT).close()
    except OSError as error:
        return f"{url.hostname} cannot be reached ({error})"
    return None
