"""Addresses of runs, studies and trainings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response
from starlette.concurrency import run_in_threadpool

from duel.diagnose import advice, diagnose
from duel.errors import InputError
from duel.studio import contrast, form, listing, paths, tail
from duel.studio.answers import Worker, answer, body, download, of_type, png
from duel.studio.jobs import Jobs
from duel.studio.origin import own_data

_PICTURES = ("film", "curves", "memorised")


def join(app: FastAPI, root: Path, jobs: Jobs, worker: Worker) -> None:
    """Add them to the app."""
    known = listing.Listing(root)
    _add_lists(app, root, jobs, known)
    _add_run(app, root, jobs, known)
    _add_trainings(app, root, jobs, worker)
    _add_comparisons(app, root)


def _add_lists(app: FastAPI, root: Path, jobs: Jobs, known: listing.Listing) -> None:
    @app.get("/api/runs")
    def runs() -> Response:
        return answer(
            {
                "folder": str(root),
                "exists": root.is_dir(),
                "runs": known.runs(),
                "studies": known.studies(),
                "beginning": jobs.beginning(),
                "gone": jobs.gone(),
                "jobs": {"alive": jobs.alive(), "most": jobs.most},
            }
        )

    @app.get("/api/studies/{name:path}/overview")
    def study(name: str) -> Response:
        path = paths.study_at(root, name)
        trials = [known.card(each) for each in _trials(path)]
        return answer({"name": name, "runs": trials, **contrast.of_study(path)})


def _trials(study: Path) -> list[Path]:
    """The runs of a study that `paths` finds."""
    root = study / "runs"
    if not root.is_dir() or root.is_symlink():
        return []
    found = (each.parent for each in sorted(root.glob("*/seed-*/recipe.toml")))
    return [
        path for path in found if not any(each.is_symlink() for each in (path.parent, path, *path.iterdir()))
    ]


def _add_run(app: FastAPI, root: Path, jobs: Jobs, known: listing.Listing) -> None:
    @app.get("/api/runs/{name:path}/overview")
    def overview(name: str) -> Response:
        run = paths.run_at(root, name)
        found = listing.overview(run, name, known.card(run.path))
        mine = next((each for each in jobs.entries() if each["name"] == name), None)
        if mine:
            jobs.note_run(mine)
        return answer({**found, "said": jobs.said(name), "ours": bool(mine and mine["alive"])})

    @app.get("/api/runs/{name:path}/events")
    def events(name: str, after: int = 0, file: str = "") -> Response:
        found = tail.piece(paths.run_at(root, name).events_file, after, file)
        headers = {"X-Next": str(found.next), "X-File": found.file, "X-More": str(int(found.more))}
        return Response(found.lines, media_type="application/x-ndjson", headers=headers)

    @app.get("/api/runs/{name:path}/grid/{step}.png")
    def grid(name: str, step: int) -> Response:
        run = paths.run_at(root, name)
        # A run that is taken up draws its grids again, so the browser has to ask each time.
        return png(paths.file_at(run.path, f"samples/{step:08d}.png").read_bytes())

    @app.get("/api/runs/{name:path}/picture/{what}.png")
    def picture(name: str, what: str) -> Response:
        run = paths.run_at(root, name)
        if what == "real":
            return png(paths.file_at(run.path, "samples/real.png").read_bytes())
        if what not in _PICTURES:
            raise paths.NotHere("there is no such picture")
        return png(paths.file_at(run.path, f"{what}.png").read_bytes())

    @app.get("/api/runs/{name:path}/report.html")
    def report(name: str) -> Response:
        from duel.report import run as reports

        page = reports.page(paths.run_at(root, name))
        return download(page.encode(), "text/html", "report.html")


def _add_trainings(app: FastAPI, root: Path, jobs: Jobs, worker: Worker) -> None:
    @app.get("/api/form")
    def choices() -> Response:
        return answer({"recipes": form.recipes(), "data": form.data_choices(root), **form.recommended()})

    @app.post("/api/form")
    async def fields(request: Request) -> Response:
        source, changes = _asked(await body(request))
        return answer(await run_in_threadpool(form.described, root, source, changes))

    @app.post("/api/form/carried")
    async def carried(request: Request) -> Response:
        source, changes = _asked(await body(request))
        return answer(await run_in_threadpool(form.carried, root, source, changes))

    @app.post("/api/jobs")
    async def start(request: Request) -> Response:
        source, changes = _asked(await body(request))
        wanted = await run_in_threadpool(form.resolved, root, source, changes)
        return answer({"name": await run_in_threadpool(jobs.start, wanted)})

    @app.post("/api/jobs/forget")
    async def forget(request: Request) -> Response:
        await run_in_threadpool(jobs.forget, of_type(await body(request), "name", str))
        return answer({})

    @app.post("/api/runs/{name:path}/stop")
    async def stop(name: str) -> Response:
        await run_in_threadpool(jobs.stop, name)
        return answer({"name": name})

    @app.post("/api/runs/{name:path}/resume")
    async def resume(name: str, request: Request) -> Response:
        given = await body(request)
        steps = of_type(given, "steps", int) if "steps" in given else None
        return answer({"name": await run_in_threadpool(jobs.resume, name, steps)})

    @app.post("/api/runs/{name:path}/advised")
    async def advised(name: str, request: Request) -> Response:
        given = await body(request)
        finding, changes = of_type(given, "finding", str), of_type(given, "set", dict)
        number = await worker.run(lambda: _number(root, name, finding, changes))
        return answer({"name": await run_in_threadpool(jobs.advised, name, number)})


def _asked(given: dict[str, Any]) -> tuple[str, list[str]]:
    changes = of_type(given, "changes", list, [])
    if len(changes) > 200 or not all(isinstance(each, str) for each in changes):
        raise InputError("changes are to be texts KEY=VALUE, at most 200")
    return of_type(given, "source", str), changes


def _number(root: Path, name: str, finding: str, changes: dict[str, Any]) -> int:
    """Which advice that is by now: a run that goes on has other findings than the page showed."""
    run = paths.run_at(root, name)
    own_data(run)  # or it would be trained on what was put in their place
    offered = advice(diagnose(run)["findings"])
    for number, (of, one) in enumerate(offered, 1):
        if of == finding and one["set"] == changes:
            return number
    raise InputError(f"the finding {finding[:60]!r} no longer gives that advice: look at the run again")


def _add_comparisons(app: FastAPI, root: Path) -> None:
    @app.post("/api/compare")
    async def compare(request: Request) -> Response:
        names = of_type(await body(request), "runs", list)
        if not 1 <= len(names) <= contrast.MOST or not all(isinstance(each, str) for each in names):
            raise InputError(f"name 1 to {contrast.MOST} runs")
        found = [(name, paths.run_at(root, name)) for name in dict.fromkeys(names)]
        return answer(await run_in_threadpool(contrast.of_runs, found))
