"""What rotations and ranges do to a quantiser: `python -m bench.rotation_study --teacher FILE`.

Signal-to-noise ratio of the quantised inputs of every body layer along a guided sampling run, each
variant at its own best step, per tensor and timestep as in training; prints a table in dB by kind
of layer, writes it beside the picture as .json.

"signed" multiplies the axis by a fixed +-1 sequence of flat Hadamard spectrum before the rotation
(a bent function for even orders), so that a constant block has no large coefficient. It is a study:
the contract rotates without signs (docs/quantisation.md, section 5).
"""

import argparse
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bench.command import one_line_errors, png, write_json
from hqdm.kit.files import write_atomically
from hqdm.learn.diffusion.files import load_unet
from hqdm.learn.diffusion.sampler import guided, initial_noise, run_ddim
from hqdm.learn.evaluation.images import labels_of
from hqdm.learn.qat.rotation import rotate
from hqdm.learn.qat.search import search_asymmetric, search_symmetric
from hqdm.spec import effective_order
from hqdm.spec.fixed import symmetric_max

ORDERS = (3, 4, 5, 6)
WIDTH_ORDER = 5
EVERY = 4           # timesteps looked at: every fourth
Table = dict[str, dict[str, float]]
Variant = Callable[[Tensor, bool], Tensor | None]


def signs(order: int) -> Tensor:
    """+-1 sequence of 2**order points, (-1)^(x0 x1 + x2 x3 + ...) of the bits of the index.

    Its Hadamard transform has magnitude at most 2**ceil(order / 2): flat for even orders.
    """
    index = torch.arange(1 << order)
    parity = torch.zeros_like(index)
    for bit in range(0, order - 1, 2):
        parity ^= (index >> bit) & (index >> bit + 1) & 1
    return (1 - 2 * parity).float()


def _rotated(axis: str, order: int, signed: bool) -> Variant:
    def variant(x: Tensor, conv: bool) -> Tensor | None:
        if axis == "width" and not conv:
            return None
        dim = 1 if conv and axis == "channel" else -1
        size = effective_order(order, x.shape[dim])
        if not signed:
            return rotate(x, size, dim)
        flipped = x.movedim(dim, -1) * signs(size).repeat(x.shape[dim] >> size)
        return rotate(flipped, size, -1)
    return variant


def variants() -> dict[str, Variant]:
    """What is compared, by label."""
    found: dict[str, Variant] = {"none": lambda x, conv: x}
    for signed in (False, True):
        label = ", signed" if signed else ""
        found |= {f"channel k={k}{label}": _rotated("channel", k, signed) for k in ORDERS}
        found[f"width{label}"] = _rotated("width", WIDTH_ORDER, signed)
    return found


def noise_ratios(r: Tensor, bits: int) -> tuple[float, float]:
    """Squared error over squared magnitude at the best step: symmetric, with a zero point."""
    limit, levels = symmetric_max(bits), (1 << bits) - 1
    step = search_symmetric(r, limit)
    wide, zero = search_asymmetric(r, levels)
    energy = r.square().sum().clamp_min(1e-30)

    def ratio(step: Tensor, low: Any, high: Any) -> float:
        return float(((r / step).round().clamp(low, high) * step - r).square().sum() / energy)
    return ratio(step, -limit, limit), ratio(wide, -zero, levels - zero)


def kind_of(name: str, module: nn.Module) -> str:
    """The row of the table a layer counts for."""
    if name.endswith("ff.net.2"):
        return "second linear of GEGLU"
    if isinstance(module, nn.Linear):
        return "other linear layers"
    return "convolutions after SiLU" if name.endswith((".conv1", ".conv2")) else (
        "other convolutions")


def wanted(name: str, module: nn.Module) -> bool:
    """Whether the layer is one of the body: it sees pixels and is neither first nor last."""
    return isinstance(module, (nn.Conv2d, nn.Linear)) and not any(
        part in name for part in ("time_emb", "attn2", "conv_in", "conv_out"))


@torch.no_grad()
def study(teacher: Path, images: int, steps: int, guidance: float, seed: int) -> dict[int, Table]:
    """bits -> kind of layer -> variant -> dB, mean over layers and timesteps."""
    model = load_unet(teacher).requires_grad_(False)
    sums: dict[tuple[int, str, str], list[float]] = {}
    now = [0]

    def hook_of(name: str) -> Any:
        def hook(module: nn.Module, arguments: Any) -> None:
            if now[0] % EVERY:
                return
            conv, kind = isinstance(module, nn.Conv2d), kind_of(name, module)
            for label, variant in variants().items():
                r = variant(arguments[0].float(), conv)
                for bits in (4, 3) if r is not None else ():
                    assert r is not None
                    pair = noise_ratios(r, bits)
                    for suffix, value in zip(("", ", zero point"), pair, strict=True):
                        sums.setdefault((bits, kind, label + suffix), []).append(value)
        return hook

    for name, module in model.unet.named_modules():
        if wanted(name, module):
            module.register_forward_pre_hook(hook_of(name))
    preset = model.preset
    shape = (preset.latent_channels, preset.latent_size, preset.latent_size)
    run_ddim(guided(model, model.null_class, guidance), initial_noise(images, shape, seed),
             labels_of(images, preset.classes), steps,
             lambda index, timestep, x: now.__setitem__(0, index))
    tables: dict[int, Table] = {4: {}, 3: {}}
    for (bits, kind, label), values in sums.items():
        tables[bits].setdefault(kind, {})[label] = -10 * math.log10(sum(values) / len(values))
    return tables


def markdown(tables: dict[int, Table]) -> str:
    """The tables, variants as rows."""
    lines = []
    for bits, table in tables.items():
        lines += [f"A{bits}, dB | {' | '.join(table)}", "|".join(["---"] * (len(table) + 1))]
        for label in max(table.values(), key=len):
            cells = (f"{row[label]:.1f}" if label in row else "" for row in table.values())
            lines.append(f"{label} | {' | '.join(cells)}")
        lines.append("")
    return "\n".join(lines)


def draw(tables: dict[int, Table]) -> bytes:
    """Bars by kind of layer, PNG."""
    from matplotlib.figure import Figure
    figure = Figure(figsize=(11, 7.5), layout="constrained")
    shown = ("none", "none, zero point", "width", "width, signed", "channel k=5",
             "channel k=5, zero point", "channel k=5, signed")
    for axes, (bits, table) in zip(figure.subplots(2, 1), tables.items(), strict=True):
        for i, label in enumerate(shown):
            at = [k + (i - len(shown) / 2 + 0.5) * 0.11 for k, row in enumerate(table.values())
                  if label in row]
            axes.bar(at, [row[label] for row in table.values() if label in row], 0.1, label=label)
        axes.set_xticks(range(len(table)), list(table))
        axes.set(ylabel="signal to noise, dB", title=f"{bits}-bit activations", ylim=(5, None))
        axes.grid(axis="y", alpha=0.3)
    handles, names = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, names, ncols=4, fontsize=9, loc="outside lower center")
    return png(figure, dpi=110)


@one_line_errors
def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status: 0, or 2 after one line that says what is wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--teacher", type=Path, required=True, help="of hqdm train unet")
    parser.add_argument("-o", "--output", type=Path, default=Path("rotation_study.png"))
    parser.add_argument("--images", type=int, default=16)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--guidance", type=float, default=2.0)
    parser.add_argument("--seed", type=int, default=5)
    options = parser.parse_args(arguments)
    tables = study(options.teacher, options.images, options.steps, options.guidance,
                   options.seed)
    print(markdown(tables))
    write_json(options.output.with_suffix(".json"), tables)
    write_atomically(options.output, draw(tables))
    return 0


if __name__ == "__main__":
    sys.exit(main())
