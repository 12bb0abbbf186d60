"""What is public stays as tests/frozen/ has it, until somebody changes both on purpose."""

import difflib

import pytest
import surface

KINDS = sorted(path.stem for path in surface.FROZEN.glob("*.txt"))


@pytest.fixture(scope="module")
def now(tmp_path_factory):
    """What of duel is public now, by kind."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        return surface.read_off(tmp_path_factory.mktemp("frozen"))


def changed(kind, before, after):
    """Why the test fails, and what to do; empty where nothing has changed."""
    lines = list(difflib.unified_diff(before, after, "frozen", "now", lineterm="", n=1))
    if not lines:
        return ""
    return (
        f"what others rely on has changed (tests/frozen/{kind}.txt). If that is meant: say so in CHANGELOG.md"
        ", with what users must do where something went away, run `make frozen` and commit both; if not, "
        "undo it\n" + "\n".join(lines)
    )


def test_every_kind_is_frozen(now):
    assert sorted(now) == KINDS


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_public_is_as_it_was(now, kind):
    message = changed(kind, surface.frozen(kind), now[kind])
    assert not message, message


def test_a_change_is_told_with_what_to_do():
    message = changed("commands", ["duel train", "  --steps  int"], ["duel train", "  --steps  float"])
    assert "CHANGELOG.md" in message
    assert "make frozen" in message
    assert "-  --steps  int\n+  --steps  float" in message
