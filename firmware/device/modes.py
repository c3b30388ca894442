"""What is compared with golden: nothing, the noise of every call, or every layer."""

from typing import Literal

Mode = Literal["none", "outputs", "layers"]
MODES: tuple[Mode, ...] = ("none", "outputs", "layers")


def check_mode(compare: str) -> Mode:
    """The mode called `compare`; ValueError lists the known ones."""
    for mode in MODES:
        if mode == compare:
            return mode
    raise ValueError(f"compare: wanted one of {', '.join(MODES)}, got {compare!r}")
