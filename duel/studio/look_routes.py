"""Addresses of what is made from a checkpoint, and of data."""

from __future__ import annotations

from collections import OrderedDict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Depends, FastAPI, Request, Response

from duel.errors import InputError
from duel.studio import paths
from duel.studio.answers import Worker, answer, body, download, of_type, png

if TYPE_CHECKING:
    from duel.studio.explore import Explorer

_KEPT = 4  # checkpoints that stay loaded


def join(app: FastAPI, root: Path, worker: Worker, slow: Worker) -> None:
    """Add them to the app. slow: for what takes seconds, so that sliders do not wait for it."""
    _add_explore(app, root, worker, Loaded(root))
    _add_data(app, root, slow)


class Loaded:
    """The checkpoints that were looked at last, ready to make images."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._kept: OrderedDict[tuple[str, int, str], Explorer] = OrderedDict()

    def get(self, name: str, checkpoint: str) -> Explorer:
        """The explorer of "last", "best" or a step."""
        from duel.studio.explore import Explorer

        run = paths.run_at(self._root, name)
        if checkpoint not in ("last", "best") and not (checkpoint.isdecimal() and len(checkpoint) < 12):
            raise InputError(f"there is no checkpoint {checkpoint[:40]!r}: allowed are last, best and steps")
        which: str | int = int(checkpoint) if checkpoint.isdecimal() else checkpoint
        step = run.checkpoint_step(which)
        key = (name, step, run.checkpoint_digest(step))
        if key not in self._kept:
            self._kept[key] = Explorer(run, step)
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return self._kept[key]


class Asked:
    """A view of latent space as an address has it (`duel.studio.points`)."""

    def __init__(
        self,
        at: str = "",
        base: str = "",
        plus: str = "",
        minus: str = "",
        steps: int = 0,
        way: str = "spherical",
        move: str = "",
        seed: int = 0,
        n: int = 0,
        label: int | None = None,
        checkpoint: str = "last",
        columns: int = 8,
    ) -> None:
        self.view: dict[str, Any] = {
            "at": at, "base": base, "plus": plus, "minus": minus, "steps": steps, "way": way, "move": move,
            "seed": seed, "n": n,
        }  # fmt: skip
        self.label, self.checkpoint = label, checkpoint
        self.columns = min(max(columns, 1), 64)

    def made(self, loaded: Loaded, name: str) -> tuple[Explorer, Any, Any]:
        """The explorer, the latent vectors and what is made of them."""
        from duel.studio.points import View

        look = loaded.get(name, self.checkpoint)
        z = View(**self.view).vectors(look)
        return look, z, look.images(z, self.label)


View = Annotated[Asked, Depends()]


def _add_explore(app: FastAPI, root: Path, worker: Worker, loaded: Loaded) -> None:
    @app.get("/api/runs/{name:path}/explore/images.png")
    async def images(name: str, asked: View) -> Response:
        def work() -> bytes:
            from duel.studio import explore

            look, _, made = asked.made(loaded, name)
            if look.spec.kind == "points":
                return explore.scatter(made, look.spec.scale)
            return explore.sprite(made, min(asked.columns, len(made)))

        return png(await worker.run(work), keep=asked.checkpoint.isdecimal())

    @app.get("/api/runs/{name:path}/explore/walk.gif")
    async def moving(name: str, asked: View) -> Response:
        def work() -> bytes:
            from duel.studio import explore

            look, _, made = asked.made(loaded, name)
            if look.spec.kind == "points":
                raise InputError("points have no single pictures: save them as NPZ")
            return explore.gif(made)

        return download(await worker.run(work), "image/gif", "walk.gif")

    @app.get("/api/runs/{name:path}/explore/vectors.npz")
    async def arrays(name: str, asked: View) -> Response:
        def work() -> bytes:
            from duel.studio import explore

            look, z, made = asked.made(loaded, name)
            return explore.npz(z, made, (asked.label or 0) if look.conditional else None)

        return download(await worker.run(work), "application/octet-stream", "vectors.npz")

    @app.get("/api/runs/{name:path}/explore/directions")
    async def directions(name: str, checkpoint: str = "last") -> Response:
        found = await worker.run(lambda: loaded.get(name, checkpoint).found)
        return answer({"shares": found.shares.tolist()})

    @app.get("/api/runs/{name:path}/explore/vector")
    async def vector(name: str, asked: View) -> Response:
        """The name of one vector that a view describes, so that it can be walked to or from."""

        def work() -> str:
            from duel.studio.points import write

            return write(asked.made(loaded, name)[1][0])

        return answer({"point": await worker.run(work)})

    @app.post("/api/runs/{name:path}/explore/encode")
    async def encode(name: str, request: Request, checkpoint: str = "last") -> Response:
        content = await request.body()
        return answer(await worker.run(partial(_encoded, loaded, name, checkpoint, content)))


def _encoded(loaded: Loaded, name: str, checkpoint: str, content: bytes) -> dict[str, Any]:
    """Somebody's image as the run takes it, its latent vector, and the training images nearest to that."""
    import base64

    from duel.errors import DataError
    from duel.studio.explore import sprite
    from duel.studio.points import write

    look = loaded.get(name, checkpoint)
    image = look.fitted(content)
    z = look.encode(image)
    found: dict[str, Any] = {"point": write(z), "near": [], "near_image": None}

    def url(images: Any) -> str:
        return "data:image/png;base64," + base64.b64encode(sprite(images, len(images))).decode()

    found["original"] = url(image)
    try:
        images, vectors, distances = look.neighbours(z)
    except DataError as error:
        return {**found, "note": str(error)}
    near = [{"point": write(v), "distance": float(d)} for v, d in zip(vectors, distances, strict=True)]
    return {**found, "near": near, "near_image": url(images)}


# ---------------------------------------------------------------- data


def _add_data(app: FastAPI, root: Path, slow: Worker) -> None:
    @app.get("/api/data")
    def listed() -> Response:
        from duel.studio import form

        return answer({"data": form.data_choices(root)})

    @app.post("/api/advise")
    async def advised(request: Request) -> Response:
        from duel.studio import showing

        name = of_type(await body(request), "data", str)
        return answer(await slow.run(lambda: showing.advised(root, name)))

    @app.get("/api/data/{name:path}/portrait")
    async def portrait(name: str) -> Response:
        from duel.studio import showing

        return answer(await slow.run(lambda: showing.portrait_facts(root, name)))

    @app.get("/api/data/{name:path}/portrait.png")
    async def picture(name: str) -> Response:
        from duel.studio import showing

        return png(await slow.run(lambda: showing.portrait_picture(root, name)))

    @app.get("/api/data/{name:path}/check")
    async def check(name: str) -> Response:
        from duel.studio import showing

        return answer(await slow.run(lambda: showing.checked(root, name)))
