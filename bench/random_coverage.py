"""What the random layers draw, and how often: `python -m bench.random_coverage`.

A feature that a layer in a thousand has is not tested by hundreds of layers. Each has a least
rate, which tests/bench/test_random_coverage.py holds the generator to.
"""

import random
from collections.abc import Callable, Iterator

from hqdm.golden.random import random_layer
from hqdm.spec import PRESETS, Config, Layer

LAYERS = 2000
CONFIGS = ("n4", "n8", "n16")
Feature = Callable[[Layer, Config], bool]


def _words(layer: Layer, config: Config) -> tuple[int, int]:
    """Channel words of both sources, 0 without a second one."""
    words = [config.words(channels) for channels in layer.load.channels]
    return words[0], words[1] if len(words) > 1 else 0


def _along_width(layer: Layer) -> bool:
    return layer.load.axis == "width" and layer.load.order > 0


def _bare_stride(layer: Layer) -> bool:
    multiply = layer.multiply
    return multiply.op == "conv3x3" and multiply.stride == 2 and multiply.padding == 0


# name -> least percentage of the layers, and which have it
FEATURES: dict[str, tuple[float, Feature]] = {
    "3x3, stride 2": (10, lambda x, c: x.multiply.op == "conv3x3" and x.multiply.stride == 2),
    "3x3, stride 2, no padding": (5, lambda x, c: _bare_stride(x)),
    "3x3, stride 2, no padding, odd height":
        (1.5, lambda x, c: _bare_stride(x) and x.load.height * x.load.upsample % 2 == 1),
    "3x3, upsampling": (5, lambda x, c: x.load.upsample == 2 and x.multiply.op == "conv3x3"),
    "two sources": (25, lambda x, c: _words(x, c)[1] > 0),
    "two sources along the width": (4, lambda x, c: _words(x, c)[1] > 0 and _along_width(x)),
    "second source of 4 or more words along the width":
        (1, lambda x, c: _words(x, c)[1] > 3 and _along_width(x)),
    "first source of 5 or more words": (4, lambda x, c: _words(x, c)[0] > 4),
    "8 x 8 bits": (4, lambda x, c: x.load.bits == x.multiply.bits == 8),
    "8-bit activations, 2- to 4-bit weights":
        (12, lambda x, c: x.load.bits == 8 and x.multiply.bits < 8),
    "free bounds": (20, lambda x, c: x.load.ranged),
    "order 5 or 6": (10, lambda x, c: x.load.order > 4),
    "residual": (50, lambda x, c: x.store.residual != "none"),
    "row scale": (10, lambda x, c: x.store.stages.row_scale),
    "one output pixel": (0.3, lambda x, c: x.out_height * x.out_width == 1),
    "channels that fill no word": (40, lambda x, c: any(n % c.n for n in x.load.channels)),
    "one timestep": (2, lambda x, c: x.timesteps == 1),
}


def rates(config: Config, layers: int = LAYERS, seed: int = 1) -> dict[str, float]:
    """Percentage of random layers that have each feature."""
    rng = random.Random(seed)
    drawn = [random_layer(rng, config) for _ in range(layers)]
    return {name: 100 * sum(has(layer, config) for layer in drawn) / layers
            for name, (_, has) in FEATURES.items()}


def lines() -> Iterator[str]:
    """The table in Markdown."""
    found = [rates(PRESETS[name]) for name in CONFIGS]
    yield f"| of {LAYERS:,} random layers, % | at least | {' | '.join(CONFIGS)} |"
    yield f"|---|--:|{'--:|' * len(CONFIGS)}"
    for name, (least, _) in FEATURES.items():
        yield f"| {name} | {least:g} | {' | '.join(f'{rate[name]:.1f}' for rate in found)} |"


if __name__ == "__main__":
    print("\n".join(lines()))
