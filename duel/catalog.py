"""Which variants exist. The folder is the registry: a file `objectives/hinge.py` is the objective "hinge".

Names, options and help are read from the source text (`ast`), so that a listing imports nothing, torch
least of all. Code is imported only when a variant is used (`load_class`).
"""

from __future__ import annotations

import ast
import importlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from duel.errors import RecipeError, one_of

PACKAGE = Path(__file__).parent
FAMILIES = (
    "datasets",
    "networks",
    "games",
    "objectives",
    "penalties",
    "constraints",
    "augmentations",
    "optimizers",
    "features",
    "metrics",
    "diagnoses",
)


@dataclass(frozen=True)
class Option:
    """One option of a variant: its name, type and default as the source writes them.

    `default` is None for an option that must be given. `common` marks options that every variant of
    its kind shares (they come from the family's base).
    """

    name: str
    type: str
    default: str | None
    common: bool = False


@dataclass(frozen=True)
class Entry:
    """A variant as its file describes it."""

    family: str
    name: str
    class_name: str
    help: str
    options: tuple[Option, ...]

    @property
    def summary(self) -> str:
        """The first line of the help."""
        return self.help.partition("\n")[0]


def public_name(file: Path) -> str:
    """`is_.py` → "is", `fashion_mnist.py` → "fashion-mnist"."""
    return file.stem.rstrip("_").replace("_", "-")


def names(family: str) -> list[str]:
    """The public names of a family, sorted."""
    return sorted(_files(family))


def entry(family: str, name: str) -> Entry:
    """The variant's description, without importing it. RecipeError for a name that is not there."""
    files = _files(family)
    if name not in files:
        raise RecipeError(f"there is no {name!r} among the {family}: {one_of(sorted(files), name)}")
    return _parse(family, files[name])


def entries(family: str) -> list[Entry]:
    """All variants of a family, by name."""
    return [entry(family, name) for name in names(family)]


def load_class(family: str, name: str) -> type[Any]:
    """The options class of a variant: one of the catalog, or "module:Class" from outside.

    Importing "module:Class" runs that module's code; whether that is allowed is for the caller to
    decide (`duel.recipe`).
    """
    module_name, colon, class_name = name.partition(":")
    if not colon:
        found = entry(family, name)
        module_name = f"duel.{family}.{_files(family)[name].stem}"
        class_name = found.class_name
    try:
        return getattr(importlib.import_module(module_name), class_name)  # type: ignore[no-any-return]
    except Exception as error:  # code from outside may raise anything when it is imported
        raise RecipeError(f"{name!r} cannot be loaded for the {family}: {error}") from error


def name_of(family: str, instance: object) -> str:
    """The name under which `load_class` finds the instance's class."""
    cls = type(instance)
    package, _, stem = cls.__module__.rpartition(".")
    if package == f"duel.{family}":
        return public_name(Path(stem))
    return f"{cls.__module__}:{cls.__qualname__}"


def recipes() -> dict[str, Path]:
    """The named recipes that travel with the package."""
    return {file.stem: file for file in sorted((PACKAGE / "recipes").glob("*.toml"))}


@cache
def _files(family: str) -> dict[str, Path]:
    if family not in FAMILIES:
        raise RecipeError(f"there is no family {family!r}: {one_of(FAMILIES, family)}")
    files = sorted((PACKAGE / family).glob("[!_]*.py"))
    return {public_name(file): file for file in files}


@cache
def _parse(family: str, file: Path) -> Entry:
    node = _options_class(_classes(file), file)
    return Entry(family, public_name(file), node.name, _help(node), _options(node, file))


@cache
def _classes(file: Path) -> list[ast.ClassDef]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return [node for node in tree.body if isinstance(node, ast.ClassDef)]


def _options_class(classes: list[ast.ClassDef], file: Path) -> ast.ClassDef:
    """The one class of a file that is decorated with `@options`."""
    found = [node for node in classes if any(_last_name(mark) == "options" for mark in node.decorator_list)]
    if len(found) != 1:
        raise RecipeError(f"{file} must define exactly one @options class, it defines {len(found)}")
    return found[0]


def _last_name(node: ast.expr) -> str:
    return ast.unparse(node).rpartition(".")[2]


def _help(node: ast.ClassDef) -> str:
    return (ast.get_docstring(node) or "").strip()


def _options(node: ast.ClassDef, file: Path) -> tuple[Option, ...]:
    """Own and inherited options; an own field replaces the inherited one of that name."""
    found: dict[str, Option] = {}
    for base in _ancestors(node, file):
        found |= {option.name: option for option in _fields(base, common=True)}
    found |= {
        option.name: Option(option.name, option.type, option.default, common=option.name in found)
        for option in _fields(node, common=False)
    }
    return tuple(found.values())


def _ancestors(node: ast.ClassDef, file: Path) -> list[ast.ClassDef]:
    """The classes of the same folder from which this one inherits, farthest first."""
    known = {cls.name: cls for helper in sorted(file.parent.glob("_[!_]*.py")) for cls in _classes(helper)}
    chain: list[ast.ClassDef] = []
    for base in node.bases:
        if cls := known.get(_last_name(base)):
            chain += [*_ancestors(cls, file), cls]
    return chain


def _fields(node: ast.ClassDef, *, common: bool) -> list[Option]:
    return [
        Option(
            line.target.id,
            ast.unparse(line.annotation),
            None if line.value is None else ast.unparse(line.value),
            common,
        )
        for line in node.body
        if isinstance(line, ast.AnnAssign)
        and isinstance(line.target, ast.Name)
        and not ast.unparse(line.annotation).startswith("ClassVar")
    ]
