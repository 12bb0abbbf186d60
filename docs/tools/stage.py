"""Gathers the site's pages: the repository's documents, with links that hold in the site, too.

The documents are written to be read where they lie, so they link to each other and to files outside `docs/`
by relative paths. In the site `docs/` is the root, some documents of the repository's root lie beside its
pages, and other files that are linked are copied to `files/`.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).parents[2]
AT_THE_ROOT = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "LICENSE")
CODE = ("tools", "figures")  # folders of docs/ that hold programs, no pages
LINK = re.compile(r"(\]\()([^)\s]+)(\))")


def stage(target: Path, root: Path = ROOT) -> None:
    """Write every page, picture and linked file into the empty or missing folder `target`."""
    for file in files(root):
        place = target / place_of(file)
        place.parent.mkdir(parents=True, exist_ok=True)
        if file.suffix == ".md":
            place.write_text(moved((root / file).read_text(encoding="utf-8"), file, root), encoding="utf-8")
        else:
            shutil.copyfile(root / file, place)
    for folder in linked_folders(root):
        place = target / place_of(folder) / "index.md"
        if not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(listing(root / folder), encoding="utf-8")


def files(root: Path) -> list[Path]:
    """What becomes part of the site, as paths below the repository's root."""
    own = [Path(name) for name in AT_THE_ROOT if (root / name).is_file()]
    own += [path.relative_to(root) for path in sorted((root / "docs").rglob("*")) if belongs(path, root)]
    pages = [file for file in own if file.suffix == ".md"]
    goals = {goal for page in pages for goal in targets(page, root)}
    linked = {goal for goal in goals if (root / goal).is_file()}
    for folder in goals:
        if (root / folder).is_dir():
            linked |= {path.relative_to(root) for path in (root / folder).iterdir() if path.is_file()}
    return own + sorted(linked - set(own))


def belongs(path: Path, root: Path) -> bool:
    """Whether a path below docs/ is one of the site's files."""
    parts = path.relative_to(root / "docs").parts
    return path.is_file() and parts[0] not in CODE and not any(part.startswith(".") for part in parts)


def linked_folders(root: Path) -> set[Path]:
    """Folders that a page links to."""
    pages = [file for file in files(root) if file.suffix == ".md"]
    return {folder for page in pages for folder in targets(page, root) if (root / folder).is_dir()}


def targets(page: Path, root: Path) -> Iterator[Path]:
    """What a page links to inside the repository, as paths below its root."""
    for line in prose((root / page).read_text(encoding="utf-8")):
        for _, link, _ in LINK.findall(line):
            if is_internal(link):
                yield resolved(page, link)


def is_internal(link: str) -> bool:
    """Whether a link leads to another file of the repository."""
    return "://" not in link and not link.startswith(("#", "mailto:"))


def resolved(page: Path, link: str) -> Path:
    """The path below the repository's root that a page's link leads to."""
    return Path(os.path.normpath(page.parent / link.partition("#")[0]))


def place_of(path: Path) -> PurePosixPath:
    """Where a file of the repository lies in the site."""
    if path.parts[0] == "docs":
        return PurePosixPath(*path.parts[1:])
    if len(path.parts) == 1 and path.name in AT_THE_ROOT:
        return PurePosixPath(path.name.lower())
    return PurePosixPath("files", *path.parts)


def moved(text: str, page: Path, root: Path) -> str:
    """A page's text with links that hold at its place in the site; code is left alone."""

    def change(found: re.Match[str]) -> str:
        link = found[2]
        if not is_internal(link):
            return found[0]
        _, hash_sign, anchor = link.partition("#")
        goal = resolved(page, link)
        place = place_of(goal) / "index.md" if (root / goal).is_dir() else place_of(goal)
        there = os.path.relpath(place, place_of(page).parent)
        return f"{found[1]}{there}{hash_sign}{anchor}{found[3]}"

    in_prose = set(prose_lines(text))
    lines = text.split("\n")
    return "\n".join(LINK.sub(change, line) if i in in_prose else line for i, line in enumerate(lines))


def prose(text: str) -> list[str]:
    """The lines outside fenced code."""
    lines = text.split("\n")
    return [lines[number] for number in prose_lines(text)]


def prose_lines(text: str) -> Iterator[int]:
    """The numbers of the lines outside fenced code."""
    inside = False
    for number, line in enumerate(text.split("\n")):
        if line.lstrip().startswith("```"):
            inside = not inside
        elif not inside:
            yield number


def listing(folder: Path) -> str:
    """A page that lists a folder's files."""
    names = sorted(path.name for path in folder.iterdir() if path.is_file())
    return f"# {folder.name}\n\n" + "\n".join(f"- [{name}]({name})" for name in names) + "\n"
