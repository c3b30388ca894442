"""What a training run is told."""

from dataclasses import dataclass
from pathlib import Path

import torch

from hqdm.learn.train.schedule import Budget

MAX_SEED = (1 << 31) - 1


@dataclass(frozen=True, kw_only=True)
class Options:
    """Of one run, apart from what it trains.

    Members
    -------
    out: folder of the run's files; a run found there is continued.
    batch, learning_rate, warmup: images a step, peak rate, steps of warm-up.
    checkpoint_minutes, grid_minutes: between two checkpoints, and two sample grids.
    compile: run the model through torch.compile.
    """

    out: Path
    budget: Budget
    batch: int
    learning_rate: float
    warmup: int = 500
    seed: int = 0
    device: str = "cpu"
    compile: bool = False
    weight_decay: float = 0.01
    clip: float = 1.0
    check_every: int = 10
    checkpoint_minutes: float = 5.0
    grid_minutes: float = 10.0

    def __post_init__(self) -> None:
        if self.batch < 1:
            raise ValueError(f"batch: wanted at least 1, got {self.batch}")
        if not 0 <= self.seed <= MAX_SEED:
            raise ValueError(f"seed: wanted 0..{MAX_SEED}, got {self.seed}")
        if not 0 < self.learning_rate < 1:
            raise ValueError(f"learning rate: wanted more than 0 and less than 1, got "
                             f"{self.learning_rate}")


def choose_device(name: str) -> str:
    """`name`, or for "auto" cuda where there is one, else cpu.

    Raises
    ------
    ValueError: a device that is not there.
    """
    available = ["cpu"] + ["cuda"] * torch.cuda.is_available()
    if name == "auto":
        return available[-1]
    if name not in available:
        raise ValueError(f"device: wanted auto or one of {', '.join(available)}, got {name!r}")
    return name


def tune(device: str) -> None:
    """Let a GPU choose its fastest kernels; nothing on a CPU."""
    if device == "cuda":
        torch.backends.cudnn.benchmark = True
        torch.set_float32_matmul_precision("high")


def hardware(device: str) -> str:
    """The machine in a few words, for the model card."""
    if device == "cuda":
        return torch.cuda.get_device_name()
    return f"CPU, {torch.get_num_threads()} threads"
