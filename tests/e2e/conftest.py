"""The studio in a real browser.

`make e2e` runs these tests; elsewhere they are skipped by name: they take minutes, and need Chromium.
"""

import os
from pathlib import Path

import pytest
from in_browser import browser, page, runs, studio, watched

__all__ = ["browser", "page", "runs", "studio", "watched"]


def pytest_collection_modifyitems(items):
    if os.environ.get("DUEL_E2E"):
        return
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.skip(reason="in a real browser: make e2e"))
