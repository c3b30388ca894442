"""The weight-stationary systolic array."""

from amaranth import *
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from spec.config import Config


class SystolicArray(wiring.Component):
    """Weight-stationary n x n array: row = input channel, column = output channel.

    Computes ``sums[c] = sum over r of operands[r] * weight[r][c]`` for every column of operands.

    Operands enter unskewed; row r is delayed r cycles inside. They move right, partial sums move
    down, one cell per cycle. Latency: the sum of column c appears ``latency + c`` cycles after
    its operands. Throughput: one column of operands per cycle; no back-pressure.

    Each cell has two weights. ``swap``, presented one cycle before the first operands of a pass,
    makes the shadow weight the active one as it travels with the data. Weight rows go into the
    shadow weights of row ``weight_index`` while ``weight_enable`` is high, and travel right in
    step. Row r of the next tile may be presented r cycles after ``swap`` or later, and must be
    presented before the next ``swap`` + r. No register is reset: 2n idle cycles empty the array.

    Parameters
    ----------
    config: the core's configuration.

    Members
    -------
    operands: n signed operands of ``operand_bits``.
    swap: see above.
    weight_enable, weight_index, weight_row: one row of n signed 4-bit weights.
    sums: n signed sums, column c one cycle later than column c-1.
    """

    def __init__(self, config: Config):
        self._config = config
        n = config.n
        super().__init__({
            "operands": In(data.ArrayLayout(signed(config.operand_bits), n)),
            "swap": In(1),
            "weight_enable": In(1),
            "weight_index": In(range(n)),
            "weight_row": In(data.ArrayLayout(signed(4), n)),
            "sums": Out(data.ArrayLayout(signed(config.partial_sum_bits), n)),
        })

    @property
    def latency(self) -> int:
        """Cycles from operands to the sum of column 0."""
        return self._config.n

    def _skew(self, m, source, cycles, name):
        """Delay `source` by `cycles` registers."""
        for i in range(cycles):
            stage = Signal(source.shape(), name=f"{name}_{i}", reset_less=True)
            m.d.sync += stage.eq(source)
            source = stage
        return source

    def _travel(self, m, source, name):
        """One bit that moves right one cell per cycle: bit c is `source` c cycles ago."""
        n = self._config.n
        cells = Signal(n - 1, name=name, reset_less=True)
        m.d.sync += cells.eq(Cat(source, cells))
        return Cat(source, cells)

    def _cell(self, m, r, c, *, operand, above, write, swap, weight):
        """One multiply-accumulate cell; returns its (operand, partial sum) registers."""
        bits = self._config.operand_bits
        shadow = Signal(signed(4), name=f"shadow_{r}_{c}", reset_less=True)
        active = Signal(signed(4), name=f"active_{r}_{c}", reset_less=True)
        total = Signal(
            signed(bits + 4 + r.bit_length()), name=f"sum_{r}_{c}", reset_less=True)
        passed = Signal(signed(bits), name=f"operand_{r}_{c}", reset_less=True)
        with m.If(write):
            m.d.sync += shadow.eq(weight)
        with m.If(swap):
            m.d.sync += active.eq(shadow)
        m.d.sync += [total.eq(above + operand * active), passed.eq(operand)]
        return passed, total

    def elaborate(self, platform):
        m = Module()
        n = self._config.n
        weights = [self._skew(m, self.weight_row[c], c, f"weight_{c}") for c in range(n)]
        above = [Const(0, signed(1))] * n
        swap = self.swap
        for r in range(n):
            operand = self._skew(m, self.operands[r], r, f"skew_{r}")
            write = self._travel(m, self.weight_enable & (self.weight_index == r), f"write_{r}")
            swaps = self._travel(m, swap, f"swap_{r}")
            for c in range(n):
                operand, above[c] = self._cell(
                    m, r, c, operand=operand, above=above[c], write=write[c],
                    swap=swaps[c], weight=weights[c])
            swap = self._skew(m, swap, 1, f"swap_down_{r}")
        m.d.comb += [self.sums[c].eq(above[c]) for c in range(n)]
        return m
