"""`hqdm lower`: a quantised network to the integer network that golden and the core run."""

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from hqdm.cli.evaluate import Guidance
from hqdm.cli.output_option import DASH, aside
from hqdm.cli.printing import Json, print_values
from hqdm.kit.files import check_writable, is_plain
from hqdm.kit.progress import StageBars

CALIBRATION_SEED, CHECK_SEED = 1_000_001, 1_000_002
Calls = list[tuple[int, Any, Any, Any]]    # (index, latents, classes, noise), tensors


def lower(
    model: Annotated[Path, typer.Option(help="File of hqdm quantize.")],
    out: Annotated[Path | None, typer.Option(
        callback=aside,
        help=f"File to write; by default MODEL with .integers before its ending. {DASH}",
        show_default=False)] = None,
    images: Annotated[int, typer.Option(
        help="Sampled to find the ranges of all carriers.")] = 32,
    check: Annotated[int, typer.Option(
        help="Others, sampled to compare the integers with the fake-quantised network.")] = 8,
    guidance: Guidance = None,
    as_json: Json = False,
) -> None:
    """Lower a quantised network to integers, calibrated along its own trajectories."""
    if images < 1 or check < 1:
        raise ValueError(f"--images, --check: wanted at least 1, got {images} and {check}")
    begun = time.monotonic()
    written = out or model.with_suffix(".integers.safetensors")
    check_writable(written)
    with StageBars() as bars:
        result = lower_file(model, written, images, check, guidance, bars)
    print_values(result | {"seconds": time.monotonic() - begun}, as_json)


def lower_file(model: Path, out: Path, images: int, check: int, guidance: float | None,
               say: Any) -> dict[str, Any]:
    """Lower `model`, write `out`, compare; a summary.

    Raises
    ------
    FileNotFoundError, ValueError: no quantised network, or one the accelerator does not run.
    """
    from hqdm.firmware.compile.lowering.quantised import lower_quantised
    from hqdm.golden.network.network_file import save_network
    from hqdm.kit.tensor_file import load_checkpoint
    from hqdm.learn.calibration import fidelity, quantise
    from hqdm.learn.evaluation.subjects import sampled_like, subject_of
    from hqdm.learn.qat.export import KIND, quantised_of
    read = load_checkpoint(model, KIND)
    frozen, tokens = quantised_of(model, read)
    subject = subject_of(model, read)
    guidance = subject.guidance(guidance)
    real = lower_quantised(frozen, tokens, name=model.stem)
    schedule = frozen.timestep.schedule
    latents, classes = trajectory(subject, images, CALIBRATION_SEED, guidance, len(schedule))
    say("calibrated steps", 0, len(schedule))
    real, network = quantise(real, latents, classes)
    say("calibrated steps", len(schedule), len(schedule))
    about = {"schedule": list(schedule), "guidance": guidance, "images": images,
             "method": subject.about["method"], "source": subject.digest} | sampled_like(subject)
    digest = save_network(out, network, about)
    others, labels = trajectory(subject, check, CHECK_SEED, guidance, len(schedule))
    found = fidelity(real, network, others, labels).summary()
    return {"output": str(out), "layers": len(network.layers),
            "bytes": out.stat().st_size if is_plain(out) else None, "sha256": digest,
            "timesteps": len(schedule), "n": check, "cosine": found}


def trajectory(subject: Any, n: int, seed: int, guidance: float, steps: int,
               ) -> tuple[list[Any], Any]:
    """Latents of every step of the subject's own sampling, and the classes of a call."""
    from hqdm.learn.evaluation.distance import reference_calls
    calls: Calls = reference_calls(subject, n, seed=seed, steps=steps, guidance=guidance)
    return [latents for _, latents, _, _ in calls], calls[0][2]


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(lower)
