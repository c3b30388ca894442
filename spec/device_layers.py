"""What of a network's node the core runs, and what the host still does around it.

The core has rotation, quantiser, products with weights, requantiser, row scale, bias and residual.
Normalisation, tables, gates and statistics are still computed on the host between layers, by the
golden functions; the products of attention run head by head with the second operand packed as
8-bit weights. `firmware/compile/network.py` says which tensors the host makes for that,
`firmware/device/host_stages.py` computes them.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from hqdm.spec.layer import MAX_DIMENSION, Layer, Store, pixel_grid
from hqdm.spec.network import Node
from hqdm.spec.stages import PLAIN_LOAD, PLAIN_STORE, StoreStages


@dataclass(frozen=True, kw_only=True)
class HostWork:
    """One stage the host computes around a layer.

    Members
    -------
    stage: what it is, as `Layer.stages` names it, or "repack heads", "quantise operand".
    elements: int16 values read and written again, or only read for statistics.
    """

    stage: str
    elements: int


def device_layers(node: Node) -> tuple[Layer, ...]:
    """The layers the core runs for `node`: one, or one per head of an attention product.

    They carry no stage but the row scale. A bias that depends on the class is a longer table: entry
    `timestep * classes + class`. A gated layer leaves its residual to the host. More rows than the
    core counts are the pixels of an image, which are the same bytes.
    """
    layer = node.layer
    if layer.multiply.product != "none":
        return tuple(_countable(head) for head in _heads(layer))
    classes = layer.store.stages.classes
    residual = "none" if layer.store.stages.gate else layer.store.residual
    return (_countable(replace(
        layer, load=replace(layer.load, stages=PLAIN_LOAD),
        store=Store(residual=residual), timesteps=layer.timesteps * classes)),)


def _countable(layer: Layer) -> Layer:
    """`layer`, whose rows are a grid of pixels if there are more than the core counts."""
    if layer.load.height <= MAX_DIMENSION:
        return layer
    height, width = pixel_grid(layer.load.height)
    return replace(layer, load=replace(layer.load, height=height, width=width),
                   multiply=replace(layer.multiply, op="conv1x1"))


def _heads(layer: Layer) -> Iterator[Layer]:
    load, multiply = layer.load, layer.multiply
    heads = multiply.heads
    stages = StoreStages(row_scale=True) if layer.store.stages.row_scale else PLAIN_STORE
    for head in range(heads):
        yield replace(
            layer, name=f"{layer.name}.head{head}",
            load=replace(load, channels=(load.total_channels // heads,), stages=PLAIN_LOAD),
            multiply=replace(multiply, out_channels=multiply.out_channels // heads,
                             product="none", heads=1),
            store=Store(stages=stages))


def host_work(node: Node) -> tuple[HostWork, ...]:
    """The stages of `node` the host computes, in order."""
    layer, load, store = node.layer, node.layer.load, node.layer.store.stages
    read = load.total_channels * load.height * load.width
    written = layer.stored_channels * layer.out_height * layer.out_width
    work = [HostWork(stage=name, elements=read) for name in load.stages.names]
    if layer.multiply.product != "none":
        work.append(HostWork(stage="repack heads", elements=read + written))
        # scores: keys x heads * size; mix: keys x heads * size
        keys = layer.multiply.out_channels if layer.multiply.product == "scores" else (
            load.total_channels)
        size = load.total_channels if layer.multiply.product == "scores" else (
            layer.multiply.out_channels)
        work.append(HostWork(stage="quantise operand",
                             elements=keys // layer.multiply.heads * size))
        if store.row_scale:
            work.append(HostWork(stage="row totals", elements=read))
    if store.gate is not None:
        work.append(HostWork(stage="gate", elements=2 * written))
        if layer.store.residual != "none":
            work.append(HostWork(stage="residual", elements=written))
    work += [HostWork(stage=f"{s} statistics", elements=written) for s in store.statistics]
    return tuple(work)
