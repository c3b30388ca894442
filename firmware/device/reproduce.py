"""One layer of the core that differed from golden, found and kept as a `Reproducer`."""

from dataclasses import asdict, replace

import numpy as np
import torch
from torch import Tensor

from hqdm.firmware.compile.network import NodeProgram
from hqdm.firmware.compile.program import CONSTANTS, LayerProgram
from hqdm.firmware.device.layer import Operands
from hqdm.firmware.device.reproducer import MAX_MEMORY, Reproducer
from hqdm.firmware.device.runner import DeviceNetwork
from hqdm.firmware.device.transport import Transport
from hqdm.golden.layer import run_layer
from hqdm.spec.descriptor import Descriptor, StepEntry
from hqdm.spec.field import Structure


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
        memory_bytes=_memory_bytes(device, program),
        descriptor=program.descriptor_address - base, output=program.output - base,
        timestep=device.entry(node), cycles=program.plan.cycles, pieces=pieces,
        expected=expected, got=got,
        about={"fields": asdict(program.descriptor.moved(-base)),
               "description": asdict(program.layer),
               "altered": altered_constants(program, device.transport)})


def _memory_bytes(device: DeviceNetwork, program: LayerProgram) -> int:
    """Of the device, or where that is more than a file may ask for, up to the layer's end."""
    total = device.program.memory.total_bytes
    return total if total <= MAX_MEMORY else program.end - device.transport.memory_base


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
