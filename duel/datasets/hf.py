"""Data sets of the Hugging Face Hub."""

from __future__ import annotations

import hashlib
import json
import os
import re
from functools import partial
from pathlib import Path
from typing import Any, Literal

from duel import io
from duel.datasets._base import Data, ImageSet, Spec
from duel.datasets._decoded import fingerprint_of, kept
from duel.datasets._hub import columns, is_local, items, opened
from duel.datasets._scan import list_folder
from duel.datasets._streamed import refusal, write_stream
from duel.errors import DataError
from duel.options import options

_VERSION = 1  # of decoding: raise it when the same data would give other pixels, splits or labels


@options
class Hf(ImageSet):
    """Images of a data set on the Hugging Face Hub, or of one in its formats on this machine.

    Needs the datasets library: pip install 'duel[hf]'. `--data hf:NAME` is short for --set data.name=hf and
    data.source. The samples are streamed, decoded once as the images of a folder are (centre square,
    Lanczos, RGB unless all are grey), split 80/10/10 by the hash of each image file, and kept in the cache:
    a second run needs no network. No code that comes with a data set is run.

    source      NAME or OWNER/NAME on the Hub; a path (./, ../, / or ~ in front) is a folder of files that the
                library knows (Parquet, image folder, …)
    config      which configuration, where there are several
    split       which of its splits is taken, for all three here
    revision    a branch, tag or commit. What is in the cache stays, whatever happens on the Hub
    resolution  side of the square images in pixels
    fit         always "resize"
    image       the column of images; the only one of that type where it is not given
    label       the column of labels (class labels, numbers or names); "auto": the only column of class
                labels, if there is one; "none"
    on_bad      what happens when samples cannot be used: "skip" lists them in the run's provenance and goes
                on, "fail" stops and names them
    """

    source: str
    config: str | None = None
    split: str = "train"
    revision: str | None = None
    resolution: int = 64
    fit: Literal["resize"] = "resize"
    image: str | None = None
    label: str = "auto"
    on_bad: Literal["skip", "fail"] = "skip"

    def __post_init__(self) -> None:
        super().__post_init__()
        if is_local(self.source):
            absolute = os.path.abspath(os.path.expanduser(self.source))
            object.__setattr__(self, "source", absolute)  # a run is taken up from any folder
        elif not re.fullmatch(r"(\w[\w.-]*/)?\w[\w.-]*", self.source, re.ASCII):
            raise ValueError(
                f"source is {self.source!r}, expected NAME or OWNER/NAME on the Hub, or a path that "
                "begins with ./"
            )

    def load(self) -> Data:
        """uint8 N×3×R×R, or N×1×R×R where all images are grey, memory-mapped from the cache."""
        stored = kept(io.cache_folder() / "hub" / _key(self), partial(_write, self))
        if stored.bad and self.on_bad == "fail":
            raise DataError(refusal(f"hf:{self.source}", stored.bad))
        spec = Spec("image", stored.images.shape[1:], stored.classes)
        splits = stored.splits()
        name = Path(self.source).name
        return Data(name, spec, splits, fingerprint_of(stored.pixels, spec, splits), skipped=stored.bad)


def _key(of: Hf) -> str:
    """The SHA-256 of what was asked for; of a folder also of what is in its files."""
    asked = [_VERSION, of.source, of.config, of.split, of.revision, of.resolution, of.image, of.label]
    digest = hashlib.sha256(json.dumps(asked).encode())
    if is_local(of.source):
        for file in list_folder(of.source).files:
            digest.update(os.fsencode(file.name) + b"\0" + file.digest.encode() + b"\n")
    return digest.hexdigest()


def _write(of: Hf, folder: Path) -> None:
    """images.npy and index.json, from the stream."""
    stream: Any = opened(of.source, of.config, of.split, of.revision)
    chosen = columns(f"hf:{of.source}", stream, of.image, of.label)
    write_stream(
        items(of.source, stream, chosen), of.resolution, folder, f"hf:{of.source}", chosen.classes or None
    )
