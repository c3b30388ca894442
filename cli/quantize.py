"""`hqdm quantize`."""

from pathlib import Path
from typing import Annotated, Any, cast

import typer

from hqdm.cli.printing import Json, print_values
from hqdm.kit.files import check_writable, is_plain
from hqdm.kit.progress import StageBars


def load_teacher(path: Path, guidance: float) -> Any:
    """The Teacher in a checkpoint of `hqdm train unet`; ValueError for any other file."""
    from hqdm.learn.diffusion.files import load_unet
    from hqdm.learn.diffusion.sampler import make_scheduler
    from hqdm.learn.qat.trajectory import Teacher
    model = load_unet(path)
    size = model.preset.latent_size
    return Teacher(model.unet.requires_grad_(False), make_scheduler(),
                   (model.preset.latent_channels, size, size),
                   model.embedding.weight.detach(), guidance)


def quantize(
    teacher: Annotated[Path, typer.Option(help="Checkpoint of hqdm train unet.")],
    out: Annotated[Path, typer.Option(
        dir_okay=False, help="File to write. An interrupted run is continued.")],
    method: Annotated[str, typer.Option(
        help="hqdm, efficientdm, double-hadamard or ptq.")] = "hqdm",
    weights: Annotated[int, typer.Option(help="Bits: 2, 3, 4 or 8.")] = 4,
    activations: Annotated[int, typer.Option(help="Bits: 2, 3, 4 or 8.")] = 4,
    axis: Annotated[str | None, typer.Option(
        help="Rotation of convolutions, width or channel, or of every layer the best; "
        "hqdm only.  [default: width]",
        show_default=False)] = None,
    span: Annotated[str | None, typer.Option(
        "--range", help="Bounds of quantised activations of up to 4 bits: symmetric, or free in "
        "each timestep; hqdm only.  [default: symmetric]", show_default=False)] = None,
    order: Annotated[int | None, typer.Option(
        help="log2 of the rotation block.  [default: 5]", show_default=False)] = None,
    iterations: Annotated[int, typer.Option(help="Of the whole run.")] = 2000,
    minutes: Annotated[float | None, typer.Option(
        help="Stop training after so long; the same command continues.",
        show_default=False)] = None,
    batch: Annotated[int, typer.Option(help="Latents per iteration.")] = 32,
    trajectories: Annotated[int, typer.Option(help="Recorded from the teacher.")] = 256,
    steps: Annotated[int, typer.Option(help="Of the sampler: every 100/STEPS-th scale.")] = 20,
    guidance: Annotated[float, typer.Option(help="Of the teacher's trajectories.")] = 2.0,
    activation_rate: Annotated[float, typer.Option(
        help="Learning rate of activation steps, relative.")] = 5e-3,
    weight_rate: Annotated[float, typer.Option(
        help="Learning rate of weight steps, relative.")] = 1e-4,
    lora_rate: Annotated[float, typer.Option(help="Learning rate of LoRA.")] = 5e-4,
    rank: Annotated[int, typer.Option(help="Of LoRA.")] = 32,
    seed: Annotated[int, typer.Option(help="Of trajectories, LoRA and batches.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cuda or cpu.")] = "auto",
    autocast: Annotated[bool | None, typer.Option(
        "--bfloat16/--float32", help="Of the sums in training.  [default: bfloat16 on cuda]",
        show_default=False)] = None,
    as_json: Json = False,
) -> None:
    """Quantise a float UNet by data-free distillation and write the packed network."""
    from hqdm.learn.qat.distil import Recipe
    from hqdm.learn.qat.methods import ConvAxis, Range, make_method
    from hqdm.learn.qat.run import Job, quantise
    from hqdm.learn.train.options import choose_device
    chosen = make_method(method, weights=weights, activations=activations,
                         axis=cast(ConvAxis | None, axis), order=order,
                         span=cast(Range | None, span))
    device = choose_device(device)
    check_writable(out)
    if not is_plain(out):
        raise ValueError(f"--out: wanted a plain file, with its training beside it, got {out}")
    recipe = Recipe(
        iterations=iterations, batch=batch, seed=seed, activation_rate=activation_rate,
        weight_rate=weight_rate, lora_rate=lora_rate,
        autocast=device == "cuda" if autocast is None else autocast)
    job = Job(out=out, trajectories=trajectories, steps=steps, minutes=minutes, device=device,
              rank=rank)
    with StageBars() as bars:
        summary = quantise(load_teacher(teacher, guidance), chosen, recipe, job, bars)
    print_values(summary, as_json)


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(quantize)
