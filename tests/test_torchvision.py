"""torchvision can be imported beside a torch that its native library does not fit."""

import subprocess
import sys

# A package that behaves as torchvision does where its library is loaded, or is not.
FITS = "import torch\n"
DOES_NOT_FIT = """
from . import extension
from . import registrations
"""
REGISTRATIONS = """
import torch
for name in ("nms", "qnms"):
    torch.library.register_fake(f"torchvision::{name}")(lambda dets, scores, iou_threshold: dets)
"""
CHECK = "from duel import _torchvision as t; t.importable(); t.importable(); import torchvision"


def python(code, path=None):
    """What a fresh interpreter prints, with `path` in front of the installed packages."""
    lines = f"import sys; sys.path[:0] = {[str(path)] if path else []}\n{code}"
    done = subprocess.run([sys.executable, "-c", lines], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def made_package(folder, files):
    package = folder / "torchvision"
    package.mkdir()
    for name, text in files.items():
        (package / name).write_text(text)
    return folder


def test_a_torchvision_that_loads_is_left_alone(tmp_path):
    path = made_package(tmp_path, {"__init__.py": FITS})
    assert python(f"{CHECK}; print(len(t._declared))", path) == ["0"]


def test_a_torchvision_that_misses_its_operators_gets_them_declared_and_starts_anew(tmp_path):
    files = {
        "__init__.py": DOES_NOT_FIT,
        "extension.py": "print('extension')",
        "registrations.py": REGISTRATIONS,
    }
    printed = python(f"{CHECK}; print(len(t._declared))", made_package(tmp_path, files))
    assert printed == ["extension", "extension", "1"]


def test_the_installed_torchvision_can_be_imported_and_torch_fidelity_with_it():
    code = f"{CHECK}; import torch_fidelity; print(torchvision.models.__name__)"
    assert python(code) == ["torchvision.models"]


def test_another_failure_is_passed_on(tmp_path):
    path = made_package(tmp_path, {"__init__.py": "raise RuntimeError('out of order')"})
    code = "import duel._torchvision as t\ntry: t.importable()\nexcept RuntimeError as error: print(error)"
    assert python(f"{code}\nprint(len(t._declared))", path) == ["out", "of", "order", "0"]


def test_a_missing_torchvision_is_an_import_error():
    code = (
        "sys.modules['torchvision'] = None\nimport duel._torchvision as t\n"
        "try: t.importable()\nexcept ImportError: print('missing')"
    )
    assert python(code) == ["missing"]
