"""How fast the studio answers: many runs with long logs, the explorer's images, clients beside a training.

python bench/studio.py pages [--runs 200] [--events 10000]     # the list, a run's page; also in Chromium
python bench/studio.py explore                                  # one image of each shipped recipe
python bench/studio.py clients [--clients 20] [--rounds 5]      # a training with and without onlookers
"""

import argparse
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("what", choices=["pages", "explore", "clients"])
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--events", type=int, default=10_000)
    parser.add_argument("--clients", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=600, help="of the training beside the clients")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="duel-bench-studio-") as folder:
        root = Path(folder) / "runs"
        root.mkdir()
        if given.what == "pages":
            pages(root, given.runs, given.events)
        elif given.what == "explore":
            explore(root)
        else:
            clients(root, given.clients, given.rounds, given.steps)


def small_run(path: Path, recipe: str = "dcgan", steps: int = 20, **changes: Any) -> None:
    """A short training on the digits, in this process."""
    import duel

    given = {
        "threads": 1,
        "log.every": 1,
        **{key.replace("__", "."): value for key, value in changes.items()},
    }
    with duel.train(recipe, data="digits", out=path, steps=steps, changes=given) as session:
        for _ in session:
            pass


@contextmanager
def served(root: Path) -> Iterator[str]:
    """A studio in a process of its own; its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "duel", "studio", str(root), "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def read(address: str) -> bytes:
    with urllib.request.urlopen(address) as answer:
        content: bytes = answer.read()
        return content


def spread(values: list[float], unit: float = 1.0) -> str:
    middle, low, high = statistics.median(values), min(values), max(values)
    return f"{middle * unit:.3g} ({low * unit:.3g}–{high * unit:.3g})"


# ---------------------------------------------------------------- pages


def pages(root: Path, runs: int, events: int) -> None:
    """Folders with long logs, then the list and one run's page."""
    small_run(root / "0001-bench", network__width=4, data__resolution=8, sample__every=1)
    log = root / "0001-bench" / "events.jsonl"
    log.write_bytes(_long(log, events))
    for number in range(2, runs + 1):
        shutil.copytree(root / "0001-bench", root / f"{number:04d}-bench")
    print(f"{runs} runs of {events:,} events ({log.stat().st_size / 1e6:.1f} MB each)")
    with served(root) as address:
        time.sleep(8)  # torch is being loaded
        cold = seconds(lambda: read(f"{address}/api/runs"))
        warm = [seconds(lambda: read(f"{address}/api/runs")) for _ in range(10)]
        run = f"{address}/api/runs/0007-bench"
        about = [seconds(lambda: read(f"{run}/overview")) for _ in range(5)]
        tail = [seconds(lambda: read(f"{run}/events")) for _ in range(5)]
        print(f"GET list: {cold:.3f} s the first time, then {spread(warm)} s")
        print(f"GET a run: overview {spread(about)} s, whole log {spread(tail)} s")
        _in_browser(address)


def _long(log: Path, events: int) -> bytes:
    """The log with its step events repeated, at ever later steps."""
    found = [json.loads(line) for line in log.read_text().splitlines()]
    steps = [event for event in found if event["event"] == "step"]
    lines = [json.dumps(event) for event in found if event["event"] not in ("step", "end")]
    for number in range(events - len(lines)):
        lines.append(json.dumps({**steps[number % len(steps)], "step": number + 1}))
    return "\n".join(lines).encode() + b"\n"


def _in_browser(address: str) -> None:
    """From the navigation to what a person came for, in headless Chromium."""
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        print("no Chromium: pages were not opened")
        return
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for name, place, there in (
            ("list", "#/runs", "table.cards tbody tr"),
            ("run page", "#/run/0007-bench", ".chart canvas"),
        ):
            times = []
            for _ in range(5):
                page = browser.new_page()
                began = time.perf_counter()
                page.goto(f"{address}/{place}")
                page.wait_for_selector(there)
                times.append(time.perf_counter() - began)
                page.close()
            print(f"Chromium, {name}: {spread(times)} s")
        browser.close()


# ---------------------------------------------------------------- explore


def explore(root: Path) -> None:
    """One image at a time, as a slider asks for them."""
    from duel import catalog

    images = [name for name in catalog.recipes() if name != "demo"]
    for number, name in enumerate(images, 1):
        try:
            small_run(root / f"{number:04d}-{name}", name, steps=1, batch_size=4, **_fitting(name))
        except Exception as error:
            print(f"{name}: {error}")
    with served(root) as address:
        print("| recipe | image | milliseconds, median (range) of 30 |\n|---|---|---|")
        for path in sorted(root.iterdir()):
            if not (path / "recipe.toml").is_file():
                continue
            base = f"{address}/api/runs/{path.name}/explore/images.png?checkpoint=last"
            read(f"{base}&at=s:0:0&move=0:1")
            asked = [f"{base}&at=s:0:0&move=0:{place / 10}" for place in range(30)]
            times = [seconds(partial(read, each)) for each in asked]
            spec = json.loads((path / "provenance.json").read_text())["data"]["spec"]
            side = "×".join(str(part) for part in spec["shape"])
            print(f"| {path.name[5:]} | {side} | {spread(times, 1000)} |", flush=True)


def _fitting(recipe: str) -> dict[str, Any]:
    """Sides at which a recipe's networks are those that it ships with; the digits are brought to them."""
    side = {"dcgan-64": 64, "bigan": 32, "sngan": 32, "r3gan": 32}.get(recipe, 28)
    return {"data__resolution": side, "data__fit": "resize"}


# ---------------------------------------------------------------- clients


def clients(root: Path, people: int, rounds: int, steps: int) -> None:
    """Seconds of a training of one thread, by turns with nobody and with clients who poll as pages do."""
    times: dict[bool, list[float]] = {False: [], True: []}
    with served(root) as address:
        time.sleep(8)  # torch is being loaded
        for number in range(rounds):
            for watched in (False, True) if number % 2 == 0 else (True, False):
                name = f"{number:04d}-{'watched' if watched else 'alone'}"
                with looking(address, name, people if watched else 0):
                    times[watched].append(_training(root / name, steps))
                print(f"{name}: {times[watched][-1]:.2f} s", flush=True)
    alone, watched_ = statistics.median(times[False]), statistics.median(times[True])
    print(f"alone {spread(times[False])} s, with {people} clients {spread(times[True])} s")
    print(f"the clients cost {100 * (watched_ / alone - 1):.2f} %")


def _training(path: Path, steps: int) -> float:
    """Seconds from the first to the last step event, as the run's own clock has them."""
    sets = {"network.width": 16, "data.resolution": 16, "threads": 1, "sample.every": steps, "log.every": 5,
            "signals.every": 0}  # fmt: skip
    options = [part for key, value in sets.items() for part in ("--set", f"{key}={value}")]
    command = [sys.executable, "-m", "duel", "train", "dcgan", "--data", "digits", "--out", str(path)]
    subprocess.run([*command, "--steps", str(steps), "--quiet", *options], check=True)
    lines = [json.loads(line) for line in (path / "events.jsonl").read_text().splitlines()]
    moments = [event["time"] for event in lines if event["event"] == "step"]
    return float(moments[-1] - moments[0])


@contextmanager
def looking(address: str, name: str, people: int) -> Iterator[None]:
    """Clients who ask for the log's tail every 1.5 seconds, and for the overview every fourth time,
    as pages do."""
    ended = threading.Event()
    threads = [
        threading.Thread(target=_client, args=(address, name, ended, k / people)) for k in range(people)
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def _client(address: str, name: str, ended: threading.Event, share: float) -> None:
    place, file = "0", ""
    ended.wait(1.5 * share)
    for turn in count():
        if ended.is_set():
            return
        try:
            query = f"after={place}&file={file}"
            with urllib.request.urlopen(f"{address}/api/runs/{name}/events?{query}") as answer:
                answer.read()
                place, file = answer.headers["X-Next"], answer.headers["X-File"]
            if turn % 4 == 0:
                read(f"{address}/api/runs/{name}/overview")
        except OSError:
            pass  # it has not begun yet
        ended.wait(1.5)


if __name__ == "__main__":
    main()
