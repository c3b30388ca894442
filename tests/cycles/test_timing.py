# amaranth: UnusedElaboratable=no
"""The model's counts of cycles are those of the RTL."""

import subprocess
import sys
from inspect import signature

import pytest
from amaranth.sim import Simulator

from hqdm.cycles import timing
from hqdm.cycles.model import MemoryTiming, estimate
from hqdm.cycles.run import run
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
from hqdm.sim.tests.test_estimator import CORNERS, LAYERS, corner, make
from hqdm.spec import PRESETS, config_by_name
from hqdm.spec.descriptor import FIELD
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


# These decide nothing unless the ports share a bandwidth (TAKEN, WRITE_WORDS), or never, as
# something else always takes longer (NEXT, STORE_REQUEST). NEXT and WRITE_WORDS are compared with
# the RTL's own.
HIDDEN = {"NEXT", "TAKEN", "WRITE_WORDS", "STORE_REQUEST"}
CASES = [(make(label), config_by_name(name), None, latency) for label in LAYERS
         for name, latency in (("n4", 100), ("n8", 10))]
CASES += [(layer, config_by_name("n4"), tiles, latency)
          for layer, tiles, latency in map(corner, CORNERS)]
CONSTANTS = [name for name, value in vars(timing).items()
             if name.isupper() and type(value) is int and name != "NEVER"
             and name not in ("STORE_LATENCY", "DESCRIPTOR_BITS", "STEP_BITS")]


def confirmed():
    """What sim/tests/test_estimator.py holds to the RTL: cycles and stalls of its layers."""
    run.cache_clear()
    found = [estimate(layer, config, tiles, MemoryTiming(latency=latency))
             for layer, config, tiles, latency in CASES]
    return [(each.cycles, each.stalls) for each in found]


@pytest.fixture(scope="module")
def right():
    return confirmed()


@pytest.mark.parametrize("name", CONSTANTS)
def test_no_constant_is_free(monkeypatch, right, name):
    """One more or one less changes a layer that the RTL confirms."""
    value = getattr(timing, name)
    changed = []
    for other in (value + 1, value - 1):
        for module in [m for key, m in sys.modules.items() if key.startswith("hqdm.cycles.")]:
            if name in vars(module):
                monkeypatch.setattr(module, name, other)
        try:
            changed.append(confirmed() != right)
        except IndexError:      # more beats taken than there are
            changed.append(True)
    monkeypatch.undo()
    run.cache_clear()
    assert any(changed) == (name not in HIDDEN)


def test_the_model_starts_without_amaranth_and_torch():
    code = ("import sys, hqdm.cycles.model; "
            "print([m for m in ('amaranth', 'torch') if m in sys.modules])")
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


class Beats:
    """A memory that answers `latency` cycles after a request, a beat every `interval` cycles."""

    def __init__(self, latency, interval):
        self.latency, self.interval, self.free = latency, interval, 0

    def read(self, request, beats):
        """Times at which the beats are there."""
        times = []
        for _ in range(beats):
            self.free = max(self.free, request + timing.FETCH_READ + self.latency)
            times.append(self.free)
            self.free += self.interval
        return times


@pytest.mark.parametrize("interval", [1, 2, 5, 9])
@pytest.mark.parametrize("latency", [1, 10, 40, 200])
@CONFIGS
def test_setup_word_by_word(config, latency, interval):
    """The step entry is asked for early, and comes behind the rest of the descriptor."""
    per_beat, memory, now, asked = config.bus_bits // 32, Beats(latency, interval), 0, None
    words = [bits // 32 for bits in (timing.DESCRIPTOR_BITS, timing.STEP_BITS)]
    for part, count in enumerate(words):
        there = memory.read(asked if part else timing.FETCH, -(-count // per_beat))
        for word in range(count):
            now = max(now + 1, there[word // per_beat])
            if not part and word == FIELD["timesteps"].word:
                asked = now + timing.ASK
    assert timing.setup_cycles(config, latency, interval) == now + timing.CHECKED
