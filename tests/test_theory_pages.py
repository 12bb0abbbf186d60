"""The theory and concept pages: their code gives what they print, their lists are those of the catalog."""

import ast
import re
from pathlib import Path

import pytest
import torch

from duel import catalog

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted([*(DOCS / "theory").glob("*.md"), *(DOCS / "concepts").glob("*.md")])
PICTURE = re.compile(r"!\[([^]]*)\]\(([^)]+)\)")


def name(page):
    return f"{page.parent.name}/{page.stem}"


def code_of(page):
    """The page's Python, each block at its own lines, so that errors name the line of the page."""
    lines, inside = [], False
    for line in page.read_text(encoding="utf-8").split("\n"):
        if line.startswith("```"):
            inside = line == "```python"
            line = ""
        lines.append(line if inside else "")
    return "\n".join(lines)


def run(code, where):
    """Play all statements in one namespace; an expression with `# → text` at its end must give that text.

    Without it stand only calls for their effect: they give None or torch's generator.
    """
    lines, scope, checked = code.split("\n"), {}, 0
    for node in ast.parse(code).body:
        module = ast.Module([node], [])
        if not isinstance(node, ast.Expr):
            exec(compile(module, where, "exec"), scope)
            continue
        value = eval(compile(ast.Expression(node.value), where, "eval"), scope)
        _, arrow, expected = lines[node.end_lineno - 1].partition("  # → ")
        if not arrow:
            assert isinstance(value, type(None) | torch.Generator), (
                f"{where}:{node.end_lineno}: shows no result"
            )
            continue
        assert str(value) == expected, f"{where}:{node.end_lineno}: gives {value}"
        checked += 1
    return checked


def test_the_checker_sees_a_wrong_result():
    assert run("x = 2\nx + 1  # → 3", "made") == 1
    with pytest.raises(AssertionError, match="made:1: gives 3"):
        run("1 + 2  # → 4", "made")
    with pytest.raises(AssertionError, match="made:1: shows no result"):
        run("1 + 2", "made")


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_the_code_of_a_page_gives_what_it_prints(page):
    code = code_of(page)
    assert run(code, str(page.relative_to(ROOT))) == code.count("# →"), "results inside of other statements"


def test_there_is_code_on_every_page():
    assert len(PAGES) >= 14
    assert [name(page) for page in PAGES if "# → " not in code_of(page)] == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_picture_says_in_words_what_it_shows(page):
    found = PICTURE.findall(page.read_text(encoding="utf-8"))
    assert found or page.parent.name == "concepts"
    assert all(len(words) > 20 for words, _ in found)


LISTS = {
    "objectives": "objectives",
    "penalties": "penalties",
    "constraints": "penalties",
    "games": "games",
    "metrics": "metrics",
    "diagnoses": "diagnosis",
}


@pytest.mark.parametrize("family", LISTS)
def test_a_page_lists_all_variants_of_its_family_and_no_other(family):
    tables = re.findall(
        r"^\|.*", (DOCS / "concepts" / f"{LISTS[family]}.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    there, cell = set(catalog.names(family)), 1 if family == "diagnoses" else 0
    cells = [line.strip("| ").split(" | ") for line in tables]
    listed = [word for row in cells if len(row) > cell for word in re.findall(r"`([a-z0-9-]+)`", row[cell])]
    others = {other for each in catalog.FAMILIES if each != family for other in catalog.names(each)}
    assert set(listed) - others - {"severe", "warning", "info"} <= there
    assert there <= set(listed)
    if family == "diagnoses":
        assert len(listed) == len(there), "each once"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_pages_need_no_formula_renderer(page):
    text = page.read_text(encoding="utf-8")
    assert "$" not in re.sub(r"\$DUEL_DATA", "", text)
    assert "\\frac" not in text


def anchors(page):
    """What the repository's web view and Markdown programs make of a page's titles."""
    titles = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_into_a_page_find_their_title(page):
    for target in re.findall(r"\]\(([^)]+)\)", page.read_text(encoding="utf-8")):
        file, _, anchor = target.partition("#")
        if anchor and "://" not in target:
            assert anchor in anchors((page.parent / file).resolve()), target
