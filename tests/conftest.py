"""What every test has: a cache of its own, and no network."""

from __future__ import annotations

import os

# Two workers with two threads each stand in each other's way; must be set before NumPy and torch load.
os.environ["OMP_NUM_THREADS"] = "1"

from pathlib import Path

import pytest
from hypothesis import settings

# How long an example takes says how busy the machine is, and nothing about the code.
settings.register_profile("duel", deadline=None)
settings.load_profile("duel")


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty XDG_CACHE_HOME that no other test sees."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    monkeypatch.setenv("DUEL_OFFLINE", "1")
    return folder
