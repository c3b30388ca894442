"""Which float type adds integers exactly."""

from operator import attrgetter

import torch

# Every integer of at most this magnitude, hence every partial sum under it, is representable.
EXACT_BOUND = {torch.float32: 1 << 24, torch.float64: 1 << 53}

_PRECISIONS = attrgetter("fp32_precision", "mkldnn.fp32_precision",
                         "mkldnn.matmul.fp32_precision", "cuda.matmul.fp32_precision")


def _float32_is_full() -> bool:
    """Whether this process keeps float32 products whole (no TF32, no bfloat16)."""
    return all(setting in ("none", "ieee") for setting in _PRECISIONS(torch.backends))


def exact_dtype(bound: int) -> torch.dtype:
    """The fastest float type that adds integers exactly while every partial sum is <= `bound`.

    Raises
    ------
    ValueError: a bound above 2**53.
    """
    if bound <= EXACT_BOUND[torch.float32] and _float32_is_full():
        return torch.float32
    if bound > EXACT_BOUND[torch.float64]:
        raise ValueError(f"convolution: wanted partial sums up to 2**53, got a bound of {bound}")
    return torch.float64
