"""Train, and say what training costs here."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from duel.cli.app import (
    AllowCode,
    Changes,
    DataOption,
    Debug,
    EventLines,
    app,
    before_the_first_step,
    stop_on_signal,
    typed_code,
)
from duel.errors import InputError
from duel.ranks import world

if TYPE_CHECKING:
    from duel.session import Session


@app.command()
def train(
    recipe: Annotated[str | None, typer.Argument(help="A name (`duel list recipes`) or a TOML file.")] = None,
    data: DataOption = None,
    out: Annotated[
        Path | None, typer.Option(help="The run folder; a run there is continued. Default: runs/NNNN-…")
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Generator updates.")] = None,
    epochs: Annotated[
        int | None, typer.Option(help="Passes over the training split, in place of steps.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of every random number.")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu or cuda.")] = None,
    engine: Annotated[
        str | None, typer.Option(help="torch, or scratch: NumPy and dual numbers, dense networks.")
    ] = None,
    changes: Changes = None,
    init_from: Annotated[
        Path | None, typer.Option(metavar="RUN", help="Begin with the weights of this run or hub:….")
    ] = None,
    resume: Annotated[Path | None, typer.Option(metavar="RUN", help="Take up this run.")] = None,
    from_run: Annotated[
        Path | None,
        typer.Option("--from", metavar="RUN", help="Start afresh with this run's recipe; with --advice."),
    ] = None,
    advice: Annotated[
        int | None, typer.Option(metavar="N", help="Of --from: the advice to apply (`duel diagnose RUN`).")
    ] = None,
    stop_on: Annotated[
        Literal["severe", "warning", "info"] | None,
        typer.Option(help="End early at the first finding of this severity or above."),
    ] = None,
    devices: Annotated[
        int | None, typer.Option(help="Processes on this machine that train together, one for each GPU.")
    ] = None,
    nodes: Annotated[int, typer.Option(help="Machines with so many each; the same command on each.")] = 1,
    rendezvous: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Of several machines: one of them.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the resolved recipe and stop.")] = False,
    profile: Annotated[
        Path | None, typer.Option(metavar="TRACE.json", help="Say where a step's time goes, and stop.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing but warnings and errors.")] = False,
    as_json: EventLines = False,
    allow_code: AllowCode = False,
    debug: Debug = False,
) -> None:
    """Train a generator; see `duel list recipes` for where to start."""
    if quiet and as_json:
        raise InputError("--quiet and --json exclude each other: give one of them")
    if (from_run is None) != (advice is None):
        raise InputError("--from RUN and --advice N belong together: give both, see `duel diagnose RUN`")
    if dry_run and from_run is not None:
        raise InputError("--dry-run shows a recipe's own fields: leave out --from")
    if profile is not None and (dry_run or resume or from_run):
        raise InputError("--profile plays some steps of a recipe: leave out --dry-run, --resume and --from")
    if profile is not None and str(profile).startswith("-"):
        raise InputError(f"--profile needs the name of a file for the trace, and was given {str(profile)!r}")
    if (devices is not None or nodes > 1) and not dry_run:
        from duel.launch import launch, without_launching

        sys.exit(
            launch(without_launching(sys.argv[1:]), 1 if devices is None else devices, nodes, rendezvous)
        )
    with before_the_first_step():
        from duel import hub
        from duel import recipe as recipes
        from duel import session as sessions

        parsed = dict(recipes.parse_change(text) for text in changes or [])
        trusted: bool | list[str] = allow_code or typed_code(parsed, data)
        if dry_run or profile is not None:
            if recipe is None:
                what = "--dry-run" if dry_run else "--profile"
                raise InputError(f"{what} needs a recipe: name one (`duel list recipes`) or give a TOML file")
            wanted = sessions.plan(
                recipe,
                data=data,
                steps=steps,
                epochs=epochs,
                seed=seed,
                device=device,
                engine=engine,
                changes=parsed,
                allow_code=trusted,
            )
            if profile is not None:
                from duel.profiling import profile as where_time_goes

                print(where_time_goes(wanted, sessions.check(wanted), profile))
                return
            print(recipes.to_toml(wanted), end="")
            return
        if world().rank:
            from duel.together import Follower

            follower = Follower(trusted)
            with stop_on_signal(follower):
                follower.play()
            return
        session = sessions.train(
            recipe,
            data=data,
            out=out,
            steps=steps,
            epochs=epochs,
            seed=seed,
            device=device,
            engine=engine,
            changes=parsed,
            init_from=None if init_from is None else hub.local(init_from, trusted),
            resume=resume,
            stop_on=stop_on,
            advised=None if from_run is None or advice is None else (from_run, advice),
            allow_code=trusted,
        )
    with session:
        sys.exit(_follow(session, "json" if as_json else "quiet" if quiet else "people"))


def _follow(session: Session, style: Literal["json", "quiet", "people"]) -> int:
    """Show a session's events until it ends; the exit status."""
    from duel import display

    show = {"json": display.Json, "quiet": display.Quiet, "people": display.People}[style](session)
    reason = "finished already"
    with stop_on_signal(session) as received, show:
        for event in session:
            show.event(event)
            if event["event"] == "end":
                reason = event["reason"]
        if reason == "finished already":
            show.finished_already()
    if received and reason == "interrupted":
        return 128 + received[0]
    return 1 if reason == "nonfinite" else 0


@app.command()
def bench(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[RECIPE]...", help="All named recipes by default.")
    ] = None,
    data: DataOption = None,
    changes: Changes = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the table as JSON.")] = False,
    allow_code: AllowCode = False,
    debug: Debug = False,
) -> None:
    """Time a step of each recipe on this machine; say how long its whole budget takes and what memory."""
    from duel import cost
    from duel import recipe as recipes

    given = {} if data is None else recipes.data_changes(data)
    parsed = dict(recipes.parse_change(text) for text in changes or [])
    rows = cost.bench(names or (), {**given, **parsed}, allow_code or typed_code(parsed, data))
    shown = {"format": 1, "recipes": [row.to_dict() for row in rows]}
    print(json.dumps(shown, indent=2) if as_json else cost.text(rows))
    if all(row.refused for row in rows):
        sys.exit(2)
