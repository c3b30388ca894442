"""The partial sums: two banks of int32 per output channel, one filled while one is stored."""

from typing import Any

from amaranth import *
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from hqdm.rtl.component import Component
from hqdm.rtl.interfaces import AccumulatorRead
from hqdm.rtl.memories import memory
from hqdm.spec.config import Config

MIN_PASS = 4    # a sum may be added to again this many cycles after the last time, not earlier
WRITTEN = 3     # cycles from the last sum to a complete bank


def control_layout(config: Config) -> data.StructLayout:
    """What travels with a column of operands to the partial sums.

    `first`: overwrite instead of add; `shift`: nibble shift / 4; `last`: the bank is complete.
    """
    return data.StructLayout({
        "valid": 1, "address": range(config.acc_words), "first": 1, "shift": 2, "bank": 1,
        "last": 1,
    })


class Accumulator(Component):
    """Two banks of n x acc_words int32 partial sums, filled and stored in turn.

    ``bank[address][c] = (first ? 0 : bank[address][c]) + (sums[c] << 4 * shift)``

    ``control`` enters with its operands; it is delayed here by ``array_latency`` and then one cycle
    per pair of columns, as the sums are. A bank is handed to the store unit when the last column of
    the beat marked ``last`` has been written, ``array_latency + n / 2 + WRITTEN``
    cycles later.

    Assumption: the same address comes again after MIN_PASS cycles at the earliest (the sequencer
    makes no pass shorter), so no sum is read while it is written. The store's address is read in
    every cycle, also in a bank that is being filled; only what is taken of a complete one counts.

    Members
    -------
    control: see `control_layout`. sums: from the array.
    free: a bank may be claimed; claim: take it (its number is ``write_bank``).
    read: port of the store unit.
    """

    def __init__(self, config: Config, *, array_latency: int):
        self._config = config
        self._array_latency = array_latency
        super().__init__({
            "control": In(control_layout(config)),
            "sums": In(data.ArrayLayout(signed(config.partial_sum_bits), config.n)),
            "free": Out(1), "claim": In(1), "write_bank": Out(1),
            "read": In(AccumulatorRead(config)),
        })

    def _steps(self, m) -> list[Any]:
        """Control words, and each cycle later; ``valid`` alone is reset."""
        cycles = self._array_latency - 1 + self._config.n // 2 + WRITTEN
        valid = Signal(cycles)
        m.d.sync += valid.eq(Cat(self.control.valid, valid))
        steps = [self.control]
        for k in range(cycles):
            word = Signal(control_layout(self._config), name=f"word_{k:03}", reset_less=True)
            step: Any = Signal(control_layout(self._config), name=f"step_{k:03}")
            m.d.sync += word.eq(steps[-1])
            m.d.comb += [step.eq(word), step.valid.eq(valid[k])]
            steps.append(step)
        return steps

    def _bank(self, m, b: int, c: int, control, writing, total) -> Signal:
        """A memory of column `c`; returns its register.

        A memory has its data late in the cycle, so nothing lies between it and this register,
        which has no enable and no reset and may be the memory's own.
        """
        bank = memory(signed(32), self._config.acc_words, no_rw_check=1)
        m.submodules[f"bank{b}_{c:02}"] = bank
        write, read = bank.write_port(), bank.read_port()
        mine = control.valid & (control.bank == b)
        held = Signal(signed(32), name=f"held{b}_{c:02}", reset_less=True)
        m.d.sync += held.eq(read.data)
        m.d.comb += [
            read.en.eq(1),
            read.addr.eq(Mux(mine, control.address, self.read.address)),
            write.en.eq(writing.valid & (writing.bank == b)),
            write.addr.eq(writing.address),
            write.data.eq(total),
        ]
        return held

    def _column(self, m, c: int, steps: list[Any], add) -> list[Signal]:
        """Two memories of int32; a sum is read, registered, added to and written.

            cycle    t          t + 1               t + 2           t + 3          t + 4
            step     control    reading             .               writing
            bank     address    the memory's data   held            total, write   may be read
            array               sum                 shifted

        So the same address must not come again before t + 4 (MIN_PASS guarantees it).
        Returns the memories' registers, two cycles after the address.
        """
        shifted, total = (Signal(signed(32), name=f"{name}_{c:02}", reset_less=True)
                          for name in ("shifted", "total"))
        control, reading, _, writing = steps
        held = [self._bank(m, b, c, control, writing, total) for b in range(2)]
        old = [Mux(add[b], held[b], 0) for b in range(2)]
        m.d.sync += [
            shifted.eq(Mux(reading.shift[1], self.sums[c].shift_left(8), Mux(
                reading.shift[0], self.sums[c].shift_left(4), self.sums[c]))),
            total.eq((old[0] | old[1]).as_signed() + shifted),
        ]
        return held

    def _tokens(self, m, last) -> Signal:
        """Bank ownership: claimed by the sequencer, full when written, released by the store."""
        claimed, full = Signal(2), Signal(2)
        read_bank = Signal()
        m.d.comb += [
            self.free.eq(~claimed.bit_select(self.write_bank, 1)),
            self.read.ready.eq(full.bit_select(read_bank, 1)),
        ]
        with m.If(self.claim):
            m.d.sync += [claimed.bit_select(self.write_bank, 1).eq(1),
                         self.write_bank.eq(~self.write_bank)]
        with m.If(last.valid & last.last):
            m.d.sync += full.bit_select(last.bank, 1).eq(1)
        with m.If(self.read.release):
            m.d.sync += [full.bit_select(read_bank, 1).eq(0),
                         claimed.bit_select(read_bank, 1).eq(0), read_bank.eq(~read_bank)]
        return read_bank

    def elaborate(self, platform):
        m = Module()
        n = self._config.n
        steps = self._steps(m)
        first = self._array_latency - 1             # the step that meets column 0
        reading, columns = steps[first + 1], []
        add = Mux(reading.first, 0, Cat(~reading.bank, reading.bank))
        for c in range(n):
            if c % 2 == 0:
                sums = Signal(2, name=f"add_{c:02}", reset_less=True)   # of bank 0, 1 or none
                m.d.sync += sums.eq(add)
                add = sums
            columns.append(self._column(m, c, steps[first + c // 2:][:WRITTEN + 1], sums))
        read_bank = self._tokens(m, steps[-1])
        take, taken_bank = Signal(), Signal()       # a cycle later, when the sums are there
        m.d.sync += [take.eq(self.read.take), taken_bank.eq(read_bank)]
        with m.If(take):
            m.d.sync += self.read.bank.eq(taken_bank)
        for c, held in enumerate(columns):
            for b in range(2):
                with m.If(take & (taken_bank == b)):
                    m.d.sync += self.read.data[b][c].eq(held[b])
        return m
