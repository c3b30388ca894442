"""The PYNQ transport against a module with the same names and a golden core behind it."""

import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from hqdm.firmware.device.driver import Driver
from hqdm.firmware.device.transports.golden import GoldenTransport
from hqdm.firmware.device.transports.memory import open_memory
from hqdm.firmware.device.transports.pynq import open_pynq
from hqdm.spec import config_by_name

CONFIG = config_by_name("n4")
BASE, SIZE = 0x1E900000, 1 << 16


class Buffer(np.ndarray):
    """As pynq.Buffer: what is not flushed or invalidated stays on its side."""

    def __array_finalize__(self, parent):
        self.dram = getattr(parent, "dram", None)
        self.root = getattr(parent, "root", None)

    @property
    def device_address(self):
        return BASE

    def _span(self):
        first = self.ctypes.data - self.root.ctypes.data
        return slice(first, first + self.nbytes)

    def flush(self):
        self.dram[self._span()] = self.tobytes()

    def invalidate(self):
        self[:] = np.frombuffer(self.dram[self._span()], np.uint8)

    def freebuffer(self):
        self.dram.clear()


class Words:
    """A register array: one 32-bit access per item."""

    def __init__(self, core):
        self.core = core

    def __getitem__(self, index):
        return np.uint32(self.core.read_register(4 * index))

    def __setitem__(self, index, value):
        assert isinstance(value, np.uint32)
        self.core.write_register(4 * index, int(value))


@pytest.fixture
def library(monkeypatch):
    """A module `pynq` whose overlay holds hqdm_0."""
    module, dram = ModuleType("pynq"), bytearray(SIZE)
    core = GoldenTransport(CONFIG, SIZE, dram, BASE)

    def allocate(shape, dtype):
        if shape[0] > SIZE:
            raise MemoryError("no contiguous memory")
        buffer = np.zeros(shape, dtype).view(Buffer)
        buffer.dram, buffer.root = dram, buffer
        return buffer

    block = {"phys_addr": 0xA0000000, "addr_range": 4096}
    module.allocate = allocate
    module.Overlay = lambda bitfile: SimpleNamespace(ip_dict={"hqdm_0": block, "dma": {}})
    module.MMIO = lambda address, length: SimpleNamespace(array=Words(core))
    monkeypatch.setitem(sys.modules, "pynq", module)
    return dram


def test_a_layer(library, layer):
    with open_pynq("hqdm.bit", memory_bytes=SIZE) as transport:
        program = layer.check(Driver(transport, CONFIG))
        assert (transport.memory_base, transport.memory_bytes) == (BASE, SIZE)
        assert program.output > BASE
    assert not library      # given back


def test_its_memory_alone(library):
    memory = open_memory(f"pynq+{SIZE:#x}")
    memory.write(10, b"abc")
    assert library[10:13] == b"abc" and memory.read(9, 5) == b"\0abc\0"


def test_errors(library):
    with pytest.raises(ValueError, match=r"hqdm.bit: wanted a core called hqdm_1, found dma, hqd"):
        open_pynq("hqdm.bit", "hqdm_1")
    with pytest.raises(RuntimeError, match="pynq: wanted 65537 bytes of contiguous memory: no c"):
        open_pynq("hqdm.bit", memory_bytes=SIZE + 1)


def test_no_library(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynq", None)
    for make in (lambda: open_pynq("hqdm.bit"), lambda: open_memory("pynq+4096")):
        with pytest.raises(RuntimeError, match="pynq: the library is not installed here"):
            make()
