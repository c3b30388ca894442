"""The store of one random layer: sums, descriptor, memory image and golden result."""

from dataclasses import dataclass, field
from typing import Literal

import torch

from hqdm.golden.carrier import Carrier
from hqdm.golden.random import random_factors, random_parameters
from hqdm.golden.store import store_outputs
from hqdm.sim.streams import pack
from hqdm.spec import PRESETS, Config, Layer, Load, Multiply, Store
from hqdm.spec.fixed import ACCUMULATOR, CARRIER_BITS, RESIDUAL_SHIFT
from hqdm.spec.layer import Residual
from hqdm.spec.stages import StoreStages

MULTIPLIERS, BIAS, SECOND, OUTPUT = 0x1000, 0x2000, 0x10000, 0x40000
TIMESTEP = 1


@dataclass
class StoreCase:
    """One layer's store: sums, parameters, memory image and golden result."""

    config: Config
    layer: Layer
    tile_rows: int
    seed: int
    memory: dict[int, int] = field(default_factory=dict)      # beat address -> beat

    def __post_init__(self) -> None:
        generator = torch.Generator().manual_seed(self.seed)
        layer = self.layer
        self.parameters = random_parameters(layer, generator)
        shape = (layer.multiply.out_channels, layer.out_height, layer.out_width)
        std = 2.0 ** (19 + self.parameters.channel_shift) / float(
            self.parameters.multipliers.double().mean())
        self.sums = (torch.randn(shape, generator=generator, dtype=torch.float64) * std).clamp(
            ACCUMULATOR.low, ACCUMULATOR.high).long()
        self.second = None
        if layer.store.residual != "none":
            values = torch.randint(-32768, 32768, shape, generator=generator).to(torch.int16)
            exponent = int(self.parameters.output_exponent[TIMESTEP]
                           + self.parameters.residual_shift[TIMESTEP])
            self.second = Carrier(values, exponent)
        self.factors = random_factors(layer, generator)
        self._fill_memory()

    @property
    def words(self) -> int:
        return self.config.words(self.layer.multiply.out_channels)

    def pad(self, values: torch.Tensor) -> torch.Tensor:
        """(O, ...) -> (words * n, ...), zeros in the padding."""
        padding = self.words * self.config.n - values.shape[0]
        return torch.cat([values.long(), values.new_zeros((padding, *values.shape[1:])).long()])

    def put(self, address: int, values: torch.Tensor) -> None:
        """16-bit values to memory, `lanes` per beat."""
        for i, beat in enumerate(values.reshape(-1, self.config.lanes).tolist()):
            self.memory[address + i * self.config.bus_bytes] = pack(beat, CARRIER_BITS)

    def _fill_memory(self) -> None:
        self.put(MULTIPLIERS, self.pad(self.parameters.multipliers))
        self.put(BIAS, self.pad(self.parameters.bias[TIMESTEP]))
        if self.second is not None:
            self.put(SECOND, self.pad(self.second.values).permute(1, 2, 0))
        if self.factors is not None:
            lanes = self.factors.expand(self.words * self.config.n, -1, -1)
            self.put(SECOND, lanes.permute(1, 2, 0))

    def expected(self) -> dict[int, int]:
        """Word address -> word. Padding channels: zero M and bias, and a zero second operand."""
        y = store_outputs(self.layer, self.parameters, self.sums, TIMESTEP, self.second,
                          self.factors)
        image = self.pad(y.values).permute(1, 2, 0).reshape(-1, self.config.n)
        return {OUTPUT + i * self.config.word_bytes: pack(word, CARRIER_BITS)
                for i, word in enumerate(image.tolist())}

    def banks(self) -> list[list[list[int]]]:
        """Accumulator banks in order; junk in the padding channels must not matter."""
        layer, n = self.layer, self.config.n
        sums = self.pad(self.sums)
        sums[layer.multiply.out_channels:] = 12345
        return [sums[o * n:(o + 1) * n, y:y + self.tile_rows].reshape(n, -1).t().tolist()
                for y in range(0, layer.out_height, self.tile_rows) for o in range(self.words)]

    def descriptor(self) -> dict[str, int]:
        return {"out_height": self.layer.out_height, "out_width": self.layer.out_width,
                "out_words": self.words, "tile_rows": self.tile_rows,
                "channel_shift": self.parameters.channel_shift,
                "row_scale": int(self.layer.store.stages.row_scale),
                "residual": ("none", "add", "subtract").index(self.layer.store.residual),
                "multipliers": MULTIPLIERS, "second": SECOND, "output": OUTPUT}

    def step(self) -> dict[str, int]:
        p = self.parameters
        return {"step_multiplier": int(p.step_multiplier[TIMESTEP]),
                "step_shift": int(p.step_shift[TIMESTEP]), "bias": BIAS,
                "residual_shift": int(p.residual_shift[TIMESTEP]) + RESIDUAL_SHIFT}


def random_store(name: str, channels: int, size: tuple[int, int], tile_rows: int,
                 operand: Residual | Literal["row scale"], seed: int) -> StoreCase:
    """A layer of `channels` output channels and `size` rows and columns in `tile_rows` tiles.

    operand: what the second operand is for.
    """
    store = Store(stages=StoreStages(row_scale=True)) if operand == "row scale" else (
        Store(residual=operand))
    layer = Layer(name="store", load=Load(channels=(64,), height=size[0], width=size[1]),
                  multiply=Multiply(op="conv1x1", out_channels=channels),
                  store=store, timesteps=2)
    return StoreCase(PRESETS[name], layer, tile_rows, seed)
