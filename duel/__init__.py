"""duel: Generative Adversarial Networks that one can train, look at and take elsewhere.

Everything public is imported on first use, so that `import duel` costs nothing.
"""

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0.dev0"

__all__ = ["DuelError", "Recipe", "Run", "Session", "diagnose", "evaluate", "load", "train"]

if TYPE_CHECKING:
    from duel.diagnose import diagnose
    from duel.errors import DuelError
    from duel.evaluate import evaluate
    from duel.hub import load
    from duel.recipe import Recipe
    from duel.run import Run
    from duel.session import Session, train

_HOME = {
    "DuelError": ("duel.errors", "DuelError"),
    "Recipe": ("duel.recipe", "Recipe"),
    "Run": ("duel.run", "Run"),
    "Session": ("duel.session", "Session"),
    "diagnose": ("duel.diagnose", "diagnose"),
    "evaluate": ("duel.evaluate", "evaluate"),
    "load": ("duel.hub", "load"),
    "train": ("duel.session", "train"),
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'duel' has no attribute {name!r}")
    import importlib

    module, attribute = _HOME[name]
    value = getattr(importlib.import_module(module), attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)


class _Package(ModuleType):
    """`duel.train` is the function even after the submodule of that name has been imported.

    Python binds a submodule to its package when it is imported; here a public name is not given up.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _HOME and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
