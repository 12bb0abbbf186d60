"""Use a trained run: samples, codes, reconstructions, walks, and its networks for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from duel.cli.app import AllowCode, Checkpoint, Debug, RunFolder, SplitOption, WeightsOption, app, which


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
    from duel import export, hub

    print(export.write_samples(hub.load(run, allow_code), out, n, seed, which(checkpoint), label, weights))


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
    from duel import export, hub

    print(export.write_codes(hub.load(run, allow_code), out, data, split, hidden, which(checkpoint), weights))


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
    from duel import export, hub

    it = hub.load(run, allow_code)
    print(export.write_reconstructions(it, out, images or (), n, split, label, which(checkpoint), weights))


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
    from duel import export, hub

    it = hub.load(run, allow_code)
    print(export.write_walks(it, out, n, steps, seed, path, labels, which(checkpoint), weights))


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
    from duel import export, hub

    it, names = hub.load(run, allow_code), also.split(",") if also else []
    for written in export.write(it, form, out, which(checkpoint), weights, names, n, seed):
        print(written)
