"""A studio as a process of its own, and a real browser that looks at it.

The fixtures of `conftest.py`, and what tests ask them.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from made_study import make_study

import duel

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
AXE = Path(__file__).parents[2] / "studio" / "node_modules" / "axe-core" / "axe.min.js"
COMMON = {"latent.size": 16, "batch_size": 16, "threads": 1, "log.every": 2, "sample.every": 20,
          "signals.every": 20}  # fmt: skip
SMALL = {"data.resolution": 16, "network.width": 8}
MEASURED = {"evaluate.every": 30, "evaluate.samples": 60, "evaluate.features": "pixels",
            "evaluate.metrics": ["frechet-pixels"]}  # fmt: skip


@pytest.fixture(scope="session")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # Debian's Chromium where there is one, else playwright's own.
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture(scope="session")
def runs(tmp_path_factory):
    """A folder with runs of each kind, and with images of a user's own."""
    root = tmp_path_factory.mktemp("e2e") / "runs"
    root.mkdir()
    measured = {**SMALL, **MEASURED}
    for name, recipe, steps, seed, changes in (
        ("0001-dcgan-digits", "dcgan", 60, 0, measured),
        ("0002-dcgan-digits", "dcgan", 60, 1, measured),
        ("0003-bigan-digits", "bigan-dense", 60, 0, {}),
        ("0004-cgan-digits", "cgan", 20, 0, SMALL),
    ):
        given = {"data": "digits", "steps": steps, "seed": seed, "changes": {**COMMON, **changes}}
        with duel.train(recipe, out=root / name, **given) as session:
            list(session)
    make_study(root, root / "0001-dcgan-digits")
    _photos(root / "my photos")
    return root


def _photos(folder):
    import numpy as np
    from PIL import Image

    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(12):
        pixels = rng.integers(0, 256, (20, 20, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    shutil.copy(folder / "0.png", folder / "copy.png")
    (folder / "broken.png").write_bytes(b"no image")


class Studio:
    """A running studio. `printed` is the address that it prints: with a token where there is one."""

    def __init__(self, root, host="127.0.0.1"):
        self.root, self._host = root, host
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self.address = f"http://{host}:{self._port}"
        self.start()

    def start(self):
        where = ["--port", str(self._port), "--host", self._host]
        command = [sys.executable, "-m", "duel", "studio", str(self.root), *where]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.printed = self._process.stdout.readline().split()[2]
        assert self.printed.startswith(self.address)

    def stop(self):
        self._process.terminate()
        self._process.wait(30)
        self._process.stdout.close()


@pytest.fixture(scope="session")
def studio(runs):
    found = Studio(runs)
    yield found
    found.stop()


class Watched:
    """A page that remembers what it asked for and what went wrong."""

    def __init__(self, page, address):
        self.page, self.address = page, address
        self.asked, self.wrong = [], []
        page.on("request", lambda request: self.asked.append(request.url))
        page.on("pageerror", lambda error: self.wrong.append(str(error)))
        page.on("console", lambda said: said.type == "error" and self.wrong.append(said.text))

    def open(self, place=""):
        self.page.goto(f"{self.address}/{place}")
        return self.page

    def forgive(self, part):
        """What the test itself has brought about is not wrong."""
        self.wrong = [said for said in self.wrong if part not in said]

    def outside(self):
        own = (self.address, "data:", "blob:")
        return [url for url in self.asked if not url.startswith(own)]


@pytest.fixture
def watched(browser, studio, request):
    """A page at the studio; at its end it must have asked nobody else, and nothing must have gone wrong."""
    options = getattr(request, "param", {})
    context = browser.new_context(viewport={"width": 1280, "height": 900}, **options)
    context.set_default_timeout(20_000)
    found = Watched(context.new_page(), studio.address)
    yield found
    context.close()
    assert found.outside() == []
    assert found.wrong == []


@pytest.fixture
def page(watched):
    return watched.page
