"""A network trained by hqdm.learn.qat to the list of layers."""

from torch import Tensor

from hqdm.firmware.compile.lowering.unet import lower
from hqdm.learn.calibration.from_qat import quantisation, selector
from hqdm.learn.calibration.real import RealNetwork
from hqdm.learn.qat.convert import Quantised


def lower_quantised(frozen: Quantised, tokens: Tensor | None = None, *,
                    size: int | tuple[int, int] | None = None, name: str = "unet") -> RealNetwork:
    """The layers of a frozen network with its integers and steps.

    Parameters
    ----------
    tokens: [K, D] class tokens, the null class among them.
    size: of the latent; the model's sample_size by default.

    Raises
    ------
    ValueError: as `lower`, or a method that the accelerator does not run.
    """
    return lower(frozen.model, frozen.timestep.schedule, contexts=tokens, size=size,
                 quantisation=quantisation(frozen), select=selector(frozen), name=name)
