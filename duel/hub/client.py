"""All that is asked of the Hub's own library: who is there, which files, fetch these, commit those."""

from __future__ import annotations

import errno
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from duel import io
from duel.datasets._images import one_line
from duel.errors import DuelError, InputError

PREFIX = "hub:"
_REPO = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)
_REVISION = re.compile(r"[A-Za-z0-9][\w./-]*", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{40}")
_LONGEST = 96  # characters of OWNER/NAME on the Hub
_LOGIN = "log in with `hf auth login`, or set HF_TOKEN"


@dataclass(frozen=True)
class Name:
    """A repository OWNER/NAME on the Hub, and which branch, tag or commit of it; None: its main branch."""

    repo: str
    revision: str | None = None

    @property
    def commit(self) -> str | None:
        """The revision where it is a whole commit, which always means the same files."""
        return self.revision if self.revision and _COMMIT.fullmatch(self.revision) else None

    def __str__(self) -> str:
        return f"{PREFIX}{self.repo}" + (f"@{self.revision}" if self.revision else "")


@dataclass(frozen=True)
class Listing:
    """What a repository holds at a commit: file → bytes; and whether only some may see it."""

    commit: str
    sizes: Mapping[str, int]
    private: bool


def parsed(text: str) -> Name:
    """`[hub:]OWNER/NAME[@REVISION]`. InputError for anything else."""
    repo, at, revision = text.removeprefix(PREFIX).partition("@")
    fits = _REPO.fullmatch(repo) and len(repo) <= _LONGEST
    if not fits or ".." in repo or "--" in repo or repo.endswith((".git", ".", "-")):
        raise InputError(
            f"{text!r} names no repository, allowed is OWNER/NAME in letters, digits, single '-', '_' and "
            f"'.', at most {_LONGEST} characters; such as hub:ada/digits"
        )
    if at and (not _REVISION.fullmatch(revision) or ".." in revision):
        raise InputError(f"{text!r} names no revision: write a branch, tag or commit after the @")
    return Name(repo, revision or None)


def endpoint() -> str:
    """The Hub's address: `$HF_ENDPOINT`, else the library's."""
    _library()
    from huggingface_hub.constants import ENDPOINT  # as it was when the library was imported

    found: str = os.environ.get("HF_ENDPOINT") or ENDPOINT
    return found.rstrip("/")


def check_login() -> None:
    """InputError where nobody is logged in: for what only a known user may do."""
    if not _library().get_token():
        raise InputError(f"publishing needs an account of the Hub: {_LOGIN}")


def listing(name: Name) -> Listing:
    """What is there. InputError where there is no such repository or revision."""
    with _plainly(name):
        info = _api().model_info(name.repo, revision=name.revision, files_metadata=True)
        commit = str(info.sha)
        if not _COMMIT.fullmatch(commit):
            raise ValueError(f"{commit!r} is no commit")
        sizes = {file.rfilename: int(file.size) for file in info.siblings or () if file.size is not None}
        return Listing(commit, sizes, bool(info.private))


def exists(name: Name) -> bool:
    """Whether there is a repository of that name that this user may see."""
    with _plainly(name):
        return bool(_api().repo_exists(name.repo))


def fetch(name: Name, commit: str, files: Sequence[str], folder: Path) -> None:
    """Download files of a commit into a folder. DuelError where one does not arrive whole."""
    with _plainly(name):
        for file in files:
            _api().hf_hub_download(name.repo, file, revision=commit, local_dir=folder)


def create(name: Name, private: bool) -> None:
    """Make the repository, for all to see or only for its owner."""
    with _plainly(name):
        _api().create_repo(name.repo, private=private)


def commit(name: Name, files: Mapping[str, Path], remove: Sequence[str], message: str) -> str:
    """Put files there and remove others, in one commit; its address."""
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    changes: list[CommitOperationAdd | CommitOperationDelete] = [
        *(CommitOperationAdd(there, here) for there, here in files.items()),
        *(CommitOperationDelete(there) for there in remove),
    ]
    with _plainly(name):
        done = _api().create_commit(name.repo, changes, commit_message=message)
        return str(done.commit_url)


def _api() -> Any:
    from duel import __version__

    return _library().HfApi(endpoint=endpoint(), library_name="duel", library_version=__version__)


def _library() -> Any:
    try:
        import huggingface_hub
    except ImportError as error:
        raise InputError(
            f"the Hub is spoken to by huggingface_hub, which is not installed ({error}): "
            "pip install 'duel[hub]'"
        ) from error
    return huggingface_hub


@contextmanager
def _plainly(name: Name) -> Iterator[None]:
    """What the library raises, as one sentence; the network is tried first, for the library waits long."""
    at = endpoint()
    if os.environ.get("DUEL_OFFLINE") or os.environ.get("HF_HUB_OFFLINE"):
        raise DuelError(f"{name} needs the network, and DUEL_OFFLINE or HF_HUB_OFFLINE is set: unset it")
    if (why := io.unreachable(at)) is not None:
        raise DuelError(f"{name} needs the network, and {why}: look at the network, or at HF_ENDPOINT")
    try:
        with _without_bars():
            yield
    except (DuelError, MemoryError):
        raise
    except Exception as error:  # the library and its HTTP client raise many kinds
        if getattr(error, "errno", None) == errno.ENOSPC:
            raise
        raise _said(name, at, error) from error


@contextmanager
def _without_bars() -> Iterator[None]:
    """The library's progress bars only on a terminal."""
    from huggingface_hub import utils

    hide = not sys.stderr.isatty() and not utils.are_progress_bars_disabled()
    if hide:
        utils.disable_progress_bars()
    try:
        yield
    finally:
        if hide:
            utils.enable_progress_bars()


def _said(name: Name, at: str, error: Exception) -> DuelError:
    """The sentence for an error of the library."""
    from huggingface_hub import errors

    if isinstance(error, RuntimeError) and isinstance(error.__cause__, errors.HfHubHTTPError):
        error = error.__cause__  # of one file among several
    status = getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(error, errors.GatedRepoError):
        return InputError(f"{name} wants its owner's leave: ask for it at {at}/{name.repo}, then {_LOGIN}")
    if isinstance(error, errors.RevisionNotFoundError):
        return InputError(
            f"{name.repo} has no revision {name.revision!r}: name a branch, tag or commit of it"
        )
    if isinstance(error, errors.RepositoryNotFoundError):
        return InputError(
            f"{at} has no model {name.repo} that you may see: look at the name, and where it is private "
            f"{_LOGIN}"
        )
    if status == 401:
        return InputError(f"{at} does not know who you are: {_LOGIN}")
    if status == 403:
        return InputError(
            f"{at} forbids this for {name.repo}: use a token that may write there, or another owner's name"
        )
    message = getattr(error, "server_message", None) or one_line(error)
    return DuelError(f"{name} failed at {at} ({message}): try again")
