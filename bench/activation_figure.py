"""Channel-wise activation maxima before and after the rotation: the paper's figures 2 and 5-10.

    python -m bench.activation_figure --teacher unet.safetensors -o activations.png

Rows are layers, columns are timesteps. Writes the numbers beside the picture, as .json. Rotations
are orthogonal (H * 2^(-k/2)), so that the energy of a block is the same before and after.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bench.command import one_line_errors, png, write_json
from hqdm.kit.files import write_atomically
from hqdm.learn.diffusion.files import load_unet
from hqdm.learn.diffusion.sampler import guided, initial_noise, run_ddim
from hqdm.learn.diffusion.unet import ClassConditionalUNet
from hqdm.learn.evaluation.extractors import wanted_package
from hqdm.learn.evaluation.images import labels_of
from hqdm.learn.qat.rotation import rotate
from hqdm.spec import effective_order

KINDS = (".conv1", ".conv2", ".attn1.to_q", ".ff.net.0.proj", ".ff.net.2")
LAYERS, TIMESTEPS = 6, 3
Maxima = dict[str, dict[int, dict[str, Tensor]]]


def layers_of(unet: nn.Module, wanted: Sequence[str] = ()) -> list[str]:
    """The layers `wanted`, or six spread over the kinds of layers and over the depth.

    Raises
    ------
    ValueError: a layer that the model does not have.
    """
    names = [n for n, m in unet.named_modules()
             if isinstance(m, (nn.Conv2d, nn.Linear)) and n.endswith(KINDS)]
    for name in wanted:
        if name not in dict(unet.named_modules()):
            raise ValueError(f"--layers: wanted some of {', '.join(names)}, got {name!r}")
    return list(wanted) or [names[i * (len(names) - 1) // (LAYERS - 1)] for i in range(LAYERS)]


def channel_maxima(x: Tensor, order: int, linear: bool) -> dict[str, Tensor]:
    """Largest magnitude of every channel: as it is, rotated along channels, along the width.

    `x`: (B, C, H, W), or (B, tokens, C) for `linear`, which has no width.
    """
    dim = -1 if linear else 1
    others = [i for i in range(x.ndim) if i != dim % x.ndim]
    axes = {"none": 0, "channel": effective_order(order, x.shape[dim])}
    if not linear:
        axes["width"] = effective_order(order, x.shape[-1])
    found = {}
    for axis, k in axes.items():
        y = rotate(x.float(), k, -1 if axis == "width" else dim) * 2.0 ** (-k / 2)
        found[axis] = y.abs().amax(others).cpu()
    return found


@torch.no_grad()
def collect(model: ClassConditionalUNet, names: Sequence[str], *, images: int, steps: int,
            guidance: float, order: int, seed: int) -> Maxima:
    """name -> timestep -> axis -> (C,) maxima over images and calls, along a sampling run."""
    found: Maxima = {name: {} for name in names}
    now = [0]

    def hook_of(name: str, linear: bool) -> Any:
        def hook(module: nn.Module, arguments: Any) -> None:
            maxima = channel_maxima(arguments[0], order, linear)
            old = found[name].get(now[0], maxima)
            found[name][now[0]] = {a: torch.maximum(m, old[a]) for a, m in maxima.items()}
        return hook

    modules = dict(model.unet.named_modules())
    hooks = [modules[n].register_forward_pre_hook(hook_of(n, isinstance(modules[n], nn.Linear)))
             for n in names]
    size = model.preset.latent_size
    start = initial_noise(images, (model.preset.latent_channels, size, size), seed)

    def watch(index: int, timestep: int, latents: Tensor) -> None:
        now[0] = timestep

    run_ddim(guided(model, model.null_class, guidance), start,
             labels_of(images, model.null_class), steps, watch)
    for hook in hooks:
        hook.remove()
    return found


def ratios(maxima: Maxima) -> dict[str, Any]:
    """Largest over median channel maximum: 1 is flat, large is outliers."""
    return {name: {str(t): {a: float(m.max() / m.median().clamp(min=1e-9))
                            for a, m in by_axis.items()} for t, by_axis in steps.items()}
            for name, steps in maxima.items()}


def draw(maxima: Maxima, timesteps: Sequence[int]) -> bytes:
    """The figure as PNG."""
    figures = wanted_package("matplotlib.figure")
    figure = figures.Figure(figsize=(4 * len(timesteps), 1.9 * len(maxima)), dpi=110,
                            layout="constrained")
    axes = figure.subplots(len(maxima), len(timesteps), squeeze=False)
    labels = {"none": "before", "channel": "rotated along channels",
              "width": "rotated along the width"}
    for row, (name, steps) in zip(axes, maxima.items(), strict=True):
        for axis, timestep in zip(row, timesteps, strict=True):
            for kind, values in steps[timestep].items():
                axis.plot(values.numpy(), linewidth=0.9, label=labels[kind])
            axis.set_ylim(bottom=0)
            axis.set_title(f"{name}, t = {timestep}", fontsize=7)
            axis.tick_params(labelsize=7)
    axes[0][0].legend(fontsize=6)
    figure.supxlabel("channel", fontsize=8)
    figure.supylabel("largest magnitude", fontsize=8)
    return png(figure)


def spread_over(timesteps: Sequence[int], count: int = TIMESTEPS) -> list[int]:
    """First, last and those between, evenly."""
    last = len(timesteps) - 1
    return [timesteps[i * last // max(1, count - 1)] for i in range(min(count, len(timesteps)))]


@one_line_errors
def main(arguments: list[str] | None = None) -> int:
    """Run the command; 0, or 2 on an error."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    add = parser.add_argument
    add("--teacher", type=Path, required=True, help="file of hqdm train unet")
    add("-o", "--output", type=Path, default=Path("activations.png"), help="(%(default)s)")
    add("--layers", nargs="+", default=[], help="names; by default six over the model")
    add("--images", type=int, default=16, help="(%(default)s)")
    add("--steps", type=int, default=20, help="(%(default)s)")
    add("--guidance", type=float, default=2.0, help="(%(default)s)")
    add("--order", type=int, default=5, help="of the rotation (%(default)s)")
    add("--seed", type=int, default=1, help="(%(default)s)")
    o = parser.parse_args(arguments)
    model = load_unet(o.teacher)
    maxima = collect(model, layers_of(model.unet, o.layers), images=o.images, steps=o.steps,
                     guidance=o.guidance, order=o.order, seed=o.seed)
    timesteps = spread_over(list(next(iter(maxima.values()))))
    write_atomically(o.output, draw(maxima, timesteps))
    numbers = {"images": o.images, "order": o.order, "seed": o.seed, "largest_over_median": ratios(
        maxima)}
    write_json(o.output.with_suffix(".json"), numbers)
    print(o.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
