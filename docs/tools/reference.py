"""The reference pages, from the source: public names, variants, recipes, commands.

Python's names are read from the source text (`ast`), variants from the catalog, commands from the parser.
torch is not imported.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docstrings
import typer

from duel import catalog
from duel.cli import main as _commands  # noqa: F401 (importing it adds the commands)
from duel.cli.app import app

PACKAGE = catalog.PACKAGE
WIDTH = 100  # characters of a line of help
# Beside the package's own names: what the documents and examples use from Python.
MODULES = (
    "advise",
    "compare",
    "diagnose",
    "errors",
    "evaluate",
    "export",
    "hub",
    "interface",
    "latent",
    "options",
    "portrait",
    "report",
    "robustness",
    "sampling",
    "schedule",
    "scratch",
    "streams",
    "study",
    "table",
    "track",
)
SUMMARIES = {
    "datasets": "Data sets: `--data NAME`, options as `--set data.KEY=VALUE`.",
    "networks": "Architectures: `--set network=NAME`.",
    "games": "Games, which say what the discriminator compares: `--set game=NAME`.",
    "objectives": "Objectives, what each player minimises: `--set objective=NAME`.",
    "penalties": "Penalties on the discriminator's gradient: `--set penalties=NAME,…`.",
    "constraints": "Constraints on the discriminator's parameters: `--set constraints=NAME,…`.",
    "augmentations": "Augmentations of what the discriminator sees: `--set augmentations=NAME,…`.",
    "optimizers": "Optimizers: `--set optimizer.generator=NAME --set optimizer.discriminator=NAME`.",
    "features": "Feature spaces, in which metrics compare: `duel evaluate RUN --features NAME`.",
    "metrics": "Metrics: `duel evaluate RUN --metrics NAME,…`.",
    "diagnoses": "Diagnoses, what is looked for in a run's records. Their options are their thresholds.",
}


def pages() -> dict[str, str]:
    """All reference pages: name of the file → Markdown."""
    found = {"python.md": python(), "command-line.md": command_line(), "recipes.md": recipes()}
    return found | {f"{family}.md": variants(family) for family in catalog.FAMILIES}


# ---------------------------------------------------------------- Python


@dataclass(frozen=True)
class Found:
    """A function or class in its source file."""

    node: ast.FunctionDef | ast.ClassDef
    file: Path


def python() -> str:
    """The public names of the package and of the modules that the documents use."""
    lines = ["# From Python", "", "`import duel` costs nothing: each name is imported on its first use.", ""]
    homes: dict[str, tuple[str, str]] = _assigned(PACKAGE / "__init__.py", "_HOME")
    for name in _assigned(PACKAGE / "__init__.py", "__all__"):
        module, attribute = homes[name]
        lines += _described(f"duel.{name}", find(module.removeprefix("duel."), attribute))
    for module in MODULES:
        file = _file(module)
        lines += [f"## duel.{module}", "", docstrings.markdown(_doc(ast.parse(file.read_text("utf-8")))), ""]
        for name in public(file):
            lines += _described(f"duel.{module}.{name}", find(module, name), level="###")
    return "\n".join(lines)


def public(file: Path) -> list[str]:
    """The public functions and classes of a module: those of its `__all__`, or what it defines."""
    tree = ast.parse(file.read_text("utf-8"))
    constants = {ast.unparse(node.targets[0]) for node in tree.body if isinstance(node, ast.Assign)}
    if "__all__" in constants:
        return [name for name in _assigned(file, "__all__") if name not in constants]
    defined = [node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    return [name for name in defined if not name.startswith("_")]


def find(module: str, name: str) -> Found:
    """Where a name of a module below `duel` is defined; imports are followed."""
    file = _file(module)
    for node in ast.parse(file.read_text("utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == name:
            return Found(node, file)
        if isinstance(node, ast.ImportFrom) and node.module and any(a.name == name for a in node.names):
            return find(node.module.removeprefix("duel."), name)
    raise LookupError(f"duel.{module} has no {name!r}")


def _file(module: str) -> Path:
    path = PACKAGE.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _assigned(file: Path, name: str) -> Any:
    for node in ast.parse(file.read_text("utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
            return ast.literal_eval(node.value)
    raise LookupError(f"{file} assigns no {name}")


def _doc(node: ast.FunctionDef | ast.ClassDef | ast.Module) -> str:
    return ast.get_docstring(node) or ""


def _described(title: str, found: Found, level: str = "##") -> Iterator[str]:
    node = found.node
    yield from (f"{level} {title}", "")
    if isinstance(node, ast.FunctionDef):
        yield from _code(signature(node))
    yield from (docstrings.markdown(_doc(node)), "")
    if isinstance(node, ast.ClassDef):
        yield from _members(node, level)


def _members(node: ast.ClassDef, level: str) -> Iterator[str]:
    for each in node.body:
        if isinstance(each, ast.FunctionDef) and not each.name.startswith("_") and _doc(each):
            yield from (f"{level}# {node.name}.{each.name}", "")
            yield from _code(signature(each))
            yield from (docstrings.markdown(_doc(each)), "")


def signature(node: ast.FunctionDef) -> str:
    """A function's first line, broken where it is long; a property without its brackets."""
    if any(ast.unparse(mark) in ("property", "cached_property") for mark in node.decorator_list):
        return f"{node.name}: {ast.unparse(node.returns) if node.returns else 'object'}"
    returned = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    arguments = list(_arguments(node.args))
    line = f"{node.name}({', '.join(arguments)}){returned}"
    if len(line) <= WIDTH:
        return line
    return f"{node.name}(\n" + "".join(f"    {each},\n" for each in arguments) + f"){returned}"


def _arguments(arguments: ast.arguments) -> Iterator[str]:
    plain = [*arguments.posonlyargs, *arguments.args]
    defaults = [None] * (len(plain) - len(arguments.defaults)) + list(arguments.defaults)
    yield from map(_argument, plain, defaults)
    if arguments.vararg:
        yield f"*{_argument(arguments.vararg, None)}"
    elif arguments.kwonlyargs:
        yield "*"
    yield from map(_argument, arguments.kwonlyargs, arguments.kw_defaults)
    if arguments.kwarg:
        yield f"**{_argument(arguments.kwarg, None)}"


def _argument(argument: ast.arg, default: ast.expr | None) -> str:
    return ast.unparse(argument) + (f" = {ast.unparse(default)}" if default is not None else "")


def _code(code: str, language: str = "python") -> list[str]:
    return [f"```{language}", code, "```", ""]


# ---------------------------------------------------------------- variants and recipes


def variants(family: str) -> str:
    """One page for a family: each variant with its options."""
    lines = [f"# {family.capitalize()}", "", SUMMARIES[family], ""]
    lines += ["Your own: [adding variants](../adding.md).", ""]
    shared = _shared_meanings(family)
    for entry in catalog.entries(family):
        prose, meanings = docstrings.split(entry.help)
        lines += [f"## {entry.name}", ""]
        for paragraph in prose:
            lines += [docstrings.text(paragraph), ""]
        if entry.options:
            lines += ["| option | type | default | meaning |", "|---|---|---|---|"]
        for option in entry.options:
            default = "must be given" if option.default is None else f"`{docstrings.cell(option.default)}`"
            said = docstrings.cell(docstrings.text(meanings.get(option.name) or shared.get(option.name, "")))
            lines.append(f"| `{option.name}` | `{docstrings.cell(option.type)}` | {default} | {said} |")
        lines.append("")
    lines += ["## What a variant has", ""]
    for name in public(_file(f"{family}._base")):
        lines += _described(f"duel.{family}._base.{name}", find(f"{family}._base", name), level="###")
    return "\n".join(lines)


def _shared_meanings(family: str) -> dict[str, str]:
    """What the family's base classes say of the options that all variants have."""
    found: dict[str, str] = {}
    for file in sorted((PACKAGE / family).glob("_[!_]*.py")):
        for node in ast.parse(file.read_text("utf-8")).body:
            if isinstance(node, ast.ClassDef):
                found = docstrings.split(_doc(node))[1] | found
    return found


def recipes() -> str:
    """All named recipes, as they are written."""
    lines = ["# Recipes", "", "`duel train NAME`; `--dry-run` prints one with everything resolved.", ""]
    for name, path in catalog.recipes().items():
        lines += [f"## {name}", "", *_code(path.read_text("utf-8").rstrip(), "toml")]
    return "\n".join(lines)


# ---------------------------------------------------------------- the command line


def command_line() -> str:
    """Every command's help, as the terminal shows it."""
    lines = ["# Command line", "", "Wrong input is one sentence on standard error, with exit status 2.", ""]
    for name, shown in helps(typer.main.get_command(app), "duel"):
        lines += [f"## {name}", "", *_code(shown, "text")]
    return "\n".join(lines)


def helps(command: Any, name: str, parent: Any = None) -> Iterator[tuple[str, str]]:
    """(command, its help) of each command below one, in the order of `duel --help`."""
    context = command.make_context(name, [], parent=parent, resilient_parsing=True)
    context.terminal_width = WIDTH
    below = getattr(command, "commands", {})
    if not below:
        yield context.command_path, command.get_help(context)
    for each, inner in below.items():
        yield from helps(inner, each, context)
