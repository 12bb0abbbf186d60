"""Addresses of the playground: games live in memory, a limited number; how each began and changed is kept."""

from __future__ import annotations

import json
import re
import secrets
import threading
from collections import OrderedDict
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response
from starlette.concurrency import run_in_threadpool

from duel import io
from duel.errors import InputError
from duel.studio import paths, playground
from duel.studio.answers import answer, body, of_type
from duel.studio.playground import Playground

_KEPT = 24  # games in memory
_MOST_STEPS = 200  # in one request
_MOST_CHANGES = 400
_REPLAYED = 20_000  # steps that a game is taken up with after a restart: half a minute


class Games:
    """Games by name. Each is decided by its settings and the steps at which they changed: that is kept in a
    file, from which a game that is no longer in memory is played again.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._games: OrderedDict[str, tuple[Playground, threading.Lock]] = OrderedDict()
        self._lock = threading.Lock()

    def begin(self, given: dict[str, Any]) -> dict[str, Any]:
        """A new game."""
        game = Playground(playground.settings(given))
        number = secrets.token_hex(8)
        self._keep(number, game)
        self._write(number, [[0, given]], 0)
        return _whole(number, game)

    def play(self, number: str, steps: int, given: dict[str, Any] | None) -> dict[str, Any]:
        """Change settings, where any are given, then play so many steps."""
        if not 0 <= steps <= _MOST_STEPS:
            raise InputError(f"{steps} steps were asked for, allowed are 0 to {_MOST_STEPS}")
        game, lock = self._get(number)
        with lock:
            again = False
            if given is not None:
                again = game.change(given)
                story = [] if again else self._read(number)["story"]
                changed = {**asdict(game.settings)} if again else given
                self._write(number, [*story, [game.step, changed]][-_MOST_CHANGES:], game.step)
            game.play(steps)
            if steps and game.step % 500 < steps:
                self._write(number, self._read(number)["story"], game.step)
            return _whole(number, game) if again else _state(number, game)

    def show(self, number: str) -> dict[str, Any]:
        """A game as it stands, with its real points."""
        game, lock = self._get(number)
        with lock:
            return _whole(number, game)

    def _get(self, number: str) -> tuple[Playground, threading.Lock]:
        with self._lock:
            if number in self._games:
                self._games.move_to_end(number)
                return self._games[number]
        game = self._replayed(number)
        self._keep(number, game)
        with self._lock:
            return self._games[number]

    def _replayed(self, number: str) -> Playground:
        """The game as its file says: the changes at their steps, up to where it was last written down."""
        kept = self._read(number)
        (_, first), *later = kept["story"]
        game = Playground(playground.settings(first))
        for step, change in later:
            game.play(min(step, _REPLAYED) - game.step)
            game.change(change)
        game.play(max(0, min(kept["step"], _REPLAYED) - game.step))
        return game

    def _keep(self, number: str, game: Playground) -> None:
        with self._lock:
            self._games[number] = (game, threading.Lock())
            while len(self._games) > _KEPT:
                self._games.popitem(last=False)

    def _file(self, number: str) -> Path:
        return paths.own_folder(self._root, "games") / f"{number}.json"

    def _read(self, number: str) -> dict[str, Any]:
        if not re.fullmatch("[0-9a-f]{16}", number) or not self._file(number).is_file():
            raise paths.NotHere("there is no such game")
        return io.read_json(self._file(number))

    def _write(self, number: str, story: list[Any], step: int) -> None:
        io.write_json(self._file(number), {"story": json.loads(json.dumps(story)), "step": step})


def _state(number: str, game: Playground) -> dict[str, Any]:
    return {"id": number, **playground.as_json(game.look()), "diverged": game.diverged}


def _whole(number: str, game: Playground) -> dict[str, Any]:
    real = game.real.astype("float64").round(3).tolist()
    return {**_state(number, game), "real": real, "settings": asdict(game.settings)}


def join(app: FastAPI, root: Path) -> None:
    """Add them to the app."""
    games = Games(root)

    @app.get("/api/playground")
    def choices() -> Response:
        return answer(playground.choices())

    @app.post("/api/playground")
    async def begin(request: Request) -> Response:
        given = of_type(await body(request), "settings", dict)
        return answer(await run_in_threadpool(games.begin, given))

    @app.get("/api/playground/{number}")
    def show(number: str) -> Response:
        return answer(games.show(number))

    @app.post("/api/playground/{number}")
    async def play(number: str, request: Request) -> Response:
        given = await body(request)
        steps = of_type(given, "steps", int, 0)
        change = of_type(given, "settings", dict) if "settings" in given else None
        return answer(await run_in_threadpool(games.play, number, steps, change))
