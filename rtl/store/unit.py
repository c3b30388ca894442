"""Store unit: partial sums of one layer to carriers in memory."""

from itertools import pairwise
from typing import Any

from amaranth import *
from amaranth.lib import data
from amaranth.lib.wiring import In, Out, connect, flipped

from hqdm.rtl.component import Component
from hqdm.rtl.counting import change
from hqdm.rtl.interfaces import (
    DESCRIPTOR_LAYOUT,
    STEP_LAYOUT,
    WRITE_WORDS,
    AccumulatorRead,
    ReadPort,
    WordWrite,
)
from hqdm.rtl.modes import has_second
from hqdm.rtl.store.parameters import GROUPS, READ_LATENCY, ParameterSets
from hqdm.rtl.store.requantise import Requantise
from hqdm.rtl.store.requests import StoreReads
from hqdm.rtl.store.second import SecondOperand
from hqdm.rtl.store.walk import TileWalk
from hqdm.spec.config import Config

SUMS_LATENCY = 4                        # cycles from a group issued to its sums at the stages
AHEAD = SUMS_LATENCY - READ_LATENCY     # cycles from a group issued to the read of its parameters
# What travels with a lane group: which quarter of which word, with which parameter set;
# `last` marks the last group of the output word in the spatial tile, `final` that of the layer.
TAG = data.StructLayout({"valid": 1, "group": 2, "set": 1, "last": 1, "final": 1})


class StoreUnit(Component):
    """Requantises the accumulator banks of a layer, adds bias and second operand, writes words.

    With the descriptor's `row_scale` the second operand is the row factors instead.

    For each spatial tile and output word (= accumulator bank), for each pixel: the stages of
    `hqdm.spec.stages.STORE` on `store_lanes` channels per cycle, four cycles per word.

    Throughput: one word in four cycles, one more cycle per bank; parameters are fetched one
    output word ahead, the second operand as far ahead as the reader allows. A group is issued
    only when everything it will need is there and its word has room in the writer, so the
    pipeline itself never stops. Latency: `latency` cycles from issue to the writer.

    Parameters
    ----------
    config: array size, widths.

    Members
    -------
    layer, step: descriptor and step table entry, static while the layer runs.
    start: pulse, begins a layer.
    accumulator: bank reads.
    read: memory reads (M, bias, second operand).
    word: to the writer.
    done: all words of the layer have been handed to the writer; cleared by `start`.
    waiting_memory: a bank is ready, but the memory is not.
    """

    latency = SUMS_LATENCY + Requantise.latency

    def __init__(self, config: Config):
        self._config = config
        super().__init__({
            "layer": In(DESCRIPTOR_LAYOUT), "step": In(STEP_LAYOUT), "start": In(1),
            "accumulator": Out(AccumulatorRead(config)),
            "read": Out(ReadPort(config)),
            "word": Out(WordWrite(config)),
            "done": Out(1), "waiting_memory": Out(1),
        })

    @property
    def config(self) -> Config:
        return self._config

    def elaborate(self, platform):
        m = Module()
        config = self._config
        m.submodules.sets = sets = ParameterSets(config)
        m.submodules.second = second = SecondOperand(config)
        requantise, moving = Requantise(config.store_lanes), Signal()
        # at rest it takes no power, and a simulator no time
        m.submodules.requantise = EnableInserter(moving)(requantise)
        self._fetch(m, sets, second)
        tags: list[Any] = [Signal(TAG, name=f"tag{k}") for k in range(self.latency + 1)]
        m.d.sync += moving.eq(Cat(tag.valid for tag in tags[:-1]).any())
        m.d.sync += [later.eq(earlier) for earlier, later in pairwise(tags)]
        self._issue(m, tags, sets, second)
        self._arithmetic(m, tags, sets, second, requantise)
        m.d.comb += [self.word.push.eq(tags[-1].valid), self.word.group.eq(tags[-1].group),
                     self.word.data.eq(requantise.o)]
        m.d.sync += self.done.eq((self.done | tags[-1].final) & ~self.start)
        return m

    def _fetch(self, m, sets: ParameterSets, second: SecondOperand) -> None:
        """Memory reads, sorted to their buffers."""
        m.submodules.reads = reads = StoreReads(self._config)
        m.d.comb += [
            reads.layer.eq(self.layer),
            reads.bias.eq(self.step.bias),
            reads.start.eq(self.start),
        ]
        connect(m, reads.read, flipped(self.read))
        connect(m, reads.parameters, sets.beat)
        connect(m, reads.second, second.beat)

    def _issue(self, m, tags: list[Any], sets: ParameterSets, second: SecondOperand) -> None:
        """Four groups per pixel once all it needs is there.

        What a pixel needs is asked for in the cycle of its first group, `first`; the other three
        follow without a question. What comes of that, `begun`, may be a cycle later: announcing the
        word and claiming the second operand. So `room` and `second.available` follow two cycles
        after `first`, in time for the next pixel.
        """
        accumulator, word = self.accumulator, self.word
        room = Signal(range(WRITE_WORDS + 1), init=WRITE_WORDS)
        m.submodules.walk = walk = TileWalk(self._config)
        group, first, go = Signal(range(GROUPS)), Signal(), Signal()
        bank, supplied = Signal(), Signal()
        begun = Signal()        # a pixel in the cycle before; the next is three cycles off
        m.d.comb += [
            walk.layer.eq(self.layer),
            walk.base.eq(self.layer.output),
            walk.start.eq(self.start),
            first.eq(group == 0),
            bank.eq(walk.active & accumulator.ready & ~accumulator.release),
            supplied.eq(sets.available & (room != 0)
                        & (second.available | ~has_second(self.layer))),
            go.eq(~first | (bank & supplied)),
            tags[0].valid.eq(go),
            tags[0].group.eq(group),
            tags[0].set.eq(sets.number),
            tags[0].last.eq(walk.last_pixel & (group == GROUPS - 1)),
            tags[0].final.eq(tags[0].last & walk.last_word & walk.last_tile),
            walk.step.eq(group == GROUPS - 1),
            sets.claim.eq(tags[0].last),
            accumulator.address.eq(walk.pixel),
            accumulator.take.eq(begun), accumulator.release.eq(tags[1].last),
            second.claim.eq(begun & has_second(self.layer)),
            word.announce.eq(begun), word.address.eq(walk.address),
            self.waiting_memory.eq(first & bank & ~supplied),
        ]
        m.d.sync += [group.eq(group + go), begun.eq(first & go),
                     room.eq(room + change(word.taken, word.announce, len(room)))]

    def _arithmetic(self, m, tags: list[Any], sets: ParameterSets, second: SecondOperand,
                    requantise: Requantise) -> None:
        """Operands to the stages, each at its time.

        `tags[k]` is the tag of the group issued k cycles ago. The sums come SUMS_LATENCY cycles
        after the issue; an operand that is wanted `at` cycles after the sums is read READ_LATENCY
        cycles before, when the group's tag has come to AHEAD + `at`.
        """
        lanes = self._config.store_lanes
        sums = Signal(requantise.sums.shape())
        multiplier, bias = tags[AHEAD], tags[AHEAD + requantise.bias_at]
        other: Any = Signal(TAG)
        with m.Switch(Cat(tags[3].group, self.accumulator.bank)):
            for k in range(2 * GROUPS):
                bank, first = self.accumulator.data[k // GROUPS], k % GROUPS * lanes
                with m.Case(k):
                    m.d.sync += sums.eq(Cat(bank[first + i] for i in range(lanes)))
        m.d.comb += [
            sets.multiplier_at.eq(Cat(multiplier.group, multiplier.set)),
            sets.bias_at.eq(Cat(bias.group, bias.set)),
            sets.release.eq(bias.last),
            other.eq(Mux(self.layer.row_scale, tags[AHEAD + requantise.row_at],
                         tags[AHEAD + requantise.second_at])),
            second.read.eq(other.valid & has_second(self.layer)),
            second.group.eq(other.group),
            requantise.sums.eq(sums),
            requantise.multipliers.eq(sets.multipliers),
            requantise.factors.eq(second.o),
            requantise.bias.eq(sets.bias),
            requantise.second.eq(second.o),
            requantise.channel_shift.eq(self.layer.channel_shift),
            requantise.row_scale.eq(self.layer.row_scale),
            requantise.step_multiplier.eq(self.step.step_multiplier),
            requantise.step_shift.eq(self.step.step_shift),
            requantise.residual_shift.eq(self.step.residual_shift),
            requantise.residual.eq(self.layer.residual),
        ]
