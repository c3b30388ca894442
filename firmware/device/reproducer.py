"""The file of one layer of the core that differed from golden.

It holds every byte the layer read: descriptor, step table, biases, multipliers, weights and
operands as they were in device memory, and beside them what golden expected and what came.
`python -m hqdm.sim.replay FILE --backend rtl|golden` runs it again.

People send these files to each other, so nothing in one is believed: the layer's description says
which pieces there are, how long they are and what the descriptor is, and a file of anything else
is neither written nor read.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hqdm.firmware.compile.program import CONSTANTS, Extents, sizes
from hqdm.firmware.device.driver import Driver
from hqdm.firmware.device.layer import SLOWEST, read_tensor
from hqdm.firmware.device.transport import Transport
from hqdm.kit.check import check_int, check_tensor
from hqdm.kit.tensor_file import Checkpoint, load_checkpoint, save_checkpoint
from hqdm.spec import Config, Layer
from hqdm.spec.descriptor import STEP_BYTES, Descriptor, StepEntry
from hqdm.spec.encoding import encode_descriptor
from hqdm.spec.loop_nest import TilePlan, tile_source_rows, word_count
from hqdm.spec.plain import from_plain, shown

KIND = "reproducer"
MAX_MEMORY = 1 << 30    # bytes of the memory a file may ask for
MAX_CYCLES = 1 << 40


@dataclass(frozen=True, kw_only=True)
class _Head:
    """The numbers of a file; members as of `Reproducer`."""

    layer: str
    config: Config
    memory_bytes: int
    descriptor: int
    output: int
    timestep: int
    cycles: int


@dataclass(frozen=True, kw_only=True)
class About:
    """What a layer was compiled from.

    Members
    -------
    fields: the descriptor as it was compiled, in a memory that begins at 0.
    description: the layer.
    altered: constants in device memory that are not what was written there, in words.
    """

    fields: Descriptor
    description: Layer
    altered: tuple[str, ...]


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
    about: an `About` as plain data.
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
        """Write atomically; ValueError or TypeError if `load_reproducer` would refuse it."""
        check_reproducer(self)
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
    """The reproducer in `path`.

    Raises
    ------
    FileNotFoundError, ValueError: no file, a damaged, altered or foreign one, or one that does not
        hold together.
    """
    read = load_checkpoint(path, KIND)
    try:
        head = from_plain(_Head, read.architecture)
        for name in ("expected", "got"):
            if name not in read.tensors:
                raise ValueError(f"{name}: wanted a tensor of that name, got none")
        pieces = tuple(_piece(name, data) for name, data in read.tensors.items()
                       if name not in ("expected", "got"))
        found = Reproducer(**{name: getattr(head, name) for name in read.architecture},
                           pieces=pieces, expected=read.tensors["expected"],
                           got=read.tensors["got"], about=read.training)
        check_reproducer(found)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path}: {error}") from error
    return found


def _piece(name: str, data: Tensor) -> tuple[int, bytes]:
    """Address and bytes of the tensor `at ADDRESS`."""
    digits = name.removeprefix("at ")
    if name == digits or not (digits.isascii() and digits.isdecimal() and len(digits) < 20):
        raise ValueError(f"{shown(name)}: wanted 'at' and an address, or expected or got")
    check_tensor(name, data, torch.uint8, (data.numel(),))
    return int(digits), data.numpy().tobytes()


def check_reproducer(found: Reproducer) -> None:
    """ValueError or TypeError unless the parts of `found` belong to one layer."""
    about = from_plain(About, found.about)
    layer, config = about.description, found.config
    check_int("memory_bytes", found.memory_bytes, 1, min(MAX_MEMORY, 1 << config.address_bits))
    check_int("cycles", found.cycles, 1, MAX_CYCLES)
    check_int("timestep", found.timestep, 0, layer.timesteps - 1)
    if found.layer != layer.name:
        raise ValueError(f"layer: wanted {shown(layer.name)}, as described, got "
                         f"{shown(found.layer)}")
    for name in ("expected", "got"):
        check_tensor(name, getattr(found, name), torch.int16, (
            layer.multiply.out_channels, layer.out_height, layer.out_width))
    _check_fields(about.fields, layer, config, found.output)
    _check_pieces(found, about)


def _check_fields(fields: Descriptor, layer: Layer, config: Config, output: int) -> None:
    """ValueError unless `fields` is a descriptor of `layer`, in tiles and at addresses of its own.
    """
    if not fields.tile_rows or not fields.chunk_words:
        raise ValueError(f"fields: wanted tiles, got {fields.tile_rows} rows of "
                         f"{fields.chunk_words} words")
    tiles = TilePlan(
        tile_rows=fields.tile_rows, chunk_words=fields.chunk_words, cycles=0,
        chunks=-(-word_count(layer, config) // fields.chunk_words),
        plane_words=max(tile_source_rows(layer, fields.tile_rows)) * layer.load.width)
    sources = (fields.source0, fields.source1)[:len(layer.load.channels)]
    wanted = encode_descriptor(
        layer, config, tiles, sources=sources, output=output, **{
            name: getattr(fields, name)
            for name in ("channel_shift", "second", "weights", "multipliers", "steps")})
    for name, value in asdict(wanted).items():
        if value != getattr(fields, name):
            raise ValueError(f"fields: {name}: wanted {value}, as the layer has, got "
                             f"{getattr(fields, name)}")


def _check_pieces(found: Reproducer, about: About) -> None:
    """ValueError unless the pieces are those of the layer, apart from each other in the memory."""
    need, fields, there = sizes(about.description, found.config), about.fields, dict(found.pieces)
    wanted = dict(_places(need, fields, found.descriptor))
    rest = [address for address in there if address not in wanted]
    if len(rest) == 1:
        wanted[rest[0]] = need.biases
    got = {address: len(data) for address, data in there.items()}
    if got != wanted or len(rest) != 1:
        raise ValueError(f"pieces: wanted one of each of {', '.join(CONSTANTS)} and operands, "
                         f"{shown(sorted(wanted.items()))}, got {shown(sorted(got.items()))}")
    spans = sorted([*wanted.items(), (found.output, need.output)])
    for (first, size), (second, _) in pairwise([*spans, (found.memory_bytes, 0)]):
        if first + size > second:
            raise ValueError(f"pieces: wanted {size} bytes at {first} before {second}, where the "
                             f"next or the end of the memory is")
    _check_images(there, about, found.descriptor, need, rest[0])


def _places(need: Extents, fields: Descriptor, descriptor: int) -> Iterator[tuple[int, int]]:
    """Address and length of all that the descriptor names, and of itself."""
    yield from zip((fields.source0, fields.source1), need.sources, strict=False)
    if need.second:
        yield fields.second, need.second
    for name in ("weights", "multipliers", "steps"):
        yield getattr(fields, name), getattr(need, name)
    yield descriptor, need.descriptor


def _check_images(there: dict[int, bytes], about: About, descriptor: int, need: Extents,
                  biases: int) -> None:
    """ValueError for bits of descriptor and steps that are not the layer's, unless `altered` says
    that device memory did not keep them."""
    written = about.fields.encode()
    if there[descriptor] != written and not _said(about, "descriptor"):
        at = next(i for i, (a, b) in enumerate(zip(there[descriptor], written, strict=True))
                  if a != b)
        raise ValueError(f"descriptor: wanted {written[at]:#04x} in byte {at}, as its fields have, "
                         f"got {there[descriptor][at]:#04x}")
    steps = there[about.fields.steps]
    for step in range(need.steps // STEP_BYTES):
        image = steps[step * STEP_BYTES:(step + 1) * STEP_BYTES]
        entry = StepEntry.decode(image)
        place = biases + step * (need.biases // about.description.timesteps)
        if (entry.encode() != image or entry.bias != place) and not _said(about, "steps"):
            raise ValueError(f"steps: wanted entry {step} with its bias at {place} and no other "
                             f"bits, got {shown(entry)}")


def _said(about: About, piece: str) -> bool:
    return any(f"of the {piece} changed" in text for text in about.altered)
