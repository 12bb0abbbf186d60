"""The documentation site: built without a network, every link followed, nothing loaded from elsewhere."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer

import duel
from duel import catalog
from duel.cli.app import app

sys.path.insert(0, str(Path(__file__).parents[1] / "docs" / "tools"))

import check
import docstrings
import make_site
import reference
import stage

ROOT = Path(__file__).parents[1]

# ---------------------------------------------------------------- the whole site


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site as `make docs` builds it: (its folder, what is wrong with it)."""
    folder = tmp_path_factory.mktemp("site")
    return folder / "site", make_site.build(folder / "work", folder / "site")


def test_the_site_builds_strictly_and_every_link_of_it_leads_somewhere(site):
    folder, problems = site
    assert problems == []
    assert len(list(folder.rglob("*.html"))) > 50


def test_every_document_is_a_page_and_in_the_navigation(site):
    folder, _ = site
    named = set(_named(make_site.configured(folder.parent / "work" / "docs")["nav"]))
    pages = {str(stage.place_of(file)) for file in stage.files(ROOT) if file.suffix == ".md"}
    pages |= {f"reference/{name}" for name in reference.pages()}
    assert pages - named == set()
    for page in named:
        where = page.removesuffix("index.md").removesuffix(".md")
        assert (folder / where / "index.html").is_file(), page


def _named(nav):
    for entry in nav:
        for what in entry.values():
            if isinstance(what, list):
                yield from _named(what)
            else:
                yield what


def test_no_script_asks_another_host_for_what_these_pages_have(site):
    """The theme's program knows one host, for diagrams, which `check` forbids; its icons are its own."""
    folder, _ = site
    text = (folder / "index.html").read_text()
    assert "fonts.googleapis.com" not in text
    assert "preconnect" not in text
    assert "dns-prefetch" not in text
    assert 'data-md-component="source"' not in text, "a repository's stars would be fetched"


# ---------------------------------------------------------------- the check

GOOD = (
    '<html><body><h2 id="here">x</h2><a href="#here">x</a><a href="b/">b</a><img src="x.png"></body></html>'
)


@pytest.fixture
def small_site(tmp_path):
    """A site of two pages and a picture, with which all is well."""
    (tmp_path / "b").mkdir()
    (tmp_path / "index.html").write_text(GOOD)
    (tmp_path / "b" / "index.html").write_text('<a href="../#here">x</a>')
    (tmp_path / "x.png").write_bytes(b"x")
    (tmp_path / "style.css").write_text("a { background: url(x.png) }")
    return tmp_path


def test_a_good_site_has_no_problems(small_site):
    assert check.problems(small_site) == []


def test_a_folder_without_pages_is_a_problem(tmp_path):
    assert check.problems(tmp_path) == [f"{tmp_path} has no pages"]


@pytest.mark.parametrize(
    ("html", "said"),
    [
        ('<a href="gone/">x</a>', "index.html: 'gone/' leads nowhere"),
        ('<a href="b/#gone">x</a>', "index.html: 'b/#gone': the page has no #gone"),
        ('<a href="#gone">x</a>', "index.html: '#gone': the page has no #gone"),
        ('<a href="../../etc">x</a>', "index.html: '../../etc' leads out of the site"),
        (
            '<a href="https://exa mple.org">x</a>',
            "index.html: 'https://exa mple.org' is no address of another site",
        ),
        ('<a href="https:///path">x</a>', "index.html: 'https:///path' is no address of another site"),
        ('<a href="http://[x">x</a>', "index.html: 'http://[x' is no address"),
        (
            '<a href="javascript:x">x</a>',
            "index.html: 'javascript:x' has a scheme that is none of http, https and mailto",
        ),
        ('<img src="gone.png">', "index.html: 'gone.png' leads nowhere"),
        ('<img srcset="x.png 1x, https://e.org/y.png 2x">', "index.html loads https://e.org/y.png"),
        ('<script src="https://e.org/x.js"></script>', "index.html loads https://e.org/x.js"),
        ('<script src="//e.org/x.js"></script>', "index.html loads //e.org/x.js"),
        ('<link rel="stylesheet" href="https://e.org/x.css">', "index.html loads https://e.org/x.css"),
        ('<link rel="preconnect" href="https://e.org">', "index.html loads https://e.org"),
        ('<iframe src="https://e.org/x"></iframe>', "index.html loads https://e.org/x"),
        ("<style>@import 'https://e.org/x.css';</style>", "index.html loads https://e.org/x.css"),
        ('<p style="background: url(https://e.org/x.png)">', "index.html loads https://e.org/x.png"),
        (
            '<pre class="mermaid">x</pre>',
            "index.html has a mermaid diagram, whose program would be loaded from elsewhere: use SVG",
        ),
    ],
)
def test_what_is_wrong_with_a_page_is_told(small_site, html, said):
    (small_site / "index.html").write_text(GOOD + html)
    assert check.problems(small_site) == [said]


def test_a_style_sheet_that_loads_from_elsewhere_is_told(small_site):
    (small_site / "style.css").write_text("a { background: url('https://e.org/x.woff') }")
    assert check.problems(small_site) == ["style.css loads https://e.org/x.woff"]


def test_links_to_other_sites_and_what_is_only_named_are_fine(small_site):
    named = '<link rel="canonical" href="https://e.org/"><a href="https://e.org/x">x</a>'
    own = '<a href="mailto:a@b.org">x</a><img src="data:image/png;base64,AA==">'
    (small_site / "index.html").write_text(GOOD + named + own)
    assert check.problems(small_site) == []


# ---------------------------------------------------------------- staging


@pytest.fixture
def repository(tmp_path):
    """A repository with documents that link to each other, to a file and to a folder outside docs/."""
    for name, text in {
        "README.md": "[data](docs/data.md#own) ![p](docs/pictures/p.png) [self](#start)",
        "docs/data.md": "[home](../README.md) [study](../studies/a.toml) [all](../studies) [web](https://e.org/a)\n"
        "```\n[code](../studies/b.toml)\n```",
        "docs/deep/page.md": "[data](../data.md) [readme](../../README.md#use)",
        "docs/pictures/p.png": "",
        "docs/tools/build.py": "",
        "studies/a.toml": "",
        "studies/b.toml": "",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_links_hold_where_the_pages_lie_in_the_site(repository, tmp_path):
    target = tmp_path / "staged"
    stage.stage(target, repository)
    assert (target / "readme.md").read_text() == "[data](data.md#own) ![p](pictures/p.png) [self](#start)"
    first, *code = (target / "data.md").read_text().split("\n")
    assert first == (
        "[home](readme.md) [study](files/studies/a.toml) [all](files/studies/index.md) [web](https://e.org/a)"
    )
    assert code == ["```", "[code](../studies/b.toml)", "```"]
    assert (target / "deep" / "page.md").read_text() == "[data](../data.md) [readme](../readme.md#use)"
    assert (
        target / "files" / "studies" / "index.md"
    ).read_text() == "# studies\n\n- [a.toml](a.toml)\n- [b.toml](b.toml)\n"
    assert (target / "files" / "studies" / "b.toml").is_file()
    assert not (target / "tools").exists()


# ---------------------------------------------------------------- the reference


def test_the_reference_names_everything_public():
    pages = reference.pages()
    for name in duel.__all__:
        assert f"## duel.{name}\n" in pages["python.md"], name
    for family in catalog.FAMILIES:
        for entry in catalog.entries(family):
            assert f"## {entry.name}\n" in pages[f"{family}.md"], entry.name
            for option in entry.options:
                assert f"| `{option.name}` |" in pages[f"{family}.md"], (entry.name, option.name)
    for name in catalog.recipes():
        assert f"## {name}\n" in pages["recipes.md"], name
    group = typer.main.get_command(app)
    for name, command in group.commands.items():
        below = getattr(command, "commands", None)
        for each in [f"{name} {inner}" for inner in below] if below else [name]:
            assert f"## duel {each}\n" in pages["command-line.md"], each
        for parameter in command.params:
            if parameter.param_type_name == "option":
                assert parameter.opts[0] in pages["command-line.md"], (name, parameter.opts)


def test_every_option_of_every_variant_is_explained():
    for family in catalog.FAMILIES:
        for entry in catalog.entries(family):
            page = reference.variants(family).partition(f"\n## {entry.name}\n")[2].partition("\n## ")[0]
            for option in entry.options:
                in_table = f"| `{option.name}` |" in page and not re.search(
                    rf"`{option.name}` .*\|  \|\n", page
                )
                assert in_table or f"`{option.name}`" in entry.help, f"{family}, {entry.name}: {option.name}"


def test_a_variants_papers_are_links():
    assert "[arXiv:1801.04406](https://arxiv.org/abs/1801.04406)" in reference.variants("penalties")
    assert "[doi 10.24432/C50P49](https://doi.org/10.24432/C50P49)" in reference.variants("datasets")


def test_what_the_documents_import_is_in_the_reference():
    listed = reference.python()
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for module, names in re.findall(r"^from duel\.(\w+) import (.+)$", page.read_text(), re.MULTILINE):
            for name in names.split(", "):
                if name == "_init":
                    continue  # how networks of the package draw their weights
                assert f"duel.{module}.{name}\n" in listed, f"{page.name}: duel.{module}.{name}"


def test_the_reference_is_made_without_torch():
    code = "import sys; sys.path.insert(0, sys.argv[1]); import reference; reference.pages()"
    code += "; sys.exit(bool({'torch', 'numpy'} & set(sys.modules)))"
    ran = subprocess.run(
        [sys.executable, "-c", code, str(Path(reference.__file__).parent)], capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr


def test_docstrings_become_prose_and_lists():
    doc = "One *line*.\n\nMore `a*b` of_it.\n\nname   what it\n       is (arXiv:1406.2661)\na, b   both"
    assert docstrings.markdown(doc) == (
        "One \\*line\\*.\n\nMore `a*b` of\\_it.\n\n"
        "- `name`: what it is ([arXiv:1406.2661](https://arxiv.org/abs/1406.2661))\n- `a`: both\n- `b`: both"
    )
    assert docstrings.split(doc)[1]["a"] == "both"
