"""UART, 8 data bits, no parity, one stop bit."""

from amaranth import *
from amaranth.lib import stream, wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out

FRAME_BITS = 10


class Receiver(wiring.Component):
    """Bytes from a pin; each bit is sampled in its middle.

    Back-pressure: a byte that is not taken when the next is complete is lost.

    Parameters
    ----------
    divisor: cycles per bit, at least 4.

    Members
    -------
    rx: pin, not synchronised.
    o: bytes.
    """

    def __init__(self, divisor: int):
        self._divisor = divisor
        super().__init__({"rx": In(1, init=1), "o": Out(stream.Signature(8))})

    def elaborate(self, platform):
        m = Module()
        rx, shift = Signal(init=1), Signal(FRAME_BITS)
        timer, left = Signal(range(2 * self._divisor)), Signal(range(FRAME_BITS + 1))
        m.submodules.synchroniser = FFSynchronizer(self.rx, rx, init=1)
        with m.If(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.If(left == 0):
            with m.If(~rx):
                m.d.sync += [left.eq(FRAME_BITS), timer.eq(self._divisor // 2 - 1)]
        with m.Elif(timer != 0):
            m.d.sync += timer.eq(timer - 1)
        with m.Else():
            # start, eight data bits, stop, each from the top
            m.d.sync += [shift.eq(Cat(shift[1:], rx)), left.eq(left - 1),
                         timer.eq(self._divisor - 1)]
            with m.If((left == FRAME_BITS) & rx):
                m.d.sync += left.eq(0)      # too short for a start bit
            with m.If((left == 1) & rx):
                m.d.sync += [self.o.payload.eq(shift[2:]), self.o.valid.eq(1)]
        return m


class Transmitter(wiring.Component):
    """Bytes to a pin.

    Parameters
    ----------
    divisor: cycles per bit, at least 4.

    Members
    -------
    i: bytes.
    tx: pin.
    """

    def __init__(self, divisor: int):
        self._divisor = divisor
        super().__init__({"i": In(stream.Signature(8)), "tx": Out(1, init=1)})

    def elaborate(self, platform):
        m = Module()
        shift, left = Signal(FRAME_BITS), Signal(range(FRAME_BITS + 1))
        timer = Signal(range(self._divisor))
        m.d.comb += self.i.ready.eq(left == 0)
        m.d.sync += self.tx.eq(Mux(left == 0, 1, shift[0]))
        with m.If(left == 0):
            with m.If(self.i.valid):
                m.d.sync += [shift.eq(Cat(C(0, 1), self.i.payload, C(1, 1))),
                             left.eq(FRAME_BITS), timer.eq(self._divisor - 1)]
        with m.Elif(timer != 0):
            m.d.sync += timer.eq(timer - 1)
        with m.Else():
            m.d.sync += [shift.eq(shift >> 1), left.eq(left - 1), timer.eq(self._divisor - 1)]
        return m
