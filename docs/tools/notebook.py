"""docs/first-hour.md as a notebook: python docs/tools/notebook.py writes docs/first-hour.ipynb.

Text becomes Markdown cells; commands become cells that bash runs, Python cells that the notebook runs. What
the page marks as not run, and what it shows of outputs, stays text.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import commands

PAGE = Path(__file__).parents[1] / "first-hour.md"
BASH = "%%bash\nset -e\n"


def notebook(page: str) -> dict[str, Any]:
    """The notebook (nbformat 4.5) of a page."""
    cells, start = [], 0
    for found in commands.BLOCK.finditer(page):
        if found["reason"] or found["language"] not in ("sh", "python"):
            continue
        cells += [_text(page[start : found.start()]), _code(found["language"], found["text"])]
        start = found.end()
    cells.append(_text(page[start:]))
    numbered = [{"id": f"cell-{number}", **cell} for number, cell in enumerate(cells)]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    return {"cells": numbered, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}


def to_json(page: str) -> str:
    """The notebook's file."""
    return json.dumps(notebook(page), indent=1, ensure_ascii=False) + "\n"


def _text(text: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "metadata": {}, "source": _lines(text.strip())}


def _code(language: str, text: str) -> dict[str, Any]:
    source = _lines((BASH if language == "sh" else "") + text.rstrip())
    return {"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": [], "source": source}


def _lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)


if __name__ == "__main__":
    PAGE.with_suffix(".ipynb").write_text(to_json(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
