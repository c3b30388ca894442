"""What the cycle model takes of an integer network."""

from hqdm.spec import Layer, Load, Multiply, Network, Node, TensorSpec
from hqdm.spec.shapes import shapes_of


def test_parameters_are_the_weights_the_core_multiplies_by():
    """A product of activations has none."""
    layer = Layer(name="a", load=Load(channels=(8,), height=4, width=1, bits=8),
                  multiply=Multiply(op="linear", out_channels=16, bits=8))
    product = Layer(name="b", load=Load(channels=(16,), height=4, width=1, bits=8),
                    multiply=Multiply(op="linear", out_channels=4, bits=8, product="scores"))
    network = Network(
        name="tiny", input="x", output="z", timesteps=1,
        tensors=tuple(TensorSpec(name=n, channels=c, height=4, width=1)
                      for n, c in (("x", 8), ("y", 16), ("z", 4))),
        nodes=(Node(layer=layer, sources=("x",), output="y"),
               Node(layer=product, sources=("y",), output="z", weights="y")))
    found = shapes_of(network, "mine")
    assert (found.name, found.parameters, found.folded) == ("mine", 8 * 16, ())
    assert found.network is network and found.guidance
    assert not shapes_of(network, "mine", guidance=False).guidance
