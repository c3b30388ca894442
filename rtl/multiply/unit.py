"""The multiply unit: operand buffer, weight stream, array and partial sums joined."""

from amaranth import *
from amaranth.lib.wiring import In, Out, connect, flipped

from hqdm.rtl.component import Component
from hqdm.rtl.interfaces import DESCRIPTOR_LAYOUT, AccumulatorRead, OperandWrite, ReadPort
from hqdm.rtl.multiply.accumulator import Accumulator
from hqdm.rtl.multiply.array import SystolicArray
from hqdm.rtl.multiply.operands import OperandBuffer
from hqdm.rtl.multiply.sequencer import Sequencer
from hqdm.rtl.multiply.weights import WeightLoader
from hqdm.spec.config import Config


class MultiplyUnit(Component):
    """Operand beats in, int32 partial sums out, by the loop nest of docs/architecture.md.

    Meets the load unit through ``bank_free`` / ``bank_done`` and the store unit through the tokens
    of ``accumulator``. The array takes one column of operands per cycle while operands, weights
    and a bank are there.

    Members
    -------
    layer, start: descriptor and begin pulse. read: weight memory.
    write, bank_done, bank_free: operand buffer, see `OperandBuffer`.
    accumulator: port of the store unit.
    busy, wait_operands, wait_weights: what the array does, else it waits for the store unit.
    waiting_memory: no weights have come from memory. overflow: a tile larger than a bank.
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__({
            "layer": In(DESCRIPTOR_LAYOUT), "start": In(1), "read": Out(ReadPort(config)),
            "write": In(OperandWrite(config)), "bank_done": In(1), "bank_free": Out(1),
            "accumulator": In(AccumulatorRead(config)),
            "busy": Out(1), "wait_operands": Out(1), "wait_weights": Out(1),
            "waiting_memory": Out(1), "overflow": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        config = self._config
        m.submodules.array = array = SystolicArray(config)
        m.submodules.accumulator = sums = Accumulator(config, array_latency=array.latency)
        m.submodules.operands = buffer = OperandBuffer(config)
        m.submodules.weights = weights = WeightLoader(config)
        m.submodules.sequencer = sequencer = Sequencer(config)
        connect(m, flipped(self.write), buffer.write)
        connect(m, weights.read, flipped(self.read))
        connect(m, flipped(self.accumulator), sums.read)
        m.d.comb += [
            weights.layer.eq(self.layer), weights.start.eq(self.start),
            sequencer.layer.eq(self.layer), sequencer.start.eq(self.start),
            buffer.done.eq(self.bank_done), self.bank_free.eq(buffer.free),
            # weights, which the loader pushes and the sequencer swaps in
            weights.swap.eq(sequencer.swap), sequencer.loaded.eq(weights.loaded),
            array.weight_enable.eq(weights.enable), array.weight_index.eq(weights.index),
            array.weight_row.eq(weights.row),
            # operands, and what travels beside the array to the sums
            array.operands.eq(sequencer.operands), array.swap.eq(sequencer.swap),
            sums.control.eq(sequencer.control), sums.sums.eq(array.sums),
            self.busy.eq(sequencer.busy), self.wait_operands.eq(sequencer.wait_operands),
            self.wait_weights.eq(sequencer.wait_weights),
            self.waiting_memory.eq(weights.waiting_memory),
            self.overflow.eq(sequencer.overflow),
            # halves of the buffer
            sequencer.ready.eq(buffer.ready), sequencer.bank.eq(buffer.bank),
            sequencer.data.eq(buffer.data), buffer.next.eq(sequencer.next),
            buffer.release.eq(sequencer.release), buffer.enable.eq(sequencer.enable),
            buffer.address.eq(sequencer.address), buffer.read_bank.eq(sequencer.read_bank),
            # banks of sums
            sequencer.free.eq(sums.free), sequencer.write_bank.eq(sums.write_bank),
            sums.claim.eq(sequencer.claim),
        ]
        return m
