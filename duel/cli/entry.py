"""From the command's arguments to its exit status: errors become one sentence on standard error."""

from __future__ import annotations

import errno
import io
import os
import sys
import traceback

import typer

from duel.cli.app import app
from duel.errors import DuelError
from duel.ranks import world


def main() -> None:
    """The entry point: errors become one sentence on standard error and an exit status."""
    if world().count == 1:
        _main()
        return
    status: int | str | None = 1
    try:
        _main()
        status = 0
    except SystemExit as left:
        status = left.code or 0
    except BaseException:
        traceback.print_exc()
    finally:
        # At once: threads of torch.distributed that are still there as Python ends may abort the process.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status if isinstance(status, int) else 1)


def _main() -> None:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that cannot show "×" shows "?"
    # Idle OpenMP threads soon sleep instead of spinning: a second busy process must not stall the training.
    os.environ.setdefault("GOMP_SPINCOUNT", "2000")
    try:
        # Not app(): it would turn an interrupt into status 0 and a closed pipe into 1.
        command = typer.main.get_command(app)
        with command.make_context("duel", sys.argv[1:]) as context:
            command.invoke(context)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read our output has seen enough; what is left in the buffer must not fail at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        sys.exit(130)
    except DuelError as error:
        _fail(error, error.exit_status)
    except MemoryError as error:
        _fail(error, 1, _MEMORY)
    except OSError as error:
        _fail(error, 1, _os_sentence(error))
    except Exception as error:
        _other(error)


_JARGON = {
    "Value error, ": "",
    "Input should be a valid integer, unable to parse string as an integer": "a valid integer is wanted",
}
_MEMORY = "memory ran out: ask for less at once (--n, batch_size, network.width, data.resolution)"


def _os_sentence(error: OSError) -> str:
    where = f": {error.filename}" if error.filename else ""
    advice = "; make room, then go on with --resume" if error.errno == errno.ENOSPC else ""
    return f"{error.strerror or error}{where}{advice}"


def _fail(error: BaseException, status: int, message: str | None = None) -> None:
    if "--debug" in sys.argv:
        raise error
    from duel.display import printable

    print(f"duel: {printable(message or str(error))}", file=sys.stderr)
    sys.exit(status)


def _other(error: Exception) -> None:
    """The parser's own errors and exits; torch's out of memory; anything else is ours to mend."""
    if isinstance(error, typer.Exit):
        sys.exit(error.exit_code)
    if isinstance(error, typer.Abort):
        print("duel: nobody answered the question: say --yes to go on without asking", file=sys.stderr)
        sys.exit(2)
    if hasattr(error, "format_message"):
        if type(error).__name__ == "NoArgsIsHelpError":
            print(error.format_message())
            sys.exit(2)
        said = error.format_message().rstrip()
        for jargon, plain in _JARGON.items():
            said = said.replace(jargon, plain)
        stop = "" if said.endswith((".", "?", "!")) else "."
        print(f"duel: {said}{stop} See `duel --help`.", file=sys.stderr)
        sys.exit(2)
    if "allocate memory" in str(error) or type(error).__name__ == "OutOfMemoryError":
        _fail(error, 1, _MEMORY)
    raise error
