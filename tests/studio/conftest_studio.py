"""Tiny runs that the studio's tests look at, and clients that speak to it as its own pages do."""

from __future__ import annotations

import asyncio
import fcntl
import shutil
from urllib.parse import unquote

import httpx
import pytest
from tiny import train

import duel
from duel.studio.security import Gate
from duel.studio.server import make

MEASURED = {
    "data.resolution": 8, "sample.every": 3, "evaluate.every": 3, "evaluate.samples": 20,
    "evaluate.metrics": ["frechet-pixels"], "evaluate.features": "pixels",
}  # fmt: skip
DENSE = {"threads": 1, "batch_size": 8, "latent.size": 5, "log.every": 2, "sample.count": 4}


@pytest.fixture(scope="session")
def made(tmp_path_factory, request):
    """One run of each kind, trained once for all workers; not to be changed."""
    shared = tmp_path_factory.getbasetemp()
    if hasattr(request.config, "workerinput"):
        shared = shared.parent  # of this session, not of this worker
    root = shared / "studio-runs"
    with open(shared / "studio-runs.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (root / "0005-points" / "film.png").is_file():
            _train(root, tmp_path_factory)
    return root


def _train(root, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DUEL_OFFLINE", "1")
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        for name, seed in (("0001-plain", 0), ("0002-plain", 1)):
            train(root / name, data="digits", steps=6, seed=seed, changes=MEASURED)
        train(root / "0003-labels", recipe="cgan", data="digits", steps=4, changes={"data.resolution": 8})
        codes = root / "0004-codes"
        with duel.train("bigan-dense", out=codes, data="digits", steps=4, changes=DENSE) as session:
            list(session)
        train(root / "0005-points", recipe="gan", data="ring", steps=4)


@pytest.fixture
def root(made, tmp_path):
    """A copy of the runs that a test may change."""
    shutil.copytree(made, tmp_path / "runs")
    return tmp_path / "runs"


class Client:
    """Asks the app in this process, without a socket; keeps cookies."""

    def __init__(self, app):
        self.app = app
        self.cookies = httpx.Cookies()

    def get(self, path, **options):
        return self._ask("GET", path, **options)

    def post(self, path, **options):
        return self._ask("POST", path, **options)

    def raw(self, path):
        """A GET of a path as it stands: no client has tidied it. Status and body."""
        said = []

        async def receive():
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message):
            said.append(message)

        path, _, query = path.partition("?")
        headers = [(b"host", b"127.0.0.1:7860"), (b"x-duel", b"studio")]
        scope = {"type": "http", "method": "GET", "path": unquote(path), "raw_path": path.encode(),
                 "query_string": query.encode(), "headers": headers, "http_version": "1.1", "scheme": "http",
                 "server": ("127.0.0.1", 7860), "client": ("127.0.0.1", 1)}  # fmt: skip
        asyncio.run(self.app(scope, receive, send))
        return said[0]["status"], b"".join(message.get("body", b"") for message in said[1:])

    def _ask(self, method, path, headers=None, **options):
        async def ask():
            transport = httpx.ASGITransport(app=self.app, raise_app_exceptions=False)
            base = {"base_url": "http://127.0.0.1:7860", "cookies": self.cookies}
            async with httpx.AsyncClient(transport=transport, **base) as client:
                answer = await client.request(
                    method, path, headers={"X-Duel": "studio", **(headers or {})}, **options
                )
                self.cookies = client.cookies
                return answer

        return asyncio.run(ask())


def client_of(root, host="127.0.0.1", token=None, **options):
    """A client that asks as the studio's own pages do."""
    return Client(make(root, Gate(host, 7860, token), **options))


@pytest.fixture
def client(root):
    return client_of(root)


@pytest.fixture
def reader(made):
    """A client for tests that change nothing."""
    return client_of(made)
