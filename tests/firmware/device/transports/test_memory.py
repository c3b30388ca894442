"""Memory shared with a core: caches kept coherent, regions, and what can go wrong."""

import os
from types import SimpleNamespace

import pytest

from hqdm.firmware.device.driver import Driver
from hqdm.firmware.device.transports.board import BoardTransport, Polling
from hqdm.firmware.device.transports.emulated import MEMORY_BASE, make_files
from hqdm.firmware.device.transports.golden import GoldenTransport
from hqdm.firmware.device.transports.memory import Udmabuf, open_memory
from hqdm.spec import config_by_name

CONFIG = config_by_name("n4")
SIZE = 1 << 16


class Cached(Udmabuf):
    """The file is the processor's cache; `sync_for_*` copies lines from and to `dram`."""

    dram: bytearray
    deaf = False

    def _attribute(self, name, value):
        super()._attribute(name, value)
        if not name.startswith("sync_for") or self.deaf:
            return
        first, size = (int((self.sysfs / f"sync_{n}").read_text()) for n in ("offset", "size"))
        assert first % 64 == 0 and first + size <= self.size
        span = slice(first, first + size)
        if name == "sync_for_cpu":
            self._map[span] = bytes(self.dram[span])
        else:
            self.dram[span] = self._map[span]


@pytest.fixture
def cached(tmp_path):
    """(transport, memory) of a core whose memory is not coherent with the processor's cache."""
    make_files(tmp_path, SIZE, MEMORY_BASE)
    for file in (tmp_path / "sys/class/u-dma-buf/udmabuf0").glob("sync_*"):
        file.write_text("")     # what is written to an attribute replaces it
    memory = Cached("udmabuf0", tmp_path)
    memory.dram = bytearray(SIZE)
    core = GoldenTransport(CONFIG, SIZE, memory.dram, MEMORY_BASE)
    registers = SimpleNamespace(read=core.read_register, write=core.write_register,
                                close=lambda: None)
    with BoardTransport(registers, memory, Polling()) as transport:
        yield transport, memory


@pytest.fixture(autouse=True)
def whole_writes(monkeypatch):
    """A write to a file of sysfs replaces what was there; to a plain one it would not."""
    write = os.pwrite

    def replace(node, data, at):
        os.truncate(node, 0)
        return write(node, data, at)

    monkeypatch.setattr(os, "pwrite", replace)


def test_a_layer_through_a_cache(cached, layer):
    transport, _ = cached
    layer.check(Driver(transport, CONFIG))


def test_that_cache_is_not_coherent(cached, layer):
    transport, memory = cached
    memory.deaf = True
    with pytest.raises(Exception, match="BAD_DESCRIPTOR"):
        layer.check(Driver(transport, CONFIG))


def test_neighbours_on_a_line_survive(cached):
    """What the core wrote beside what the processor writes, on the same cache line."""
    transport, memory = cached
    memory.dram[0:64] = bytes(range(64))
    transport.write_memory(MEMORY_BASE + 8, b"abcd")
    assert memory.dram[0:64] == bytes(range(8)) + b"abcd" + bytes(range(12, 64))
    memory.dram[SIZE - 1] = 7
    assert transport.read_memory(MEMORY_BASE + SIZE - 1, 1) == b"\7"
    assert transport.read_memory(MEMORY_BASE, 0) == b""


@pytest.mark.parametrize("kind", ["u-dma-buf", "udmabuf"])
def test_coherent(tmp_path, kind):
    """Coherent ports: nothing is written to sysfs, under either name of the module."""
    make_files(tmp_path, SIZE, 0x8_0000_0000)
    classes = tmp_path / "sys/class"
    if kind == "udmabuf":
        (classes / "u-dma-buf").rename(classes / kind)
    folder = classes / kind / "udmabuf0"
    (folder / "dma_coherent").write_text("1\n")
    memory = open_memory("udmabuf0", tmp_path)
    memory.write(100, b"xyz")
    assert memory.read(99, 5) == b"\0xyz\0" and (memory.base, memory.size) == (8 << 32, SIZE)
    assert (folder / "sync_for_device").read_text() == "0\n"
    memory.close()


def test_uncached(tmp_path):
    make_files(tmp_path, SIZE, MEMORY_BASE)
    folder = tmp_path / "sys/class/u-dma-buf/udmabuf0"
    with pytest.raises(OSError, match=r"sync_mode: wanted 2 \(write-combining\) for an uncached "
                                      r"map, got 1$"):
        open_memory("udmabuf0,uncached", tmp_path)
    (folder / "sync_mode").write_text("2\n")
    memory = open_memory("udmabuf0,uncached", tmp_path)
    memory.write(0, b"xyz")
    assert memory.read(0, 3) == b"xyz" and (folder / "sync_for_device").read_text() == "0\n"
    memory.close()


def test_a_region(tmp_path, layer):
    """Any file at a given address; one called mem is mapped from that address on."""
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/region").write_bytes(bytes(8192))
    (tmp_path / "dev/mem").write_bytes(bytes(8192) + b"here" + bytes(4092))
    region = open_memory("/dev/region@0x40000000+0x2000", tmp_path)
    assert (region.base, region.size) == (0x40000000, 8192)
    region.write(8190, b"ab")
    region.close()
    assert (tmp_path / "dev/region").read_bytes()[8190:] == b"ab"
    physical = open_memory("/dev/mem@0x2000+4096", tmp_path)
    assert physical.read(0, 4) == b"here"
    physical.close()


@pytest.mark.parametrize("text", ["", "/dev/mem", "a b", "udmabuf0,cached", "m@0x1000", "m@x+1",
                                  "m@0x1000+", "pynq+", "pynq+64M"])
def test_what_is_no_memory(tmp_path, text):
    with pytest.raises(ValueError) as caught:
        open_memory(text, tmp_path)
    assert str(caught.value) == ("memory: wanted NAME, NAME,uncached, PATH@ADDRESS+SIZE or "
                                 f"pynq+SIZE, got {text!r}")


@pytest.mark.parametrize("text", ["/dev/mem@0x800+4096", "/dev/mem@0x1000+0", "pynq+0"])
def test_what_cannot_be_mapped(tmp_path, text):
    with pytest.raises(ValueError, match=r"wanted at least 1 byte at a multiple of \d+, got '"):
        open_memory(text, tmp_path)


@pytest.mark.parametrize(("text", "wanted"), [
    ("udmabuf1", "dev/udmabuf1: no such u-dma-buf, found udmabuf0; see docs/linux.md"),
    ("/dev/region@0x1000+4096", "dev/region: no such memory region, nor any other region; see"),
    ("/dev/uio0@0x1000+8192", "dev/uio0: wanted 8192 bytes at 0x0, which cannot be mapped: "),
    ("/dev@0x1000+4096", "dev: this memory region cannot be opened: Is a directory")])
def test_errors(tmp_path, text, wanted):
    make_files(tmp_path, SIZE, MEMORY_BASE)
    with pytest.raises(OSError) as caught:
        open_memory(text, tmp_path)
    assert wanted in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("attribute", ["phys_addr", "size", "dma_coherent", "sync_direction"])
def test_a_broken_sysfs(tmp_path, attribute):
    make_files(tmp_path, SIZE, MEMORY_BASE)
    (tmp_path / "sys/class/u-dma-buf/udmabuf0" / attribute).unlink()
    with pytest.raises(OSError, match=rf"udmabuf0/{attribute}: (cannot be read|no such attribute)"):
        open_memory("udmabuf0", tmp_path)
