"""The Verilated runtime on the copy core: data, latency, bandwidth, errors, AXI checks."""

from fractions import Fraction

import numpy as np
import pytest

from hqdm.rtl.generate import to_verilog
from hqdm.sim.runtime.build import build_verilog
from hqdm.sim.runtime.device import PORTS, Device, MemoryModel, Response
from sim.tests.copy_core import (
    BEATS,
    BURSTS,
    CONTROL,
    LOAD,
    OUTPUT,
    SECOND,
    STATUS,
    TOP,
    WEIGHT,
    CopyCore,
)

SIZE = 1 << 20
PLACES = {LOAD: 0x1000, WEIGHT: 0x10000, SECOND: 0x20000, OUTPUT: 0x30000}
DONE, FAULT = 2, 6


def library(n=4, mistake="none"):
    return build_verilog(to_verilog(CopyCore(n, mistake), TOP), TOP)


def run_copy(device, bursts=8, beats=16, places=PLACES):
    """Run one copy; returns the cycles, checked data and status."""
    generator = np.random.default_rng(5)
    device.memory[:] = generator.integers(0, 256, len(device.memory), dtype=np.uint8)
    size = bursts * beats * device.bus_bytes
    parts = [np.resize(device.memory[places[p]:places[p] + size], size)
             for p in (LOAD, WEIGHT, SECOND)]
    for address, value in (places | {BURSTS: bursts, BEATS: beats, CONTROL: 1}).items():
        device.write_register(address, value)
    cycles = device.run(100_000)
    same = np.array_equal(device.memory[places[OUTPUT]:places[OUTPUT] + size],
                          parts[0] ^ parts[1] ^ parts[2])
    return cycles, same, device.read_register(STATUS)


@pytest.mark.parametrize("n", [4, 16])
def test_copies(n):
    with Device(library(n), SIZE) as device:
        assert device.bus_bytes == n
        cycles, same, status = run_copy(device)
        assert same and status == DONE and device.interrupt and cycles < 400
        assert device.violations() == []
        assert device.traffic("load").beats == 128
        assert device.traffic("store", "write").bursts == 8
        assert [device.traffic(p).pending for p in PORTS] == [0, 0, 0]


@pytest.mark.parametrize("size", [1 << 47, 1 << 48])
def test_memory_that_there_is_none_of_ends_no_process(size):
    """An exception of C++ is told, not thrown across the C interface."""
    with pytest.raises(RuntimeError, match=f"^memory of {size} bytes: simulation: not enough mem"):
        Device(library(), size)
    with Device(library(), SIZE) as device:     # and what comes after is as before
        assert run_copy(device)[1:] == (True, DONE)


@pytest.mark.parametrize("size", [0, -1, (1 << 48) + 1, 1 << 64, (1 << 64) + SIZE])
def test_sizes_that_are_none(size):
    with pytest.raises(ValueError, match=f"memory_bytes: wanted .*, got {size}"):
        Device(library(), size)


@pytest.mark.parametrize("seed", range(6))
def test_copies_under_stalls(seed):
    model = MemoryModel(latency=(1, 30), stall=100 + 100 * seed, outstanding=seed % 3, seed=seed)
    with Device(library(), SIZE, model) as device:
        _, same, status = run_copy(device, bursts=20, beats=1 + 3 * seed)
        assert same and status == DONE and device.violations() == []


def test_same_seed_same_cycles():
    model = MemoryModel(latency=(1, 50), stall=200, seed=9)
    with Device(library(), SIZE, model) as one, Device(library(), SIZE, model) as two:
        assert run_copy(one)[0] == run_copy(two)[0]


def test_latency_is_exact():
    cycles = {}
    for latency in (1, 11, 101):
        with Device(library(), SIZE, MemoryModel(latency=latency)) as device:
            cycles[latency] = run_copy(device, bursts=1)[0]
    # once before the data, once before the write response
    assert cycles[11] - cycles[1] == 20 and cycles[101] - cycles[1] == 200


def test_bandwidth_is_shared():
    with Device(library(), SIZE, MemoryModel(bandwidth=Fraction(8, 5))) as device:
        cycles, same, _ = run_copy(device, bursts=64)
        moved = 4 * 64 * 16 * device.bus_bytes
        assert same and 0.98 * moved / 1.6 <= cycles <= 1.02 * moved / 1.6


@pytest.mark.parametrize("response", Response)
@pytest.mark.parametrize("port, direction, place", [
    ("load", "read", LOAD), ("weight", "read", WEIGHT), ("store", "read", SECOND),
    ("store", "write", OUTPUT)])
def test_injected_errors(port, direction, place, response):
    with Device(library(), SIZE) as device:
        start = PLACES[place] + 40
        device.inject(port, direction, start, start + 1, response)
        assert run_copy(device)[1:] == (False, FAULT)
        device.clear_faults()
        assert run_copy(device)[1:] == (True, DONE)


def test_beyond_the_memory_is_an_error():
    with Device(library(), SIZE) as device:
        assert run_copy(device, bursts=8, places=PLACES | {WEIGHT: SIZE - 512})[1:] == (True, DONE)
        assert run_copy(device, places=PLACES | {WEIGHT: SIZE - 256})[2] == FAULT


@pytest.mark.parametrize("mistake, text", [
    ("drop", "m_axi_load: address valid dropped before ready"),
    ("change", "m_axi_load: address changed while valid waited for ready"),
    ("size", "m_axi_load: wanted full beats, got size 1"),
    ("wlast", "m_axi_store write: wlast is 1 on beat 15 of 16")])
def test_protocol_checks(mistake, text):
    model = MemoryModel(stall={"ar": 500})
    with Device(library(mistake=mistake), SIZE, model) as device:
        run_copy(device)
        assert any(text in violation for violation in device.violations())


def test_page_crossing_is_caught():
    with Device(library(), SIZE) as device:
        run_copy(device, places=PLACES | {LOAD: 0x1FE0})
        assert "crosses a 4 KB boundary" in device.violations()[0]


def test_hang_and_reset():
    with Device(library(), SIZE) as device:
        device.set_model(MemoryModel(stall={"r": 1000}), ports=("weight",))
        cycles, same, status = run_copy(device)
        assert (cycles, same, status) == (100_000, False, 1)
        assert device.traffic("weight").pending > 0
        device.set_model(MemoryModel())
        device.reset()
        assert device.traffic("weight").pending == 0
        assert run_copy(device)[1:] == (True, DONE)


def test_bad_arguments():
    with pytest.raises(ValueError, match="latency: wanted 1 <= min <= max, got 0"):
        MemoryModel(latency=0)
    with pytest.raises(ValueError, match=r"stall: wanted channels ar, r, aw, w, b, got 'x'"):
        MemoryModel(stall={"x": 1})
    with pytest.raises(ValueError, match=r"stall r: wanted 0\.\.1000 thousandths, got 1001"):
        MemoryModel(stall={"r": 1001})
    with pytest.raises(ValueError, match="memory_bytes: wanted 1 or more, got 0"):
        Device(library(), 0)
    with Device(library(), SIZE) as device:
        with pytest.raises(ValueError, match="port: wanted store, got 'load'"):
            device.inject("load", "write", 0, 1, Response.SLVERR)


def test_compiler_errors_are_shown(tmp_path):
    with pytest.raises(RuntimeError, match=r"(?s)verilator on bad failed.*syntax error"):
        build_verilog("module bad(input x; endmodule", "bad", tmp_path)
    assert not [path for path in tmp_path.iterdir() if path.is_dir()]
