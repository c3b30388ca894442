"""How far a trained network is from itself: `python -m bench.sensitivity [--model FILE ...]`.

A quantiser is a step: what differs by any little at its input differs by a whole step behind it
now and then. Compares the fake-quantised network in float64 with itself in float32, with its latent
changed by a little, with every tensor rounded to carriers of 16 bits and of more and nothing else,
and with the integer network: 1 - cosine of the noise, per timestep along the network's own
sampling. Prints the means, draws the timesteps.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.command import one_line_errors, png, write_json
from hqdm.cli.lower import CALIBRATION_SEED, CHECK_SEED, trajectory
from hqdm.firmware.compile.lowering.quantised import lower_quantised
from hqdm.golden.network import IntegerNetwork
from hqdm.kit.files import write_atomically
from hqdm.learn.calibration import RealNetwork, Reference, quantise
from hqdm.learn.calibration.quantisers import Fake
from hqdm.learn.evaluation.subjects import subject_of
from hqdm.learn.qat.export import load_quantised
from hqdm.spec import Node

MODELS = Path("models/cifar10")
NUDGES = (1e-3, 1e-4, 1e-5, 1e-6)
EXTRA_BITS = (0, 4, 8)      # of a carrier, beyond 16
Call = Callable[[Tensor, int, Tensor], Tensor]
Rows = dict[str, list[float]]


class Carriers(Reference):
    """The fake-quantised network in float64, each tensor rounded to its carrier's resolution.

    Parameters
    ----------
    extra: bits by which the carriers are finer than those of `integers`.
    """

    def __init__(self, real: RealNetwork, integers: IntegerNetwork, extra: int) -> None:
        super().__init__(real, Fake(real, torch.float64), torch.float64)
        self.integers, self.extra = integers, extra

    def run_node(self, index: int, node: Node, tensors: dict[str, Tensor], timestep: int,
                 classes: Tensor) -> Tensor:
        y = super().run_node(index, node, tensors, timestep, classes)
        exponent = int(self.integers.layers[index].base.output_exponent[timestep]) + self.extra
        return torch.round(y * 2.0 ** exponent) * 2.0 ** -exponent


def _nudged(reference: Reference, amount: float, noise: Tensor) -> Call:
    return lambda x, t, classes: reference(x.double() * (1 + amount * noise), t, classes)


def study(model: Path, images: int, guidance: float) -> Rows:
    """1 - cosine, mean of the images, by what is compared and timestep.

    Raises
    ------
    FileNotFoundError, ValueError: no quantised network.
    """
    frozen, tokens, read = load_quantised(model)
    real = lower_quantised(frozen, tokens, name=model.stem)
    subject, steps = subject_of(model, read), len(frozen.timestep.schedule)
    latents, classes = trajectory(subject, images, CALIBRATION_SEED, guidance, steps)
    real, integers = quantise(real, latents, classes)
    latents, classes = trajectory(subject, images, CHECK_SEED, guidance, steps)
    exact = Reference.quantised(real, torch.float64)
    noise = torch.randn(latents[0].shape, generator=torch.Generator().manual_seed(0)).double()
    others: dict[str, Call] = {"float32": Reference.quantised(real)}
    others |= {f"latent changed by {amount:.0e}": _nudged(exact, amount, noise)
               for amount in NUDGES}
    others |= {f"carriers of {16 + extra} bits": Carriers(real, integers, extra)
               for extra in EXTRA_BITS}
    others["integers"] = integers
    rows: Rows = {label: [] for label in others}
    for t, x in enumerate(latents):
        wanted = exact(x, t, classes).flatten(1)
        for label, other in others.items():
            y = other(x, t, classes).double().flatten(1)
            rows[label].append(1 - float(F.cosine_similarity(y, wanted).mean()))
    return rows


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def table(studies: dict[str, Rows]) -> str:
    """Markdown: mean cosine of all steps, and of all but the last."""
    lines = ["| float64 against | " + " | ".join(f"{name} | but the last step"
                                                 for name in studies) + " |",
             "|---|" + "--:|--:|" * len(studies)]
    for label in next(iter(studies.values())):
        cells = (f"{1 - mean(rows[label]):.5f} | {1 - mean(rows[label][:-1] or rows[label]):.5f}"
                 for rows in studies.values())
        lines.append(f"| {label} | {' | '.join(cells)} |")
    return "\n".join(lines)


def draw(studies: dict[str, Rows]) -> bytes:
    """1 - cosine by step, logarithmic, PNG."""
    from matplotlib.figure import Figure
    figure = Figure(figsize=(5.5 * len(studies), 4.5), layout="constrained")
    for axes, (name, rows) in zip(figure.subplots(1, len(studies), squeeze=False)[0],
                                  studies.items(), strict=True):
        for label, values in rows.items():
            axes.semilogy(range(1, len(values) + 1), [max(v, 1e-8) for v in values],
                          "k-o" if label == "integers" else ".-", label=label)
        axes.axhline(1e-3, color="grey", linestyle=":")
        axes.set(title=name, xlabel="sampling step", ylabel="1 - cosine of the noise")
    figure.axes[-1].legend(fontsize=8)
    return png(figure, dpi=110)


@one_line_errors
def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status: 0, or 2 after one line that says what is wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--model", type=Path, action="append",
                        help="quantised network, again for each; by default the shipped ones")
    parser.add_argument("-o", "--output", type=Path, default=Path("sensitivity.png"))
    parser.add_argument("--images", type=int, default=8)
    parser.add_argument("--guidance", type=float, default=2.0)
    options = parser.parse_args(arguments)
    models = options.model or [MODELS / f"{name}.safetensors" for name in ("w4a4", "w4a3")]
    if options.images < 1:
        raise ValueError(f"--images: wanted at least 1, got {options.images}")
    studies = {model.stem: study(model, options.images, options.guidance) for model in models}
    print(table(studies))
    write_json(options.output.with_suffix(".json"), studies)
    write_atomically(options.output, draw(studies))
    return 0


if __name__ == "__main__":
    sys.exit(main())
