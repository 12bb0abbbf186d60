"""Studies, searches, and the advice that comes of them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from duel.cli.app import AllowCode, DataChanges, Debug, EventLines, app, before_the_first_step, stop_on_signal

if TYPE_CHECKING:
    from duel.study import show
    from duel.study.campaign import Campaign

StudySize = Annotated[str | None, typer.Option(help="One of the file's sizes, such as gpu.")]
Workers = Annotated[int | None, typer.Option(help="Runs at a time; one for each core by default.")]


@app.command()
def study(
    file: Annotated[Path, typer.Argument(help="A study: a TOML file, such as those in studies/.")],
    out: Annotated[
        Path | None, typer.Option(help="Its folder; a study there is taken up. Default: runs/study-NAME")
    ] = None,
    size: StudySize = None,
    workers: Workers = None,
    cluster: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="A Dask scheduler whose workers play the runs.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the plan and its cost, and stop.")
    ] = False,
    as_json: EventLines = False,
    allow_code: AllowCode = False,
    debug: Debug = False,
) -> None:
    """Play a study: recipes × seeds at equal budgets, in parallel; one table of all results.

    Leaves with 1 where a run failed.
    """
    from duel.study import show
    from duel.study import study as prepare

    with before_the_first_step():
        campaign = prepare(file, out, size=size, workers=workers, cluster=cluster, allow_code=allow_code)
    if dry_run:
        print(show.plan_text(campaign))
        return
    sys.exit(_play(campaign, show.Json() if as_json else show.People()))


@app.command()
def search(
    file: Annotated[Path, typer.Argument(help="A study file with a table [search]: docs/studies.md.")],
    out: Annotated[
        Path | None, typer.Option(help="Its folder; a search there is taken up. Default: runs/search-NAME")
    ] = None,
    size: StudySize = None,
    trials: Annotated[int | None, typer.Option(help="Configurations to try, in place of the file's.")] = None,
    workers: Workers = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what is searched in and its cost, and stop.")
    ] = False,
    as_json: EventLines = False,
    allow_code: AllowCode = False,
    debug: Debug = False,
) -> None:
    """Search for the best configuration with Optuna: by validation, with its number on the test split.

    Leaves with 1 where a run failed.
    """
    from duel.study import search as searches
    from duel.study import show

    with before_the_first_step():
        campaign = searches.search(
            file, out, trials=trials, size=size, workers=workers, allow_code=allow_code
        )
    if dry_run:
        print(show.search_text(campaign))
        return
    sys.exit(_play(campaign, show.Json() if as_json else show.People()))


def _play(campaign: Campaign, shown: show.Json | show.People) -> int:
    """Show a study's events until it ends; the exit status."""
    end: dict[str, Any] = {}
    with stop_on_signal(campaign) as received:
        try:
            for event in campaign:
                shown.event(event)
                end = event
        finally:
            shown.close()
    if end["reason"] == "interrupted":
        return 128 + received[0] if received else 1
    return 1 if end["failed"] else 0


@app.command()
def advise(
    data: Annotated[
        str, typer.Argument(metavar="DATA|FOLDER", help="A listed data set, or a folder of images.")
    ],
    changes: DataChanges = None,
    out: Annotated[
        Path | None, typer.Option(help="FILE.toml: where the recipe goes, for `duel train FILE`.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the advice as JSON.")] = False,
    debug: Debug = False,
) -> None:
    """Look at data and at this machine: which recipe to start from, what to expect, on what evidence."""
    from duel import recipe as recipes
    from duel.advise import advise as find
    from duel.advise import show

    parsed = dict(recipes.parse_change(text) for text in changes or [])
    found = find(data, parsed, out)
    print(json.dumps(found, indent=2) if as_json else show.text(found))
