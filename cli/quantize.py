"""`hqdm quantize`: a checkpoint of `hqdm train unet`, or a UNet in a folder of diffusers."""

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
    from hqdm.learn.qat.teacher import Teacher
    if path.is_dir():
        raise ValueError(f"--teacher: wanted a file of hqdm train unet, got the folder {path}; "
                         f"--model takes one that diffusers wrote")
    model = load_unet(path)
    size = model.preset.latent_size
    return Teacher(model.unet.requires_grad_(False), make_scheduler(),
                   (model.preset.latent_channels, size, size),
                   model.embedding.weight.detach(), guidance)


def read_teacher(folder: Path, tokens: Path | None, size: tuple[int, int] | None,
                 guidance: float | None) -> tuple[Any, dict[str, Any]]:
    """The Teacher in a folder of diffusers, and what was found there.

    What `hqdm lower` would refuse later is refused here, before anything is trained.

    Raises
    ------
    FileNotFoundError, ValueError: no such folder, a file in it that is not what it says, a UNet
        that the core does not run.
    """
    from hqdm.firmware.catalogue.library import make_model, read_model
    from hqdm.firmware.compile.lowering import lower
    from hqdm.learn.diffusion.folder import find_part, find_schedule
    from hqdm.learn.qat.teacher import folder_teacher
    described = make_model(read_model(str(find_part(folder, "unet") / "config.json")))
    teacher = folder_teacher(folder, tokens, size, guidance)
    rows = teacher.tokens
    lower(described, (0,), contexts=None if rows is None else rows.to("meta"),
          size=teacher.shape[1:], name=str(folder), runs=True)
    where = find_schedule(folder, teacher.shape[0])[1]
    return teacher, {
        "model": str(folder), "latent": list(teacher.shape), "classes": teacher.classes,
        "guidance": teacher.guidance,
        "noise_schedule": str(where or "the default of diffusers: none found"),
        "prediction": teacher.noise_schedule.prediction_type}


def quantize(
    out: Annotated[Path, typer.Option(
        dir_okay=False, help="File to write. An interrupted run is continued.")],
    teacher: Annotated[Path | None, typer.Option(
        help="Checkpoint of hqdm train unet.", show_default=False)] = None,
    model: Annotated[Path | None, typer.Option(
        help="Instead of a teacher: folder that diffusers saved a UNet to, or a pipeline with one.",
        show_default=False)] = None,
    tokens: Annotated[Path | None, typer.Option(
        help="Of a model with cross-attention: safetensors file of one tensor (classes + 1, D), a "
        "token per class and last that of no class.",
        show_default="tokens.safetensors in the folder, if it is there")] = None,
    size: Annotated[tuple[int, int] | None, typer.Option(
        help="Height and width of the latent of --model; by default its sample_size.",
        show_default=False)] = None,
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
    guidance: Annotated[float | None, typer.Option(
        help="Of the teacher's trajectories; 1 is none, and the default of a model that was given "
        "no tokens. Where the model has embeddings of classes, another says that the last is that "
        "of no class.", show_default="2.0")] = None,
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
    if (teacher is None) == (model is None):
        raise ValueError("wanted --teacher FILE or --model FOLDER, got " + (
            "neither" if teacher is None else "both"))
    if teacher is not None and (tokens is not None or size is not None):
        raise ValueError("--tokens, --size: wanted beside --model, got --teacher, which has them")
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
    about: dict[str, Any] = {}
    if model is None:
        source = load_teacher(cast(Path, teacher), 2.0 if guidance is None else guidance)
    else:
        source, about = read_teacher(model, tokens, size, guidance)
    with StageBars() as bars:
        summary = quantise(source, chosen, recipe, job, bars)
    print_values(about | summary, as_json)


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(quantize)
