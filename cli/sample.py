"""`hqdm sample`."""

import time
from pathlib import Path
from typing import Annotated, Any

import typer

import hqdm
from hqdm.cli import board_options as board
from hqdm.cli.config_option import ConfigFile
from hqdm.cli.evaluate import Decoder, Guidance, decoder_or_none
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
                "lower (docs/recipe.md), or take one of your own (docs/your-own-model.md); a wheel "
                "has w4a4 alone, the repository more")
ENDING = ".integers.safetensors"


def checkpoint_of(folder: Path, backend: str, network: str) -> Path:
    """The file of `folder` that `backend` runs, or the folder itself if diffusers saved it.

    Raises
    ------
    ValueError: an unknown backend.
    FileNotFoundError: no such folder or file; the text says how to make one.
    """
    if backend not in BACKENDS:
        raise ValueError(f"--backend: wanted one of {', '.join(BACKENDS)}, got {backend!r}")
    if folder.is_file():
        raise FileNotFoundError(f"--model: wanted a folder, got the file {folder}; --network is "
                                f"the name of a file in it, without {ENDING}")
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder of models; {HOW_TO_TRAIN}")
    path = folder / ("unet.safetensors" if backend == "float" else f"{network}{ENDING}")
    if path.is_file():
        return path
    if backend == "float" and any((folder / part / "config.json").is_file()
                                  for part in ("", "unet")):
        return folder
    there = sorted(p.name.removesuffix(ENDING) for p in folder.glob(f"*{ENDING}"))
    also = f"; --network may be {', '.join(there)}" if there and backend != "float" else ""
    raise FileNotFoundError(f"{path}: no such checkpoint; {HOW_TO_TRAIN}{also}")


def parse_classes(text: str | None, count: int, known: tuple[str, ...]) -> list[int]:
    """The labels of `count` images: the classes named, by name or number, in turn.

    Raises
    ------
    ValueError: an unknown class.
    """
    if text is None:
        return [i % max(1, len(known)) for i in range(count)]
    if not known:
        raise ValueError(f"--classes: wanted none, as the network has no classes, got {text!r}")
    chosen = []
    for word in text.replace(",", " ").split():
        if word not in known and not (word.isdecimal() and int(word) < len(known)):
            names = "" if known[0] == "0" else f"some of {', '.join(known)} or "
            raise ValueError(f"--classes: wanted {names}0..{len(known) - 1}, got {word!r}")
        chosen.append(int(word) if word.isdecimal() else known.index(word))
    if not chosen:
        raise ValueError("--classes: wanted at least one class, got none")
    return [chosen[i % len(chosen)] for i in range(count)]


def names_of(classes: int) -> tuple[str, ...]:
    """The names of so many classes: CIFAR-10's of ten, else their numbers."""
    from hqdm.learn.data.cifar10 import CLASSES
    return CLASSES if classes == len(CLASSES) else tuple(str(i) for i in range(classes))


def sample(
    output: Annotated[Path, typer.Option(
        "-o", "--output", callback=aside, help=f"Picture to write (PNG). {DASH}")],
    backend: Annotated[str, typer.Option(
        help="float; golden: integers, as the core computes them; rtl: the core itself, "
        "simulated, compared with golden; uio: a core on a board, docs/linux.md.")] = "golden",
    n: Annotated[int, typer.Option("-n", help="Images.")] = 16,
    classes: Annotated[str | None, typer.Option(
        help="Numbers, by commas, in turn, or names where there are ten; by default all.",
        show_default=False)] = None,
    steps: Annotated[int, typer.Option(help="Of the sampler.")] = 20,
    guidance: Guidance = None,
    seed: Annotated[int, typer.Option(help="Of the noise, the same for every backend.")] = 1,
    model: Annotated[Path, typer.Option(
        help="Folder with NETWORK.integers.safetensors, for the float backend unet.safetensors or "
        "a UNet of diffusers, and decoder.safetensors unless the latents are pictures.",
        show_default="models/cifar10")] = SHIPPED,
    network: Annotated[str, typer.Option(
        help="Of all backends but float: w4a4, w4a3, ...")] = "w4a4",
    decoder: Decoder = None,
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
    from hqdm.learn.diffusion.files import load_decoder
    from hqdm.learn.evaluation.subjects import load_subject
    from hqdm.learn.train.options import choose_device
    subject = load_subject(path, choose_device(device or "cpu") if backend == "float" else "cpu")
    labels = parse_classes(classes, n, names_of(subject.null_class))
    subject.check_steps(steps)
    autoencoder, _ = load_decoder(decoder_or_none(path, decoder), subject.shape[0])
    shared: dict[str, Any] = {"steps": steps, "guidance": subject.guidance(guidance),
                              "seed": seed, "columns": columns or min(n, 8)}
    if backend in ON_DEVICE:
        place = board.Board(device=device or board.DEVICE, memory=memory, clock_mhz=clock_mhz,
                            poll=poll, root=root)
        from hqdm.cli.device_sample import draw_on_device
        result = draw_on_device(subject, autoencoder, output, labels, config=core,
                                memory_latency=memory_latency, compare=mode,
                                devices=devices, board=place if backend == "uio" else None,
                                report=report, **shared)
    else:
        result = draw(subject, autoencoder, output, labels, backend=backend, **shared)
    print_values({"model": model.name} | result, as_json)
    if backend in ON_DEVICE and not as_json:
        print(f"mismatches {result['mismatches']} in {result['layers_compared']} layers of all "
              f"steps; cycles per step {max(result['cycles_per_step']):,}"
              f"{_resumed(result['steps_resumed'], compare)}")
        if report is not None:
            print(f"wrote {report}")
    if result["first_mismatch"]:
        raise RuntimeError(f"golden and the core differ: {result['first_mismatch']}")


def _resumed(steps: int, compare: str) -> str:
    """What the last line adds where an earlier run did some of the steps."""
    if not steps:
        return ""
    return f"; {steps} steps of an earlier run" + (
        "" if compare == "none" else ", whose noise golden confirms")


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


def draw(subject: Any, autoencoder: Any, output: Path, labels: list[int], *, backend: str,
         steps: int, guidance: float, seed: int, columns: int) -> dict[str, Any]:
    """Sample `labels` with a `Subject`, write the grid, say what was done.

    Parameters
    ----------
    autoencoder: as `hqdm.learn.diffusion.autoencoder.decode` takes it.
    """
    import torch

    from hqdm.learn.diffusion.autoencoder import decode
    from hqdm.learn.diffusion.grid import save_grid
    from hqdm.learn.diffusion.sampler import initial_noise
    begun = time.monotonic()
    with StageBars() as bars:
        latents = subject.sample(
            initial_noise(len(labels), subject.shape, seed), torch.tensor(labels), steps,
            guidance, lambda index, timestep, x: bars("steps", index, steps))
        bars("steps", steps, steps)
    save_grid(output, decode(autoencoder, latents), columns, scale=2)
    return {"config": None, "backend": backend, "network": subject.name, "steps": steps,
            "guidance": guidance, "seed": seed, "images": len(labels),
            "classes": labels if subject.null_class else [],
            "seconds": time.monotonic() - begun, "output": str(output), "cycles_per_step": [],
            "layers_compared": 0, "mismatches": 0, "first_mismatch": None}


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(sample)
