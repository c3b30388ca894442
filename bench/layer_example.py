"""The numbers of docs/layer-in-ten-minutes.md: `python -m bench.layer_example` writes them there.

A linear layer with 4 input channels, 4 output channels and 4 rows, every intermediate by the
functions of `hqdm.golden`. The blocks of the page between `<!-- name -->` and `<!-- end -->` are
made here; a test says when they are out of date.
"""

import re
from fractions import Fraction
from pathlib import Path

import torch
from torch import Tensor

from bench.registers_doc import table
from hqdm.firmware.device.driver import Driver
from hqdm.firmware.device.layer import prepare
from hqdm.firmware.device.transports.golden import GoldenTransport
from hqdm.golden.carrier import Carrier
from hqdm.golden.layer import run_layer
from hqdm.golden.load.hadamard import rotate
from hqdm.golden.load.quantise import quantise
from hqdm.golden.multiply.convolution import partial_sums
from hqdm.golden.parameters import Parameters
from hqdm.golden.store.bias import add_bias
from hqdm.golden.store.requantise import channel_scale, step_scale
from hqdm.golden.store.residual import align, combine
from hqdm.spec import Layer, Load, Multiply, Store, config_by_name
from hqdm.spec.descriptor import Descriptor

PAGE = Path(__file__).parent.parent / "docs" / "layer-in-ten-minutes.md"
CONFIG = config_by_name("n4")
TIMESTEP = 1
LAYER = Layer(
    name="example", load=Load(channels=(4,), height=4, width=1, axis="channel", order=2, bits=4),
    multiply=Multiply(op="linear", out_channels=4, bits=4), store=Store(residual="add"),
    timesteps=2)
X = ((300, 200, 140, 128), (900, 100, 200, 100), (-120, 64, -200, 0), (50, 50, 50, 50))
SECOND = ((40, -7, 100, 12), (5, 30, 16300, -60), (0, 9, -25, 33), (-16, 2, 8, 0))
WEIGHTS = ((3, -2, 1, 0), (-1, 4, 2, -3), (7, 7, 7, 7), (-8, 0, 5, 1))
WEIGHT_STEP = Fraction(1, 64)       # weight of output channel o: integer * M[o] * WEIGHT_STEP
PARAMETERS = Parameters(
    weights=torch.tensor(WEIGHTS, dtype=torch.int16)[:, :, None, None],
    load_multiplier=torch.tensor([5, 3]), load_shift=torch.tensor([10, 9]),
    load_low=torch.tensor([-7, -7]), load_high=torch.tensor([7, 7]),
    multipliers=torch.tensor([5, 11, 3, 7]), channel_shift=2,
    step_multiplier=torch.tensor([205, 171]), step_shift=torch.tensor([6, 6]),
    bias=torch.tensor([[0, 0, 0, 0], [10, -20, 0, 5]], dtype=torch.int16),
    residual_shift=torch.tensor([0, -1]), source_exponent=torch.tensor([8, 8]),
    output_exponent=torch.tensor([8, 8]))


def carrier(rows: tuple[tuple[int, ...], ...], exponent: int) -> Carrier:
    """Rows of channels as a carrier (C, rows, 1)."""
    return Carrier(torch.tensor(rows, dtype=torch.int16).T.unsqueeze(-1).contiguous(), exponent)


SOURCE = carrier(X, int(PARAMETERS.source_exponent[TIMESTEP]))
OPERAND = carrier(SECOND, SOURCE.exponent + int(PARAMETERS.residual_shift[TIMESTEP]))


def entry(name: str) -> int:
    """What table `name` of the parameters has for the timestep of the page."""
    return int(getattr(PARAMETERS, name)[TIMESTEP])


def steps() -> dict[str, Tensor]:
    """Every tensor on the way from x to the stored value, int64 (C, rows, 1)."""
    p, found = PARAMETERS, {"x": SOURCE.values.to(torch.int64)}
    found["r"] = rotate(found["x"], LAYER.load.order, 0)
    found["q"] = quantise(found["r"], entry("load_multiplier"), entry("load_shift"),
                          entry("load_low"), entry("load_high"))
    found["u"] = rotate(found["q"], LAYER.load.order, 0)
    found["acc"] = partial_sums(LAYER, p, found["u"])
    found["mid"] = channel_scale(found["acc"], p.multipliers, p.channel_shift)
    found["scaled"] = step_scale(found["mid"], entry("step_multiplier"), entry("step_shift"))
    found["biased"] = add_bias(found["scaled"], p.bias[TIMESTEP])
    second = OPERAND.values.to(torch.int64)
    found["aligned"] = align(second, entry("residual_shift"))
    found["y"] = combine(found["biased"], second, entry("residual_shift"), LAYER.store.residual)
    return found


def golden() -> Tensor:
    """The output of the golden model's whole layer, int16 (4, 4, 1)."""
    return run_layer(LAYER, PARAMETERS, [SOURCE], TIMESTEP, OPERAND).values


def device() -> tuple[Tensor, Descriptor]:
    """The output of the golden device, int16 (4, 4, 1), and the descriptor."""
    driver = Driver(GoldenTransport(CONFIG, 1 << 16), CONFIG)
    layer = prepare(driver, LAYER, PARAMETERS)
    return layer.run([SOURCE], TIMESTEP, OPERAND)[0].values, layer.program.descriptor


def rows_of(values: Tensor) -> list[list[int]]:
    """(C, rows, 1) as rows of channels."""
    return values.squeeze(-1).T.tolist()


def exact(value: Fraction) -> str:
    """At most three digits behind the point; `…` where that is not all of it."""
    text = f"{float(value):.3f}".rstrip("0").rstrip(".")
    return text if Fraction(text) == value else f"{float(value):.2f}…"


def matrix(letter: str, values: list[list[str]] | list[list[int]], channel: str = "c") -> str:
    """A table with a line per row and a column per channel."""
    header = (letter, *(f"{channel}{i}" for i in range(4)))
    return table(header, [(f"row {i}", *map(str, row)) for i, row in enumerate(values)])


def scaled(values: Tensor, factors: list[int], shift: int) -> list[list[str]]:
    """values * factor / 2**shift before its rounding, one factor per channel."""
    return [[exact(Fraction(v * f, 1 << shift)) for v, f in zip(row, factors, strict=True)]
            for row in rows_of(values)]


def real() -> list[list[str]]:
    """What the layer gives in real numbers, in units of the output carrier."""
    sums = torch.tensor(X) @ (torch.tensor(WEIGHTS) * PARAMETERS.multipliers[:, None]).T
    return [[f"{float(s * WEIGHT_STEP) + int(b) + 2 ** -entry('residual_shift') * v:.1f}"
             for s, b, v in zip(row, PARAMETERS.bias[TIMESTEP], second, strict=True)]
            for row, second in zip(sums.tolist(), SECOND, strict=True)]


def step_table() -> str:
    """Both entries of the step table."""
    names = ("load_multiplier", "load_shift", "load_low", "load_high", "step_multiplier",
             "step_shift", "residual_shift")
    header = ("t", "m", "s", "low", "high", "Mt", "St", "second operand's shift", "bias")
    return table(header, [
        (str(t), *(str(int(getattr(PARAMETERS, n)[t])) for n in names),
         ", ".join(map(str, PARAMETERS.bias[t].tolist()))) for t in range(LAYER.timesteps)])


def descriptor() -> str:
    """Fields of the descriptor that say what this page shows."""
    names = ("timesteps", "axis", "order", "act_nibbles", "weight_bits", "weight_nibbles",
             "residual", "channel_shift", "height", "width", "words0", "out_words", "tile_rows",
             "chunks")
    fields = device()[1]
    return table(("field", "value"), [(f"`{name}`", str(getattr(fields, name))) for name in names])


def blocks() -> dict[str, str]:
    """The page's blocks by name."""
    s, p = steps(), PARAMETERS
    m, shift = entry("load_multiplier"), entry("load_shift")
    scale = f"{m} / {1 << shift}"
    return {
        "x": matrix("x", rows_of(s["x"])),
        "step table": step_table(),
        "rotated": matrix("r", rows_of(s["r"])),
        "before rounding": matrix(f"r · {scale}", scaled(s["r"], [m] * 4, shift)),
        "quantised": matrix("q", rows_of(s["q"])),
        "operands": matrix("u", rows_of(s["u"])),
        "ideal": matrix(f"4 · x · {scale}", scaled(4 * s["x"], [m] * 4, shift)),
        "weights": table(("W", *(f"c{i}" for i in range(4)), "M[o]"), [
            (f"o{o}", *map(str, w), str(int(p.multipliers[o]))) for o, w in enumerate(WEIGHTS)]),
        "sums": matrix("acc", rows_of(s["acc"]), "o"),
        "channel": matrix(f"acc · M[o] / {1 << p.channel_shift}", scaled(
            s["acc"], p.multipliers.tolist(), p.channel_shift), "o"),
        "mid": matrix("mid", rows_of(s["mid"]), "o"),
        "timestep": matrix("y", rows_of(s["scaled"]), "o"),
        "bias": matrix("y", rows_of(s["biased"]), "o"),
        "aligned": matrix("2 · x2", rows_of(s["aligned"]), "o"),
        "output": matrix("y", rows_of(s["y"]), "o"),
        "real": matrix("real", real(), "o"),
        "descriptor": descriptor(),
    }


def fill(text: str) -> str:
    """`text` with what is between `<!-- name -->` and `<!-- end -->` made anew.

    Raises
    ------
    ValueError: a block that is missing, or one that nobody makes.
    """
    made = blocks()
    names = [name for name in re.findall(r"<!-- (.+) -->", text) if name != "end"]
    if sorted(names) != sorted(made):
        raise ValueError(f"{PAGE.name}: wanted the blocks {sorted(made)}, got {sorted(names)}")
    return re.sub(r"<!-- ((?!end).+?) -->\n\n.*?<!-- end -->",
                  lambda found: f"<!-- {found[1]} -->\n\n{made[found[1]]}\n<!-- end -->",
                  text, flags=re.DOTALL)


def main() -> None:
    text = fill(PAGE.read_text(encoding="utf-8"))
    PAGE.write_text(text, encoding="utf-8")
    wrong = int((device()[0] != golden()).sum())
    print(f"wrote {PAGE.name}; golden device: {wrong} of {golden().numel()} outputs differ")


if __name__ == "__main__":
    main()
