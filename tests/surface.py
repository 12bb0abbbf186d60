"""What of duel is public, as text: names, commands, fields of a recipe, what is written and printed as JSON.

`make frozen` (python -m surface, with tests/ on the path) writes it to tests/frozen/, one file for each kind;
tests/test_frozen.py holds the code to these files.
"""

import contextlib
import importlib
import inspect
import io
import json
import re
import sys
import tempfile
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, get_args, get_origin
from unittest import mock

import small_studies
import tiny

import duel
from duel import catalog, errors

FROZEN = Path(__file__).parent / "frozen"
_ERRORS = tuple(sorted(name for name, value in vars(errors).items() if isinstance(value, type)))
# Module → what of it is public; None: its `__all__`. The package, what the documents tell people to import,
# and what a variant outside the package is made of.
PUBLIC: dict[str, tuple[str, ...] | None] = {
    "duel": None,
    "duel.compare": ("Comparison", "against_baseline", "all_pairs", "paired"),
    "duel.errors": _ERRORS,
    "duel.export": None,
    "duel.hub": ("Pushed", "pull", "push", "write"),
    "duel.latent": ("arithmetic", "linear", "spherical"),
    "duel.robustness": ("robustness",),
    "duel.scratch": None,
    "duel.table": ("from_csv", "read", "to_csv"),
    "duel.track": ("Begun", "Record", "Tracker", "mirror"),
    "duel.options": ("options",),
    "duel.schedule": ("Schedule", "values_of"),
    "duel.interface": ("Interface",),
    "duel.augmentations._base": ("Augmentation",),
    "duel.constraints._base": ("Constraint",),
    "duel.datasets._base": ("Data", "DataSet", "ImageSet", "Spec", "Split"),
    "duel.diagnoses._base": ("Advice", "Diagnosis", "Evidence", "Finding", "Records"),
    "duel.features._base": ("Embedded", "Extractor", "FeatureSpace"),
    "duel.games._base": ("Game",),
    "duel.metrics._base": ("Context", "Metric", "Side", "Value"),
    "duel.networks._base": ("Convolutional", "Linear", "Network", "Networks"),
    "duel.objectives._base": ("Objective",),
    "duel.optimizers._base": ("Optimizer",),
    "duel.penalties._base": ("Penalty", "Points"),
}
_PLAYED = {"signals.every": 5, "evaluate.every": 5, "evaluate.metrics": ["modes"], "evaluate.samples": 50}
_DIVERGES = {"on_nonfinite": "rollback", "max_rollbacks": 1, "optimizer.generator.lr": 1e30}


def read_off(folder: Path) -> dict[str, list[str]]:
    """Kind → its lines; what a run writes and prints is read off tiny runs in `folder`."""
    documents, events = _played(folder)
    return {
        "commands": commands(),
        "documents": documents,
        "events": events,
        "names": names(),
        "recipe": recipe_fields(),
    }


def frozen(kind: str) -> list[str]:
    """The committed lines of a kind."""
    return (FROZEN / f"{kind}.txt").read_text(encoding="utf-8").splitlines()


# ---------------------------------------------------------------- names


def names() -> list[str]:
    """Every public name of the public modules, with its signature."""
    lines = []
    for name, public in PUBLIC.items():
        module = importlib.import_module(name)
        for each in sorted(module.__all__ if public is None else public):
            lines += _described(f"{name}.{each}", getattr(module, each))
    return lines


def _described(name: str, value: Any) -> list[str]:
    if isinstance(value, type) and value.__name__ != name.rpartition(".")[2]:
        return [f"{name} is {value.__name__}"]
    if isinstance(value, type) and issubclass(value, Exception):
        status = getattr(value, "exit_status", "")
        return [f"{name} is a {value.__base__.__name__}, exit status {status}"]  # type: ignore[union-attr]
    if isinstance(value, type):
        shown = ", its fields: recipe.txt" if value is duel.Recipe else _signature(value)
        return [f"{name}{shown}", *_members(value)]
    return [f"{name}{_signature(value)}"] if callable(value) else [name]


def _members(cls: type) -> list[str]:
    members = [(each, value) for each, value in vars(cls).items() if not each.startswith("_")]
    called = [f"  .{each}{_signature(value)}" for each, value in members if inspect.isfunction(value)]
    looked = [f"  .{each}" for each, value in members if isinstance(value, property)]
    return sorted(called + looked)


def _signature(value: Callable[..., Any]) -> str:
    """Parameters as the source writes them; the fields of a dataclass go by its annotations alone."""
    if isinstance(value, type) and is_dataclass(value):
        return "(" + ", ".join(f"{field.name}: {field.type}" for field in fields(value)) + ")"
    written = re.sub(r"<function (\w+) at 0x\w+>", r"\1", str(inspect.signature(value)))
    written = re.sub(r"ForwardRef\('(.*?)'\)", r"\1", written)
    unquoted = re.sub(r"""(: |-> )(['"])(.*?)\2""", r"\1\3", written)
    return re.sub(r"^\(self(, )?", "(", unquoted)


# ---------------------------------------------------------------- commands


def commands() -> list[str]:
    """Every command with its arguments and options: type, default, whether it must or may often be given."""
    import typer

    from duel import cli

    return ["duel", "  --version  flag", *_commands("duel", typer.main.get_command(cli.app.app))]


def _commands(path: str, group: Any) -> Iterator[str]:
    for name, command in sorted(group.commands.items()):
        if hasattr(command, "commands"):
            yield from _commands(f"{path} {name}", command)
            continue
        yield f"{path} {name}"
        hints = typing.get_type_hints(inspect.unwrap(command.callback))
        for option in command.params:
            if option.name != "help":
                yield "  " + _option(option, hints[option.name])


def _option(option: Any, hint: Any) -> str:
    called = " ".join([*option.opts, *option.secondary_opts])
    shown = [called if called.startswith("-") else called.upper(), _type(hint)]
    if option.required:
        shown.append("must be given")
    elif option.default is not None and hint is not bool:
        shown.append(f"default {option.default}")
    return "  ".join(shown)


def _type(hint: Any) -> str:
    if get_origin(hint) in (UnionType, typing.Union):
        return " or ".join(_type(each) for each in get_args(hint) if each is not NoneType)
    if get_origin(hint) is Literal:
        return "|".join(map(str, get_args(hint)))
    if get_origin(hint) is list:
        return f"{_type(get_args(hint)[0])}, any number"
    return {bool: "flag"}.get(hint, hint.__name__.lower())


# ---------------------------------------------------------------- recipes


def recipe_fields() -> list[str]:
    """Every field that a recipe may set, then the options of every variant, then the named recipes."""
    from duel.recipe import FREE_ON_RESUME, Recipe
    from duel.study.file import Study

    lines = ["fields", *_fields(Recipe, ""), "may change on resume", *(f"  {key}" for key in FREE_ON_RESUME)]
    lines += ["study files", *_fields(Study, "")]
    for family in catalog.FAMILIES:
        lines.append(family)
        for entry in catalog.entries(family):
            lines.append(f"  {entry.name}")
            lines += [f"    {option.name}: {option.type}{_default(option)}" for option in entry.options]
    return [*lines, "recipes", *(f"  {name}" for name in catalog.recipes())]


def _fields(cls: Any, prefix: str) -> Iterator[str]:
    hints = vars(importlib.import_module(cls.__module__))
    for field in fields(cls):
        table = hints.get(str(field.type))
        if is_dataclass(table) and table.__module__ == cls.__module__:
            yield from _fields(table, f"{prefix}{field.name}.")
            continue
        required = "MISSING" in repr(field.default)
        yield f"  {prefix}{field.name}: {field.type}" + ("" if required else f" = {field.default!r}")


def _default(option: catalog.Option) -> str:
    return "" if option.default is None else f" = {option.default}"


# ---------------------------------------------------------------- what a run writes and prints


def _played(folder: Path) -> tuple[list[str], list[str]]:
    """The documents and the events of tiny trainings, and of the commands that print JSON about them."""
    run = folder / "run"
    with mock.patch("os.fsync"):  # nobody pulls the plug here
        played = tiny.train(run, recipe="gan", data="ring", changes=_PLAYED)
        ends_badly = tiny.train(folder / "bad", recipe="gan", data="ring", changes=_DIVERGES)
        return _documents(run), _events([*played, *ends_badly, *_of_a_study(folder)])


def _documents(run: Path) -> list[str]:
    lines = ["in a run folder"]
    files = [path for path in sorted(run.rglob("*")) if path.is_file()]
    named = {re.sub(r"\d{8}", "STEP", str(path.relative_to(run))): path for path in files}
    for name, path in sorted(named.items()):
        shown = f": {_shape(json.loads(path.read_text()))}" if path.suffix == ".json" else ""
        lines.append(f"  {name}{shown}")
    lines.append(f"recipe files: format {importlib.import_module('duel.recipe')._FORMAT}")
    lines.append(f"exported files: {_shape(_exported(run))}")
    lines.append("printed with --json")
    for words in (
        ["runs", run.parent],
        ["evaluate", run, "--samples", 50, "--metrics", "modes"],
        ["diagnose", run],
        ["bench", "gan-dense-a", "--data", "digits"],
        ["advise", "digits"],
        ["data inspect", "digits", "--out", run.parent / "portrait.png"],
        ["data check", run / "samples"],
    ):
        lines.append(f"  duel {words[0]}: {_printed(words)}")
    return lines


def _exported(run: Path) -> dict[str, str]:
    """The metadata of exported files, without their prefix."""
    from duel.export.about import PREFIX, about

    return {key.removeprefix(PREFIX): value for key, value in about(duel.load(run), "last", "ema").items()}


def _printed(words: list[Any]) -> str:
    """What a command prints with --json, in short; or why it prints none."""
    from duel import cli

    out, err, before = io.StringIO(), io.StringIO(), sys.argv
    sys.argv = ["duel", *str(words[0]).split(), *map(str, words[1:]), "--json"]
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            cli.main()
    except SystemExit:
        pass  # data check and others leave with a status
    finally:
        sys.argv = before
    return _shape(json.loads(out.getvalue())) if out.getvalue() else f"nothing; {err.getvalue().strip()}"


def _shape(document: Mapping[str, Any]) -> str:
    """The version of a document and the names in it."""
    keys = ", ".join(sorted(key for key in document if key != "format"))
    return f"format {document.get('format')}; {keys}"


def _of_a_study(folder: Path) -> list[dict[str, Any]]:
    """The events of the smallest study, in this process."""
    from duel.study import study

    file = small_studies.write(folder, looks=0)
    with mock.patch("duel.study.campaign.executor", small_studies.here):
        events = list(study(file, folder / "study", workers=1))
    return [{**event, "event": f"study {event['event']}"} for event in events]


def _events(events: list[dict[str, Any]]) -> list[str]:
    """Each kind of event with the names of its fields."""
    seen: dict[str, set[str]] = {}
    for event in events:
        seen.setdefault(event["event"], set()).update(event)
    return [f"{kind}: {', '.join(sorted(seen[kind] - {'event'}))}" for kind in sorted(seen)]


def write() -> None:
    """Write tests/frozen/ anew."""
    FROZEN.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        for kind, lines in read_off(Path(folder)).items():
            (FROZEN / f"{kind}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
            print(f"tests/frozen/{kind}.txt: {len(lines):,} lines")


if __name__ == "__main__":
    write()
