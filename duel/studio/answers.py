"""What the routes have in common: JSON, pictures, and a single worker for what computes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from fastapi import Request, Response

from duel.errors import InputError
from duel.studio.jobs import Busy
from duel.studio.listing import as_json

_T = TypeVar("_T")
_MOST_WAITING = 64
_OF_THIS_VIEW = {"Cache-Control": "private, max-age=3600"}


def answer(value: Any) -> Response:
    """A value as JSON."""
    return Response(as_json(value), media_type="application/json")


def png(content: bytes, *, keep: bool = False) -> Response:
    """A picture. keep: its address says all of it, so that the browser need not ask again."""
    return Response(content, media_type="image/png", headers=_OF_THIS_VIEW if keep else None)


def download(content: bytes, kind: str, name: str) -> Response:
    """A file to be saved."""
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(content, media_type=kind, headers=headers)


async def body(request: Request) -> dict[str, Any]:
    """The JSON object that was sent. InputError for anything else."""
    try:
        value = json.loads(await request.body())
    except (ValueError, RecursionError) as error:
        raise InputError("the request is no JSON") from error
    if not isinstance(value, dict):
        raise InputError("the request is no JSON object")
    return value


def of_type(value: dict[str, Any], name: str, kind: type[_T], default: _T | None = None) -> _T:
    """An entry of a request. InputError where it is missing or of another type."""
    found = value.get(name, default)
    if kind is float and isinstance(found, int) and not isinstance(found, bool):
        found = float(found)
    if not isinstance(found, kind) or (kind is not bool and isinstance(found, bool)):
        raise InputError(f"{name} is to be {kind.__name__}")
    return found


class Worker:
    """One thread in which everything that computes is done, one after the other; what waits is limited."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, "duel-studio", initializer=one_thread)
        self._waiting = 0

    def warm(self) -> None:
        """Load torch now, so that the first image does not wait for it."""
        self._pool.submit(one_thread)

    async def run(self, work: Callable[[], _T]) -> _T:
        """The result of `work`. Busy where too much waits already."""
        if self._waiting >= _MOST_WAITING:
            raise Busy("the studio has more to compute than it can: ask again in a moment")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        finally:
            self._waiting -= 1


def one_thread() -> None:
    """torch in one thread: with more, a training beside it stalls both."""
    import torch

    torch.set_num_threads(1)
