"""The model card, made from the files themselves and from JSON results.

    python -m bench.model_card --folder models/cifar10 --evaluation evaluation/evaluation.json \\
        --quality quality/quality.json --notes lower-w4a4.json

Every number comes from a header or a result; what no file tells is called *pending*.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.command import one_line_errors
from hqdm.kit.files import write_atomically
from hqdm.kit.tensor_file import Checkpoint, load_checkpoint
from hqdm.learn.evaluation.report import COLUMNS, caption, markdown, table
from hqdm.learn.evaluation.subjects import KINDS
from hqdm.learn.qat.methods import Method

PENDING = "*pending*"

CARD = """\
# {name}

> Class-conditional latent diffusion of CIFAR-10 in 4 bits: a float UNet, its HQ-DM quantisations,
> and the integer networks of the accelerator.

Written by `python -m bench.model_card` from the files and results; how to make them again:
[docs/recipe.md](../../docs/recipe.md).

```
hqdm sample --backend float  -n 16 -o float.png
hqdm sample --backend golden -n 16 -o golden.png
```

## Files

{files}
Loading refuses a file whose checksum, kind or architecture is not what it says, and runs no code.

## Data

CIFAR-10 (Krizhevsky, 2009): 50,000 training images of 32 x 32 in ten classes, each also mirrored;
the 10,000 test images only serve the floor of the metrics. Quantisation sees no images: it follows
the float model's own trajectories.

## Training

{training}
## Quantisation

{quantisation}
## Images

{evaluation}
## Methods compared

{quality}
## Integers against the fake-quantised network

{integers}
## Limits

Small images of ten classes, a small model: made to judge an accelerator's arithmetic. Distances of
different extractors or different n do not compare.
"""


def checkpoints(folder: Path) -> dict[str, Checkpoint]:
    """Every checkpoint of `folder` by name, verified.

    Raises
    ------
    FileNotFoundError: none there. ValueError: a damaged one.
    """
    found = {p.name: load_checkpoint(p, (*KINDS, "autoencoder"))
             for p in sorted(folder.glob("*.safetensors"))}
    if not found:
        raise FileNotFoundError(f"{folder}: wanted *.safetensors, found none")
    return found


def files_table(folder: Path, found: Mapping[str, Checkpoint]) -> str:
    """Name, kind, size and SHA-256 of what is in each file."""
    return markdown(["file", "kind", "bytes", "SHA-256 of header and tensors"], [
        [f"`{name}`", c.kind, f"{(folder / name).stat().st_size:,}", f"`{c.digest}`"]
        for name, c in found.items()])


def _text(values: Mapping[str, Any], key: str, form: str = "{}") -> str:
    return PENDING if values.get(key) is None else form.format(values[key])


def training_table(found: Mapping[str, Checkpoint]) -> str:
    """Steps, batch, rate, seed, time and hardware of the float models."""
    columns = ["file", "preset", "steps", "batch", "peak rate", "seed", "minutes", "hardware"]
    rows = []
    for name, c in found.items():
        if c.kind in ("autoencoder", "unet"):
            t = c.training
            minutes = None if t.get("seconds") is None else t["seconds"] / 60
            rows.append([f"`{name}`", _text(c.architecture, "name"), _text(t, "step", "{:,}"),
                         _text(t, "batch"), _text(t, "learning_rate", "{:.2g}"), _text(t, "seed"),
                         _text({"minutes": minutes}, "minutes", "{:.0f}"), _text(t, "hardware")])
    return markdown(columns, rows)


def quantisation_table(found: Mapping[str, Checkpoint]) -> str:
    """Method, budget, seed, error and time of the quantised networks."""
    columns = ["file", "method", "iterations", "batch", "trajectories", "seed",
               "relative error of the noise", "minutes"]
    rows = []
    for name, c in found.items():
        if c.kind == "quantised":
            t, recipe = c.training, c.training.get("recipe", {})
            errors = t.get("relative_error")
            minutes = None if t.get("seconds") is None else t["seconds"] / 60
            rows.append([
                f"`{name}`", Method(**c.architecture["method"]).label,
                _text(t, "iterations", "{:,}"), _text(recipe, "batch"),
                _text(t.get("trajectories", {}), "count"), _text(recipe, "seed"),
                f"{sum(errors) / len(errors):.4f}" if errors else PENDING,
                _text({"minutes": minutes}, "minutes", "{:.0f}")])
    return markdown(columns, rows) if rows else f"{PENDING}\n"


def evaluation_text(result: Mapping[str, Any] | None) -> str:
    """The table of `hqdm evaluate`."""
    if result is None:
        return f"{PENDING}\n"
    return f"{markdown(COLUMNS, table(result))}\nNumbers: {caption(result)}.\n"


def integers_text(notes: Sequence[Mapping[str, Any]]) -> str:
    """Cosines that `hqdm lower --json` measured."""
    if not notes:
        return f"{PENDING}\n"
    columns = ["file", "n", "cosine per call", "worst timestep",
               "the same of the fake-quantised network, its latent changed by 1/1000",
               "worst timestep"]
    rows = [[f"`{Path(note['output']).name}`", str(note["n"])] + [
        f"{note['cosine'][key]:.5f}" for key in (
            "integers_mean", "integers_worst", "nudged_mean", "nudged_worst")] for note in notes]
    return markdown(columns, rows)


def card(folder: Path, evaluation: Mapping[str, Any] | None = None,
         quality: Mapping[str, Any] | None = None, notes: Sequence[Mapping[str, Any]] = (),
         ) -> str:
    """The text of the card."""
    found = checkpoints(folder)
    return CARD.format(
        name=folder.resolve().name, files=files_table(folder, found),
        training=training_table(found), quantisation=quantisation_table(found),
        evaluation=evaluation_text(evaluation), integers=integers_text(notes),
        quality=f"{PENDING}\n" if quality is None else
        f"{quality['markdown']}Trained on {quality['hardware']}.\n")


def _json(path: Path | None) -> Any:
    if path is None:
        return None
    try:
        return json.loads(path.read_text())
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}: wanted JSON, got {error}") from error


@one_line_errors
def main(arguments: list[str] | None = None) -> int:
    """Run the command; 0, or 2 on an error."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    add = parser.add_argument
    add("--folder", type=Path, default=Path("models/cifar10"), help="(%(default)s)")
    add("--evaluation", type=Path, help="evaluation.json of hqdm evaluate")
    add("--quality", type=Path, help="quality.json of bench.quality_table")
    add("--notes", type=Path, nargs="*", default=[], help="what hqdm lower --json printed")
    o = parser.parse_args(arguments)
    text = card(o.folder, _json(o.evaluation), _json(o.quality), [_json(p) for p in o.notes])
    write_atomically(o.folder / "README.md", text)
    print(o.folder / "README.md")
    return 0


if __name__ == "__main__":
    sys.exit(main())
