"""The studio's addresses: each reads a request, calls one public function and answers."""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import os
import re
import secrets
import socket
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from duel import table
from duel.errors import DuelError, InputError
from duel.run import is_run
from duel.studio import human_routes, listing, look_routes, paths, play_routes, run_routes
from duel.studio.answers import Worker
from duel.studio.jobs import Busy, Jobs
from duel.studio.security import Gate, Guard, is_loopback

STATIC = Path(__file__).parent / "static"
_TYPES = {".js": "text/javascript", ".css": "text/css", ".html": "text/html", ".svg": "image/svg+xml"}


def make(
    root: Path,
    gate: Gate,
    environment: dict[str, str] | None = None,
    most: int | None = None,
    warm: bool = False,
) -> FastAPI:
    """The app over the runs of `root`.

    environment, most   of the trainings that it starts (`duel.studio.jobs`)
    warm                whether torch is loaded at once, and not when it is needed first
    """
    root = root.resolve()
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)  # /docs would load from elsewhere
    for error, answer in _ERRORS.items():
        app.add_exception_handler(error, answer)
    worker, slow = Worker(), Worker()
    if warm:
        worker.warm()
    run_routes.join(app, root, Jobs(root, most, environment), worker)
    look_routes.join(app, root, worker, slow)
    human_routes.join(app, root, worker)
    play_routes.join(app, root)
    _add_pages(app)
    app.add_middleware(Guard, gate=gate)
    return app


def _add_pages(app: FastAPI) -> None:
    """The built front end: one page, and what it loads."""

    @app.get("/")
    def page() -> Response:
        return _file("index.html")

    @app.get("/assets/{name}")
    def asset(name: str) -> Response:
        return _file(f"assets/{name}")

    @app.get("/explain")
    def explained() -> Response:
        from duel.explain import page as explain

        # This page has its styles in itself, and no script.
        policy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'"
        return Response(explain.html(), media_type="text/html", headers={"Content-Security-Policy": policy})


def _file(name: str) -> Response:
    path = STATIC / name
    if not re.fullmatch(r"(assets/)?[a-zA-Z0-9-]{1,40}\.[a-z0-9]{2,4}", name) or not path.is_file():
        raise paths.NotHere("there is no such page")
    return Response(path.read_bytes(), media_type=_TYPES.get(path.suffix, "application/octet-stream"))


# ---------------------------------------------------------------- errors


async def _wrong(_request: Request, error: Exception) -> Response:
    status = 404 if isinstance(error, paths.NotHere) else 429 if isinstance(error, Busy) else 400
    return _said(status if isinstance(error, InputError) else 500, str(error))


async def _invalid(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"][1:])
    return _said(400, f"{where or 'the request'}: {first['msg']}")


async def _http(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _said(error.status_code, str(error.detail))


async def _broken(_request: Request, error: Exception) -> Response:
    print(f"duel: the studio failed: {error!r}", file=sys.stderr)
    return _said(500, "the studio failed here: its terminal says more")


def _said(status: int, sentence: str) -> Response:
    return Response(listing.as_json({"error": sentence}), status, media_type="application/json")


_ERRORS: dict[type[Exception], Callable[[Request, Exception], Awaitable[Response]]] = {
    DuelError: _wrong,
    RequestValidationError: _invalid,
    HTTPException: _http,
    Exception: _broken,
}


# ---------------------------------------------------------------- serving


def serve(folder: Path, host: str, port: int) -> None:
    """Listen until interrupted; prints the address."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file: name the folder that holds the runs")
    for kind, is_one in (("run", is_run), ("study", table.is_study)):
        if is_one(folder):
            above = folder.resolve().parent
            raise InputError(f"{folder} is a {kind}: give the folder above it, {above}")
    if not 0 < port < 65536:
        raise InputError(f"--port is {port}, allowed are 1 to 65535")
    if not (STATIC / "index.html").is_file():
        raise InputError(
            f"the studio's pages are not built: run `npm ci` and `npm run build` in studio/ ({STATIC})"
        )
    token = None if is_loopback(host) else secrets.token_urlsafe(24)
    gate = Gate(host, port, token)
    environment = dict(os.environ)
    os.environ["DUEL_OFFLINE"] = "1"  # the studio itself fetches nothing; trainings may
    app = make(folder, gate, environment, warm=True)
    config = uvicorn.Config(
        app, host, port, log_level="warning", access_log=False, server_header=False, lifespan="off",
        limit_concurrency=256, timeout_graceful_shutdown=3,
    )  # fmt: skip
    server = _Server(config, _places(gate))
    if not folder.exists():
        print(f"duel studio: {folder} does not exist yet: the first run makes it", file=sys.stderr)
    try:
        server.run()
    except SystemExit as leave:  # uvicorn's way to say that it cannot listen
        raise InputError(f"{host}:{port} cannot be listened at: choose another --port, or --host") from leave


def address(gate: Gate) -> str:
    """What to open in a browser."""
    host = f"[{gate.host}]" if ":" in gate.host else gate.host
    return f"http://{host}:{gate.port}/" + (f"?token={gate.token}" if gate.token else "")


def _places(gate: Gate) -> str:
    """The address; of a studio that listens at all of them, also the one that other machines know."""
    found = address(gate)
    with contextlib.suppress(ValueError, OSError):  # a name, or a machine without a network
        given = ipaddress.ip_address(gate.host.strip("[]"))
        if given.is_unspecified:
            found += f"  from other machines: {address(replace(gate, host=_outward(given.version)))}"
    return found


def _outward(version: int) -> str:
    """The address that this machine sends from. OSError where it has none."""
    family, elsewhere = (
        (socket.AF_INET, "192.0.2.1") if version == 4 else (socket.AF_INET6, "2001:db8::1")
    )  # of documentation (RFC 5737, RFC 3849)
    with socket.socket(family, socket.SOCK_DGRAM) as asking:
        asking.connect((elsewhere, 9))  # sends nothing: it asks the kernel for the way
        return str(asking.getsockname()[0])


class _Server(uvicorn.Server):
    """Says where it is once it listens."""

    def __init__(self, config: uvicorn.Config, place: str) -> None:
        super().__init__(config)
        self._place = place

    async def startup(self, sockets: Any = None) -> None:
        log = logging.getLogger("uvicorn.error")
        log.disabled = True  # what keeps it from listening is said once, by `serve`
        try:
            await super().startup(sockets)
        finally:
            log.disabled = False
        if self.started:
            print(f"duel studio: {self._place}  (Ctrl-C ends it; trainings go on)", flush=True)
