"""Every command in the documents is one that there is; the first hour and adding.md are played.

`PLAYED` below says who plays the Python elsewhere; that of docs/concepts, docs/theory: test_theory_pages.py.
All other command lines are parsed by the real parser, and each training is resolved to a whole recipe.
"""

import ast
import json
import re
import runpy
import sys
from pathlib import Path

import made_study
import numpy as np
import pytest
import tiny
import typer

import duel
from duel import catalog, session
from duel import recipe as recipes
from duel.cli.app import app

sys.path.insert(0, str(Path(__file__).parents[1] / "docs" / "tools"))

import commands
import notebook

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
GROUP = typer.main.get_command(app)
FIRST_HOUR = (ROOT / "docs" / "first-hour.md").read_text(encoding="utf-8")
ADDING = (ROOT / "docs" / "adding.md").read_text(encoding="utf-8")


def name(page):
    return str(page.relative_to(ROOT))


def shown():
    """(page, command line) of everything that the documents show."""
    return [(name(page), line) for page in PAGES for line in commands.mentioned(page.read_text("utf-8"))]


SHOWN = shown()
WHOLE = sorted(
    {
        (name(page), said)
        for page in PAGES
        for block in commands.blocks(page.read_text("utf-8"))
        for line in block.text.splitlines()
        if commands.COMMAND.match(line) and (said := commands.concrete(line))
    }
)
TRAININGS = sorted(
    {
        words
        for _, line in SHOWN
        if (said := commands.concrete(line))
        and (words := commands.arguments(said))[:1] == ("train",)
        # a recipe by name; what takes up another run, or a recipe of the reader's own, has none
        and len(words) > 1
        and re.fullmatch(r"[a-z0-9-]+|RECIPE", words[1])
        and not words[1].startswith("-")
        and not set(words) & {"--init-from", "--profile"}
        and "my_" not in said
    }
)


def found(words):
    """The command that the first words name, and the words after them."""
    command, rest = GROUP, list(words)
    while hasattr(command, "commands") and rest and rest[0] in command.commands:
        command = command.commands[rest.pop(0)]
    return command, rest


def options_of(command):
    """What may stand behind a command; behind `duel` alone also what it says of itself."""
    known = {option for parameter in command.params for option in parameter.opts} | {"--help"}
    return known | {"--version"} if command is GROUP else known


def test_there_are_commands_to_look_at():
    assert len(SHOWN) > 150
    assert len(WHOLE) > 100
    assert len(TRAININGS) > 30


@pytest.mark.parametrize("page", sorted({page for page, _ in SHOWN}))
def test_every_command_and_option_that_a_page_shows_is_there(page):
    for where, line in SHOWN:
        if where == page:
            said = re.split(r"\s{2,}|\s#", line.removeprefix("python -m "))[0]
            command, _ = found(said.split()[1:])
            assert command is not GROUP or said.strip() in ("duel", "duel --help"), line
            assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", said)) <= options_of(command), line


@pytest.mark.parametrize(("page", "line"), WHOLE)
def test_a_whole_command_line_is_one_that_the_parser_takes(page, line):
    command, rest = found([re.sub(r"^N$", "1", word) for word in commands.arguments(line)])
    command.make_context(line, rest)


@pytest.mark.parametrize("words", TRAININGS, ids=" ".join)
def test_a_training_that_is_written_down_is_a_whole_recipe(words):
    """Without its data, which are not everywhere: their options are looked up, digits take their place."""
    given = found(words)[0].make_context("train", list(words[1:])).params
    changes = dict(recipes.parse_change(text) for text in given["changes"] or [])
    data = given["data"] or "digits"
    kind = data if data in catalog.names("datasets") else data.partition(":")[0] if ":" in data else "folder"
    options = {f"data.{option.name}" for option in catalog.entry("datasets", kind).options}
    assert {key for key in changes if key.startswith("data.")} <= options
    common = ("data.resolution", "data.fit")
    kept = {key: value for key, value in changes.items() if not key.startswith("data.") or key in common}
    session.plan(
        "dcgan" if given["recipe"] == "RECIPE" else given["recipe"],
        data="ring" if data == "ring" else "digits",
        engine=given["engine"],
        steps=given["steps"],
        epochs=given["epochs"],
        changes=kept if data == "ring" else {"data.resolution": 32, **kept},
    )


# ---------------------------------------------------------------- pages that are played


@pytest.fixture
def play(capsys, monkeypatch, tmp_path):
    """Plays a page's shell blocks and Python in this process, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))

    def python(text):
        Path("played.py").write_text(text, encoding="utf-8")
        runpy.run_path("played.py", run_name="__main__")

    def shell(block, swap=lambda words: words):
        for step in commands.steps(block):
            if isinstance(step, commands.Write):
                Path(step.file).write_text(step.text, encoding="utf-8")
                continue
            words = swap(step.words)
            status, out, err = tiny.command(capsys, monkeypatch, *words)
            assert status == 0, f"duel {' '.join(words)}: {err}"
            said.append((step.words, out))

    said = []
    return python, shell, said


def smaller(words):
    """The budgets of the first hour made small.

    Trainings have 20 steps, the dense one 60, with a look at every tenth: there is something to diagnose.
    Evaluations compare in random features, since the classifier would have to be trained first.
    """
    if words[0] == "evaluate" and "--features" not in words:
        return (*words, "--features", "random")
    if words[0] != "train" or "--steps" not in words:
        return words
    place = words.index("--steps") + 1
    small = ("60" if words[1] == "gan" else "20", "--set", "signals.every=10", "--set", "threads=1")
    return (*words[:place], *small, *words[place + 1 :])


def smaller_study(text):
    """The study's budget made small: 6 steps, 60 samples, 2 looks."""
    for key, number in (("steps", 6), ("samples", 60), ("looks", 2)):
        text = re.sub(rf"^{key} = \d+$", f"{key} = {number}", text, flags=re.MULTILINE)
    return text


@pytest.mark.timeout(900)  # half a minute of computing, on a busy machine much longer
def test_the_first_hour_runs_from_start_to_end_in_an_empty_folder(play, tmp_path):
    python, shell, said = play
    for block in commands.blocks(FIRST_HOUR):
        if block.language == "python":
            python(block.text)
        elif block.language == "sh" and not block.reason:
            small = commands.Block("sh", smaller_study(block.text))
            shell(small, smaller)
    files = ("digits.png", "walk.png", "portrait.png", "photos.png", "photos.onnx", "from-onnx.png")
    assert [file for file in files if not (tmp_path / file).is_file()] == []
    assert (tmp_path / "runs" / "study-augment" / "report.html").is_file()
    assert len(list((tmp_path / "photos").rglob("*.png"))) == 1797
    outputs = {" ".join(words): out for words, out in said}
    assert "SEVERE" in outputs["diagnose runs/broken"]
    assert duel.load("runs/mended").recipe.to_tree()["optimizer"]["generator"]["name"] == "adam"
    assert "augmentations=diffaugment" in outputs["compare runs/study-augment"]


def test_every_block_of_the_first_hour_is_played_or_says_why_not():
    blocks = commands.blocks(FIRST_HOUR)
    assert {block.language for block in blocks} == {"sh", "python", "text"}
    assert [block.reason for block in blocks if block.reason] == [
        "it sets up what runs this page",
        "it copies the reader's own pictures",
    ]


def test_the_notebook_is_the_page():
    file = ROOT / "docs" / "first-hour.ipynb"
    assert file.read_text(encoding="utf-8") == notebook.to_json(FIRST_HOUR), "python docs/tools/notebook.py"


def test_the_notebooks_code_is_the_pages_code():
    cells = json.loads((ROOT / "docs" / "first-hour.ipynb").read_text(encoding="utf-8"))["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    played = [b for b in commands.blocks(FIRST_HOUR) if b.language in ("sh", "python") and not b.reason]
    assert [each.removeprefix(notebook.BASH) + "\n" for each in code] == [block.text for block in played]
    assert [each.startswith("%%bash") for each in code] == [block.language == "sh" for block in played]


# ---------------------------------------------------------------- adding.md

FILE = re.compile(r"# (\w+\.py)\n")


def sections():
    """(family, blocks) of each section of adding.md."""
    parts = re.split(r"^## (.+)$", ADDING, flags=re.MULTILINE)
    return dict(zip(parts[1::2], map(commands.blocks, parts[2::2]), strict=True))


def test_every_family_has_a_section_with_a_whole_file():
    titles = {
        "datasets": "Data set", "networks": "Network", "games": "Game", "objectives": "Objective",
        "penalties": "Penalty", "constraints": "Constraint", "augmentations": "Augmentation",
        "optimizers": "Optimizer", "features": "Feature space", "metrics": "Metric", "diagnoses": "Diagnosis",
    }  # fmt: skip
    assert set(titles) == set(catalog.FAMILIES)
    for title in titles.values():
        assert [block for block in sections()[title] if FILE.match(block.text)], title


def test_the_files_of_adding_run_as_they_are_written(play, monkeypatch):
    python, shell, said = play
    before = set(sys.modules)
    for blocks in sections().values():
        for block in blocks:
            if made := FILE.match(block.text):
                Path(made[1]).write_text(block.text, encoding="utf-8")
            elif block.language == "python":
                python(block.text)
            else:
                shell(block, lambda words: (*words, "--set", "threads=1") if words[0] == "train" else words)
    for module in set(sys.modules) - before:
        if module.startswith("my_"):
            monkeypatch.delitem(sys.modules, module)
    outputs = {" ".join(words): out for words, out in said}
    assert (
        "frechet-my_space:Rows"
        in outputs["evaluate runs/measured --features my_space:Rows --metrics frechet,coverage"]
    )
    assert "my_metric:Brightness" in outputs["evaluate runs/measured --metrics my_metric:Brightness"]
    tree = duel.load("runs/penalty", allow_code=True).recipe.to_tree()
    assert tree["penalties"][0]["name"] == "my_penalty:CappedAtFakes"


# ---------------------------------------------------------------- Python elsewhere

PLAYED = {  # page → which test plays its Python
    "README.md": "test_map.py, and below",
    "docs/first-hour.md": "above",
    "docs/adding.md": "above",
    "docs/comparison.md": "below",
    "docs/diagnosis.md": "below",
    "docs/export.md": "test_exported.py",
    "docs/hub.md": "needs a Hub: tests/test_hub.py plays the same calls against one of its own",
    "docs/tracking.md": "the reader's own tracker stands in it: tests/test_track.py plays the same calls",
}


def test_every_page_with_python_is_played_somewhere():
    with_python = {
        name(page)
        for page in PAGES
        if any(block.language == "python" for block in commands.blocks(page.read_text("utf-8")))
    }
    by_the_pages_test = {each for each in with_python if each.startswith(("docs/theory/", "docs/concepts/"))}
    assert with_python - by_the_pages_test == set(PLAYED)
    for page in with_python:
        for block in commands.blocks((ROOT / page).read_text(encoding="utf-8")):
            if block.language == "python":
                ast.parse(block.text)


def python_of(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    return "".join(block.text for block in commands.blocks(text) if block.language == "python")


def test_the_python_of_comparing_runs(tmp_path, monkeypatch, capsys):
    tiny.train(tmp_path / "run", 6)
    study = made_study.make_study(tmp_path, tmp_path / "run", "study-clipping")
    for file in (study / "rows").iterdir():
        row = file.read_text().replace('"frechet-pixels"', '"fcd"').replace('"last"', '"best"')
        # robustness is told of the last checkpoint, the comparison is of the best
        rows = json.loads(row)["rows"] + [{**json.loads(row)["rows"][0], "checkpoint": "last"}]
        file.write_text(json.dumps({"format": 1, "rows": rows}))
    (tmp_path / "runs").mkdir()
    study.rename(tmp_path / "runs" / "study-clipping")
    monkeypatch.chdir(tmp_path)
    exec(compile(python_of("docs/comparison.md"), "comparison.md", "exec"), {})
    assert "other is better than plain" in capsys.readouterr().out


def test_the_python_of_diagnosis_runs(tmp_path, monkeypatch):
    tiny.train(
        tmp_path / "runs" / "0007-wgan-mnist", 6, "gan", {"objective.name": "wasserstein"}, data="ring"
    )
    monkeypatch.chdir(tmp_path)
    scope = {"duel": duel}
    exec(compile(python_of("docs/diagnosis.md"), "diagnosis.md", "exec"), scope)
    assert scope["estimate_correlation"](duel.load("runs/0007-wgan-mnist")) is None


def test_the_readmes_dual_numbers_run():
    (block,) = [
        b for b in commands.blocks((ROOT / "README.md").read_text("utf-8")) if "derivative(" in b.text
    ]
    x, w = np.linspace(-1, 1, 5), np.ones(3)
    a, b = np.arange(12.0).reshape(4, 3), np.zeros(4)

    def loss(w):
        return np.mean((a @ w - b) ** 2)

    scope = {"np": np, "x": x, "w": w, "a": a, "b": b, "loss": loss, "my_gradient": 2 * a.T @ (a @ w - b) / 4}
    exec(compile(block.text, "README.md", "exec"), scope)
    assert np.allclose(scope["derivative"](np.tanh, x), 1 - np.tanh(x) ** 2)
