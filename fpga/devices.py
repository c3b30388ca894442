"""The devices of `hqdm fpga`, and what each has."""

from collections.abc import Mapping
from dataclasses import dataclass, field

RESOURCES = ("lut4", "ff", "dsp", "bram")
SPEEDS = (6, 7, 8)
ROUTERS = ("router1", "router2")     # of nextpnr; its own choice first


@dataclass(frozen=True, kw_only=True)
class Device:
    """One device.

    Parameters
    ----------
    name: as --device names it.
    family: ecp5 (placed and routed) or xcup (synthesised only: counts, no clock).
    flag, package: of nextpnr-ecp5; out of context the package does not matter.
    available: resource -> how many there are; empty if unknown.
    """

    name: str
    family: str
    flag: str = ""
    package: str = ""
    available: Mapping[str, int] = field(default_factory=dict)


def _ecp5(size: int, lut4: int, dsp: int, bram: int) -> Device:
    """LFE5U-`size`F: LUT4 (each with a flip-flop), 18x18 multipliers, 18-kilobit block RAMs."""
    return Device(
        name=f"ecp5-{size}k", family="ecp5", flag=f"--{size}k", package="CABGA381",
        available=dict(zip(RESOURCES, (lut4, lut4, dsp, bram), strict=True)))


DEVICES = {device.name: device for device in (
    _ecp5(25, 24288, 28, 56), _ecp5(45, 43848, 72, 108), _ecp5(85, 83640, 156, 208),
    Device(name="xcup", family="xcup"))}


def device_by_name(name: str) -> Device:
    """The device called `name`; ValueError lists the known ones."""
    if name not in DEVICES:
        raise ValueError(f"--device: wanted one of {', '.join(DEVICES)}, got {name!r}")
    return DEVICES[name]
