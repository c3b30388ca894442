"""Registers and memory by messages of nine bytes, so that a serial line is host enough."""

from amaranth import *
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hqdm.rtl.interfaces import AxiLite
from hqdm.spec.registers import REGISTER_SPACE_BITS

READ_REGISTER, WRITE_REGISTER, READ_MEMORY, WRITE_MEMORY = range(4)
MESSAGE_BYTES, ANSWER_BYTES = 9, 5
UNKNOWN = 0xFF


class WordPort(wiring.Signature):
    """32-bit words of memory, seen from who asks: held until `ready`, `answer` with it."""

    def __init__(self):
        super().__init__({"valid": Out(1), "write": Out(1), "address": Out(32), "data": Out(32),
                          "ready": In(1), "answer": In(32)})


class Bridge(wiring.Component):
    """Takes messages {command, address, data}, gives answers {status, data}, low bytes first.

    Commands are READ_REGISTER, WRITE_REGISTER, READ_MEMORY and WRITE_MEMORY. Status is 0, the
    AXI response of a register, or UNKNOWN for a command that is none. One message at a time.

    Members
    -------
    i, o: bytes of messages and of answers.
    axil: AXI4-Lite master. memory: words.
    """

    i: In(stream.Signature(8))
    o: Out(stream.Signature(8))
    axil: Out(AxiLite(REGISTER_SPACE_BITS))
    memory: Out(WordPort())

    def elaborate(self, platform):
        m = Module()
        message, answer = Signal(8 * MESSAGE_BYTES), Signal(8 * ANSWER_BYTES)
        count, sent_address, sent_data = Signal(range(MESSAGE_BYTES)), Signal(), Signal()
        command, address, data = message[:8], message[8:40], message[40:]
        axi, memory = self.axil, self.memory
        m.d.comb += [
            axi.awaddr.eq(address), axi.araddr.eq(address), axi.wdata.eq(data), axi.wstrb.eq(0xF),
            memory.address.eq(address), memory.data.eq(data),
            memory.write.eq(command == WRITE_MEMORY), self.o.payload.eq(answer)]
        with m.FSM():
            with m.State("RECEIVE"):
                m.d.comb += self.i.ready.eq(1)
                with m.If(self.i.valid):
                    m.d.sync += [message.eq(Cat(message[8:], self.i.payload)),
                                 count.eq(count + 1)]
                    with m.If(count == MESSAGE_BYTES - 1):
                        m.d.sync += [count.eq(0), sent_address.eq(0), sent_data.eq(0)]
                        m.next = "START"
            with m.State("START"):
                with m.Switch(command):
                    for value, state in ((READ_REGISTER, "READ"), (WRITE_REGISTER, "WRITE"),
                                         (READ_MEMORY, "MEMORY"), (WRITE_MEMORY, "MEMORY")):
                        with m.Case(value):
                            m.next = state
                    with m.Default():
                        m.d.sync += answer.eq(UNKNOWN)
                        m.next = "ANSWER"
            with m.State("READ"):
                m.d.comb += [axi.arvalid.eq(~sent_address), axi.rready.eq(1)]
                with m.If(axi.arready):
                    m.d.sync += sent_address.eq(1)
                with m.If(axi.rvalid):
                    m.d.sync += answer.eq(Cat(axi.rresp, C(0, 6), axi.rdata))
                    m.next = "ANSWER"
            with m.State("WRITE"):
                m.d.comb += [axi.awvalid.eq(~sent_address), axi.wvalid.eq(~sent_data),
                             axi.bready.eq(1)]
                with m.If(axi.awready):
                    m.d.sync += sent_address.eq(1)
                with m.If(axi.wready):
                    m.d.sync += sent_data.eq(1)
                with m.If(axi.bvalid):
                    m.d.sync += answer.eq(axi.bresp)
                    m.next = "ANSWER"
            with m.State("MEMORY"):
                m.d.comb += memory.valid.eq(1)
                with m.If(memory.ready):
                    m.d.sync += answer.eq(Cat(C(0, 8), memory.answer))
                    m.next = "ANSWER"
            with m.State("ANSWER"):
                m.d.comb += self.o.valid.eq(1)
                with m.If(self.o.ready):
                    m.d.sync += [answer.eq(answer >> 8), count.eq(count + 1)]
                    with m.If(count == ANSWER_BYTES - 1):
                        m.d.sync += count.eq(0)
                        m.next = "RECEIVE"
        return m
