"""The command line: parse, call one public function, print. Nothing is computed here.

Heavy imports happen inside the commands, so that help and listings answer at once.
"""

from __future__ import annotations

import errno
import io
import json
import os
import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from duel import catalog
from duel.errors import DuelError, InputError, one_of
from duel.ranks import world

if TYPE_CHECKING:
    from duel.session import Session
    from duel.study import show
    from duel.study.campaign import Campaign
    from duel.together import Follower

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
RunFolder = Annotated[Path, typer.Argument(help="A run folder.")]
Checkpoint = Annotated[str, typer.Option(help="last, best or a step.")]
WeightsOption = Annotated[
    Literal["ema", "raw"], typer.Option(help="ema: the averaged ones where the run keeps them; or raw.")
]
StudySize = Annotated[str | None, typer.Option(help="One of the file's sizes, such as gpu.")]
Workers = Annotated[int | None, typer.Option(help="Runs at a time; one for each core by default.")]
EventLines = Annotated[bool, typer.Option("--json", help="Print the events as JSON lines.")]
SplitOption = Annotated[
    Literal["train", "validation", "test"], typer.Option(help="Of the data: train, validation or test.")
]


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


# ---------------------------------------------------------------- train


@app.command()
def train(
    recipe: Annotated[str | None, typer.Argument(help="A name (`duel list recipes`) or a TOML file.")] = None,
    data: Annotated[str | None, typer.Option(help="A listed data set, or a folder of images.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="The run folder; a run there is continued. Default: runs/NNNN-…")
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Generator updates.")] = None,
    epochs: Annotated[
        int | None, typer.Option(help="Passes over the training split, in place of steps.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of every random number.")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu or cuda.")] = None,
    engine: Annotated[
        str | None, typer.Option(help="torch, or scratch: NumPy and dual numbers, dense networks.")
    ] = None,
    changes: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change any field; repeatable.")
    ] = None,
    init_from: Annotated[
        Path | None, typer.Option(metavar="RUN", help="Begin with the weights of this run's last checkpoint.")
    ] = None,
    resume: Annotated[Path | None, typer.Option(metavar="RUN", help="Take up this run.")] = None,
    from_run: Annotated[
        Path | None,
        typer.Option("--from", metavar="RUN", help="Start afresh with this run's recipe; with --advice."),
    ] = None,
    advice: Annotated[
        int | None, typer.Option(metavar="N", help="Of --from: the advice to apply (`duel diagnose RUN`).")
    ] = None,
    stop_on: Annotated[
        Literal["severe", "warning", "info"] | None,
        typer.Option(help="End early at the first finding of this severity or above."),
    ] = None,
    devices: Annotated[
        int | None, typer.Option(help="Processes on this machine that train together, one for each GPU.")
    ] = None,
    nodes: Annotated[int, typer.Option(help="Machines with so many each; the same command on each.")] = 1,
    rendezvous: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Of several machines: one of them.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the resolved recipe and stop.")] = False,
    profile: Annotated[
        Path | None, typer.Option(metavar="TRACE.json", help="Say where a step's time goes, and stop.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing but warnings and errors.")] = False,
    as_json: EventLines = False,
    allow_code: AllowCode = False,
    debug: Debug = False,
) -> None:
    """Train a generator; see `duel list recipes` for where to start."""
    if quiet and as_json:
        raise InputError("--quiet and --json exclude each other: give one of them")
    if (from_run is None) != (advice is None):
        raise InputError("--from RUN and --advice N belong together: give both, see `duel diagnose RUN`")
    if dry_run and from_run is not None:
        raise InputError("--dry-run shows a recipe's own fields: leave out --from")
    if profile is not None and (dry_run or resume or from_run):
        raise InputError("--profile plays some steps of a recipe: leave out --dry-run, --resume and --from")
    if profile is not None and str(profile).startswith("-"):
        raise InputError(f"--profile needs the name of a file for the trace, and was given {str(profile)!r}")
    if (devices is not None or nodes > 1) and not dry_run:
        from duel.launch import launch, without_launching

        sys.exit(
            launch(without_launching(sys.argv[1:]), 1 if devices is None else devices, nodes, rendezvous)
        )
    with _before_the_first_step():
        from duel import recipe as recipes
        from duel import session as sessions

        parsed = dict(recipes.parse_change(text) for text in changes or [])
        trusted: bool | list[str] = allow_code or _typed_code(parsed, data)
        if dry_run or profile is not None:
            if recipe is None:
                what = "--dry-run" if dry_run else "--profile"
                raise InputError(f"{what} needs a recipe: name one (`duel list recipes`) or give a TOML file")
            wanted = sessions.plan(
                recipe,
                data=data,
                steps=steps,
                epochs=epochs,
                seed=seed,
                device=device,
                engine=engine,
                changes=parsed,
                allow_code=trusted,
            )
            if profile is not None:
                from duel.profiling import profile as where_time_goes

                print(where_time_goes(wanted, sessions.check(wanted), profile))
                return
            print(recipes.to_toml(wanted), end="")
            return
        if world().rank:
            from duel.together import Follower

            follower = Follower(trusted)
            with _stop_on_signal(follower):
                follower.play()
            return
        session = sessions.train(
            recipe,
            data=data,
            out=out,
            steps=steps,
            epochs=epochs,
            seed=seed,
            device=device,
            engine=engine,
            changes=parsed,
            init_from=init_from,
            resume=resume,
            stop_on=stop_on,
            advised=None if from_run is None or advice is None else (from_run, advice),
            allow_code=trusted,
        )
    with session:
        sys.exit(_follow(session, "json" if as_json else "quiet" if quiet else "people"))


@contextmanager
def _before_the_first_step() -> Iterator[None]:
    """Ctrl-C while data are loaded and the cost is estimated leaves nothing behind, and says so."""
    try:
        yield
    except KeyboardInterrupt:
        print("duel: stopped before the first step; nothing was written", file=sys.stderr)
        sys.exit(130)


def _typed_code(changes: dict[str, Any], data: str | None) -> list[str]:
    """Variants from outside that stand on this very command line: their user has named them."""
    values = [data, *changes.values()]
    return [name for value in values if isinstance(value, str) for name in value.split(",") if ":" in name]


def _follow(session: Session, style: Literal["json", "quiet", "people"]) -> int:
    """Show a session's events until it ends; the exit status."""
    from duel import display

    show = {"json": display.Json, "quiet": display.Quiet, "people": display.People}[style](session)
    reason = "finished already"
    with _stop_on_signal(session) as received, show:
        for event in session:
            show.event(event)
            if event["event"] == "end":
                reason = event["reason"]
        if reason == "finished already":
            show.finished_already()
    if received and reason == "interrupted":
        return 128 + received[0]
    return 1 if reason == "nonfinite" else 0


@contextmanager
def _stop_on_signal(session: Session | Campaign | Follower) -> Iterator[list[int]]:
    """The first SIGINT or SIGTERM asks for the end after the step under way; a second leaves at once."""
    received: list[int] = []

    def handle(number: int, frame: object) -> None:
        received.append(number)
        session.stop()
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    old = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


@app.command()
def bench(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[RECIPE]...", help="All named recipes by default.")
    ] = None,
    data: Annotated[str | None, typer.Option(help="A listed data set, or a folder of images.")] = None,
    changes: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change any field; repeatable.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the table as JSON.")] = False,
    allow_code: AllowCode = False,
    debug: Debug = False,
) -> None:
    """Time a step of each recipe on this machine, and say how long its whole budget will take."""
    from duel import cost
    from duel import recipe as recipes

    given = {} if data is None else recipes.data_changes(data)
    parsed = dict(recipes.parse_change(text) for text in changes or [])
    rows = cost.bench(names or (), {**given, **parsed}, allow_code or _typed_code(parsed, data))
    shown = {"format": 1, "recipes": [row.to_dict() for row in rows]}
    print(json.dumps(shown, indent=2) if as_json else cost.text(rows))
    if all(row.refused for row in rows):
        sys.exit(2)


# ---------------------------------------------------------------- evaluate, use a run, list, data


@app.command()
def evaluate(
    target: Annotated[Path, typer.Argument(help="A run folder, or a folder of images.")],
    against: Annotated[
        str | None, typer.Option(help="A listed data set or a folder; a run's own data by default.")
    ] = None,
    metrics: Annotated[str | None, typer.Option(help="Names, with commas: `duel list metrics`.")] = None,
    features: Annotated[str | None, typer.Option(help="The feature space: `duel list features`.")] = None,
    samples: Annotated[
        int | None, typer.Option(help="Generated samples; min(10,000, the reference's size) by default.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of everything random here.")] = 0,
    split: Annotated[
        Literal["train", "validation", "test"],
        typer.Option(help="Of the real data: train, validation or test."),
    ] = "test",
    floor: Annotated[bool, typer.Option("--floor", help="Also real samples against real ones.")] = False,
    checkpoint: Checkpoint = "last",
    weights: WeightsOption = "ema",
    changes: Annotated[
        list[str] | None, typer.Option("--set", metavar="data.KEY=VALUE", help="Options of the data.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    allow_code: AllowCode = False,
    debug: Debug = False,
) -> None:
    """Measure a run, or any folder of images, against real data."""
    from duel import display
    from duel import evaluate as compute
    from duel import recipe as recipes

    names = None if metrics is None else [name.strip() for name in metrics.split(",") if name.strip()]
    parsed = dict(recipes.parse_change(text) for text in changes or [])
    result = compute(
        target,
        against,
        metrics=names,
        features=features,
        samples=samples,
        seed=seed,
        split=split,
        floor=floor,
        checkpoint=_which(checkpoint),
        weights=weights,
        changes=parsed,
        allow_code=allow_code
        or [name for name in (*(names or ()), features or "", against or "") if ":" in name],
    )
    print(json.dumps(result, indent=2) if as_json else display.evaluation_text(result))
    for warning in result.get("warnings", []):
        print(f"duel: {display.printable(warning)}", file=sys.stderr)


def _which(checkpoint: str) -> str | int:
    return int(checkpoint) if checkpoint.isdecimal() else checkpoint


@app.command()
def diagnose(
    target: Annotated[
        Path | None, typer.Argument(help="A run folder, or a folder of somebody else's samples.")
    ] = None,
    log: Annotated[
        Path | None, typer.Option(help="Of another program: CSV, JSON lines or TensorBoard, file or folder.")
    ] = None,
    against: Annotated[
        str | None, typer.Option(help="Of a folder of samples: a listed data set or a folder of real images.")
    ] = None,
    columns: Annotated[
        list[str] | None,
        typer.Option("--column", metavar="NAME=COLUMN", help="Where the log has loss_d, loss_g, step, …"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
    allow_code: AllowCode = False,
    debug: Debug = False,
) -> None:
    """Say what is wrong with a training, on what evidence, and what to change."""
    from duel import diagnose as judge
    from duel import display
    from duel.run import is_run

    named = dict(_column(text) for text in columns or [])
    found = judge(target, log=log, against=against, columns=named, allow_code=allow_code)
    if as_json:
        print(json.dumps(found, indent=2))
        return
    own = str(target) if target is not None and is_run(target) else None
    print(display.findings_text(found["findings"], own))
    for note in found.get("notes", []):
        print(f"note: {note}")


def _column(text: str) -> tuple[str, str]:
    name, equals, column = text.partition("=")
    if not equals:
        raise InputError(f"--column is {text!r}, allowed: NAME=COLUMN, such as loss_d=train/errD")
    return name, column


@app.command()
def study(
    file: Annotated[Path, typer.Argument(help="A study: a TOML file, such as those in studies/.")],
    out: Annotated[
        Path | None, typer.Option(help="Its folder; a study there is taken up. Default: runs/study-NAME")
    ] = None,
    size: StudySize = None,
    workers: Workers = None,
    cluster: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="A Dask scheduler whose workers play the runs.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the plan and its cost, and stop.")
    ] = False,
    as_json: EventLines = False,
    allow_code: AllowCode = False,
    debug: Debug = False,
) -> None:
    """Play a study: recipes × seeds at equal budgets, in parallel; one table of all results.

    Leaves with 1 where a run failed.
    """
    from duel.study import show
    from duel.study import study as prepare

    with _before_the_first_step():
        campaign = prepare(file, out, size=size, workers=workers, cluster=cluster, allow_code=allow_code)
    if dry_run:
        print(show.plan_text(campaign))
        return
    sys.exit(_play(campaign, show.Json() if as_json else show.People()))


@app.command()
def search(
    file: Annotated[Path, typer.Argument(help="A study file with a table [search]: docs/studies.md.")],
    out: Annotated[
        Path | None, typer.Option(help="Its folder; a search there is taken up. Default: runs/search-NAME")
    ] = None,
    size: StudySize = None,
    trials: Annotated[int | None, typer.Option(help="Configurations to try, in place of the file's.")] = None,
    workers: Workers = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what is searched in and its cost, and stop.")
    ] = False,
    as_json: EventLines = False,
    allow_code: AllowCode = False,
    debug: Debug = False,
) -> None:
    """Search for the best configuration with Optuna: by validation, with its number on the test split.

    Leaves with 1 where a run failed.
    """
    from duel.study import search as searches
    from duel.study import show

    with _before_the_first_step():
        campaign = searches.search(
            file, out, trials=trials, size=size, workers=workers, allow_code=allow_code
        )
    if dry_run:
        print(show.search_text(campaign))
        return
    sys.exit(_play(campaign, show.Json() if as_json else show.People()))


def _play(campaign: Campaign, shown: show.Json | show.People) -> int:
    """Show a study's events until it ends; the exit status."""
    end: dict[str, Any] = {}
    with _stop_on_signal(campaign) as received:
        try:
            for event in campaign:
                shown.event(event)
                end = event
        finally:
            shown.close()
    if end["reason"] == "interrupted":
        return 128 + received[0] if received else 1
    return 1 if end["failed"] else 0


@app.command()
def sample(
    run: RunFolder,
    n: Annotated[int, typer.Option("--n", help="How many.")] = 64,
    seed: Annotated[int, typer.Option(help="Of the latent vectors.")] = 0,
    out: Annotated[
        Path, typer.Option(help="FILE.png (one sheet), FILE.npz (arrays), or a folder (one PNG each).")
    ] = Path("sample.png"),
    label: Annotated[
        str | None, typer.Option(help="Of a conditional run: one class, by name or number.")
    ] = None,
    checkpoint: Checkpoint = "last",
    weights: WeightsOption = "ema",
    allow_code: AllowCode = False,
    debug: Debug = False,
) -> None:
    """Draw new samples from a trained run; of a conditional one a row for each class."""
    from duel import export
    from duel.run import Run

    print(export.write_samples(Run(run, allow_code), out, n, seed, _which(checkpoint), label, weights))


@app.command()
def encode(
    run: RunFolder,
    data: Annotated[
        str | None, typer.Argument(help="A listed data set, or a folder of images; the run's own by default.")
    ] = None,
    out: Annotated[Path, typer.Option(help="FILE.npz: latent, labels, classes.")] = Path("latent.npz"),
    split: SplitOption = "test",
    hidden: Annotated[bool, typer.Option("--hidden", help="Also the encoder's last hidden layer.")] = False,
    checkpoint: Checkpoint = "last",
    weights: WeightsOption = "ema",
    allow_code: AllowCode = False,
    debug: Debug = False,
) -> None:
    """Write the latent vectors of data, as the encoder of a bidirectional run sees them."""
    from duel import export
    from duel.run import Run

    print(export.write_codes(Run(run, allow_code), out, data, split, hidden, _which(checkpoint), weights))


@app.command()
def reconstruct(
    run: RunFolder,
    images: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="DATA|IMAGES…",
            help="A listed data set or a folder, or image files; the run's own data by default.",
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="FILE.png.")] = Path("reconstruction.png"),
    n: Annotated[int, typer.Option("--n", help="How many of the data; image files are all shown.")] = 32,
    split: SplitOption = "test",
    label: Annotated[
        str | None, typer.Option(help="Of a conditional run: the class of all images; else the data's own.")
    ] = None,
    checkpoint: Checkpoint = "last",
    weights: WeightsOption = "ema",
    allow_code: AllowCode = False,
    debug: Debug = False,
) -> None:
    """Show images beside what encoder and generator of a bidirectional run make of them."""
    from duel import export
    from duel.run import Run

    it = Run(run, allow_code)
    print(export.write_reconstructions(it, out, images or (), n, split, label, _which(checkpoint), weights))


@app.command()
def interpolate(
    run: RunFolder,
    out: Annotated[Path, typer.Option(help="FILE.png (a row for each walk), or FILE.gif.")] = Path(
        "walk.png"
    ),
    n: Annotated[int, typer.Option("--n", help="Walks.")] = 8,
    steps: Annotated[
        int | None, typer.Option(help="Images in a walk, both ends among them; 8 by default.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the latent vectors.")] = 0,
    path: Annotated[
        Literal["linear", "spherical"] | None,
        typer.Option(help="spherical (the default for normal latent vectors), or linear (for uniform ones)."),
    ] = None,
    labels: Annotated[
        bool, typer.Option("--labels", help="Of a conditional run: each latent vector in every class.")
    ] = False,
    checkpoint: Checkpoint = "last",
    weights: WeightsOption = "ema",
    allow_code: AllowCode = False,
    debug: Debug = False,
) -> None:
    """Walk between pairs of latent vectors; of a conditional run each row is of one class."""
    from duel import export
    from duel.run import Run

    it = Run(run, allow_code)
    print(export.write_walks(it, out, n, steps, seed, path, labels, _which(checkpoint), weights))


@app.command("export")
def export_(
    run: RunFolder,
    form: Annotated[
        Literal["onnx", "safetensors", "images"],
        typer.Option("--format", help="onnx: graphs; safetensors: weights; images: a folder of PNGs."),
    ] = "onnx",
    out: Annotated[
        Path | None,
        typer.Option(help="The file or folder; model.onnx, model.safetensors or images by default."),
    ] = None,
    also: Annotated[
        str | None,
        typer.Option("--with", metavar="NETWORK,…", help="Beside the generator: encoder, discriminator."),
    ] = None,
    n: Annotated[int | None, typer.Option("--n", help="How many images; 64 by default.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of the images' latent vectors; 0 by default.")] = None,
    checkpoint: Checkpoint = "last",
    weights: WeightsOption = "ema",
    allow_code: AllowCode = False,
    debug: Debug = False,
) -> None:
    """Write the generator for other programs (ONNX, safetensors), or a folder of images that it makes."""
    from duel import export
    from duel.run import Run

    it, names = Run(run, allow_code), also.split(",") if also else []
    for written in export.write(it, form, out, _which(checkpoint), weights, names, n, seed):
        print(written)


@app.command()
def compare(
    paths: Annotated[list[Path], typer.Argument(metavar="RUN|STUDY…", help="Run folders, or one study.")],
    metric: Annotated[
        str | None, typer.Option(help="By default a study's first, or the first that all runs have.")
    ] = None,
    checkpoint: Annotated[
        Literal["last", "best"], typer.Option(help="last, or best: chosen on validation, measured on test.")
    ] = "last",
    baseline: Annotated[
        str | None, typer.Option(metavar="LABEL", help="What all are compared with; by default the first.")
    ] = None,
    every_pair: Annotated[bool, typer.Option("--all-pairs", help="Each with each other.")] = False,
    confidence: Annotated[float, typer.Option(help="Of the intervals.")] = 0.95,
    as_json: Annotated[bool, typer.Option("--json", help="Print the comparison as JSON.")] = False,
    allow_code: AllowCode = False,
    debug: Debug = False,
) -> None:
    """Say which configuration is better, and how sure that is: paired over seeds, corrected for many."""
    from duel import comparison, display

    found = comparison.compare(paths, metric, checkpoint, baseline, every_pair, confidence, allow_code)
    print(json.dumps(found.to_dict(), indent=2) if as_json else display.printable(comparison.text(found)))


@app.command()
def report(
    target: Annotated[Path, typer.Argument(metavar="RUN|STUDY", help="The folder of a run or of a study.")],
    out: Annotated[
        Path | None, typer.Option(help="FILE.html; report.html in that folder by default.")
    ] = None,
    debug: Debug = False,
) -> None:
    """Write all that a run or a study has to say into one HTML page that needs no network."""
    from duel import report as reports

    print(reports.write(target, out))


@app.command("runs")
def runs_(
    folder: Annotated[Path, typer.Argument(help="Where the runs are.")] = Path("runs"),
    delete: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Remove this run, all of it; repeatable.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Remove without asking.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the list as JSON.")] = False,
    debug: Debug = False,
) -> None:
    """List the runs of a folder with state and size; remove some on request."""
    from duel import display, runs

    names = list(dict.fromkeys(name.rstrip("/") or name for name in delete or []))
    for name in names:
        runs.chosen(folder, name)  # before anybody is asked about one, or anything removed
    for name in names:
        path = runs.chosen(folder, name)
        if not yes and not typer.confirm(f"remove {path} for good?"):
            raise InputError(f"{path} was kept: nobody said yes")
        print(f"removed {runs.delete(folder, name)}")
    found = runs.listed(folder)
    if as_json:
        print(json.dumps({"format": 1, "runs": [each.to_dict() for each in found]}, indent=2))
    elif not delete:
        print(display.runs_text(found, folder))


@app.command("list")
def list_(
    family: Annotated[str | None, typer.Argument(help="recipes, or a family of variants.")] = None,
    name: Annotated[str | None, typer.Argument(help="One of them: its options and help.")] = None,
    debug: Debug = False,
) -> None:
    """List recipes and variants, or explain one of them."""
    families = ("recipes", *catalog.FAMILIES)
    if family is not None and family not in families:
        raise InputError(f"there is no list {family!r}: {one_of(families, family)}")
    if name is not None:
        print(_recipe_text(name) if family == "recipes" else _entry_text(catalog.entry(str(family), name)))
        return
    for each in families if family is None else (family,):
        print(each)
        lines = _lines(each)
        width = max(14, *(len(title) for title, _ in lines)) + 2
        for title, summary in lines:
            print(f"  {title:<{width}}{summary}")


def _lines(family: str) -> list[tuple[str, str]]:
    if family == "recipes":
        return [(title, _first_comment(path)) for title, path in catalog.recipes().items()]
    return [(entry.name, entry.summary) for entry in catalog.entries(family)]


def _first_comment(path: Path) -> str:
    with open(path, encoding="utf-8") as file:
        return file.readline().removeprefix("#").strip()


def _recipe_text(name: str) -> str:
    known = catalog.recipes()
    if name not in known:
        raise InputError(f"there is no recipe {name!r}: {one_of(tuple(known), name)}")
    return known[name].read_text(encoding="utf-8").rstrip()


def _entry_text(entry: catalog.Entry) -> str:
    lines = [f"{entry.name} ({entry.family})", "", entry.help]
    if entry.options:
        lines += ["", "options"]
    for option in entry.options:
        default = "must be given" if option.default is None else f"default {option.default}"
        lines.append(f"  {option.name}: {option.type} ({default})")
    return "\n".join(lines)


@app.command()
def advise(
    data: Annotated[
        str, typer.Argument(metavar="DATA|FOLDER", help="A listed data set, or a folder of images.")
    ],
    changes: Annotated[
        list[str] | None, typer.Option("--set", metavar="data.KEY=VALUE", help="Options of the data.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="FILE.toml: where the recipe goes, for `duel train FILE`.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the advice as JSON.")] = False,
    debug: Debug = False,
) -> None:
    """Look at data and at this machine: which recipe to start from, what to expect, on what evidence."""
    from duel import recipe as recipes
    from duel.advise import advise as find
    from duel.advise import show

    parsed = dict(recipes.parse_change(text) for text in changes or [])
    found = find(data, parsed, out)
    print(json.dumps(found, indent=2) if as_json else show.text(found))


@app.command()
def explain(
    out: Annotated[
        Path | None, typer.Option(help="FILE.html: one page, with plots. Default: text on the terminal.")
    ] = None,
    debug: Debug = False,
) -> None:
    """Follow one training step of a very small GAN with every number; compare rational activations."""
    from duel.explain import page, words

    print(words.text() if out is None else page.write(out))


@app.command()
def studio(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder that holds the runs.")] = Path(
        "runs"
    ),
    port: Annotated[int, typer.Option(help="Where the studio listens.")] = 7860,
    host: Annotated[
        str, typer.Option(help="Another address than this machine's own; it then asks for a token.")
    ] = "127.0.0.1",
    debug: Debug = False,
) -> None:
    """Open the runs of a folder in the browser: watch, explore, judge, compare, understand."""
    from duel.studio import studio as serve

    serve(folder, host, port)


@data_app.command("check")
def data_check(
    folder: Annotated[Path, typer.Argument(help="A folder of images.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
    debug: Debug = False,
) -> None:
    """List every file that cannot be used and why; sizes, modes, classes, duplicates.

    Leaves with 1 where there are bad files.
    """
    from duel import display
    from duel.datasets._check import check_folder

    report = check_folder(str(folder))
    print(json.dumps({"format": 1, **report.to_dict()}, indent=2) if as_json else display.report_text(report))
    sys.exit(1 if report.bad else 0)


@data_app.command("inspect")
def data_inspect(
    data: Annotated[str, typer.Argument(help="A listed data set, or a folder of images.")],
    out: Annotated[Path, typer.Option(help="Where the picture goes.")] = Path("portrait.png"),
    seed: Annotated[int, typer.Option(help="Of what is drawn at random.")] = 0,
    changes: Annotated[
        list[str] | None, typer.Option("--set", metavar="data.KEY=VALUE", help="Options of the data.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was found as JSON.")] = False,
    debug: Debug = False,
) -> None:
    """Draw the portrait of a data set: samples, mean and variance, distributions, classes, duplicates."""
    from duel import display, portrait
    from duel import recipe as recipes

    parsed = dict(recipes.parse_change(text) for text in changes or [])
    found = portrait.portrait(recipes.data_set(data, parsed).load(), out, seed)
    print(json.dumps({"format": 1, **found}, indent=2) if as_json else display.portrait_text(found))


if __name__ == "__main__":
    main()
