"""Top level for the ULX3S: PLL, reset, core, memory, UART; nine pins and a clock."""

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect

from examples.ulx3s.bridge import Bridge
from examples.ulx3s.memory import BlockMemory
from examples.ulx3s.uart import Receiver, Transmitter
from hqdm.rtl.core import Core
from hqdm.spec.config import Config

INPUT_MHZ, CLOCK_MHZ = 25, 50
BAUD = 1_000_000
MEMORY_BYTES = 1 << 16
# the oscillator of the PLL runs at 50 x 12 = 600 MHz; parameters as ecppll -i 25 -o 50 gives them
PLL = {
    "PLLRST_ENA": "DISABLED", "INTFB_WAKE": "DISABLED", "STDBY_ENABLE": "DISABLED",
    "DPHASE_SOURCE": "DISABLED", "OUTDIVIDER_MUXA": "DIVA", "OUTDIVIDER_MUXB": "DIVB",
    "OUTDIVIDER_MUXC": "DIVC", "OUTDIVIDER_MUXD": "DIVD", "CLKOP_ENABLE": "ENABLED",
    "FEEDBK_PATH": "CLKOP", "CLKI_DIV": 1, "CLKFB_DIV": CLOCK_MHZ // INPUT_MHZ, "CLKOP_DIV": 12,
    "CLKOP_CPHASE": 5, "CLKOP_FPHASE": 0}


class Top(wiring.Component):
    """The core with 64 KB of memory; registers and memory are read and written over the UART.

    Clock: 25 MHz, doubled by the PLL. Reset: until the PLL has locked, and while the button is
    pressed; it starts at once and ends three cycles later, with the clock.

    Parameters
    ----------
    config: of the core.

    Members
    -------
    clk_25mhz, button: clock and reset button (high when pressed).
    ftdi_txd, ftdi_rxd: from and to the serial converter.
    led: 0 blinks with the clock, 1 is the interrupt, 2 says "not in reset".
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__({
            "clk_25mhz": In(1), "button": In(1), "ftdi_txd": In(1), "ftdi_rxd": Out(1),
            "led": Out(8)})

    def elaborate(self, platform):
        m = Module()
        clock, ready = self._clock_and_reset(m)
        m.submodules.core = core = Core(self._config)
        memory = BlockMemory(self._config, MEMORY_BYTES // self._config.bus_bytes)
        bridge = Bridge()
        divisor = round(CLOCK_MHZ * 1_000_000 / BAUD)
        receiver, transmitter = Receiver(divisor), Transmitter(divisor)
        for name, unit in (("memory", memory), ("bridge", bridge), ("receiver", receiver),
                           ("transmitter", transmitter)):
            m.submodules[name] = DomainRenamer("board")(unit)
        connect(m, receiver.o, bridge.i)
        connect(m, bridge.o, transmitter.i)
        connect(m, bridge.axil, core.s_axil)
        connect(m, bridge.memory, memory.host)
        for name in ("load", "weight", "store"):
            connect(m, getattr(core, f"m_axi_{name}"), getattr(memory, name))
        beat = Signal(25)
        m.d.board += beat.eq(beat + 1)
        m.d.comb += [
            core.aclk.eq(clock), core.aresetn.eq(ready),
            receiver.rx.eq(self.ftdi_txd), self.ftdi_rxd.eq(transmitter.tx),
            self.led.eq(Cat(beat[-1], core.interrupt, ready))]
        return m

    def _clock_and_reset(self, m):
        """(clock, "not in reset"), and the domain `board`; the core makes its own of the two."""
        clock, locked = Signal(), Signal()
        m.submodules.pll = Instance(
            "EHXPLLL", *(("p", name, value) for name, value in PLL.items()),
            ("a", "FREQUENCY_PIN_CLKI", str(INPUT_MHZ)),
            ("a", "FREQUENCY_PIN_CLKOP", str(CLOCK_MHZ)),
            ("i", "CLKI", self.clk_25mhz), ("i", "CLKFB", clock),
            ("i", "RST", C(0, 1)), ("i", "STDBY", C(0, 1)), ("i", "ENCLKOP", C(0, 1)),
            ("i", "PHASESEL0", C(0, 1)), ("i", "PHASESEL1", C(0, 1)),
            ("i", "PHASEDIR", C(1, 1)), ("i", "PHASESTEP", C(1, 1)),
            ("i", "PHASELOADREG", C(1, 1)), ("i", "PLLWAKESYNC", C(0, 1)),
            ("o", "CLKOP", clock), ("o", "LOCK", locked))
        m.domains.power = power = ClockDomain("power", async_reset=True)
        ready = Signal(3)
        m.d.power += ready.eq(Cat(C(1, 1), ready))
        m.d.comb += [power.clk.eq(clock), power.rst.eq(~locked | self.button)]
        m.domains.board = board = ClockDomain("board")
        m.d.comb += [board.clk.eq(clock), board.rst.eq(~ready[-1])]
        return clock, ready[-1]
