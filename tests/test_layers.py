"""Imports point downward, and a family's file imports little."""

import ast
from pathlib import Path

import pytest

from duel import catalog

PACKAGE = catalog.PACKAGE
LEVELS = [
    {"__main__", "cli"},
    {"studio"},
    {"advise", "compare", "comparison", "hub", "measured", "robustness", "report", "track"},
    {"study", "together", "cost", "profiling"},
    {"session", "display", "explain"},
    {"loop"},
    {
        "train",
        "inspection",
        "scratch",
        "runs",
        "evaluate",
        "diagnose",
        "foreign",
        "export",
        "latent",
        "portrait",
    },
    {
        "run",
        "syncnorm",
        "checkpoint",
        "batches",
        "sampling",
        "signals",
        "pictures",
        "pixelwise",
        "recipe",
        "classifier",
    },
    {"family"},
    {
        "catalog",
        "initial",
        "options",
        "interface",
        "streams",
        "xp",
        "io",
        "errors",
        "events",
        "intervals",
        "launch",
        "markdown",
        "nonfinite",
        "ranks",
        "schedule",
        "table",
        "_torchvision",
    },
]
FAMILY_MAY_IMPORT = {
    "errors",
    "initial",
    "interface",
    "intervals",
    "io",
    "options",
    "schedule",
    "xp",
    "_torchvision",
}
FILES = sorted(path for path in PACKAGE.rglob("*.py") if path.name != "__init__.py")


def imported(path):
    """The duel modules that a file imports outside `if TYPE_CHECKING`, as paths below the package."""
    tree = ast.parse(path.read_text())
    hidden = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in hidden:
            continue
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "duel":
            inside = node.module.split(".")[1:]
            for alias in node.names:
                full = [*inside, alias.name]
                yield full if is_module(full) else inside
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "duel":
                    yield alias.name.split(".")[1:]


def is_module(parts):
    path = PACKAGE.joinpath(*parts)
    return path.with_suffix(".py").is_file() or path.is_dir()


def level(parts):
    name = "family" if parts[0] in catalog.FAMILIES else parts[0]
    found = [number for number, names in enumerate(LEVELS) if name in names]
    assert found, f"{name} has no level: give it one in {Path(__file__).name} and docs/design.md"
    return found[0]


def parts_of(path):
    return path.relative_to(PACKAGE).with_suffix("").parts


@pytest.mark.parametrize("path", FILES, ids=lambda path: "/".join(parts_of(path)))
def test_imports_point_downward(path):
    own = parts_of(path)
    for other in imported(path):
        if not other:
            continue  # the package itself: its version
        assert level(other) >= level(own), f"{'.'.join(own)} imports {'.'.join(other)} from above"


def test_modules_of_one_level_do_not_import_each_other_in_a_circle():
    graph = {}
    for path in FILES:
        name = parts_of(path)[0]
        if name not in catalog.FAMILIES and not name.startswith("_"):
            graph.setdefault(name, set()).update({o[0] for o in imported(path) if o} - {name})

    def reachable(start):
        seen, todo = set(), [start]
        while todo:
            for following in graph.get(todo.pop(), ()):
                if following not in seen:
                    seen.add(following)
                    todo.append(following)
        return seen

    assert [name for name in graph if name in reachable(name)] == []


@pytest.mark.parametrize(
    "path",
    [p for p in FILES if parts_of(p)[0] in catalog.FAMILIES],
    ids=lambda path: "/".join(parts_of(path)),
)
def test_a_familys_file_imports_its_base_its_helpers_and_few_modules(path):
    own = parts_of(path)
    for other in imported(path):
        inside = other[0] == own[0] and (len(other) == 1 or other[1].startswith("_"))
        assert inside or (len(other) == 1 and other[0] in FAMILY_MAY_IMPORT), ".".join(other)


@pytest.mark.parametrize("family", ["objectives", "penalties"])
def test_formulas_import_no_array_library(family):
    for path in (PACKAGE / family).glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                assert not {alias.name.split(".")[0] for alias in node.names} & {"torch", "numpy"}, path
            elif isinstance(node, ast.ImportFrom):
                assert (node.module or "").split(".")[0] not in ("torch", "numpy"), path


def test_nothing_on_a_load_path_can_run_code():
    """No pickle, no eval anywhere in the package; torch.load and np.load read numbers only."""
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                assert not {alias.name for alias in node.names} & {"pickle", "dill", "shelve", "marshal"}, (
                    path
                )
            elif isinstance(node, ast.ImportFrom):
                assert node.module not in ("pickle", "dill", "shelve", "marshal"), path
            elif isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                assert called not in ("eval", "exec", "compile", "os.system"), f"{path}: {called}"
                if called == "torch.load":
                    assert any(
                        k.arg == "weights_only" and ast.unparse(k.value) == "True" for k in node.keywords
                    ), f"{path}: torch.load without weights_only=True"
                if called == "np.load":
                    assert any(
                        k.arg == "allow_pickle" and ast.unparse(k.value) == "False" for k in node.keywords
                    )
