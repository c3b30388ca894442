# amaranth: UnusedElaboratable=no
"""The model's counts of cycles are those of the RTL."""

import subprocess
import sys
from inspect import signature

import pytest
from amaranth.sim import Simulator

from hqdm.cycles import timing
from hqdm.rtl.bus.reader import AxiReader
from hqdm.rtl.interfaces import DESCRIPTOR_LAYOUT, STEP_LAYOUT, WRITE_WORDS
from hqdm.rtl.load.queue import ChunkQueue
from hqdm.rtl.load.requests import LoadRequests
from hqdm.rtl.multiply.accumulator import MIN_PASS, WRITTEN
from hqdm.rtl.multiply.array import SystolicArray
from hqdm.rtl.multiply.sequencer import Sequencer
from hqdm.rtl.store.parameters import GROUPS
from hqdm.rtl.store.requantise import Requantise
from hqdm.rtl.store.second import WORDS
from hqdm.rtl.store.unit import AHEAD, StoreUnit
from hqdm.spec import PRESETS
from hqdm.spec.stages import STORE, by_name

CONFIGS = pytest.mark.parametrize("config", PRESETS.values(), ids=list(PRESETS))


@CONFIGS
def test_array(config):
    assert timing.SEQUENCER == Sequencer.latency
    assert timing.SWAP == Sequencer.latency - 1
    assert timing.ARRAY_TO_BANK == WRITTEN
    assert timing.bank_ready(config) == (
        Sequencer.latency + SystolicArray(config).latency
        + SystolicArray.skew(config.n - 1) + 1 + timing.ARRAY_TO_BANK)


def test_bus_and_load():
    assert timing.FIFO_BEATS == signature(AxiReader).parameters["fifo_beats"].default
    assert timing.QUEUE == ChunkQueue.latency - 1
    assert timing.NEXT == ChunkQueue.latency
    assert timing.MIN_PASS == MIN_PASS


def test_requests():
    """Two chunks of one request each: cycles after START in which a request is there."""
    dut, seen = LoadRequests(PRESETS["n4"]), []
    layer = {"height": 1, "width": 1, "words0": 2, "out_height": 1, "out_words": 1,
             "tile_rows": 1, "chunk_words": 1, "chunks": 2}

    async def bench(ctx):
        for name, value in layer.items():
            ctx.set(dut.layer[name], value)
        ctx.set(dut.request.ready, 1)
        await ctx.tick().repeat(8)      # what the descriptor says goes through registers
        ctx.set(dut.start, 1)
        await ctx.tick()
        ctx.set(dut.start, 0)
        for cycle in range(1, 40):
            *_, valid = await ctx.tick().sample(dut.request.valid)
            seen.extend([cycle] * valid)

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    assert seen == [timing.REQUESTS, 2 * timing.REQUESTS]


def test_descriptor():
    assert timing.DESCRIPTOR_BITS == DESCRIPTOR_LAYOUT.size
    assert timing.STEP_BITS == STEP_LAYOUT.size


def test_store():
    assert timing.store_latency() == StoreUnit.latency
    assert timing.second_at(by_name(STORE, "second")) == AHEAD + Requantise.second_at
    assert timing.second_at(by_name(STORE, "row scale")) == AHEAD + Requantise.row_at
    assert (timing.GROUPS, timing.AHEAD) == (GROUPS, AHEAD)
    assert (timing.SECOND_WORDS, timing.WRITE_WORDS) == (WORDS, WRITE_WORDS)


def test_the_model_starts_without_amaranth_and_torch():
    code = ("import sys, hqdm.cycles.model; "
            "print([m for m in ('amaranth', 'torch') if m in sys.modules])")
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
