"""The form of a new run: a recipe's own fields, with types, choices, defaults and help. Nothing is run here.

Changes come as text, KEY=VALUE, and mean what `duel train --set` makes of them. What would run code from
outside the package, or read a folder elsewhere, is refused: a form is not a command line.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

from duel import catalog, recipe
from duel.errors import InputError, one_of
from duel.recipe import Recipe, Tree
from duel.studio import paths

_VARIANTS = {
    "data": "datasets", "network": "networks", "game": "games", "objective": "objectives",
    "optimizer.generator": "optimizers", "optimizer.discriminator": "optimizers",
}  # fmt: skip
_LISTS = {"penalties": "penalties", "constraints": "constraints", "augmentations": "augmentations"}
_LONGEST = 2000
_ALWAYS = ("digits", "ring", "grid")  # data sets that travel with the package, or are drawn


def recipes() -> list[dict[str, str]]:
    """The named recipes, each with its first line."""
    found = []
    for name, file in catalog.recipes().items():
        first = file.read_text(encoding="utf-8").partition("\n")[0]
        found.append({"name": name, "summary": first.removeprefix("#").strip()})
    return found


def placeless() -> list[str]:
    """The data sets that need not be told where they are: nobody can point them at another folder."""
    return [
        each.name
        for each in catalog.entries("datasets")
        if all(option.default is not None for option in each.options)
    ]


def data_choices(root: Path) -> list[dict[str, Any]]:
    """The listed data sets, and the folders beneath root that hold neither a run nor a study."""
    from duel import io, table
    from duel.run import is_run

    listed = [
        {"name": each.name, "summary": each.summary, "folder": False,
         "here": each.name in _ALWAYS or any(p.is_dir() for p in io.data_folders(each.name))}
        for each in (catalog.entry("datasets", name) for name in placeless())
    ]  # fmt: skip
    own = [
        {"name": path.name, "summary": "a folder of images", "folder": True, "here": True}
        for path in sorted(root.iterdir() if root.is_dir() else [])
        if path.is_dir() and not path.is_symlink() and not path.name.startswith(".")
        and not is_run(path) and not table.is_study(path)
    ]  # fmt: skip
    return [*own, *listed]


def recommended() -> dict[str, Any]:
    """The recipe that the form begins with: the small one for the digits that travel with the package."""
    return {
        "recommended": {"recipe": "demo", "data": "digits", "why": "two minutes on two cores, no download"}
    }


def tree_of(root: Path, source: str, changes: Sequence[str]) -> Tree:
    """The tree of a named recipe, or of a run ("run:NAME"), changed. InputError for what is refused."""
    if source.startswith("run:"):
        tree = recipe.read(paths.run_at(root, source.removeprefix("run:")).path / "recipe.toml")
    elif source in catalog.recipes():
        tree = recipe.read(source)
    else:
        known = one_of(sorted(catalog.recipes()), source)
        raise InputError(f"there is no recipe {source[:100]!r}: {known}")
    parsed: dict[str, Any] = {}
    for text in changes:
        if len(text) > _LONGEST:
            raise InputError(f"a change of {len(text):,} characters was given, allowed are {_LONGEST:,}")
        key, value = recipe.parse_change(text)
        parsed |= _data(root, str(value)) if key in ("data", "data.path") else {key: _whole(text, value)}
    changed = recipe.change(tree, parsed)
    _refuse_outside(root, changed)
    return changed


def _whole(text: str, value: Any) -> Any:
    """A whole number that was written with an exponent, 1e3, as the integer that it is: TOML reads 1000.0."""
    if isinstance(value, float) and "e" in text.partition("=")[2].lower() and value.is_integer():
        return int(value)
    return value


def _data(root: Path, name: str) -> Tree:
    if name in placeless():
        return {"data.name": name}
    return {"data.name": "folder", "data.path": str(_images(root, name))}


def _images(root: Path, name: str) -> Path:
    """A folder of images beneath root, without links in it."""
    path = Path(name)
    inside = str(path.relative_to(root)) if path.is_absolute() and path.is_relative_to(root) else name
    return paths.images_at(root, inside)


def _refuse_outside(root: Path, tree: Tree) -> None:
    data = tree.get("data", {})
    named = data.get("name", "digits") if isinstance(data, dict) else data
    if named not in (*placeless(), "folder"):
        raise InputError(f"data.name is {str(named)[:100]!r}: data from elsewhere are for the command line")
    for key, value in recipe.flatten(tree).items():
        if key == "data.path":
            _images(root, str(value))
        elif isinstance(value, str | list | tuple) and any(
            ":" in each for each in ([value] if isinstance(value, str) else value) if isinstance(each, str)
        ):
            raise InputError(
                f"{key} is {str(value)[:100]!r}: code from outside the package is for the command line"
            )


def resolved(root: Path, source: str, changes: Sequence[str]) -> Recipe:
    """The recipe with the changes. RecipeError with every mistake."""
    return recipe.resolve(tree_of(root, source, changes))


def carried(root: Path, source: str, changes: Sequence[str]) -> dict[str, list[str]]:
    """Which changes a recipe takes ("kept"), and which it does not ("dropped"); names before options."""
    kept: list[str] = []
    dropped: list[str] = []
    for text in sorted(changes, key=lambda text: not text.partition("=")[0].endswith((".name", "data"))):
        try:
            resolved(root, source, [*kept, text])
        except InputError:
            dropped.append(text)
        else:
            kept.append(text)
    return {"kept": kept, "dropped": dropped}


def described(root: Path, source: str, changes: Sequence[str]) -> dict[str, Any]:
    """The fields of the resolved recipe, in order, and its TOML."""
    found = resolved(root, source, changes)
    return {"name": found.name, "fields": _fields(found, ""), "toml": recipe.to_toml(found)}


def _fields(value: Any, prefix: str) -> list[dict[str, Any]]:
    """A dataclass's fields as rows of the form; those of variants and tables one level deeper."""
    rows: list[dict[str, Any]] = []
    help_of = _help_of(type(value))
    types = _types(type(value))
    for field in fields(value):
        key, found = f"{prefix}{field.name}", getattr(value, field.name)
        if key in _LISTS:
            rows.append(_list_row(key, found))
            for each in found:
                name = catalog.name_of(_LISTS[key], each)
                rows += _fields(each, f"{key}.{name}.")
        elif key in _VARIANTS:
            rows.append(_variant_row(key, found))
            rows += _fields(found, f"{key}.")
        elif is_dataclass(found) and type(found).__name__ != "Schedule":
            rows += _fields(found, f"{key}.")
        elif key != "name":
            kind = types.get(field.name, str(field.type))
            rows.append(_row(key, found, field, kind, help_of.get(field.name, "")))
    return rows


def _types(cls: type[Any]) -> dict[str, str]:
    """The types of a class's fields as text, names for them resolved; those as written where that fails."""
    try:
        return {name: str(kind) for name, kind in get_type_hints(cls).items()}
    except NameError:
        return {}


def _help_of(cls: type[Any]) -> dict[str, str]:
    """What the docstrings of a class and its bases say of the options."""
    found: dict[str, str] = {}
    for each in reversed(cls.__mro__):
        found |= option_help(each.__doc__ or "")
    return found


def _variant_row(key: str, found: Any) -> dict[str, Any]:
    family = _VARIANTS[key]
    entry = catalog.entry(family, name := catalog.name_of(family, found))
    known = placeless() if family == "datasets" else catalog.names(family)
    names = known if name in known else [*known, name]
    return {"key": f"{key}.name", "value": name, "type": "choice", "choices": names, "help": entry.summary,
            "group": key.partition(".")[0]}  # fmt: skip


def _list_row(key: str, found: Sequence[Any]) -> dict[str, Any]:
    family = _LISTS[key]
    names = [catalog.name_of(family, each) for each in found]
    return {"key": key, "value": ",".join(names), "type": "names", "choices": catalog.names(family),
            "help": "none, or several names with commas", "group": key}  # fmt: skip


def _row(key: str, value: Any, field: Any, said_type: str, said: str) -> dict[str, Any]:
    kind, choices = type_of(said_type)
    default = None if field.default is MISSING else field.default
    return {"key": key, "value": shown(value), "default": shown(default), "type": kind, "choices": choices,
            "help": said, "group": key.rpartition(".")[0] or "training"}  # fmt: skip


def shown(value: Any) -> str:
    """A value as text that `parse_change` reads back; nothing for None."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return "[" + ", ".join(f'"{each}"' if isinstance(each, str) else shown(each) for each in value) + "]"
    return str(value)


def type_of(annotation: str) -> tuple[str, list[str]]:
    """What kind of input a field wants, from its type as the source writes it; its choices."""
    if found := re.search(r"Literal\[(.*?)\]", annotation):
        return "choice", [str(each) for each in ast.literal_eval(f"({found[1]},)")]
    if annotation == "bool" or annotation == "<class 'bool'>":
        return "bool", ["true", "false"]
    if "Schedule" in annotation:
        return "schedule", []
    if "int" in annotation and "tuple" not in annotation:
        return "int", []
    return ("float" if "float" in annotation and "tuple" not in annotation else "text"), []


def option_help(doc: str) -> dict[str, str]:
    """What a docstring says of each option: lines that begin with its name and two spaces, or "name: ".

    Lines that are indented further go on with the sentence.
    """
    found: dict[str, str] = {}
    name = ""
    for line in doc.splitlines():
        text = line.strip()
        if begun := re.match(r"^\s{0,4}([a-z][a-z0-9_]*)(?:  +|: )(\S.*)$", line):
            name = begun[1]
            found[name] = begun[2]
        elif name and text and line.startswith("        "):
            found[name] += f" {text}"
        else:
            name = ""
    return found
