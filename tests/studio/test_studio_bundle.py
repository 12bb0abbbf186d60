"""The built pages that travel with the package: what they may not contain,
and that they are of these sources."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from duel.studio.server import STATIC

SOURCES = Path(__file__).parents[2] / "studio"
FILES = sorted(path for path in STATIC.rglob("*") if path.is_file())


def test_the_bundle_is_there_and_small():
    assert (STATIC / "index.html").is_file()
    assert sum(path.stat().st_size for path in FILES) < 500_000


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_nothing_is_loaded_from_elsewhere(path):
    """Addresses that are only names (of XML, of a page about an error) are no requests."""
    names = ("http://www.w3.org/", "https://svelte.dev/e/")
    found = re.findall(r"(?:https?:)?//[a-z0-9.-]+\.[a-z]{2,}[^\s\"'`)]*", path.read_text())
    assert [url for url in found if not url.startswith(names)] == []


def test_no_script_or_style_stands_in_the_page_itself():
    page = (STATIC / "index.html").read_text()
    assert re.findall(r"<script(?![^>]* src=)", page) == []
    assert "<style" not in page
    assert " style=" not in page


def test_the_bundle_is_built_from_these_sources(tmp_path):
    if shutil.which("node") is None or not (SOURCES / "node_modules").is_dir():
        pytest.skip("Node, or studio/node_modules, is not there: make studio-bundle")
    environment = {**os.environ, "STUDIO_OUT": str(tmp_path / "built")}
    subprocess.run(["npm", "run", "--silent", "build"], cwd=SOURCES, env=environment, check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
    built = sorted(path for path in (tmp_path / "built").rglob("*") if path.is_file())
    assert [path.relative_to(tmp_path / "built") for path in built] == [
        path.relative_to(STATIC) for path in FILES
    ]
    for old, new in zip(FILES, built, strict=True):
        assert old.read_bytes() == new.read_bytes(), f"{old.name} is of other sources: make studio-bundle"
