"""The whole core behind cocotbext-axi, run by the real driver: layers, AXI errors, resets."""

import os

import cocotb
import pytest
import torch
from cocotb.clock import Clock
from cocotb.triggers import RisingEdge

from hqdm.firmware.device.driver import DeviceFault, Driver
from hqdm.firmware.device.layer import prepare
from hqdm.golden.layer import run_layer
from hqdm.golden.random import random_parameters, random_sources
from hqdm.sim.cocotb_transport import CocotbTransport, in_thread
from hqdm.sim.compare_layer import make_layer
from hqdm.sim.runner import run_core
from hqdm.sim.testbench import AxiResp, Testbench, Traffic
from hqdm.spec.config import PRESETS
from hqdm.spec.registers import ADDRESS

CONFIG = PRESETS["n4"]
MEMORY_BYTES = 1 << 16
STEPS = 3
LAYERS = {
    "width": make_layer(
        op="conv3x3", channels=(5,), out_channels=6, height=5, width=8, axis="width", order=3,
        upsample=2, timesteps=STEPS),
    "channel": make_layer(
        op="conv3x3", channels=(8, 4), out_channels=5, height=6, width=5, axis="channel",
        order=2, act_bits=8, stride=2, residual="add", timesteps=STEPS),
    "free bounds": make_layer(
        op="conv3x3", channels=(4, 4), out_channels=5, height=5, width=8, axis="width", order=3,
        ranged=True, timesteps=STEPS),
    "linear": make_layer(
        op="linear", channels=(16,), out_channels=9, height=11, width=1, axis="channel",
        order=4, weight_bits=8, residual="subtract", timesteps=STEPS),
    "conv1x1": make_layer(
        op="conv1x1", channels=(6,), out_channels=7, height=3, width=7, act_bits=3,
        weight_bits=2, timesteps=STEPS),
    "small": make_layer(
        op="conv3x3", channels=(3,), out_channels=2, height=2, width=4, axis="width", order=2,
        timesteps=1),
    "small 8 bits": make_layer(
        op="conv1x1", channels=(4, 2), out_channels=3, height=2, width=3, act_bits=8,
        weight_bits=8, residual="add", timesteps=1),
}
# (port, direction, field of the descriptor with the address) of every channel that can fail
CHANNELS = {
    "LOAD": ("load", "read", "source0"), "WEIGHT": ("weight", "read", "weights"),
    "STORE_READ": ("store", "read", "multipliers"), "STORE_WRITE": ("store", "write", "output"),
}
MASTERS = ("load", "weight", "store")
VALID = (*(f"m_axi_{port}__arvalid" for port in MASTERS), "m_axi_store__awvalid",
         "m_axi_store__wvalid", "s_axil__bvalid", "s_axil__rvalid")
INPUTS = (*(f"m_axi_{port}__{name}" for port in MASTERS
            for name in ("arready", "rvalid", "rid", "rdata", "rresp", "rlast")),
          *(f"m_axi_store__{name}" for name in ("awready", "wready", "bvalid", "bid", "bresp")),
          *(f"s_axil__{name}" for name in ("awvalid", "wvalid", "arvalid", "awprot", "arprot")))


def check_layer(driver, name, seed):
    """Run a random layer on the device; every output must be golden's."""
    generator = torch.Generator().manual_seed(seed)
    layer = LAYERS[name]
    parameters = random_parameters(layer, generator)
    prepared = prepare(driver, layer, parameters)
    for timestep in sorted({0, layer.timesteps - 1}):
        sources, second = random_sources(layer, parameters, timestep, generator)
        output, _ = prepared.run(sources, timestep, second)
        wanted = run_layer(layer, parameters, sources, timestep, second)
        assert output.exponent == wanted.exponent
        assert torch.equal(output.values, wanted.values), f"{name}, timestep {timestep}"


def start_layer(driver, name, seed):
    """Upload a random layer with its sources; returns its program, not started."""
    generator = torch.Generator().manual_seed(seed)
    parameters = random_parameters(LAYERS[name], generator)
    return prepare(driver, LAYERS[name], parameters).program


async def begin(dut, pause=0.0):
    """A reset core and the driver's transport."""
    traffic = Traffic(pause=pause, latency=40 if pause else 0, seed=cocotb.RANDOM_SEED)
    bench = Testbench(dut, MEMORY_BYTES, traffic)
    await bench.reset()
    return bench, CocotbTransport(bench)


@cocotb.test(timeout_time=10, timeout_unit="ms")
async def layers(dut):
    _, transport = await begin(dut, float(os.environ["PAUSE"]))

    def body():
        driver = Driver(transport, PRESETS[os.environ["CONFIG"]])
        for name in os.environ["LAYERS"].split(","):
            check_layer(driver, name, int(os.environ["SEED"]))

    await in_thread(body)


@cocotb.test(timeout_time=10, timeout_unit="ms")
async def axi_errors(dut):
    bench, transport = await begin(dut)

    def fault(driver, channel, response):
        """Code and address of the fault of a layer whose `channel` answers `response` once."""
        port, direction, field = CHANNELS[channel]
        program = start_layer(driver, "channel", 1)
        address = getattr(program.descriptor, field) + CONFIG.word_bytes
        bench.inject(port, direction, address, address + 1, response)
        with pytest.raises(DeviceFault) as caught:
            driver.execute(program.descriptor_address, 0, 50_000)
        bench.memory.errors.clear()
        driver.soft_reset()
        return caught.value.fault.name, address - caught.value.address

    def body():
        driver = Driver(transport, CONFIG)
        for channel in CHANNELS:
            for response in (AxiResp.SLVERR, AxiResp.DECERR):
                name, behind = fault(driver, channel, response)
                assert name == f"{channel}_{response.name}"
                assert 0 <= behind < 16 * CONFIG.bus_bytes
                check_layer(driver, "conv1x1", 2)

    await in_thread(body)


@cocotb.test(timeout_time=10, timeout_unit="ms")
async def soft_reset(dut):
    bench, transport = await begin(dut, 0.2)

    def body():
        driver = Driver(transport, CONFIG)
        for reads in range(1, 40, 6):
            program = start_layer(driver, "channel", reads)
            driver.start(program.descriptor_address, 1)
            for _ in range(reads):
                assert driver.read("status") & 1    # each read takes a dozen cycles
            driver.soft_reset()
            check_layer(driver, "conv1x1", reads)

    await in_thread(body)
    assert not int(bench.dut.interrupt.value)


@cocotb.test(timeout_time=10, timeout_unit="ms")
async def reset_of_one_cycle(dut):
    bench, transport = await begin(dut, 0.2)
    driver = await in_thread(Driver, transport, CONFIG)

    def begin_layer(reads):
        program = start_layer(driver, "channel", reads)
        driver.start(program.descriptor_address, 1)
        for _ in range(reads):
            assert driver.read("status") & 1

    for reads in range(1, 60, 4):
        await in_thread(begin_layer, reads)
        quiet = cocotb.start_soon(nothing_is_asked_for(dut))
        await bench.reset(cycles=1)
        await quiet
        assert not await in_thread(driver.read, "status")
        driver = await in_thread(Driver, transport, CONFIG)      # its settings are lost
        await in_thread(check_layer, driver, "conv1x1", reads)


async def nothing_is_asked_for(dut):
    """From the cycle of the reset to the one after it no `valid` is high, as AXI wants it."""
    for _ in range(2):
        await RisingEdge(dut.aclk)
        for name in VALID:
            assert not int(getattr(dut, name).value), name


async def hand_shake(dut, valid, ready, cycles):
    """Hold `valid` until `ready` is high with it, for at most some `cycles`."""
    getattr(dut, valid).value = 1
    for _ in range(cycles):
        await RisingEdge(dut.aclk)
        if int(getattr(dut, ready).value):
            break
    else:
        raise AssertionError(f"{ready} never came")
    getattr(dut, valid).value = 0


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def access_after_reset(dut):
    """A register is written and read in the very first cycle after a reset of any length."""
    for name in INPUTS:
        getattr(dut, name).value = 0
    dut.s_axil__bready.value = dut.s_axil__rready.value = 1
    dut.s_axil__wstrb.value = 15
    dut.s_axil__awaddr.value = dut.s_axil__araddr.value = ADDRESS["timestep"]
    Clock(dut.aclk, 10, unit="ns").start()
    for cycles in (4, 1, 2, 1):
        dut.aresetn.value = 0
        await dut_cycles(dut, cycles)
        dut.aresetn.value = 1
        dut.s_axil__wdata.value = 7 + cycles
        data = cocotb.start_soon(hand_shake(dut, "s_axil__wvalid", "s_axil__wready", 8))
        await hand_shake(dut, "s_axil__awvalid", "s_axil__awready", 8)
        await data
        await dut_cycles(dut, 4)
        await hand_shake(dut, "s_axil__arvalid", "s_axil__arready", 8)
        while not int(dut.s_axil__rvalid.value):
            await RisingEdge(dut.aclk)
        assert int(dut.s_axil__rdata.value) == 7 + cycles


async def dut_cycles(dut, cycles):
    for _ in range(cycles):
        await RisingEdge(dut.aclk)


@pytest.mark.parametrize("pause, seed", [(0.0, 1), (0.3, 2)])
def test_layers(pause, seed):
    run_core(CONFIG, __name__, testcase="layers", seed=seed,
             parameters={"PAUSE": str(pause), "SEED": str(seed), "CONFIG": CONFIG.name,
                         "LAYERS": ",".join(LAYERS)})


@pytest.mark.parametrize("testcase", [
    "axi_errors", "soft_reset", "reset_of_one_cycle", "access_after_reset"])
def test_faults(testcase):
    run_core(CONFIG, __name__, testcase=testcase, seed=5)
