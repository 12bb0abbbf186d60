"""The studio's pages as pictures, desktop and phone: docs/pictures/studio-*.png.

    python bench/screenshots.py RUNS --run NAME --study NAME --bigan NAME --image FILE --data NAME

RUNS is a folder of trained runs: `--run` is shown, explored and judged; `--study` is compared; `--bigan`
is one with an encoder, which reconstructs `--image`; `--data` is a listed data set or a folder beneath RUNS.
What is left out has no picture. Needs Chromium, as `make e2e` does.
"""

from __future__ import annotations

import argparse
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

PICTURES = Path(__file__).resolve().parents[1] / "docs" / "pictures"
SIZES = {"": (1200, 1000), "-phone": (375, 720)}
QUIET_MS = 1500  # after the last request: charts draw, images decode


def main() -> None:
    """Take all pictures that the arguments allow."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("runs", type=Path)
    for name in ("run", "study", "bigan", "data"):
        parser.add_argument(f"--{name}")
    parser.add_argument("--image", type=Path)
    parser.add_argument("--out", type=Path, default=PICTURES)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "duel", "studio", str(given.runs), "--port", str(port)]
    studio = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert studio.stdout is not None
        studio.stdout.readline()  # it listens
        take(f"http://127.0.0.1:{port}", given)
    finally:
        studio.terminate()
        studio.wait(30)


def take(address: str, given: argparse.Namespace) -> None:
    """Every page at both sizes."""
    from playwright.sync_api import sync_playwright

    browser_file = next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
    )
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_file, args=["--no-sandbox"])
        for suffix, (width, height) in SIZES.items():
            page = browser.new_page(viewport={"width": width, "height": height})
            for name, place, prepare in pages(given):
                page.goto("about:blank")
                page.goto(f"{address}/{place}")
                page.wait_for_load_state("networkidle")
                prepare(page)
                page.wait_for_timeout(QUIET_MS)
                small(page.screenshot(), given.out / f"studio-{name}{suffix}.png")
        browser.close()


def pages(given: argparse.Namespace) -> list[tuple[str, str, Callable[[Any], None]]]:
    """Name, address and what a person does there before the picture."""
    run = given.run
    walk = "walk=s:0:1,s:0:2&base=s:0:3&plus=s:0:4"
    all_of_them = [
        (True, "runs", "#/runs", _nothing),
        (True, "new", "#/new?source=dcgan", _nothing),
        (run, "run", f"#/run/{run}", _nothing),
        (given.study, "compare", f"#/compare?study={given.study}", _nothing),
        (run, "explore", f"#/explore/{run}?{walk}", _nothing),
        (run, "judge", f"#/judge?run={run}", _begin_judging),
        (
            given.bigan and given.image,
            "reconstruct",
            f"#/explore/{given.bigan}",
            lambda page: _drop(page, given.image),
        ),
        (True, "understand", "#/understand", _play),
        (
            given.data,
            "data",
            f"#/data/{given.data}",
            lambda page: page.wait_for_selector(".portrait", timeout=300_000),
        ),
    ]
    return [(name, place, prepare) for wanted, name, place, prepare in all_of_them if wanted]


def _nothing(page: Any) -> None:
    pass


def _begin_judging(page: Any) -> None:
    page.get_by_label("Your name").fill("somebody")
    page.get_by_role("button", name="Begin").click()


def _drop(page: Any, image: Path) -> None:
    page.locator("input[type=file]").set_input_files(image)
    page.get_by_test_id("near").wait_for()


def _play(page: Any) -> None:
    page.get_by_role("button", name="Play").click()
    page.wait_for_timeout(20_000)
    page.get_by_role("button", name="Pause").click()


def small(png: bytes, file: Path) -> None:
    """A screenshot with at most 128 colours: a third of the bytes, no difference to the eye."""
    import io

    picture = Image.open(io.BytesIO(png)).convert("RGB")
    picture.quantize(128, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(file, optimize=True)


if __name__ == "__main__":
    main()
