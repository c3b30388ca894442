"""Compiled layers: descriptor, step table, memory images, addresses. One serves all timesteps."""

from dataclasses import dataclass, fields

from hqdm.cycles.tiling import TilePlan, word_count
from hqdm.firmware.compile.packing import pack_vector, pack_weights, weight_stream_bytes
from hqdm.golden.parameters import Parameters
from hqdm.spec.config import Config
from hqdm.spec.descriptor import DESCRIPTOR_BYTES, STEP_BYTES, Descriptor
from hqdm.spec.encoding import StepScales, encode_descriptor, encode_step
from hqdm.spec.fixed import NIBBLE, nibbles
from hqdm.spec.layer import Layer
from hqdm.spec.stages import LOAD, STORE, in_core


@dataclass(frozen=True, kw_only=True)
class Extents:
    """Lengths or addresses in bytes of what a layer has in device memory, in this order.

    Members
    -------
    sources: of each source.
    second: of the second operand or of the row factors, 0 if there are none.
    output, weights, multipliers, biases, steps, descriptor: of one piece each.
    """

    sources: tuple[int, ...]
    second: int
    output: int
    weights: int
    multipliers: int
    biases: int
    steps: int
    descriptor: int


ALIGNMENTS = {"steps": STEP_BYTES, "descriptor": DESCRIPTOR_BYTES}    # else Config.word_bytes
CONSTANTS = ("weights", "multipliers", "biases", "steps", "descriptor")


@dataclass(frozen=True, kw_only=True, eq=False)
class LayerProgram:
    """A layer as the device reads it.

    Members
    -------
    parameters: it was made of.
    at: where everything is.
    output_bytes: length of the output image.
    descriptor: as it is in the image.
    pieces: (address, image) of everything that is the same for all runs.
    """

    layer: Layer
    parameters: Parameters
    config: Config
    plan: TilePlan
    at: Extents
    output_bytes: int
    descriptor: Descriptor
    pieces: tuple[tuple[int, bytes], ...]

    @property
    def descriptor_address(self) -> int:
        return self.at.descriptor

    @property
    def sources(self) -> tuple[int, ...]:
        return self.at.sources

    @property
    def second(self) -> int:
        return self.at.second

    @property
    def output(self) -> int:
        return self.at.output

    @property
    def places(self) -> tuple[tuple[str, int, int], ...]:
        """(name, address, bytes) of everything the layer has in device memory."""
        need = sizes(self.layer, self.config)
        sources = zip(self.at.sources, need.sources, strict=True)
        return (*(("source", address, size) for address, size in sources), *(
            (name, getattr(self.at, name), getattr(need, name))
            for name in ("second", "output", *CONSTANTS) if getattr(need, name)))

    @property
    def end(self) -> int:
        """The first address behind all of it."""
        return max(address + size for _, address, size in self.places)


def step_scales(parameters: Parameters, timestep: int) -> StepScales:
    """The scales of one timestep as plain integers."""
    return StepScales(**{f.name: int(getattr(parameters, f.name)[timestep])
                         for f in fields(StepScales)})


def sizes(layer: Layer, config: Config) -> Extents:
    """Bytes of everything the layer has in device memory."""
    load, multiply = layer.load, layer.multiply
    words, word = config.words(multiply.out_channels), config.word_bytes
    output = layer.out_height * layer.out_width * words * word
    return Extents(
        sources=tuple(load.height * load.width * config.words(c) * word for c in load.channels),
        second=output if layer.store.second else 0, output=output,
        weights=weight_stream_bytes(words, word_count(layer, config), multiply.kernel,
                                    min(multiply.bits, NIBBLE), nibbles(multiply.bits), config.n),
        multipliers=words * word, biases=layer.timesteps * words * word,
        steps=layer.timesteps * STEP_BYTES, descriptor=DESCRIPTOR_BYTES)


def _images(layer: Layer, parameters: Parameters, config: Config, at: Extents,
            ) -> list[tuple[int, bytes]]:
    """Images of weights (if there are any), multipliers, biases and step table."""
    n, timesteps = config.n, range(layer.timesteps)
    vector = config.words(layer.multiply.out_channels) * config.word_bytes
    steps = (encode_step(layer, step_scales(parameters, t), at.biases + t * vector)
             for t in timesteps)
    pieces = [(at.multipliers, pack_vector(parameters.multipliers, n, "<u2")),
              (at.biases, b"".join(pack_vector(row, n, "<i2") for row in parameters.bias)),
              (at.steps, b"".join(step.encode() for step in steps))]
    if parameters.weights.numel():
        weights = pack_weights(parameters.weights, layer.load.channels, layer.multiply.bits, n)
        pieces.append((at.weights, weights))
    return pieces


def check_stages(layer: Layer) -> None:
    """ValueError unless the core has every stage of `layer`."""
    core = [stage.name for stage in in_core(LOAD) + in_core(STORE)]
    strange = [stage for stage in layer.stages if stage not in core]
    if strange:
        raise ValueError(
            f"{layer.name}: wanted a layer of the stages the core has ({', '.join(core)}), got "
            f"{', '.join(strange)}; golden runs it on the host")


def encode_layer(layer: Layer, parameters: Parameters, config: Config, tiles: TilePlan,
                 at: Extents) -> LayerProgram:
    """The program of a layer whose tensors and constants are at given addresses.

    Parameters
    ----------
    parameters: checked; without weights (an empty tensor) the host writes them before each run.
    at: addresses, aligned to `Config.word_bytes`, `steps` and `descriptor` to their own sizes.
    """
    descriptor = encode_descriptor(
        layer, config, tiles, channel_shift=parameters.channel_shift, sources=at.sources,
        second=at.second, output=at.output, weights=at.weights, multipliers=at.multipliers,
        steps=at.steps)
    pieces = _images(layer, parameters, config, at)
    pieces.append((at.descriptor, descriptor.encode()))
    return LayerProgram(layer=layer, parameters=parameters, config=config, plan=tiles, at=at,
                        output_bytes=sizes(layer, config).output, descriptor=descriptor,
                        pieces=tuple(pieces))
