"""TensorBoard's event files: numbers as scalars, sample grids as images, findings as text."""

from __future__ import annotations

import os
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

from duel.errors import InputError
from duel.track.records import Record

_OURS = "events.out.tfevents.*.duel"


class TensorBoard:
    """Writes an event file, an event of TensorBoard's for each record; the last file stays, emptied."""

    def __init__(self, out: Path) -> None:
        """Begin anew in the folder `out`, which may hold no event files of other programs.

        InputError where it does, or where tensorboard is not installed; OSError where it cannot be written.
        """
        try:
            from tensorboard.compat.proto.event_pb2 import Event, SessionLog
            from tensorboard.summary.writer.record_writer import RecordWriter
        except ImportError as error:
            raise InputError(
                f"TensorBoard's files are written with tensorboard, which is not installed ({error}): "
                "pip install 'duel[track]'"
            ) from error
        out.mkdir(parents=True, exist_ok=True)
        old = sorted(out.glob(_OURS))
        if others := sorted(set(out.glob("*tfevents*")) - set(old)):
            raise InputError(
                f"--out {out} holds {others[0].name} of another program: name a folder of its own"
            )
        number = max((_number(file) for file in old), default=0) + 1
        # A TensorBoard that is running goes on to a later name, but only from a file that is still there.
        for file in old[:-1]:
            file.unlink()
        for file in old[-1:]:
            os.truncate(file, 0)
        place = out / f"events.out.tfevents.{number:010d}.duel"
        self._event = Event
        self._file = open(place, "wb")  # noqa: SIM115 closed below
        self._writer = RecordWriter(self._file)
        self._write(Event(file_version="brain.Event:2"))
        # Then it forgets what it had of the file before.
        self._write(Event(step=0, session_log=SessionLog(status=SessionLog.START)))

    def add(self, record: Record) -> None:
        """One event with all that the record holds."""
        from tensorboard.compat.proto.summary_pb2 import Summary

        values = [
            *(Summary.Value(tag=tag, simple_value=value) for tag, value in record.scalars.items()),
            *(Summary.Value(tag=tag, image=image) for tag, image in _images(record)),
            *(_text(tag, text) for tag, text in record.texts.items()),
        ]
        self._write(self._event(step=record.step, wall_time=record.time, summary=Summary(value=values)))

    def flush(self) -> None:
        """Let TensorBoard see what was written."""
        self._writer.flush()

    def close(self) -> None:
        """No more events come."""
        self._writer.close()

    def _write(self, event: Any) -> None:
        self._writer.write(event.SerializeToString())


def _number(file: Path) -> int:
    part = file.name.split(".")[-2]
    return int(part) if part.isdecimal() else 0


def _images(record: Record) -> Iterator[tuple[str, Any]]:
    """The pictures as TensorBoard keeps them; one that is damaged is left out."""
    from PIL import Image
    from tensorboard.compat.proto.summary_pb2 import Summary

    for tag, content in record.images.items():
        try:
            with Image.open(BytesIO(content), formats=["PNG"]) as image:
                width, height = image.size
                colours = len(image.getbands())
        except (OSError, ValueError, Image.DecompressionBombError):
            continue
        yield tag, Summary.Image(width=width, height=height, colorspace=colours, encoded_image_string=content)


def _text(tag: str, text: str) -> Any:
    from tensorboard.plugins.text.summary_v2 import text_pb

    return text_pb(tag, text).value[0]
