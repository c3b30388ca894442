# amaranth: UnusedElaboratable=no
"""The model's counts of cycles are those of the RTL."""

import subprocess
import sys
from inspect import signature

import pytest

from hqdm.cycles import constants
from hqdm.rtl.bus.reader import AxiReader
from hqdm.rtl.interfaces import DESCRIPTOR_LAYOUT, STEP_LAYOUT, WRITE_WORDS
from hqdm.rtl.load.quantise import Quantiser
from hqdm.rtl.load.queue import ChunkQueue
from hqdm.rtl.load.sequence import ChunkSequence
from hqdm.rtl.load.unit import latency
from hqdm.rtl.multiply.accumulator import MIN_PASS, WRITTEN
from hqdm.rtl.multiply.array import SystolicArray
from hqdm.rtl.multiply.sequencer import Sequencer
from hqdm.rtl.store.parameters import GROUPS
from hqdm.rtl.store.requantise import STAGES, Requantise, stage_start
from hqdm.rtl.store.second import WORDS
from hqdm.rtl.store.unit import AHEAD, StoreUnit
from hqdm.spec import PRESETS
from hqdm.spec.fixed import MAX_ORDER

CONFIGS = pytest.mark.parametrize("config", PRESETS.values(), ids=list(PRESETS))


@CONFIGS
def test_load_pipeline(config):
    for axis in (0, 1):
        for order in range(MAX_ORDER + 1):
            assert constants.load_latency(config, axis, order) == latency(config, axis, order)


@CONFIGS
def test_array(config):
    assert constants.SEQUENCER == Sequencer.latency
    assert constants.SWAP == Sequencer.latency - 1
    assert constants.ARRAY_TO_BANK == WRITTEN
    assert constants.bank_ready(config) == (
        Sequencer.latency + SystolicArray(config).latency
        + SystolicArray.skew(config.n - 1) + 1 + constants.ARRAY_TO_BANK)


def test_bus_and_load():
    assert constants.FIFO_BEATS == signature(AxiReader).parameters["fifo_beats"].default
    assert constants.QUANTISER == Quantiser.latency
    assert constants.REQUESTS == ChunkSequence.PLAN + 1 + len(("WAIT", "SEEK", "PASS"))
    assert constants.QUEUE == ChunkQueue.latency - 1
    assert constants.NEXT == ChunkQueue.latency
    assert constants.MIN_PASS == MIN_PASS


def test_descriptor():
    assert constants.DESCRIPTOR_BITS == DESCRIPTOR_LAYOUT.size
    assert constants.STEP_BITS == STEP_LAYOUT.size


def test_store():
    assert tuple(constants.STAGES.items()) == STAGES
    for name, _ in STAGES:
        assert constants.stage_start(name) == stage_start(name)
    assert constants.store_latency() == StoreUnit.latency
    assert constants.stage_start("bias") == Requantise.bias_at
    assert constants.second_at(row_scale=False) == AHEAD + Requantise.second_at
    assert constants.second_at(row_scale=True) == AHEAD + Requantise.row_at
    assert (constants.GROUPS, constants.AHEAD) == (GROUPS, AHEAD)
    assert (constants.SECOND_WORDS, constants.WRITE_WORDS) == (WORDS, WRITE_WORDS)


def test_the_model_starts_without_amaranth_and_torch():
    code = ("import sys, hqdm.cycles.model; "
            "print([m for m in ('amaranth', 'torch') if m in sys.modules])")
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
