"""The driver over /dev/uioN: a board of files with golden behind them, and what can go wrong."""

import errno
import os
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from hqdm.firmware.device.driver import ConfigMismatch, DeviceFault, Driver
from hqdm.firmware.device.layer import prepare
from hqdm.firmware.device.transports.emulated import MEMORY_BASE, EmulatedBoard
from hqdm.firmware.device.transports.uio import UioInterrupt, open_uio
from hqdm.spec import config_by_name
from hqdm.spec.registers import ADDRESS, Fault

CONFIG = config_by_name("n4")
ROOT = Path(__file__).parents[3]
SLOW = 0.02         # MHz: golden takes longer than a core, on a busy machine much longer


def opened(root, **options):
    return open_uio("/dev/uio0", root=root, clock_mhz=SLOW, **options)


def test_a_layer(board, layer, tmp_path):
    with opened(tmp_path) as transport:
        program = layer.check(Driver(transport, CONFIG))
        assert transport.memory_base == MEMORY_BASE and transport.memory_bytes == 1 << 20
    places = (*program.sources, program.second, program.output, program.descriptor_address)
    assert all(MEMORY_BASE <= place < MEMORY_BASE + (1 << 20) for place in places)
    assert board.interrupts == layer.layer.timesteps


def test_another_process_is_the_board(layer, tmp_path):
    command = [sys.executable, "-m", "hqdm.firmware.device.transports.emulated", str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == f"n4: {tmp_path}/dev/uio0 and udmabuf0 until Ctrl-C\n"
        with opened(tmp_path) as transport:
            layer.check(Driver(transport, CONFIG))
        process.terminate()


def test_a_link_to_the_device(board, layer, tmp_path):
    (tmp_path / "dev/hqdm").symlink_to("uio0")
    with open_uio("/dev/hqdm", root=tmp_path, clock_mhz=SLOW) as transport:
        layer.check(Driver(transport, CONFIG))


def test_64_bit_addresses(layer, tmp_path):
    wide = replace(CONFIG, address_bits=40)
    with EmulatedBoard(tmp_path, wide, 1 << 20, 0x8_7000_0000), opened(tmp_path) as transport:
        program = layer.check(Driver(transport, wide))
    assert program.output > 1 << 32


def test_a_fault_and_after_it(board, layer, tmp_path):
    """Faults come with the physical address; a soft reset later the same layer runs."""
    with opened(tmp_path) as transport:
        driver = Driver(transport, CONFIG)
        program = prepare(driver, layer.layer, layer.parameters).program
        for fault, change in ((Fault.LOAD_DECERR, {"source0": MEMORY_BASE - 64}),
                              (Fault.STORE_WRITE_DECERR, {"output": MEMORY_BASE + (1 << 20)})):
            image = replace(program.descriptor, **change).encode()
            transport.write_memory(program.descriptor_address, image)
            with pytest.raises(DeviceFault) as caught:
                driver.execute(program.descriptor_address, 0, 1000)
            assert (caught.value.fault, caught.value.address) == (fault, *change.values())
            driver.soft_reset()
        layer.check(driver)


def test_the_next_process_goes_on(board, layer, tmp_path):
    for _ in range(2):
        with opened(tmp_path) as transport:
            layer.check(Driver(transport, CONFIG))


def test_the_memory_ends(board, tmp_path):
    with opened(tmp_path) as transport:
        end = MEMORY_BASE + (1 << 20)
        transport.write_memory(end - 2, b"ab")
        assert transport.read_memory(end - 2, 2) == b"ab"
        for address in (end - 1, MEMORY_BASE - 1):
            with pytest.raises(ValueError, match=r"wanted a range within 1048576 bytes at "
                                                 r"0x3c000000, got 2 bytes at 0x3"):
                transport.read_memory(address, 2)


def test_interrupts(tmp_path):
    """Each wait enables the interrupt, takes one count, and gives up in time."""
    ours, device = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, device:
        interrupt = UioInterrupt(ours.fileno(), tmp_path)
        assert not interrupt.wait(0) and not interrupt.wait(0.001)
        device.send((7).to_bytes(4, "little"))
        assert interrupt.wait(1) and not interrupt.wait(0.001)
        assert [device.recv(8) for _ in range(4)] == [b"\1\0\0\0"] * 4


@pytest.mark.parametrize(("number", "text"), [
    (errno.EIO, "no interrupt belongs to it"),
    (errno.ENOSYS, "its kernel driver cannot enable an interrupt; wanted uio_pdrv_genirq"),
    (errno.ENODEV, "the interrupt failed: No such device")])
def test_no_interrupt(board, tmp_path, monkeypatch, number, text):
    """What the kernel answers to the write that enables it."""
    def refuse(node, data):
        raise OSError(number, os.strerror(number))

    with opened(tmp_path) as transport, monkeypatch.context() as patch:
        patch.setattr(os, "write", refuse)
        with pytest.raises(OSError, match=rf"uio0\.interrupt: {text}; see docs/linux\.md$"):
            transport.wait(1)


@contextmanager
def unprivileged():
    """Without the rights of root, which file modes do not stop."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


def test_no_device(tmp_path):
    (tmp_path / "dev").mkdir()
    with pytest.raises(FileNotFoundError) as caught:
        opened(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path}/dev/uio0: no such UIO device, nor any other uio; see docs/linux.md")


def test_another_device(board, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"dev/uio1: no such UIO device, found uio0; see"):
        open_uio("/dev/uio1", root=tmp_path)


def test_another_configuration(board, tmp_path):
    wanted = (r"^config_hash: wanted 0x[0-9a-f]{8} for n8, got 0x[0-9a-f]{8}, which is n4$")
    with opened(tmp_path) as transport, pytest.raises(ConfigMismatch, match=wanted):
        Driver(transport, config_by_name("n8"))


def test_nothing_at_the_address(board, tmp_path):
    """What a bus without a core answers."""
    with opened(tmp_path) as transport:
        transport.write_register(ADDRESS["identity"], 0xFFFFFFFF)
        with pytest.raises(ConfigMismatch, match=r"got 0xffffffff: nothing answers there, see"):
            Driver(transport, CONFIG)


def test_a_memory_too_small(layer, tmp_path):
    with (EmulatedBoard(tmp_path, CONFIG, 1024), opened(tmp_path) as transport,
          pytest.raises(ValueError) as caught):
        prepare(Driver(transport, CONFIG), layer.layer, layer.parameters)
    assert str(caught.value) == (
        "layer small on n4: wanted 1920 bytes of memory (1024 of constants, 896 of activations), "
        "the device has 1024")


def test_a_memory_out_of_reach(board, tmp_path):
    with opened(tmp_path) as transport, pytest.raises(ValueError) as caught:
        transport.memory_base = 0x8_0000_0000
        Driver(transport, CONFIG)
    assert str(caught.value) == ("memory: wanted an end within 32 address bits of n4, got 1048576 "
                                 "bytes at 0x800000000")


@pytest.mark.parametrize(("node", "what"), [("uio0", "UIO device"), ("udmabuf0", "u-dma-buf")])
def test_permission_denied(board, tmp_path, node, what):
    for file in tmp_path.rglob("*"):
        file.chmod(0o777)
    for folder in (tmp_path, *tmp_path.parents):
        if folder.name.startswith(("test_", "popen-", "pytest-")):
            folder.chmod(0o755)
    path = tmp_path / "dev" / node
    path.chmod(0o400)
    with unprivileged(), pytest.raises(PermissionError) as caught:
        opened(tmp_path)
    assert str(caught.value) == (f"{path}: permission denied: wanted to read and write this "
                                 f"{what}; docs/linux.md has a udev rule")


def test_two_processes(board, tmp_path):
    with opened(tmp_path), pytest.raises(OSError, match=r"uio0: another process uses it$"):
        opened(tmp_path)
    opened(tmp_path).close()


@pytest.mark.parametrize(("file", "text", "wanted"), [
    ("maps/map0/size", "0x80", r"uio0: wanted at least 256 bytes of registers in map 0, got 128"),
    ("maps/map0/size", "", r"map0/size: wanted a number, got ''"),
    ("maps/map0/size", None, r"map0/size: cannot be read \(No such file or directory\); see"),
    ("maps/map0/size", "0x100000", r"uio0: its registers cannot be mapped: "),
])
def test_bad_maps(board, tmp_path, file, text, wanted):
    path = tmp_path / "sys/class/uio/uio0" / file
    path.unlink() if text is None else path.write_text(text)
    for _ in range(2):      # and nothing stays locked
        with pytest.raises(OSError, match=wanted):
            opened(tmp_path)


def test_no_board_behind_the_files(tmp_path):
    with EmulatedBoard(tmp_path, CONFIG):
        pass
    with pytest.raises(OSError, match=r"uio0 is an ordinary file and no emulated board answers: "
                                      r"Connection refused"):
        opened(tmp_path)


def test_a_core_that_never_answers(layer, tmp_path):
    with (EmulatedBoard(tmp_path, CONFIG, deaf=True),
          open_uio(root=tmp_path, clock_mhz=1000) as transport):
        driver = Driver(transport, CONFIG)
        begun = time.monotonic()
        with pytest.raises(TimeoutError, match=r"^no interrupt in 1000 cycles \(1\.0 s at 1000 "
                                               r"MHz\); see docs/linux\.md$"):
            driver.finish(1000)
        assert time.monotonic() - begun < 10


def test_a_board_that_goes_away(tmp_path):
    board = EmulatedBoard(tmp_path, CONFIG, deaf=True)
    with board:
        transport = opened(tmp_path)
    with pytest.raises(OSError, match=r"interrupt: the (device went away|interrupt failed)"):
        Driver(transport, CONFIG).finish(1000)
    transport.close()
