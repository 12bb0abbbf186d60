"""Write all figures: PYTHONPATH=docs python -m figures [FOLDER]."""

from __future__ import annotations

import sys
from pathlib import Path

from figures import style
from figures.pictures import FOLDER, PICTURES


def main() -> None:
    """Write each picture and print its size."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    for name, draw in PICTURES.items():
        path = folder / f"{name}.svg"
        path.write_text(style.svg(draw), encoding="utf-8")
        print(f"{path} {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
