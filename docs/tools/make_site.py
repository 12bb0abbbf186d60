"""Builds the documentation site and checks it: python docs/tools/make_site.py [SITE] (`make docs`).

Nothing is fetched. What is staged for the build lies in build/site/ and may be deleted.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import check
import reference
import stage
import tomli_w

CONFIGURATION = Path(__file__).with_name("site.toml")


def build(work: Path, site: Path) -> list[str]:
    """Build the site; what is wrong with it. `work` and `site` are made anew."""
    for folder in (work, site):
        shutil.rmtree(folder, ignore_errors=True)
    pages = work / "docs"
    stage.stage(pages)
    for name, text in reference.pages().items():
        (pages / "reference").mkdir(exist_ok=True)
        (pages / "reference" / name).write_text(text, encoding="utf-8")
    configuration = work / "zensical.toml"
    # the tool wants a path inside the folder of its configuration
    settings = configured(pages) | {"docs_dir": "docs", "site_dir": "site"}
    configuration.write_text(tomli_w.dumps({"project": settings}), encoding="utf-8")
    command = [sys.executable, "-m", "zensical", "build", "--clean", "--strict", "--config-file"]
    ran = subprocess.run([*command, configuration], capture_output=True, text=True)
    if ran.returncode:
        return [f"zensical build: {ran.stdout}{ran.stderr}"]
    shutil.move(work / "site", site)
    return check.problems(site)


def configured(pages: Path) -> dict[str, Any]:
    """The site's settings; in `nav` a folder ("concepts/") becomes the list of its pages by title."""
    settings: dict[str, Any] = tomllib.loads(CONFIGURATION.read_text(encoding="utf-8"))["project"]
    return settings | {"nav": [_expanded(entry, pages) for entry in settings["nav"]]}


def _expanded(entry: dict[str, Any], pages: Path) -> dict[str, Any]:
    ((title, what),) = entry.items()
    if isinstance(what, list):
        return {title: [each for one in what for each in _listed(one, pages)]}
    return entry


def _listed(entry: dict[str, Any] | str, pages: Path) -> list[dict[str, Any]]:
    if isinstance(entry, dict):
        return [_expanded(entry, pages)]
    found = sorted((pages / entry).glob("*.md"))
    return [{title_of(page): str(page.relative_to(pages))} for page in found]


def title_of(page: Path) -> str:
    """A page's first heading."""
    first = page.read_text(encoding="utf-8").lstrip().partition("\n")[0]
    if not first.startswith("# "):
        raise SystemExit(f"{page}: a page begins with its title, such as '# Export'")
    return first.removeprefix("# ").strip()


def main() -> None:
    site = Path(sys.argv[1]) if len(sys.argv) > 1 else stage.ROOT / "site"
    found = build(stage.ROOT / "build" / "site", site)
    for problem in found:
        print(problem, file=sys.stderr)
    if found:
        sys.exit(1)
    print(f"{site / 'index.html'}: {len(list(site.rglob('*.html')))} pages, every link leads somewhere")


if __name__ == "__main__":
    main()
