"""Compiled layers: descriptor, step table, memory images, addresses. One serves all timesteps."""

from dataclasses import dataclass

from firmware.packing import pack_vector, pack_weights
from firmware.tiling import TilePlan, hardware_order, plan
from golden.parameters import Parameters
from spec.config import Config
from spec.descriptor import DESCRIPTOR_BYTES, STEP_BYTES, pack_descriptor, pack_step
from spec.fixed import NIBBLE, RESIDUAL_SHIFT, nibbles
from spec.layer import Layer

RESIDUAL_CODES = {"none": 0, "add": 1, "subtract": 2}


class Allocator:
    """Bump allocator over device memory, in bytes.

    Parameters
    ----------
    memory_bytes: size of the memory.
    alignment: smallest alignment, `Config.word_bytes`.
    """

    def __init__(self, memory_bytes: int, alignment: int) -> None:
        self.memory_bytes = memory_bytes
        self.alignment = alignment
        self.used = 0

    def allocate(self, size: int, alignment: int = 1) -> int:
        """Address of `size` fresh bytes; ValueError if they do not fit."""
        step = max(alignment, self.alignment)
        address = -(-self.used // step) * step
        if address + size > self.memory_bytes:
            raise ValueError(
                f"memory: {size} bytes at {address:#x} do not fit the {self.memory_bytes} bytes "
                f"of the device")
        self.used = address + size
        return address


@dataclass(frozen=True, kw_only=True)
class Program:
    """A layer as the device reads it.

    Members
    -------
    descriptor_address, sources, second, output: byte addresses; `second` is 0 if unused.
    output_bytes: length of the output image.
    descriptor: field values, as spec.descriptor.unpack would return them but for the magic.
    pieces: (address, image) of everything that is the same for all runs.
    """

    layer: Layer
    config: Config
    plan: TilePlan
    descriptor_address: int
    sources: tuple[int, ...]
    second: int
    output: int
    output_bytes: int
    descriptor: dict[str, int]
    pieces: tuple[tuple[int, bytes], ...]



def step_values(layer: Layer, parameters: Parameters, timestep: int, bias: int) -> dict[str, int]:
    """Step table entry `timestep`; `bias` is the address of its bias vector."""
    folded = layer.load.order - hardware_order(layer)
    return {
        "load_multiplier": int(parameters.load_multiplier[timestep]),
        "load_shift": int(parameters.load_shift[timestep]) - folded,
        "step_multiplier": int(parameters.step_multiplier[timestep]),
        "step_shift": int(parameters.step_shift[timestep]),
        "residual_shift": int(parameters.residual_shift[timestep]) + RESIDUAL_SHIFT,
        "bias": bias,
    }


def _shape_fields(layer: Layer, config: Config, tiles: TilePlan) -> dict[str, int]:
    """Descriptor fields that follow from the layer and its tile plan."""
    load, multiply = layer.load, layer.multiply
    words = [config.words(c) for c in load.channels] + [0]
    row_bytes = load.width * config.word_bytes
    order = hardware_order(layer)
    return {
        "config_hash": config.hash,
        "axis": int(load.axis == "width" and load.order > 0), "order": order,
        "act_nibbles": nibbles(load.bits), "act_max": load.quant_max,
        "weight_bits": min(multiply.bits, NIBBLE), "weight_nibbles": nibbles(multiply.bits),
        "residual": RESIDUAL_CODES[layer.store.residual],
        "kernel": multiply.kernel, "stride": multiply.stride, "padding": multiply.padding,
        "upsample": load.upsample - 1,
        "height": load.height, "width": load.width,
        "out_height": layer.out_height, "out_width": layer.out_width,
        "words0": words[0], "words1": words[1],
        "out_words": config.words(multiply.out_channels),
        "tile_rows": tiles.tile_rows, "chunk_words": tiles.chunk_words,
        "chunks": tiles.chunks, "plane_words": tiles.plane_words,
        "row_bytes0": words[0] * row_bytes, "row_bytes1": words[1] * row_bytes,
        "timesteps": layer.timesteps,
    }


def _constants(
    layer: Layer, parameters: Parameters, config: Config, allocator: Allocator,
) -> tuple[dict[str, int], list[tuple[int, bytes]]]:
    """Addresses and images of weights, multipliers, biases and step table."""
    n, timesteps = config.n, range(layer.timesteps)
    weights = pack_weights(parameters.weights, layer.load.channels, layer.multiply.bits, n)
    multipliers = pack_vector(parameters.multipliers, n, "<u2")
    biases = [pack_vector(parameters.bias[t], n, "<i2") for t in timesteps]
    at = {"weights": allocator.allocate(len(weights)),
          "multipliers": allocator.allocate(len(multipliers))}
    bias = [allocator.allocate(len(b)) for b in biases]
    at["steps"] = allocator.allocate(STEP_BYTES * layer.timesteps, STEP_BYTES)
    steps = b"".join(pack_step(step_values(layer, parameters, t, bias[t])) for t in timesteps)
    pieces = [(at["weights"], weights), (at["multipliers"], multipliers), (at["steps"], steps),
              *zip(bias, biases, strict=True)]
    return at, pieces


def compile_layer(
    layer: Layer, parameters: Parameters, config: Config, allocator: Allocator,
    tiles: TilePlan | None = None,
) -> Program:
    """Tile `layer` (as `tiles` says, by default as is fastest), place it in memory, encode it.

    Raises
    ------
    ValueError: the layer has stages the core does not have, fits neither the core nor the memory,
        or the parameters are bad.
    TypeError: a parameter of the wrong dtype.
    """
    if layer.stages:
        raise ValueError(
            f"{layer.name}: wanted a layer of the stages the core has (rotation, quantiser, "
            f"product with weights, requantiser, bias, residual), got {', '.join(layer.stages)}; "
            f"golden runs it on the host")
    parameters.check(layer)
    tiles = tiles or plan(layer, config)
    fields = _shape_fields(layer, config, tiles)
    sizes = [layer.load.height * fields[f"row_bytes{i}"] for i in range(len(layer.load.channels))]
    sources = tuple(allocator.allocate(size) for size in sizes)
    output_bytes = layer.out_height * layer.out_width * fields["out_words"] * config.word_bytes
    second = allocator.allocate(output_bytes) if fields["residual"] else 0
    output = allocator.allocate(output_bytes)
    addresses, pieces = _constants(layer, parameters, config, allocator)
    fields |= addresses | {
        "channel_shift": parameters.channel_shift,
        "source0": sources[0], "source1": sources[1] if len(sources) > 1 else 0,
        "second": second, "output": output,
    }
    descriptor_address = allocator.allocate(DESCRIPTOR_BYTES, DESCRIPTOR_BYTES)
    pieces.append((descriptor_address, pack_descriptor(fields)))
    return Program(
        layer=layer, config=config, plan=tiles, descriptor_address=descriptor_address,
        sources=sources, second=second, output=output, output_bytes=output_bytes,
        descriptor=fields, pieces=tuple(pieces))
