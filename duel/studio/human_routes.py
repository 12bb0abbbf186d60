"""Addresses of the test "real or fake?". The truth stays here until a test is over."""

from __future__ import annotations

import re
import secrets
import threading
from collections import OrderedDict
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request, Response

from duel import io
from duel.errors import InputError
from duel.run import is_run
from duel.studio import human, listing, paths
from duel.studio.answers import Worker, answer, body, of_type, png

if TYPE_CHECKING:
    import numpy as np

_KEPT = 8  # tests whose images stay in memory


class Tests:
    """Tests under way, each in a file beneath `.studio/tests`, written after every answer."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lock = threading.Lock()
        self._images: OrderedDict[str, np.ndarray] = OrderedDict()

    def begin(self, run: str, settings: human.Settings) -> dict[str, Any]:
        """A new test of a run."""
        number = secrets.token_hex(8)
        test = {"run": run, "settings": asdict(settings), "answers": [], "seconds": []}
        io.write_json(self._file(number), test)
        return self.shown(number)

    def get(self, number: str) -> dict[str, Any]:
        """A test as its file has it. NotHere where there is none."""
        if not re.fullmatch("[0-9a-f]{16}", number) or not self._file(number).is_file():
            raise paths.NotHere("there is no such test")
        return io.read_json(self._file(number))

    def shown(self, number: str) -> dict[str, Any]:
        """What the person may know of it."""
        test = self.get(number)
        settings = human.Settings(**test["settings"])
        done = len(test["answers"])
        found = {"id": number, "run": test["run"], "done": done, **test["settings"]}
        del found["seed"]  # it decides the order
        if done == settings.count:
            found["score"] = human.score(human.result(settings, test["answers"], test["seconds"]))
            found["truth"], found["answers"] = human.truth(settings), test["answers"]
        return found

    def images(self, number: str) -> np.ndarray:
        """Its images, made again where they are not in memory."""
        if number not in self._images:
            test = self.get(number)
            run = paths.run_at(self._root, test["run"])
            self._images[number] = human.pictures(run, human.Settings(**test["settings"]))
            while len(self._images) > _KEPT:
                self._images.popitem(last=False)
        return self._images[number]

    def say(self, number: str, place: int, real: bool, seconds: float) -> dict[str, Any]:
        """Take an answer; the result goes to the run's folder with the last one."""
        with self._lock:
            test = self.get(number)
            settings = human.Settings(**test["settings"])
            done = len(test["answers"])
            if done == settings.count:
                raise InputError("this test is over: all of its images were judged")
            if place != done:
                raise InputError(f"image {place + 1} is not the one to be judged: that is image {done + 1}")
            if not 0 <= seconds < 86400:
                raise InputError("the time of an answer is to be seconds")
            test["answers"].append(real)
            test["seconds"].append(seconds)
            if len(test["answers"]) == settings.count:
                line = human.result(settings, test["answers"], test["seconds"])
                human.record(paths.run_at(self._root, test["run"]), line)
            io.write_json(self._file(number), {key: value for key, value in test.items() if key != "format"})
        told = {"was_real": human.truth(settings)[place]} if settings.feedback else {}
        return {**self.shown(number), **told}

    def _file(self, number: str) -> Path:
        return paths.own_folder(self._root, "tests") / f"{number}.json"


def join(app: FastAPI, root: Path, worker: Worker) -> None:
    """Add them to the app."""
    tests = Tests(root)

    @app.get("/api/judge")
    def scores() -> Response:
        return answer({"scores": all_scores(root)})

    @app.post("/api/judge")
    async def begin(request: Request) -> Response:
        given = await body(request)
        name = of_type(given, "run", str)

        def work() -> dict[str, Any]:
            run = paths.run_at(root, name)
            settings = human.Settings(
                person=of_type(given, "person", str),
                count=of_type(given, "count", int, 40),
                seed=secrets.randbelow(2**53),
                checkpoint=run.checkpoint_step("last"),
                limit=of_type(given, "limit", float, 0.0),
                feedback=of_type(given, "feedback", bool, False),
            )
            human.pictures(run, settings)  # says before the test what would fail in it
            return tests.begin(name, settings)

        return answer(await worker.run(work))

    @app.get("/api/judge/{number}")
    def state(number: str) -> Response:
        return answer(tests.shown(number))

    @app.get("/api/judge/{number}/{place}.png")
    async def image(number: str, place: int) -> Response:
        def work() -> bytes:
            from duel.studio.explore import sprite

            images = tests.images(number)
            # Nobody looks ahead, and so nobody can compare before answering.
            if not 0 <= place < len(images) or place > len(tests.get(number)["answers"]):
                raise paths.NotHere("that image is not to be seen yet")
            return sprite(images[place : place + 1], 1)

        return png(await worker.run(work))

    @app.post("/api/judge/{number}")
    async def say(number: str, request: Request) -> Response:
        given = await body(request)
        place, real = of_type(given, "place", int), of_type(given, "real", bool)
        return answer(tests.say(number, place, real, of_type(given, "seconds", float)))


def all_scores(root: Path) -> list[dict[str, Any]]:
    """The human metric of every run that was judged."""
    found = []
    for path in listing.folders(root):
        if is_run(path) and not paths.has_link(path) and (lines := human.judgements(path)):
            found.append({"run": path.name, **human.summary(lines)})
    return found
