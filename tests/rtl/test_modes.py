"""The questions of `hqdm.rtl.modes`, for every legal value of the fields they read."""

from itertools import product

from amaranth import *
from amaranth.sim import Simulator

from hqdm.rtl.interfaces import DESCRIPTOR_LAYOUT
from hqdm.rtl.modes import (
    has_residual,
    has_second,
    kernel_is_3,
    stride_is_1,
    stride_is_2,
    subtracts,
    two_act_nibbles,
    two_weight_nibbles,
)
from hqdm.spec.descriptor import FIELD

ANSWERS = {
    kernel_is_3: lambda v: v["kernel"] == 3,
    stride_is_1: lambda v: v["stride"] == 1,
    stride_is_2: lambda v: v["stride"] == 2,
    two_act_nibbles: lambda v: v["act_nibbles"] == 2,
    two_weight_nibbles: lambda v: v["weight_nibbles"] == 2,
    has_second: lambda v: v["residual"] != 0 or v["row_scale"] == 1,
}
RESIDUAL_ANSWERS = {has_residual: lambda v: v in (1, 2), subtracts: lambda v: v == 2}
MODES = ("kernel", "stride", "act_nibbles", "weight_nibbles", "residual")
LEGAL = {name: FIELD[name].legal.values for name in MODES} | {"row_scale": (0, 1)}


def test_every_question_has_the_answer_of_the_field():
    layer = Signal(DESCRIPTOR_LAYOUT)

    async def testbench(ctx):
        for values in product(*LEGAL.values()):
            fields = dict(zip(LEGAL, values, strict=True))
            for name, value in fields.items():
                ctx.set(layer[name], value)
            for question, answer in ANSWERS.items():
                assert ctx.get(question(layer)) == answer(fields), (question, fields)
            for question, answer in RESIDUAL_ANSWERS.items():
                assert ctx.get(question(layer.residual)) == answer(fields["residual"]), question

    sim = Simulator(Module())
    sim.add_testbench(testbench)
    sim.run()
