"""The documentation site in a browser: it asks no other host, works on a phone, finds words."""

import functools
import http.server
import sys
import threading
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "docs" / "tools"))

import make_site

PAGES = (
    "",
    "first-hour/",
    "adding/",
    "roadmap/",
    "theory/game/",
    "reference/penalties/",
    "reference/command-line/",
)


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves a folder and says nothing."""

    def log_message(self, *arguments):
        pass


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The address of the site as it is built now."""
    folder = tmp_path_factory.mktemp("site")
    assert make_site.build(folder / "work", folder / "site") == []
    handler = functools.partial(Quiet, directory=folder / "site")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


def test_no_page_asks_another_host_for_anything(site, browser):
    page = browser.new_page()
    asked, errors = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    for path in PAGES:
        page.goto(site + path, wait_until="networkidle")
    page.keyboard.press("/")
    page.keyboard.type("mode collapse")
    page.get_by_text("partial-collapse").first.wait_for()
    page.close()
    assert len(asked) > len(PAGES)
    assert [url for url in asked if not url.startswith((site, "data:", "blob:"))] == []
    assert errors == []


@pytest.mark.parametrize("path", PAGES)
def test_a_phone_does_not_scroll_sideways(site, browser, path):
    page = browser.new_page(viewport={"width": 390, "height": 800})
    page.goto(site + path)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.close()
