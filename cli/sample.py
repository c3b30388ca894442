"""`hqdm sample`."""

import time
from pathlib import Path
from typing import Annotated, Any

import typer

import hqdm
from hqdm.cli import board_options as board
from hqdm.cli.config_option import ConfigFile
from hqdm.cli.evaluate import find_decoder
from hqdm.cli.extras import want_simulator
from hqdm.cli.output_option import DASH, aside
from hqdm.cli.printing import Json, print_values
from hqdm.firmware.device.modes import check_mode
from hqdm.kit.files import check_writable, is_plain
from hqdm.kit.progress import StageBars
from hqdm.spec.config_file import read_config

SHIPPED = Path(hqdm.__file__).parent / "models" / "cifar10"
BACKENDS = ("float", "golden", "rtl", "uio")
ON_DEVICE = ("rtl", "uio")
HOW_TO_TRAIN = ("train one with hqdm train autoencoder, hqdm train unet, hqdm quantize and hqdm "
                "lower (docs/recipe.md); a wheel has w4a4 alone, the repository more")


def checkpoint_of(folder: Path, backend: str, network: str) -> Path:
    """The file of `folder` that `backend` runs.

    Raises
    ------
    ValueError: an unknown backend.
    FileNotFoundError: no such folder or file; the text says how to make one.
    """
    if backend not in BACKENDS:
        raise ValueError(f"--backend: wanted one of {', '.join(BACKENDS)}, got {backend!r}")
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder of models; {HOW_TO_TRAIN}")
    path = folder / ("unet.safetensors" if backend == "float"
                     else f"{network}.integers.safetensors")
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such checkpoint; {HOW_TO_TRAIN}")
    return path


def parse_classes(text: str | None, count: int, known: tuple[str, ...]) -> list[int]:
    """The labels of `count` images: the classes named, by name or number, in turn.

    Raises
    ------
    ValueError: an unknown class.
    """
    if text is None:
        return [i % len(known) for i in range(count)]
    chosen = []
    for word in text.replace(",", " ").split():
        if word not in known and not (word.isdecimal() and int(word) < len(known)):
            raise ValueError(f"--classes: wanted some of {', '.join(known)} or 0.."
                             f"{len(known) - 1}, got {word!r}")
        chosen.append(int(word) if word.isdecimal() else known.index(word))
    if not chosen:
        raise ValueError("--classes: wanted at least one class, got none")
    return [chosen[i % len(chosen)] for i in range(count)]


def sample(
    output: Annotated[Path, typer.Option(
        "-o", "--output", callback=aside, help=f"Picture to write (PNG). {DASH}")],
    backend: Annotated[str, typer.Option(
        help="float; golden: integers, as the core computes them; rtl: the core itself, "
        "simulated, compared with golden; uio: a core on a board, docs/linux.md.")] = "golden",
    n: Annotated[int, typer.Option("-n", help="Images.")] = 16,
    classes: Annotated[str | None, typer.Option(
        help="Names or numbers, by commas, in turn; by default all ten.",
        show_default=False)] = None,
    steps: Annotated[int, typer.Option(help="Of the sampler.")] = 20,
    guidance: Annotated[float, typer.Option(help="Classifier-free; 1 is none.")] = 2.0,
    seed: Annotated[int, typer.Option(help="Of the noise, the same for every backend.")] = 1,
    model: Annotated[Path, typer.Option(
        help="Folder with decoder.safetensors, unet.safetensors and NETWORK.integers."
        "safetensors.", show_default="models/cifar10")] = SHIPPED,
    network: Annotated[str, typer.Option(
        help="Of all backends but float: w4a4, w4a3, ...")] = "w4a4",
    config: ConfigFile = "n16",
    memory_latency: Annotated[int, typer.Option(help="Cycles; rtl only.")] = 40,
    compare: Annotated[str, typer.Option(
        help="rtl and uio: none, outputs of every call, or all layers, bit for bit.")] = "layers",
    devices: Annotated[int, typer.Option(
        help="Simulations side by side, at most one for each half of the guidance; rtl only.")] = 2,
    columns: Annotated[int | None, typer.Option(
        help="Of the picture; by default 10, or 8 for all classes of 16 images.",
        show_default=False)] = None,
    report: Annotated[Path | None, typer.Option(
        callback=aside,
        help="Page to write, .html, or its plots as .png or .svg: the counters of the core, layer "
        f"by layer, beside the cycle model; rtl and uio. {DASH}", show_default=False)] = None,
    device: Annotated[str | None, typer.Option(
        help="Of the float backend: auto, cuda, cpu; of uio: node of the core, or BITFILE:CORE of "
        "a PYNQ overlay.", show_default=f"cpu, {board.DEVICE}")] = None,
    memory: board.MemoryName = board.MEMORY,
    clock_mhz: board.Clock = board.CLOCK_MHZ,
    poll: board.Poll = False,
    root: board.Root = Path("/"),
    as_json: Json = False,
) -> None:
    """Sample a grid of images; image i of a seed starts from the same noise on every backend.

    The rtl and uio backends keep their state in OUTPUT.state: after Ctrl-C the same command goes
    on. Not where OUTPUT is a device, a pipe or standard output.
    """
    _check(n, seed, columns, memory_latency, devices)
    core, mode = read_config(config), check_mode(compare)
    check_writable(output)
    path = checkpoint_of(model, backend, network)
    _check_report(report, output, backend)
    want_simulator(backend)
    from hqdm.learn.data.cifar10 import CLASSES
    labels = parse_classes(classes, n, CLASSES)
    shared: dict[str, Any] = {"steps": steps, "guidance": guidance, "seed": seed,
                              "columns": columns or min(n, 8)}
    if backend in ON_DEVICE:
        place = board.Board(device=device or board.DEVICE, memory=memory, clock_mhz=clock_mhz,
                            poll=poll, root=root)
        from hqdm.cli.device_sample import draw_on_device
        result = draw_on_device(path, find_decoder(path), output, labels, config=core,
                                memory_latency=memory_latency, compare=mode,
                                devices=devices, board=place if backend == "uio" else None,
                                report=report, **shared)
    else:
        result = draw(path, find_decoder(path), output, labels, backend=backend,
                      device=device or "cpu", **shared)
    print_values({"model": model.name} | result, as_json)
    if backend in ON_DEVICE and not as_json:
        print(f"mismatches {result['mismatches']} in {result['layers_compared']} layers of all "
              f"steps; cycles per step {max(result['cycles_per_step']):,}")
        if report is not None:
            print(f"wrote {report}")
    if result["first_mismatch"]:
        raise RuntimeError(f"golden and the core differ: {result['first_mismatch']}")


def _check(n: int, seed: int, columns: int | None, memory_latency: int, devices: int) -> None:
    for name, value, low in (("-n", n, 1), ("--seed", seed, 0), ("--columns", columns, 1),
                             ("--memory-latency", memory_latency, 1), ("--devices", devices, 1)):
        if value is not None and value < low:
            raise ValueError(f"{name}: wanted at least {low}, got {value}")


def _check_report(report: Path | None, output: Path, backend: str) -> None:
    """Refuse a report that could not be written after hours of sampling."""
    if report is None:
        return
    if backend not in ON_DEVICE:
        raise ValueError(f"--report: wanted --backend {' or '.join(ON_DEVICE)}, which count "
                         f"cycles, got {backend}")
    from hqdm.cycles.report import check_report
    check_report("--report", report)
    if is_plain(report) and (
            report.resolve() == output.resolve() or not report.parent.is_dir()):
        raise ValueError(f"--report: wanted another file than the picture, in a folder that is "
                         f"there, got {report}")


def draw(path: Path, decoder: Path, output: Path, labels: list[int], *, backend: str, steps: int,
         guidance: float, seed: int, columns: int, device: str) -> dict[str, Any]:
    """Sample `labels` with the checkpoint `path`, write the grid, say what was done."""
    import torch

    from hqdm.learn.diffusion.autoencoder import decode
    from hqdm.learn.diffusion.files import load_autoencoder
    from hqdm.learn.diffusion.grid import save_grid
    from hqdm.learn.diffusion.sampler import initial_noise
    from hqdm.learn.evaluation.subjects import load_subject
    from hqdm.learn.train.options import choose_device
    begun = time.monotonic()
    subject = load_subject(path, choose_device(device))
    autoencoder = load_autoencoder(decoder)
    with StageBars() as bars:
        latents = subject.sample(
            initial_noise(len(labels), subject.shape, seed), torch.tensor(labels), steps,
            guidance, lambda index, timestep, x: bars("steps", index, steps))
        bars("steps", steps, steps)
    save_grid(output, decode(autoencoder, latents), columns, scale=2)
    return {"config": None, "backend": backend, "network": subject.name, "steps": steps,
            "guidance": guidance, "seed": seed, "images": len(labels), "classes": labels,
            "seconds": time.monotonic() - begun, "output": str(output), "cycles_per_step": [],
            "layers_compared": 0, "mismatches": 0, "first_mismatch": None}


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(sample)
