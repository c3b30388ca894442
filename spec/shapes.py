"""A model as the cycle model takes it: its layers without numbers, and what is said about it."""

from dataclasses import dataclass

from hqdm.spec.network import Network


@dataclass(frozen=True, kw_only=True)
class Folded:
    """Products of the model that no layer does, because they do not depend on the image.

    Parameters
    ----------
    what: they are part of.
    macs: of one call for one image, had they not been folded.
    """

    what: str
    macs: int


@dataclass(frozen=True, kw_only=True)
class Shapes:
    """A network without numbers, for one timestep or many.

    Members
    -------
    name: of the model.
    network: the list of layers, in their formats.
    parameters: of the model; of an integer network the weights the core multiplies by.
    folded: what became a constant; with `network.macs` all products of a call.
    about: one line for people.
    guidance: whether an image takes two calls a step (classifier-free guidance).
    tokens: of the context; None without one.
    assumed: what was assumed about the context, a line for people.
    """

    name: str
    network: Network
    parameters: int
    folded: tuple[Folded, ...] = ()
    about: str = ""
    guidance: bool = False
    tokens: int | None = None
    assumed: str = ""


def shapes_of(network: Network, name: str, guidance: bool = True) -> Shapes:
    """The layers of an integer network, in their own formats."""
    weights = sum(n.layer.multiply.out_channels * n.layer.depth for n in network.nodes
                  if n.weights is None)
    return Shapes(name=name, network=network, parameters=weights, guidance=guidance,
                  about="an integer network of hqdm lower")
