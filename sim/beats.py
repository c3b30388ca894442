"""Driver of the load pipeline's `Beat` ports under their clock enable, for cocotb."""

import random
from collections.abc import Iterable
from typing import Any

from cocotb.triggers import RisingEdge

from hqdm.sim.load_case import Row


class BeatDriver:
    """Drives `i` and `advance` of `dut`, and collects what leaves `o`.

    Parameters
    ----------
    lanes: of the beats.
    gap: probability of a cycle with `advance` low.
    """

    def __init__(self, dut: Any, lanes: int, generator: random.Random, gap: float):
        self.dut, self.random, self.gap = dut, generator, gap
        self.inputs = [getattr(dut, f"i__data__{lane}") for lane in range(lanes)]
        self.results = [getattr(dut, f"o__data__{lane}") for lane in range(lanes)]
        self.outputs: list[tuple[int, Row]] = []
        self.arrivals: list[int] = []       # advance in which each output left
        self.advances = 0

    async def send(self, beats: Iterable[tuple[int, Row]], flush: int) -> None:
        """Send `beats` back to back, then `flush` invalid ones."""
        for nibble, row in beats:
            self.dut.i__nibble.value = nibble
            for port, value in zip(self.inputs, row, strict=True):
                port.value = value
            await self._advance(valid=1)
        for _ in range(flush):
            await self._advance(valid=0)

    async def _advance(self, valid: int) -> None:
        while self.random.random() < self.gap:
            self.dut.advance.value = 0
            self.dut.i__valid.value = self.random.getrandbits(1)
            await RisingEdge(self.dut.clk)
        self.dut.advance.value = 1
        self.dut.i__valid.value = valid
        await RisingEdge(self.dut.clk)      # registers still show the cycle that ends
        if int(self.dut.o__valid.value):
            self.outputs.append((int(self.dut.o__nibble.value),
                                 [port.value.to_signed() for port in self.results]))
            self.arrivals.append(self.advances)
        self.advances += 1
