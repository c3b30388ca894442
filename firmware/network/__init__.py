"""A whole network on the device: memory plan, programs, runner, comparison, sampling.

`plan` places everything in device memory, `compile` makes the programs of all layers, `runner` runs
them layer by layer through the driver, `compare` checks every layer against the golden model,
`reproduce` keeps and replays one that differs, `session` samples images; docs/device.md.
"""

from firmware.network.compile import NetworkProgram, compile_network
from firmware.network.runner import DeviceNetwork, LayerRun, NodeRun

__all__ = ["DeviceNetwork", "LayerRun", "NetworkProgram", "NodeRun", "compile_network"]
