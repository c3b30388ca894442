"""A memory in block RAM for the three AXI masters of the core and the host."""

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In

from examples.ulx3s.bridge import WordPort
from hqdm.rtl.interfaces import AxiRead, AxiReadWrite
from hqdm.spec.config import Config

OKAY, DECERR = 0, 3


class BlockMemory(wiring.Component):
    """One burst at a time, two cycles a beat: host first, then store, weight, load.

    Addresses start at 0; a burst that starts beyond the end is answered with DECERR and writes
    nothing. Simple, not fast: the core waits for it most of the time.

    Parameters
    ----------
    config: of the core; the words are as wide as its bus.
    words: bus words, a power of two.

    Members
    -------
    load, weight, store: AXI4 slaves. host: 32-bit words.
    """

    def __init__(self, config: Config, words: int):
        self._config, self._words = config, words
        read = AxiRead(config.address_bits, config.bus_bits)
        super().__init__({
            "load": In(read), "weight": In(read),
            "store": In(AxiReadWrite(config.address_bits, config.bus_bits)),
            "host": In(WordPort())})

    def elaborate(self, platform):
        m = Module()
        config = self._config
        m.submodules.memory = memory = Memory(
            shape=unsigned(config.bus_bits), depth=self._words, init=[])
        self._read, self._write = memory.read_port(), memory.write_port(granularity=8)
        shift = (config.bus_bytes - 1).bit_length()
        self._address = Signal(config.address_bits - shift)     # in words
        self._lane = Signal(max(1, shift - 2))                  # of the host, within a word
        self._beats, self._outside = Signal(9), Signal()
        m.d.comb += [
            self._read.addr.eq(self._address), self._write.addr.eq(self._address),
            self._outside.eq(self._address >= self._words)]
        readers = {"LOAD": self.load, "WEIGHT": self.weight, "STORE": self.store}
        with m.FSM():
            with m.State("IDLE"):
                with m.If(self.host.valid):
                    m.d.sync += [self._address.eq(self.host.address >> shift),
                                 self._lane.eq(self.host.address[2:shift])]
                    m.next = "HOST"
                with m.Elif(self.store.awvalid):
                    self._accept(m, shift, self.store, "aw")
                    m.next = "WRITE"
                for name in ("STORE", "WEIGHT", "LOAD"):
                    with m.Elif(readers[name].arvalid):
                        self._accept(m, shift, readers[name], "ar")
                        m.next = name
            for name, axi in readers.items():
                self._burst(m, name, axi)
            self._store_burst(m)
            self._host_word(m)
        return m

    def _accept(self, m, shift, axi, channel):
        m.d.comb += getattr(axi, f"{channel}ready").eq(1)
        m.d.sync += [self._address.eq(getattr(axi, f"{channel}addr") >> shift),
                     self._beats.eq(getattr(axi, f"{channel}len") + 1)]

    def _burst(self, m, name, axi):
        """A read: the memory answers in the cycle after the address."""
        m.d.comb += [axi.rdata.eq(self._read.data), axi.rlast.eq(self._beats == 1),
                     axi.rresp.eq(Mux(self._outside, DECERR, OKAY))]
        with m.State(name):
            m.next = f"{name}_BEAT"
        with m.State(f"{name}_BEAT"):
            m.d.comb += axi.rvalid.eq(1)
            with m.If(axi.rready):
                m.d.sync += [self._beats.eq(self._beats - 1), self._address.eq(self._address + 1)]
                m.next = name
                with m.If(self._beats == 1):
                    m.next = "IDLE"

    def _store_burst(self, m):
        axi, failed = self.store, Signal()
        m.d.comb += [self._write.data.eq(axi.wdata), axi.bresp.eq(Mux(failed, DECERR, OKAY))]
        with m.State("WRITE"):
            m.d.comb += axi.wready.eq(1)
            with m.If(axi.wvalid):
                m.d.comb += self._write.en.eq(Mux(self._outside, 0, axi.wstrb))
                m.d.sync += [self._address.eq(self._address + 1), failed.eq(self._outside)]
                with m.If(axi.wlast):
                    m.next = "RESPONSE"
        with m.State("RESPONSE"):
            m.d.comb += axi.bvalid.eq(1)
            with m.If(axi.bready):
                m.next = "IDLE"

    def _host_word(self, m):
        host, lanes = self.host, self._config.bus_bits // 32
        with m.State("HOST"):
            m.d.comb += self._write.data.eq(host.data.replicate(lanes))
            with m.If(host.write & ~self._outside):
                m.d.comb += self._write.en.eq(0xF << (self._lane << 2) if lanes > 1 else 0xF)
            m.next = "HOST_ANSWER"
        with m.State("HOST_ANSWER"):
            m.d.comb += [host.ready.eq(1), host.answer.eq(
                self._read.data.word_select(self._lane, 32) if lanes > 1 else self._read.data)]
            m.next = "IDLE"
