"""What a release is made of: one version, wheel and sdist, pins for every extra, workflows."""

import datetime
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

import duel

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text())
WORKFLOWS = {path.stem: yaml.safe_load(path.read_text()) for path in ROOT.glob(".github/workflows/*.yml")}
NOT_COPIED = (
    ".git", ".venv", ".*_cache", "build", "dist", "runs", "site", "node_modules", "*.egg-info", "__pycache__",
)  # fmt: skip


def sections():
    """The headings of the changelog, in order: (version, date), or (None, None) for what is not released."""
    found = []
    for heading in re.findall(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE):
        if heading == "Unreleased":
            found.append((None, None))
            continue
        release = re.fullmatch(r"(\d+\.\d+\.\d+), (\d{4}-\d{2}-\d{2})", heading)
        assert release, (
            f"{heading!r} is no heading of the changelog, allowed: Unreleased, or X.Y.Z, YYYY-MM-DD"
        )
        found.append((release[1], datetime.date.fromisoformat(release[2])))
    return found


# ---------------------------------------------------------------- version, changelog, citation


def test_the_changelogs_releases_are_in_order():
    releases = [(tuple(map(int, version.split("."))), day) for version, day in sections() if version]
    assert releases == sorted(releases, reverse=True)
    assert len({version for version, _ in releases}) == len(releases)
    assert (None, None) not in sections()[1:]


def test_the_version_is_the_changelogs():
    newest, _ = sections()[0]
    if duel.__version__ == newest:
        return
    assert newest is None, f"the changelog begins with {newest}, the version is {duel.__version__}"
    assert ".dev" in duel.__version__, "a version without .dev needs its section in the changelog"
    released = [version for version, _ in sections() if version]
    assert duel.__version__.partition(".dev")[0] not in released


def test_the_citation_names_the_newest_release():
    """With its date; before the first release the version at hand, without one."""
    releases = [section for section in sections() if section[0]]
    version, day = releases[0] if releases else (duel.__version__, None)
    assert (CITATION["version"], CITATION.get("date-released")) == (version, day)


def test_the_citation_is_as_its_format_wants_it():
    """Citation File Format 1.2.0: the required keys, and no key that it does not know."""
    known = {
        "abstract", "authors", "cff-version", "commit", "contact", "date-released", "doi", "identifiers",
        "keywords", "license", "license-url", "message", "preferred-citation", "references", "repository",
        "repository-artifact", "repository-code", "title", "type", "url", "version",
    }  # fmt: skip
    assert CITATION["cff-version"] == "1.2.0"
    assert {"authors", "message", "title"} <= set(CITATION) <= known
    assert CITATION["type"] == "software"
    assert CITATION["license"] == PROJECT["license"]
    assert [each["name"] for each in CITATION["authors"]] == [each["name"] for each in PROJECT["authors"]]


def test_the_security_policy_says_how_to_report():
    text = (ROOT / "SECURITY.md").read_text()
    assert "private security advisory" in text
    assert "pickle" in text


# ---------------------------------------------------------------- wheel and sdist


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The wheel's and the sdist's files: name → content, from a copy of this tree."""
    tree = tmp_path_factory.mktemp("built") / "tree"
    shutil.copytree(ROOT, tree, ignore=shutil.ignore_patterns(*NOT_COPIED))
    for byproduct in ("tests/__pycache__/stale.cpython-311.pyc", "studio/node_modules/stale.js"):
        (tree / byproduct).parent.mkdir()
        (tree / byproduct).write_bytes(b"stale")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", "out"]
    done = subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,), (sdist,) = (tree / "out").glob("*.whl"), (tree / "out").glob("*.tar.gz")
    with zipfile.ZipFile(wheel) as archive:
        in_wheel = {name: archive.read(name) for name in archive.namelist()}
    with tarfile.open(sdist) as archive:
        names = [each.name.partition("/")[2] for each in archive.getmembers() if each.isfile()]
    return in_wheel, names


def travelling():
    """What of the package is no byproduct, by its name in the tree."""
    files = [path for path in (ROOT / "duel").rglob("*") if path.is_file()]
    return {str(path.relative_to(ROOT)) for path in files if "__pycache__" not in path.parts}


def test_the_wheel_holds_the_whole_package_and_nothing_else(built):
    in_wheel, _ = built
    info = f"duel-{duel.__version__}.dist-info"
    assert {name for name in in_wheel if not name.startswith(info)} == travelling()
    for name in ("duel/py.typed", "duel/recipes/demo.toml", "duel/datasets/digits.npz"):
        assert name in in_wheel
    assert any(name.startswith("duel/studio/static/assets/") for name in in_wheel)
    assert in_wheel[f"{info}/licenses/LICENSE"] == (ROOT / "LICENSE").read_bytes()
    assert b"duel = duel.cli:main" in in_wheel[f"{info}/entry_points.txt"]
    assert sum(map(len, in_wheel.values())) < 4_000_000


def test_the_wheels_metadata_say_version_python_and_extras(built):
    in_wheel, _ = built
    text = in_wheel[f"duel-{duel.__version__}.dist-info/METADATA"].decode()
    assert f"\nVersion: {duel.__version__}\n" in text
    assert f"\nRequires-Python: {PROJECT['requires-python']}\n" in text
    assert set(re.findall(r"^Provides-Extra: (.*)$", text, re.MULTILINE)) == set(EXTRAS)


def test_the_sdist_holds_what_the_tests_need(built):
    _, names = built
    for folder in (".github", "bench", "docs", "examples", "studies", "studio/src", "tests"):
        here = [path for path in (ROOT / folder).rglob("*") if path.is_file()]
        wanted = {str(path.relative_to(ROOT)) for path in here if "__pycache__" not in path.parts}
        assert wanted
        assert wanted <= set(names)
    for name in ("CHANGELOG.md", "CITATION.cff", "LICENSE", "Makefile", "SECURITY.md", "constraints.txt"):
        assert name in names
    assert travelling() <= set(names)


def test_no_archive_holds_byproducts(built):
    in_wheel, names = built
    for name in [*in_wheel, *names]:
        assert "__pycache__" not in name
        assert not name.endswith(".pyc")
        assert "node_modules" not in name


# ---------------------------------------------------------------- pins


def pins():
    """Canonical name → version, of constraints.txt."""
    lines = (ROOT / "constraints.txt").read_text().split()
    return {canonicalize_name(line.partition("==")[0]): line.partition("==")[2] for line in lines}


@pytest.mark.parametrize("extra", ["", *EXTRAS])
def test_every_extras_packages_have_a_pin_that_fits(extra):
    wanted = [Requirement(text) for text in (EXTRAS[extra] if extra else PROJECT["dependencies"])]
    for requirement in wanted:
        if requirement.name in ("setuptools", "duel"):
            continue  # pip freeze leaves the installer's own packages out; this is no package of ours
        pin = pins().get(canonicalize_name(requirement.name))
        assert pin, f"constraints.txt has no pin for {requirement.name}: `make constraints`"
        assert requirement.specifier.contains(pin, prereleases=True), f"{requirement} is pinned to {pin}"


def test_the_dev_extra_brings_what_the_tests_import_of_other_extras():
    """One environment runs the suite: what other extras bring is in it, or its tests are skipped there."""
    dev = {canonicalize_name(Requirement(text).name) for text in EXTRAS["dev"]}
    for extra in ("cluster", "search", "shards", "studio", "export", "metrics", "vision"):
        assert {canonicalize_name(Requirement(text).name) for text in EXTRAS[extra]} <= dev, extra


# ---------------------------------------------------------------- Python versions and workflows


def versions():
    """The Python versions that the metadata name."""
    mark = "Programming Language :: Python :: "
    return [each.removeprefix(mark) for each in PROJECT["classifiers"] if each.startswith(mark)]


def test_the_matrix_plays_every_version_that_is_promised():
    matrix = WORKFLOWS["test"]["jobs"]["test"]["strategy"]["matrix"]["python"]
    assert matrix == versions()
    allowed = SpecifierSet(PROJECT["requires-python"])
    assert all(allowed.contains(version) for version in versions())


@pytest.mark.parametrize("name", WORKFLOWS)
def test_workflows_use_commands_that_there_are(name):
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    steps = [step for job in WORKFLOWS[name]["jobs"].values() for step in job["steps"]]
    for step in steps:
        for target in re.findall(r"\bmake ([a-z-]+)", step.get("run", "")):
            assert target in targets, step
        for script in re.findall(r"\b(?:bench|docs|tests)/[\w/]+\.py", step.get("run", "")):
            assert (ROOT / script).is_file(), step
    assert WORKFLOWS[name]["permissions"] == {"contents": "read"}


def test_only_the_publishing_job_may_prove_who_it_is():
    jobs = WORKFLOWS["release"]["jobs"]
    assert jobs["publish"]["permissions"] == {"id-token": "write"}
    assert [name for name, job in jobs.items() if "permissions" in job] == ["publish"]
