"""Look around: runs, variants, data, one step explained, and the studio."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from duel import catalog
from duel.cli.app import DataChanges, Debug, app, data_app
from duel.errors import InputError, one_of


@app.command("runs")
def runs_(
    folder: Annotated[Path, typer.Argument(help="Where the runs are.")] = Path("runs"),
    delete: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Remove this run, all of it; repeatable.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Remove without asking.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the list as JSON.")] = False,
    debug: Debug = False,
) -> None:
    """List the runs of a folder with state and size; remove some on request."""
    from duel import display, runs

    names = list(dict.fromkeys(name.rstrip("/") or name for name in delete or []))
    for name in names:
        runs.chosen(folder, name)  # before anybody is asked about one, or anything removed
    for name in names:
        path = runs.chosen(folder, name)
        if not yes and not typer.confirm(f"remove {path} for good?"):
            raise InputError(f"{path} was kept: nobody said yes")
        print(f"removed {runs.delete(folder, name)}")
    found = runs.listed(folder)
    if as_json:
        print(json.dumps({"format": 1, "runs": [each.to_dict() for each in found]}, indent=2))
    elif not delete:
        print(display.runs_text(found, folder))


@app.command("list")
def list_(
    family: Annotated[str | None, typer.Argument(help="recipes, or a family of variants.")] = None,
    name: Annotated[str | None, typer.Argument(help="One of them: its options and help.")] = None,
    debug: Debug = False,
) -> None:
    """List recipes and variants, or explain one of them."""
    families = ("recipes", *catalog.FAMILIES)
    if family is not None and family not in families:
        raise InputError(f"there is no list {family!r}: {one_of(families, family)}")
    if name is not None:
        print(_recipe_text(name) if family == "recipes" else _entry_text(catalog.entry(str(family), name)))
        return
    for each in families if family is None else (family,):
        print(each)
        lines = _lines(each)
        width = max(14, *(len(title) for title, _ in lines)) + 2
        for title, summary in lines:
            print(f"  {title:<{width}}{summary}")


def _lines(family: str) -> list[tuple[str, str]]:
    if family == "recipes":
        return [(title, _first_comment(path)) for title, path in catalog.recipes().items()]
    return [(entry.name, entry.summary) for entry in catalog.entries(family)]


def _first_comment(path: Path) -> str:
    with open(path, encoding="utf-8") as file:
        return file.readline().removeprefix("#").strip()


def _recipe_text(name: str) -> str:
    known = catalog.recipes()
    if name not in known:
        raise InputError(f"there is no recipe {name!r}: {one_of(tuple(known), name)}")
    return known[name].read_text(encoding="utf-8").rstrip()


def _entry_text(entry: catalog.Entry) -> str:
    lines = [f"{entry.name} ({entry.family})", "", entry.help]
    if entry.options:
        lines += ["", "options"]
    for option in entry.options:
        default = "must be given" if option.default is None else f"default {option.default}"
        lines.append(f"  {option.name}: {option.type} ({default})")
    return "\n".join(lines)


@app.command()
def explain(
    out: Annotated[
        Path | None, typer.Option(help="FILE.html: one page, with plots. Default: text on the terminal.")
    ] = None,
    debug: Debug = False,
) -> None:
    """Follow one training step of a very small GAN with every number; compare rational activations."""
    from duel.explain import page, words

    print(words.text() if out is None else page.write(out))


@app.command()
def studio(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder that holds the runs.")] = Path(
        "runs"
    ),
    port: Annotated[int, typer.Option(help="Where the studio listens.")] = 7860,
    host: Annotated[
        str, typer.Option(help="Another address than this machine's own; it then asks for a token.")
    ] = "127.0.0.1",
    debug: Debug = False,
) -> None:
    """Open the runs of a folder in the browser: watch, explore, judge, compare, understand."""
    from duel.studio import studio as serve

    serve(folder, host, port)


@data_app.command("check")
def data_check(
    folder: Annotated[Path, typer.Argument(help="A folder of images.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
    debug: Debug = False,
) -> None:
    """List every file that cannot be used and why; sizes, modes, classes, duplicates.

    Leaves with 1 where there are bad files.
    """
    from duel import display
    from duel.datasets._check import check_folder

    report = check_folder(str(folder))
    print(json.dumps({"format": 1, **report.to_dict()}, indent=2) if as_json else display.report_text(report))
    sys.exit(1 if report.bad else 0)


@data_app.command("inspect")
def data_inspect(
    data: Annotated[str, typer.Argument(help="A listed data set, or a folder of images.")],
    out: Annotated[Path, typer.Option(help="Where the picture goes.")] = Path("portrait.png"),
    seed: Annotated[int, typer.Option(help="Of what is drawn at random.")] = 0,
    changes: DataChanges = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was found as JSON.")] = False,
    debug: Debug = False,
) -> None:
    """Draw the portrait of a data set: samples, mean and variance, distributions, classes, duplicates."""
    from duel import display, portrait
    from duel import recipe as recipes

    parsed = dict(recipes.parse_change(text) for text in changes or [])
    found = portrait.portrait(recipes.data_set(data, parsed).load(), out, seed)
    print(json.dumps({"format": 1, **found}, indent=2) if as_json else display.portrait_text(found))
