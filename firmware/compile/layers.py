"""Layers of the core, tiled, placed in one memory and encoded: a network's, or one alone."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from hqdm.cycles.tiling import TilePlan, plan
from hqdm.firmware.compile.memory_plan import MemoryPlan, Region, place
from hqdm.firmware.compile.program import (
    ALIGNMENTS,
    CONSTANTS,
    Extents,
    LayerProgram,
    check_stages,
    encode_layer,
    sizes,
)
from hqdm.golden.parameters import Parameters
from hqdm.spec import Config, Layer

LARGEST = 1 << 34       # bytes of device memory, whatever the address width


@dataclass(frozen=True, kw_only=True, eq=False)
class CoreLayer:
    """A layer of the core, and where the tensors lie that it reads and writes.

    Parameters
    ----------
    index: when it runs, which is how long its own pieces are needed.
    sources, second, output: names of tensors that other layers have written or will read; None for
        a piece of the layer's own, which the host writes before the run or reads after it.
    host_weights: the host writes the weights before each run; the parameters have none.
    tiles: None for the fastest.
    """

    layer: Layer
    parameters: Parameters
    index: int = 0
    sources: tuple[str, ...] | None = None
    second: str | None = None
    output: str | None = None
    host_weights: bool = False
    tiles: TilePlan | None = None

    def check(self) -> None:
        """ValueError or TypeError unless the core has such a layer, and the parameters fit it."""
        check_stages(self.layer)
        layer = self.layer
        if self.host_weights:   # which are checked when they are packed
            layer = replace(layer, multiply=replace(layer.multiply, product="mix"))
        self.parameters.check(layer)

    def own_pieces(self, config: Config) -> dict[str, int]:
        """What only this layer and the host read and write, with their lengths."""
        need = sizes(self.layer, config)
        parts: dict[str, int] = {}
        if self.sources is None:
            parts |= {f"source{i}": size for i, size in enumerate(need.sources)}
        for piece, own in (("weights", self.host_weights),
                           ("second", self.second is None and need.second > 0),
                           ("output", self.output is None)):
            if own:
                parts[piece] = getattr(need, piece)
        return parts

    def regions(self, config: Config, alignment: int) -> Iterator[Region]:
        """Constants and own pieces, named `LAYER: PIECE`."""
        need, own = sizes(self.layer, config), self.own_pieces(config)
        for piece in CONSTANTS:
            if piece not in own:
                yield Region(name=f"{self.layer.name}: {piece}", size=getattr(need, piece),
                             alignment=max(ALIGNMENTS.get(piece, 1), alignment))
        for piece, size in own.items():
            yield Region(name=f"{self.layer.name}: {piece}", size=size, alignment=alignment,
                         first=self.index, last=self.index)

    def extents(self, table: dict[str, int]) -> Extents:
        """Addresses, of the regions' by name: own pieces, else the shared tensors."""
        def at(piece: str, tensor: str | None) -> int:
            own = table.get(f"{self.layer.name}: {piece}")
            if own is not None:
                return own
            return 0 if tensor is None else table[f"tensor {tensor}"]

        shared = self.sources or (None,) * len(self.layer.load.channels)
        return Extents(
            sources=tuple(at(f"source{i}", tensor) for i, tensor in enumerate(shared)),
            second=at("second", self.second), output=at("output", self.output),
            **{piece: at(piece, None) for piece in CONSTANTS})


def compile_layers(
    layers: Sequence[CoreLayer], tensors: Iterable[Region], config: Config, what: str, *,
    memory_bytes: int | None = None, memory_base: int = 0, alignment: int | None = None,
) -> tuple[MemoryPlan, tuple[LayerProgram, ...]]:
    """Where everything is, and the program of each layer.

    Parameters
    ----------
    tensors: regions of the tensors that layers share, named `tensor NAME`.
    what: the layers, in errors.
    memory_bytes: of the device; None for what its addresses reach.
    memory_base: first address of the memory.
    alignment: of every piece; None for the longest burst, as the cycle model assumes, at least
        `Config.word_bytes`.

    Raises
    ------
    ValueError: a layer of stages the core does not have, or that does not fit its buffers (which,
        what it needs, which preset would do); bad parameters; layers that do not fit the memory.
    TypeError: a parameter of the wrong dtype.
    """
    for layer in layers:
        layer.check()
    tiles = [layer.tiles or plan(layer.layer, config) for layer in layers]
    step = alignment or config.burst_bytes
    regions = [region for layer in layers for region in layer.regions(config, step)]
    limit = min((1 << config.address_bits) - memory_base, LARGEST)
    memory = place([*regions, *tensors], min(limit, memory_bytes or limit),
                   f"{what} on {config.name}", memory_base)
    table = memory.table()
    return memory, tuple(
        encode_layer(layer.layer, layer.parameters, config, tile, layer.extents(table))
        for layer, tile in zip(layers, tiles, strict=True))


def compile_layer(
    layer: Layer, parameters: Parameters, config: Config, memory_bytes: int | None = None,
    memory_base: int = 0, *, tiles: TilePlan | None = None, alignment: int | None = None,
) -> LayerProgram:
    """The program of a layer alone, whose tensors the host writes and reads: `compile_layers` of
    one."""
    alone = CoreLayer(layer=layer, parameters=parameters, tiles=tiles)
    _, (program,) = compile_layers(
        [alone], [], config, f"layer {layer.name}", memory_bytes=memory_bytes,
        memory_base=memory_base, alignment=alignment)
    return program
