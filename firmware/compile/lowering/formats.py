"""Which layer gets how many bits and which rotation, when nobody trained it."""

from collections.abc import Callable

from torch import nn

from hqdm.learn.calibration.source import Format
from hqdm.spec.layer import Axis

Formats = Callable[[str, nn.Module], Format]
EIGHT_BITS = ("conv_in", "conv_out", "conv_shortcut", "downsamplers", "time_emb")


def mixed_formats(weight_bits: int = 4, activation_bits: int = 4, *, convolution: Axis = "width",
                  linear: Axis = "channel", order: int = 5, ranged: bool = False) -> Formats:
    """The paper's choice: first and last convolution at 8 bits without rotation, all else rotated.

    Skip connections and downsampling, floating point in the authors' code, get 8 bits as well.

    Parameters
    ----------
    convolution, linear: axis of the rotation of convolutions and of linear layers.
    order: wanted log2 of the block; each layer takes what its axis admits.
    ranged: free bounds of the activations of the others in each timestep; not at 8 bits.
    """
    def choose(name: str, module: nn.Module) -> Format:
        if any(part in name for part in EIGHT_BITS):
            return Format()
        axis = linear if isinstance(module, nn.Linear) else convolution
        return Format(weight_bits=weight_bits, activation_bits=activation_bits, axis=axis,
                      order=order, ranged=ranged)
    return choose
