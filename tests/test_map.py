"""The README's map is true, and its examples run."""

import re
import runpy
import sys
import tomllib
from pathlib import Path

import pytest

import duel
from duel import catalog

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
MAPPED = re.findall(r"^\| `([^`]+)` \|", README.partition("## Map")[2], re.MULTILINE)


def test_every_file_on_the_map_exists():
    assert MAPPED
    for name in MAPPED:
        assert (ROOT / name).exists(), name
        assert (ROOT / name).is_dir() == name.endswith("/"), name


def test_every_module_and_family_is_on_the_map():
    modules = {f"duel/{file.name}" for file in catalog.PACKAGE.glob("[!_]*.py")}
    folders = {
        f"duel/{entry.name}/" for entry in catalog.PACKAGE.iterdir() if (entry / "__init__.py").exists()
    }
    assert modules | folders == {name for name in MAPPED if name.startswith("duel/")}


def test_every_picture_and_link_of_the_documents_exists():
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_usage_lists_the_options_that_there_are(capsys, monkeypatch):
    from duel import cli

    usage = README.partition("## Use")[2].partition("```\n")[2].partition("```")[0]
    for command in ("train", "sample"):
        monkeypatch.setattr(sys, "argv", ["duel", command, "--help"])
        with pytest.raises(SystemExit):
            cli.main()
        shown = capsys.readouterr().out
        line = usage.partition(f"duel {command}")[2].partition("duel ")[0]
        for option in re.findall(r"--[a-z-]+", line):
            assert option in shown, option


def test_the_readmes_python_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code = README.partition("```python\n")[2].partition("```")[0].replace("steps=200", "steps=2")
    (tmp_path / "snippet.py").write_text(code)
    scope = runpy.run_path(str(tmp_path / "snippet.py"))
    assert scope["images"].shape == (64, 1, 8, 8)


# tests/test_exported.py runs those that take a model
@pytest.mark.parametrize("script", sorted((ROOT / "examples").glob("train*.py")), ids=lambda path: path.stem)
def test_examples_run(script, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [str(script), str(tmp_path / "run"), "3"])
    runpy.run_path(str(script), run_name="__main__")
    assert "(16, 1, 8, 8)" in capsys.readouterr().out


def test_one_version_everywhere():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["project"]["dynamic"] == ["version"]
    assert re.fullmatch(r"\d+\.\d+\.\d+(\.dev\d+)?", duel.__version__)


def test_every_python_file_has_a_docstring():
    import ast

    for file in catalog.PACKAGE.rglob("*.py"):
        tree = ast.parse(file.read_text())
        classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
        assert ast.get_docstring(tree) or any(ast.get_docstring(node) for node in classes), file


def test_public_functions_and_classes_are_documented():
    import ast

    for file in catalog.PACKAGE.rglob("*.py"):
        for node in ast.parse(file.read_text()).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
                assert ast.get_docstring(node), f"{file.name}: {node.name}"
