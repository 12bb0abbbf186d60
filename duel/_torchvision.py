"""torchvision beside a torch that its native library does not fit.

The regular torchvision wants CUDA; beside a CPU-only torch its library cannot be loaded, and then the
import fails on two operators that it describes but does not find. Networks and transforms need none of
its operators, so they are declared here, without an implementation.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
_declared: list[Any] = []  # the declarations last as long as the library object lives


def importable() -> None:
    """Make `import torchvision` work. ImportError where it is not installed."""
    try:
        importlib.import_module("torchvision")
    except RuntimeError as error:
        if _declared or "torchvision::" not in str(error):
            raise
        _declare()
        _forget_half_imported()
        importlib.import_module("torchvision")


def _declare() -> None:
    """Tell torch the signatures of the missing operators."""
    import torch

    library = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
    for schema in _SCHEMAS:
        library.define(schema)  # type: ignore[no-untyped-call]
    _declared.append(library)


def _forget_half_imported() -> None:
    """Drop what the failed import left behind, so that the next one starts anew."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        del sys.modules[name]
