"""The application that the commands join, the options that several have, and what they do alike."""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol

import typer

app = typer.Typer(
    help="Train Generative Adversarial Networks, look at them, and take samples.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _version(asked: bool) -> None:
    if asked:
        from duel import __version__

        print(f"duel {__version__}")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    pass


data_app = typer.Typer(help="Look at data before training on them.", no_args_is_help=True)
app.add_typer(data_app, name="data")

AllowCode = Annotated[
    bool, typer.Option("--allow-code", help="Import variants from outside the package that a file names.")
]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
RunFolder = Annotated[Path, typer.Argument(help="A run folder, or hub:OWNER/NAME[@REVISION].")]
Checkpoint = Annotated[str, typer.Option(help="last, best or a step.")]
WeightsOption = Annotated[
    Literal["ema", "raw"], typer.Option(help="ema: the averaged ones where the run keeps them; or raw.")
]
EventLines = Annotated[bool, typer.Option("--json", help="Print the events as JSON lines.")]
SplitOption = Annotated[
    Literal["train", "validation", "test"], typer.Option(help="Of the data: train, validation or test.")
]
Changes = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change any field; repeatable.")
]
DataChanges = Annotated[
    list[str] | None, typer.Option("--set", metavar="data.KEY=VALUE", help="Options of the data.")
]
DataOption = Annotated[str | None, typer.Option(help="A listed data set, or a folder of images.")]


@contextmanager
def before_the_first_step() -> Iterator[None]:
    """Ctrl-C while data are loaded and the cost is estimated leaves nothing behind, and says so."""
    try:
        yield
    except KeyboardInterrupt:
        print("duel: stopped before the first step; nothing was written", file=sys.stderr)
        sys.exit(130)


def typed_code(changes: dict[str, Any], data: str | None) -> list[str]:
    """Variants from outside that stand on this very command line: their user has named them."""
    values = [data, *changes.values()]
    return [name for value in values if isinstance(value, str) for name in value.split(",") if ":" in name]


def tell_of_long_work() -> None:
    """What the package logs goes to standard error, a line each."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("duel: %(message)s"))
    log = logging.getLogger("duel")
    log.handlers = [handler]  # of this call: standard error may be another one by now
    log.setLevel(logging.INFO)


def which(checkpoint: str) -> str | int:
    """A step as a number; "last" and "best" as they are."""
    return int(checkpoint) if checkpoint.isdecimal() else checkpoint


class Stoppable(Protocol):
    """What plays until it is asked to stop: a session, a study, one rank of several."""

    def stop(self) -> None:
        """Ask for the end after the step under way."""


@contextmanager
def stop_on_signal(running: Stoppable) -> Iterator[list[int]]:
    """The first SIGINT or SIGTERM asks for the end after the step under way; a second leaves at once."""
    received: list[int] = []

    def handle(number: int, frame: object) -> None:
        received.append(number)
        running.stop()
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    old = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
