"""The weight-stationary systolic array."""

from typing import Any

from amaranth import *
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from hqdm.rtl.component import Component
from hqdm.rtl.multiply.cell import CELLS, PairSum, registered
from hqdm.spec.config import Config


def _delay(m, source, cycles: int, name: str) -> list[Any]:
    """`source` and its delays by 1..`cycles` registers, which are not reset.

    Numbers in names have two digits: Verilator sorts variables by name, and a compiler
    vectorises what does the same to neighbours in memory.
    """
    stages = [source]
    for i in range(cycles):
        stage = Signal(source.shape(), name=f"{name}_{i:02}", reset_less=True)
        m.d.sync += stage.eq(stages[-1])
        stages.append(stage)
    return stages


class ArrayRow(Component):
    """One input channel: n / 2 cells, each with one operand and two weights, see `cell.py`.

    ``below[c] = above[c] + operand * weight[c]``, three cycles after the operand meets cell c / 2,
    which it does c / 2 cycles after it comes in; ``above`` is taken one cycle after that.

    Members
    -------
    operand: what the cells of this kind want. code0..: likewise, of each pair of weights.
    write: take the codes into the shadow weights; swap: make the shadow weights the active ones,
    from the next cycle on. Both move right with the operands; codes come delayed from outside.
    swap_below: for the row below.
    above0.. (not of row 0), below0..: partial sums of each pair, see `PairSum`, as wide as the
    row needs.
    """

    def __init__(self, config: Config, row: int):
        self._pairs = config.n // 2
        self._cell = cell = CELLS[config.row_cell(row)](config.operand_bits)
        self._below = PairSum(cell.value_bits + row.bit_length())
        self._above = PairSum(cell.value_bits + (row - 1).bit_length()) if row else None
        ports = {"operand": In(cell.operand_bits), "write": In(1), "swap": In(1),
                 "swap_below": Out(1)}
        for pair in range(self._pairs):
            ports |= {f"code{pair}": In(cell.code_bits), f"below{pair}": Out(self._below.bits)}
            if self._above:
                ports[f"above{pair}"] = In(self._above.bits)
        super().__init__(ports)

    def codes(self) -> list[Any]:
        """The ports ``code0``.. in order."""
        return [getattr(self, f"code{pair}") for pair in range(self._pairs)]

    def above(self) -> list[Any]:
        """The ports ``above0``.. in order; none of row 0."""
        return [getattr(self, f"above{pair}") for pair in range(self._pairs if self._above else 0)]

    def below(self) -> list[Any]:
        """The ports ``below0``.. in order."""
        return [getattr(self, f"below{pair}") for pair in range(self._pairs)]

    def _weights(self, m) -> list[Signal]:
        """Shadow and active weights of all cells; returns the active ones.

        Whether the row has anything to do is asked first, and then a simulator has nothing to do.
        """
        bits = self._cell.code_bits
        shadow, active = (
            [Signal(bits, name=f"{name}_{pair:02}", reset_less=True) for pair in range(self._pairs)]
            for name in ("shadow", "active"))
        writes, swaps = (Signal(self._pairs, name=name, reset_less=True)
                         for name in ("writes", "swaps"))
        # shift registers: a pair gets them a cycle after its left neighbour, as it does the operand
        m.d.sync += [writes.eq(Cat(self.write, writes)), swaps.eq(Cat(self.swap, swaps))]
        m.d.comb += self.swap_below.eq(swaps[0])
        for pair, code in enumerate(self.codes()):
            with m.If(swaps.any()):
                with m.If(swaps[pair]):
                    m.d.sync += active[pair].eq(shadow[pair])
            with m.If(writes.any()):
                with m.If(writes[pair]):
                    m.d.sync += shadow[pair].eq(code)
        return active

    def _sum(self, m, pair: int, raw: list[Value]) -> Signal:
        """Partial sums of a pair, the products of this row added."""
        sums = self._below
        above = sums.widen(self._above, self.above()[pair]) if self._above else sums.zero
        word = Signal(sums.bits, name=f"sums_{pair:02}", reset_less=True)
        m.d.sync += word.eq(self._cell.add(m, above, raw, sums.width, f"{pair:02}"))
        return word

    def elaborate(self, platform):
        m = Module()
        operands = _delay(m, self.operand, self._pairs, "operand")[1:]
        active = self._weights(m)
        for pair, below in enumerate(self.below()):
            products = self._cell.multiply(m, operands[pair], active[pair])
            raw = registered(m, products, f"raw_{pair:02}")
            m.d.comb += below.eq(self._sum(m, pair, raw))
        return m


class SystolicArray(Component):
    """Weight-stationary n x n array: row = input channel, column = output channel.

    Computes ``sums[c] = sum over r of operands[r] * weight[r][c]`` for every column of operands.

    Operands enter unskewed; row r is delayed r cycles inside. They move right, a pair of columns
    per cycle, partial sums move down, one row per cycle. Latency: the sum of column c appears
    ``latency + skew(c)`` cycles after its operands, whatever the cells are. Throughput: one column
    of operands per cycle; no back-pressure.

    Each cell has two weights. ``swap``, presented one cycle before the first operands of a pass,
    makes the shadow weight the active one as it travels with the data. Weight rows go into the
    shadow weights of row ``weight_index`` while ``weight_enable`` is high, and travel right in
    step. Row r of the next tile may be presented r cycles after ``swap`` or later, and must be
    presented before the next ``swap`` + r. No register is reset: 2n + 5 idle cycles empty the
    array.

    Parameters
    ----------
    config: the core's configuration; ``row_cell`` is the kind of the cells of a row.

    Members
    -------
    operands: n signed operands of ``operand_bits``.
    swap: see above.
    weight_enable, weight_index, weight_row: one row of n signed 4-bit weights.
    sums: n signed sums, see `skew`.
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
        """Cycles from operands to the sum of column 0: entry, two of a product, a sum per row."""
        return self._config.n + 3

    @staticmethod
    def skew(column: int) -> int:
        """Cycles from the sum of column 0 to that of `column`."""
        return column // 2

    def _codes(self, m, kind: str) -> list[Any]:
        """What cells of `kind` keep of the weight row, for each pair as late as its operands."""
        cell = CELLS[kind](self._config.operand_bits)
        codes = []
        for pair in range(self._config.n // 2):
            entry = Signal(cell.code_bits, name=f"{kind}_code_{pair:02}", reset_less=True)
            m.d.sync += entry.eq(cell.code([self.weight_row[2 * pair],
                                            self.weight_row[2 * pair + 1]]))
            # delayed here once for all rows, instead of moving right in each
            codes.append(_delay(m, entry, pair, f"{kind}_code_{pair:02}")[-1])
        return codes

    def elaborate(self, platform):
        m = Module()
        config = self._config
        codes = {kind: self._codes(m, kind) for kind in dict.fromkeys(config.row_cells)}
        above: ArrayRow | None = None
        for r, kind in enumerate(config.row_cells):
            row = m.submodules[f"row{r}"] = ArrayRow(config, r)
            operand = _delay(m, self.operands[r], r, f"skew_{r}")[-1]
            m.d.comb += [
                row.operand.eq(CELLS[kind](config.operand_bits).operand(operand)),
                row.write.eq(self.weight_enable & (self.weight_index == r)),
                row.swap.eq(above.swap_below if above else self.swap),
            ]
            for p, (port, code) in enumerate(zip(row.codes(), codes[kind], strict=True)):
                m.d.comb += port.eq(code)
                if above:
                    m.d.comb += row.above()[p].eq(above.below()[p])
            above = row
        last = PairSum(config.partial_sum_bits)
        for p, word in enumerate(row.below()):
            for c, value in enumerate(last.split(word), 2 * p):
                m.d.comb += self.sums[c].eq(value)
        return m
