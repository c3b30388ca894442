"""The cycle model: `estimate(layer, config)`. docs/cycles.md says how it counts."""

from dataclasses import replace

from hqdm.cycles.estimate import Estimate, MemoryTiming, Span
from hqdm.cycles.run import DEFAULT_MEMORY, run
from hqdm.cycles.stack import stacked
from hqdm.cycles.tiling import TilePlan, plan
from hqdm.spec.config import Config
from hqdm.spec.layer import Layer

__all__ = ["Estimate", "MemoryTiming", "Span", "estimate", "stacked"]


def estimate(
    layer: Layer, config: Config, tiles: TilePlan | None = None,
    memory: MemoryTiming = DEFAULT_MEMORY, *, timeline: bool = False,
) -> Estimate:
    """Cycles of `layer` on a core of `config`.

    Parameters
    ----------
    tiles: by default those of `hqdm.cycles.tiling.plan`.
    memory: what is behind the ports.
    timeline: keep every span (slower: nothing is skipped).

    Raises
    ------
    ValueError: the layer does not fit the configuration.
    """
    tiles = tiles or plan(layer, config)
    found = run(replace(layer, name="", timesteps=1), config, replace(tiles, cycles=0), memory,
                timeline)
    return replace(found, layer=layer, tiles=tiles)
