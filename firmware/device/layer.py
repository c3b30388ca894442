"""One layer on a device: its operands written, the layer executed, what it stored read back."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from hqdm.firmware.compile.layers import compile_layer
from hqdm.firmware.compile.packing import pack_activation, pack_weights, unpack_activation
from hqdm.firmware.compile.program import LayerProgram
from hqdm.firmware.device.driver import DeviceError, Driver
from hqdm.firmware.device.transport import Transport
from hqdm.golden.carrier import Carrier
from hqdm.golden.layer import check_inputs
from hqdm.golden.parameters import Parameters
from hqdm.spec import Config, Layer

SLOWEST = 200           # a layer may take this many times its estimate before wait gives up


def write_tensor(transport: Transport, config: Config, address: int, values: Tensor) -> None:
    """Write int16 (C, H, W) as the core reads it."""
    transport.write_memory(address, pack_activation(values, config.n))


def read_tensor(transport: Transport, config: Config, address: int, channels: int, height: int,
                width: int) -> Tensor:
    """Read int16 (C, H, W) as the core wrote it."""
    length = height * width * config.words(channels) * config.word_bytes
    image = transport.read_memory(address, length)
    return unpack_activation(image, channels, height, width, config.n)


@dataclass(frozen=True)
class LayerRun:
    """One run of a layer: the performance counters by name."""

    layer: Layer
    counters: dict[str, int]

    @property
    def cycles(self) -> int:
        return self.counters["cycles"]


@dataclass(frozen=True)
class Operands:
    """What the host writes before a run; None is already in device memory, or not needed.

    Members
    -------
    sources: carriers (C, H, W).
    second: the residual, a carrier of the output's shape.
    weights: int16 (O, I, 1, 1) in the weights' place.
    factors: row factors, int16 (H', W').
    """

    sources: Sequence[Carrier] | None = None
    second: Carrier | None = None
    weights: Tensor | None = None
    factors: Tensor | None = None


class DeviceLayer:
    """A compiled layer whose constants are in device memory; runs at any timestep.

    Parameters
    ----------
    driver: of a device of the same configuration, with the memory the layer was compiled for.
    """

    def __init__(self, driver: Driver, program: LayerProgram) -> None:
        self.driver, self.program = driver, program
        for address, image in program.pieces:
            driver.transport.write_memory(address, image)

    def run(
        self, sources: Sequence[Carrier], timestep: int, second: Carrier | None = None,
        row_factors: Tensor | None = None,
    ) -> tuple[Carrier, LayerRun]:
        """The output of one run with every operand given, and what it took.

        Parameters
        ----------
        sources: one carrier (C, H, W) per source.
        second: carrier of the output's shape if the layer has a residual.
        row_factors: int16 (H', W') if the layer has a row scale.

        Raises
        ------
        ValueError, TypeError: operands or timestep that do not match the layer.
        DeviceFault: the device ended the layer.  TimeoutError: it did not end at all.
        """
        layer, parameters = self.program.layer, self.program.parameters
        check_inputs(layer, parameters, sources, timestep, second, row_factors)
        if sources[0].batch:
            raise ValueError(
                f"{layer.name}: wanted carriers (C, H, W), got {tuple(sources[0].values.shape)}")
        self.write(Operands(sources=sources, second=second, factors=row_factors))
        run = self.execute(timestep)
        return Carrier(self.stored(), int(parameters.output_exponent[timestep])), run

    def write(self, operands: Operands) -> None:
        """Write the (checked) operands of a run."""
        program, layer = self.program, self.program.layer
        if operands.sources is not None:
            for address, source in zip(program.sources, operands.sources, strict=True):
                self._write(address, source.values)
        if operands.second is not None:
            self._write(program.second, operands.second.values)
        if operands.factors is not None:
            lanes = operands.factors.expand(layer.multiply.out_channels, -1, -1)
            self._write(program.second, lanes)
        if operands.weights is not None:
            self.driver.transport.write_memory(program.at.weights, pack_weights(
                operands.weights, layer.load.channels, layer.multiply.bits, program.config.n))

    def execute(self, entry: int) -> LayerRun:
        """Run at entry `entry` of the step table on what is in device memory.

        Raises
        ------
        DeviceError, TimeoutError: as of `Driver.execute`; the text begins with the layer's name.
        """
        program = self.program
        try:
            counters = self.driver.execute(
                program.descriptor_address, entry, SLOWEST * program.plan.cycles)
        except (DeviceError, TimeoutError) as error:
            error.args = (f"{program.layer.name}: {error}",)
            raise
        return LayerRun(program.layer, counters)

    def stored(self) -> Tensor:
        """What the layer has just stored, int16 (O, H', W')."""
        layer = self.program.layer
        return read_tensor(self.driver.transport, self.program.config, self.program.output,
                           layer.multiply.out_channels, layer.out_height, layer.out_width)

    def _write(self, address: int, values: Tensor) -> None:
        write_tensor(self.driver.transport, self.program.config, address, values)


def prepare(driver: Driver, layer: Layer, parameters: Parameters) -> DeviceLayer:
    """`layer` alone in the device's memory; errors as of `compile_layer`."""
    transport = driver.transport
    return DeviceLayer(driver, compile_layer(
        layer, parameters, driver.config, transport.memory_bytes, transport.memory_base))
