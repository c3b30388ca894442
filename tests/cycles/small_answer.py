"""A model of one layer, with what is folded away and what the host makes, on the smallest core."""

from hqdm.cycles.question import Answer, ask
from hqdm.spec import (
    HostTensor,
    Layer,
    Load,
    Multiply,
    Network,
    Node,
    TensorSpec,
    config_by_name,
)
from hqdm.spec.shapes import Folded, Shapes

FOLDED = 2_500_000      # products of a call for one image
SIZES = {"x": (4, 4, 6), "y": (4, 4, 6), "half": (4, 2, 3), "whole": (4, 8, 12),
         "rows": (4, 31, 1)}
MADE = {"half": "average", "whole": "repeat", "rows": "join"}


def small_answer(batch: int = 1, guidance: bool = False, steps: int = 20) -> Answer:
    """What a step of the model takes."""
    layer = Layer(name="only", load=Load(channels=(4,), height=4, width=6),
                  multiply=Multiply(op="conv1x1", out_channels=4))
    network = Network(
        name="small", input="x", output="y", timesteps=1,
        nodes=(Node(layer=layer, sources=("x",), output="y"),),
        tensors=tuple(TensorSpec(name=name, channels=c, height=h, width=w)
                      for name, (c, h, w) in SIZES.items()),
        host=tuple(HostTensor(output=name, kind=kind, source="y")
                   for name, kind in MADE.items()))
    shapes = Shapes(name="small", network=network, parameters=16, guidance=guidance,
                    folded=(Folded(what="a constant", macs=FOLDED),))
    return ask(shapes, config_by_name("n4"), batch=batch, steps=steps)
