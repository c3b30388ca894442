"""One layer of the core that differed from golden, as a file.

A reproducer holds every byte the layer read: descriptor, step table, biases, multipliers, weights
and operands as they were in device memory, and beside them what golden expected and what came.
`python -m hqdm.sim.replay FILE --backend rtl|golden` runs it again.
"""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hqdm.firmware.compile.network import NodeProgram
from hqdm.firmware.compile.program import CONSTANTS, LayerProgram
from hqdm.firmware.device.driver import Driver
from hqdm.firmware.device.layer import SLOWEST, Operands, read_tensor
from hqdm.firmware.device.runner import DeviceNetwork
from hqdm.firmware.device.transport import Transport
from hqdm.golden.layer import run_layer
from hqdm.kit.tensor_file import Checkpoint, load_checkpoint, save_checkpoint
from hqdm.spec import Config
from hqdm.spec.descriptor import Descriptor, StepEntry
from hqdm.spec.field import Structure

KIND = "reproducer"


@dataclass(frozen=True, kw_only=True, eq=False)
class Reproducer:
    """A layer with everything it read.

    Members
    -------
    layer: name of the core's layer (of a product, the head).
    config, memory_bytes: of the device.
    descriptor, output: byte addresses; all addresses are as if the memory began at 0.
    timestep: what the register TIMESTEP held.
    cycles: estimate of the tile plan.
    pieces: address and bytes of everything the layer reads.
    expected, got: int16 (O, H, W), golden's output on these operands and the device's.
    about: descriptor fields, the layer's description, and `altered`: constants in device memory
        that are not what was written there.
    """

    layer: str
    config: Config
    memory_bytes: int
    descriptor: int
    output: int
    timestep: int
    cycles: int
    pieces: tuple[tuple[int, bytes], ...]
    expected: Tensor
    got: Tensor
    about: dict[str, Any]

    def save(self, path: Path) -> None:
        """Write atomically."""
        plain = {name: getattr(self, name) for name in (
            "layer", "memory_bytes", "descriptor", "output", "timestep", "cycles")}
        tensors = {"expected": self.expected, "got": self.got} | {
            f"at {address}": torch.from_numpy(np.frombuffer(data, np.uint8).copy())
            for address, data in self.pieces}
        save_checkpoint(path, Checkpoint(
            kind=KIND, architecture=plain | {"config": asdict(self.config)}, tensors=tensors,
            training=self.about))

    def replay(self, transport: Transport) -> Tensor:
        """Run the layer on a fresh device: what it writes, int16 (O, H, W)."""
        driver = Driver(transport, self.config)
        for address, data in self.pieces:
            transport.write_memory(address, data)
        driver.execute(self.descriptor, self.timestep, SLOWEST * self.cycles)
        return read_tensor(transport, self.config, self.output, *self.expected.shape)


def load_reproducer(path: Path) -> Reproducer:
    """The reproducer in `path`; FileNotFoundError or ValueError if there is none."""
    read = load_checkpoint(path, KIND)
    plain = read.architecture
    pieces = tuple((int(name.removeprefix("at ")), data.numpy().tobytes())
                   for name, data in read.tensors.items() if name.startswith("at "))
    return Reproducer(**plain | {"config": Config(**plain["config"])}, pieces=pieces,
                      expected=read.tensors["expected"], got=read.tensors["got"],
                      about=read.training)


def capture(device: DeviceNetwork, node: NodeProgram) -> Reproducer | None:
    """The first layer of `node`, which has just run, that differs from golden on its own operands;
    None if all agree (then a host stage or an earlier tensor is at fault)."""
    for layer, operands in zip(device.layers[node.index], device.host_operands(node), strict=True):
        expected = _expected(device, node, layer.program, operands)
        got = layer.stored()
        if not torch.equal(expected, got):
            return _snapshot(device, node, layer.program, expected, got)
    return None


def _expected(device: DeviceNetwork, node: NodeProgram, program: LayerProgram,
              operands: Operands) -> Tensor:
    layer, parameters = program.layer, program.parameters
    if operands.weights is not None:
        parameters = replace(parameters, weights=operands.weights)
    sources = operands.sources or [device.read(s, node.node.layer) for s in node.node.sources]
    second = None
    if layer.store.residual != "none" and node.node.second is not None:
        second = device.read(node.node.second, node.node.layer)
    return run_layer(layer, parameters, sources, device.entry(node), second,
                     operands.factors).values


def _snapshot(device: DeviceNetwork, node: NodeProgram, program: LayerProgram, expected: Tensor,
              got: Tensor) -> Reproducer:
    base = device.transport.memory_base
    pieces = tuple(
        (address - base, _moved(name, device.transport.read_memory(address, size), base))
        for name, address, size in program.places if name != "output")
    return Reproducer(
        layer=program.layer.name, config=program.config,
        memory_bytes=device.program.memory.total_bytes,
        descriptor=program.descriptor_address - base, output=program.output - base,
        timestep=device.entry(node), cycles=program.plan.cycles, pieces=pieces,
        expected=expected, got=got,
        about={"fields": asdict(program.descriptor), "description": asdict(program.layer),
               "altered": altered_constants(program, device.transport)})


def _moved(piece: str, image: bytes, base: int) -> bytes:
    """A descriptor or step table as it is in a memory that begins at 0, not at `base`."""
    kinds: dict[str, type[Structure]] = {"descriptor": Descriptor, "steps": StepEntry}
    kind = kinds.get(piece)
    if not base or kind is None:
        return image
    return b"".join(kind.decode(image[at:at + kind.SIZE]).moved(-base).encode()
                    for at in range(0, len(image), kind.SIZE))


def altered_constants(program: LayerProgram, transport: Transport) -> list[str]:
    """Constants of the layer in device memory that are not what was written there."""
    found = []
    for address, image in program.pieces:
        there = np.frombuffer(transport.read_memory(address, len(image)), np.uint8)
        wrong = np.flatnonzero(there != np.frombuffer(image, np.uint8))
        if wrong.size:
            at = int(wrong[0])
            name = next(n for n in CONSTANTS if getattr(program.at, n) == address)
            found.append(f"{wrong.size} bytes of the {name} changed in device memory, the first "
                         f"at {address + at:#x}: wanted {image[at]:#04x}, got {there[at]:#04x}")
    return found
