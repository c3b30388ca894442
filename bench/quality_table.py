"""The quality table: methods x bits x seeds, trained and evaluated by one command.

    python -m bench.quality_table --teacher unet.safetensors --data FOLDER --out quality

Writes OUT/quality.json and OUT/quality.md after every cell. Interrupt at any time; the same command
goes on. Started twice, the second one takes the cells the first has not begun: on a GPU `--jobs`
does that. Cells come in the order of importance, so a run that is stopped has the first ones.
"""

import argparse
import json
import multiprocessing
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from bench.command import one_line_errors, write_json
from bench.quality_cells import Cell, table_cells
from bench.quality_report import summary, write
from hqdm.cli.evaluate import find_decoder
from hqdm.cli.quantize import load_teacher
from hqdm.learn.data.cifar10 import Dataset, load_cifar10
from hqdm.learn.evaluation.extractors import Extractor, make_extractor
from hqdm.learn.evaluation.run import Plan, Real, evaluate, real_features
from hqdm.learn.evaluation.subjects import load_subject
from hqdm.learn.qat.distil import Recipe
from hqdm.learn.qat.run import Job, quantise
from hqdm.learn.train.options import choose_device, hardware, tune

Options = argparse.Namespace


def parse(arguments: list[str] | None = None) -> Options:
    """The options."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    add = parser.add_argument
    add("--teacher", type=Path, required=True, help="file of hqdm train unet")
    add("--data", type=Path, required=True, help="CIFAR-10")
    add("--out", type=Path, default=Path("quality"), help="folder of all results (%(default)s)")
    add("--decoder", type=Path, help="by default beside the teacher")
    add("-n", type=int, default=2000, help="images of each cell (%(default)s)")
    add("--real", type=int, default=10_000, help="training images (%(default)s)")
    add("--iterations", type=int, default=2000, help="of the full budget (%(default)s)")
    add("--small", type=int, default=500, help="iterations of the small budget (%(default)s)")
    add("--batch", type=int, default=32, help="latents per iteration (%(default)s)")
    add("--trajectories", type=int, default=256, help="of the teacher (%(default)s)")
    add("--steps", type=int, default=20, help="of the sampler (%(default)s)")
    add("--guidance", type=float, default=2.0, help="(%(default)s)")
    add("--seeds", type=int, nargs="+", default=[0, 1], help="of the training (0 1)")
    add("--seed", type=int, default=1, help="of the images (%(default)s)")
    add("--only", default="", help="cells whose name contains this")
    add("--minutes", type=float, help="begin no cell after so long")
    add("--jobs", type=int, default=1, help="processes side by side (%(default)s)")
    add("--device", default="auto", help="auto, cuda or cpu")
    options = parser.parse_args(arguments)
    options.device = choose_device(options.device)
    return options


def cells_of(options: Options) -> list[Cell]:
    """The cells asked for; ValueError if there are none."""
    cells = [c for c in table_cells(options.seeds) if options.only in c.name]
    if not cells:
        raise ValueError(f"--only: wanted a part of a cell's name, got {options.only!r}")
    return cells


def settings(options: Options) -> dict[str, Any]:
    """What every cell shares; cells of other settings are refused."""
    return {"n": options.n, "real": options.real, "iterations": options.iterations,
            "small": options.small, "batch": options.batch, "steps": options.steps,
            "trajectories": options.trajectories, "guidance": options.guidance,
            "seed": options.seed, "teacher": load_subject(options.teacher).digest}


def say(stage: str, done: int, of: int, text: str = "") -> None:
    """Progress: the ends of stages, on stderr."""
    if done == of:
        print(f"  {stage} {of} {text}", file=sys.stderr, flush=True)


def train(cell: Cell, options: Options, path: Path) -> dict[str, Any]:
    """The cell's network in `path`; what training says of it."""
    iterations = options.iterations if cell.budget == "full" else options.small
    recipe = Recipe(iterations=iterations, batch=options.batch, seed=cell.seed,
                    autocast=options.device == "cuda")
    job = Job(out=path, trajectories=options.trajectories, steps=options.steps,
              device=options.device)
    return quantise(load_teacher(options.teacher, options.guidance), cell.method, recipe, job, say)


@dataclass(frozen=True)
class Bench:
    """What the cells of a process share: data, extractor, features of the data."""

    train: Dataset
    test: Dataset
    extractor: Extractor
    real: Real

    def evaluate(self, plan: Plan) -> dict[str, Any]:
        """As hqdm.learn.evaluation.run.evaluate."""
        return evaluate(plan, self.train, self.test, self.extractor, say, real=self.real)


def open_bench(options: Options) -> Bench:
    """Load data and features; the float model's images are made, by one process of several."""
    train, test = load_cifar10(options.data), load_cifar10(options.data, "test")
    extractor = make_extractor("efficientnet-lite0", device=options.device)
    plan = _plan(options, [options.teacher], options.out / "grids" / "float")
    options.out.mkdir(parents=True, exist_ok=True)
    with FileLock(options.out / "images.lock"):
        real = real_features(train, test, plan, extractor, say)
        bench = Bench(train, test, extractor, real)
        bench.evaluate(plan)
    return bench


def run_cell(cell: Cell, options: Options, bench: Bench) -> dict[str, Any]:
    """Train and evaluate one cell; its row."""
    path = options.out / "networks" / f"{cell.name}.safetensors"
    notes = path.with_suffix(".json")
    if not (path.is_file() and notes.is_file()):
        write_json(notes, train(cell, options, path))
    trained = json.loads(notes.read_text())
    result = bench.evaluate(
        _plan(options, [options.teacher, path], options.out / "grids" / cell.name))
    _, (_, row) = result["models"].items()
    return {"method": cell.method.name, "axis": cell.method.conv_axis, "order": cell.method.order,
            "range": cell.method.range,
            "weights": cell.method.weights, "activations": cell.method.activations,
            "seed": cell.seed, "budget": cell.budget, "iterations": trained["iterations"],
            "error": trained["error"], "training_seconds": trained["seconds"],
            "hardware": hardware(options.device), "settings": settings(options),
            "extractor": result["extractor"], "floor": result["floor"],
            "float": next(iter(result["models"].values())), **row}


def _plan(options: Options, models: list[Path], grid: Path) -> Plan:
    """All cells share the folder of images, so the float model's are made once."""
    return Plan(models=models, decoder=find_decoder(options.teacher, options.decoder), out=grid,
                images=options.out / "images", n=options.n, seed=options.seed,
                steps=options.steps, guidance=options.guidance, real=options.real,
                device=options.device, batch=500 if options.device == "cuda" else 50)


def _read(path: Path, options: Options) -> dict[str, Any] | None:
    """A finished cell, or None."""
    if not path.is_file():
        return None
    row = json.loads(path.read_text())
    if row["settings"] != settings(options):
        raise ValueError(f"{path}: made with {row['settings']}, wanted {settings(options)}; "
                         f"choose another --out")
    return row


def work(options: Options) -> None:
    """Do every cell that no other process does."""
    begun, cells = time.monotonic(), cells_of(options)
    tune(options.device)
    bench = open_bench(options)
    for cell in cells:
        path = options.out / "cells" / f"{cell.name}.json"
        late = options.minutes is not None and time.monotonic() - begun > 60 * options.minutes
        if late or _read(path, options) is not None:
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(f"{path}.lock", timeout=0):
                print(cell.name, file=sys.stderr, flush=True)
                row = run_cell(cell, options, bench)
                write_json(path, row)
        except Timeout:
            continue
        report(options)


def report(options: Options) -> dict[str, Any]:
    """Write the table of all cells that are finished."""
    rows = {}
    for cell in table_cells(options.seeds):
        row = _read(options.out / "cells" / f"{cell.name}.json", options)
        if row is not None:
            rows[cell.name] = row
    result = summary(rows)
    if rows:
        write(options.out, result)
    return result


@one_line_errors
def main(arguments: list[str] | None = None) -> int:
    """Run the command; 0, or 2 on an error."""
    options = parse(arguments)
    cells_of(options)
    helpers = [multiprocessing.get_context("spawn").Process(target=work, args=(options,))
               for _ in range(options.jobs - 1)]
    for helper in helpers:
        helper.start()
    work(options)
    for helper in helpers:
        helper.join()
    result = report(options)
    print(result["markdown"] if result["rows"] else "no cell is finished")
    return 0


if __name__ == "__main__":
    sys.exit(main())
