"""The folder is the registry, and reading it imports nothing."""

import subprocess
import sys

import pytest

from duel import catalog
from duel.errors import RecipeError

VARIANTS = [(family, name) for family in catalog.FAMILIES for name in catalog.names(family)]


@pytest.mark.parametrize(("file", "name"), [("is_.py", "is"), ("fashion_mnist.py", "fashion-mnist")])
def test_public_names(file, name):
    assert catalog.public_name(catalog.Path(file)) == name


@pytest.mark.parametrize(("family", "name"), VARIANTS)
def test_every_variant_explains_itself_and_its_options(family, name):
    entry = catalog.entry(family, name)
    assert entry.summary.endswith(".")
    for option in entry.options:
        assert option.common or option.name in entry.help, (
            f"{option.name} is not explained in {name}'s docstring"
        )


@pytest.mark.parametrize(("family", "name"), VARIANTS)
def test_options_read_from_the_source_are_the_options_of_the_class(family, name):
    cls = catalog.load_class(family, name)
    entry = catalog.entry(family, name)
    assert {option.name for option in entry.options} == set(cls.__dataclass_fields__)
    required = {option.name: "x" for option in entry.options if option.default is None}
    instance = cls(**required)
    for option in entry.options:
        if option.default is not None:
            assert repr(getattr(instance, option.name)).replace("'", '"') == repr(
                eval(option.default, {"__builtins__": {}})
            ).replace("'", '"')
    assert catalog.name_of(family, instance) == name


def test_a_wrong_name_answers_with_the_closest_and_the_list():
    with pytest.raises(RecipeError, match=r"did you mean 'dcgan'\? allowed: .*dense"):
        catalog.entry("networks", "dcgn")


def test_a_variant_from_outside_is_imported_by_module_and_class(tmp_path, monkeypatch):
    (tmp_path / "my_losses.py").write_text("class Mine:\n    pass\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    cls = catalog.load_class("objectives", "my_losses:Mine")
    assert catalog.name_of("objectives", cls()) == "my_losses:Mine"
    with pytest.raises(RecipeError, match="cannot be loaded"):
        catalog.load_class("objectives", "my_losses:Missing")
    with pytest.raises(RecipeError, match="cannot be loaded"):
        catalog.load_class("objectives", "no_such_module:Mine")


@pytest.mark.parametrize("module", ["duel", "duel.cli", "duel.catalog", "duel.recipe", "duel.display"])
def test_no_torch_is_imported_by(module):
    code = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_listing_everything_imports_neither_torch_numpy_nor_pydantic():
    code = (
        "import sys, duel.catalog as c\n"
        "[c.entries(family) for family in c.FAMILIES]\n"
        "sys.exit(any(name in sys.modules for name in ('torch', 'numpy', 'pydantic')))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
