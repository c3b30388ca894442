"""The device against the golden model: nothing, the noise of every call, or every layer."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from hqdm.firmware.device.modes import Mode, check_mode
from hqdm.firmware.device.reproduce import capture
from hqdm.firmware.device.runner import DeviceNetwork, NodeRun
from hqdm.golden.carrier import Carrier
from hqdm.spec.stalls import Spent

Watch = Callable[[NodeRun], None]


@dataclass(frozen=True, kw_only=True)
class Mismatch:
    """A tensor of the device that differs from golden's.

    Members
    -------
    layer: name of the node that wrote it.
    timestep, class_index: of the call.
    index: (channel, row, column) of the first difference; expected and got there.
    count, outputs: values that differ, values in all.
    cause: what is known about it.
    """

    layer: str
    timestep: int
    class_index: int
    index: tuple[int, ...]
    expected: int
    got: int
    count: int
    outputs: int
    cause: str

    def __str__(self) -> str:
        return (f"{self.layer}: step {self.timestep}, class {self.class_index}: {self.count} of "
                f"{self.outputs} values differ, the first at (c, y, x) = {self.index}: expected "
                f"{self.expected}, got {self.got}; {self.cause}")


@dataclass(frozen=True, kw_only=True, eq=False)
class Call:
    """One call of the network on the device.

    Members
    -------
    noise: carrier (C, H, W).
    nodes: what every node took.
    layers_compared, mismatches: tensors compared with golden, values that differ.
    golden_seconds: what the golden model and the comparison took.
    """

    noise: Carrier
    nodes: list[NodeRun]
    layers_compared: int
    mismatches: int
    golden_seconds: float

    @property
    def cycles(self) -> int:
        return sum(layer.cycles for node in self.nodes for layer in node.layers)

    @property
    def spent(self) -> tuple[Spent, ...]:
        """Cycles of every node, over all layers the core ran for it."""
        return tuple(sum((Spent.counted(layer.counters) for layer in node.layers), Spent())
                     for node in self.nodes)


class Comparison:
    """Calls a device network and compares with golden on the same latents.

    Parameters
    ----------
    mode: what to compare: "none", "outputs" (the noise), "layers" (every node's tensor).
    reproducer: file that keeps the first layer that differs; None keeps none.

    Members
    -------
    first: the first mismatch, or None.

    Raises
    ------
    ValueError: an unknown mode.
    """

    def __init__(self, device: DeviceNetwork, mode: Mode, reproducer: Path | None = None) -> None:
        self.device, self.mode, self.reproducer = device, check_mode(mode), reproducer
        self.first: Mismatch | None = None

    def call(self, latents: Carrier, timestep: int, class_index: int,
             watch: Watch | None = None) -> Call:
        """Run latents (C, H, W); `watch` sees every node as it ends."""
        network, device = self.device.program.network, self.device
        batch = Carrier(latents.values.unsqueeze(0), latents.exponent)
        golden = network.trace(batch, timestep, torch.tensor([class_index]))
        nodes: list[NodeRun] = []
        compared = mismatches = 0
        seconds, last = 0.0, len(device.program.nodes) - 1
        for run in device.trace(latents, timestep, class_index):
            nodes.append(run)
            begun = time.perf_counter()
            if self.mode == "layers":
                _, wanted = next(golden)
                mismatches += self._check(run, wanted.values[0], timestep, class_index)
                compared += 1
            elif self.mode == "outputs" and run.program.index == last:
                wanted = network.run(batch, timestep, torch.tensor([class_index]))
                mismatches += self._check(run, wanted.values[0], timestep, class_index)
                compared += 1
            seconds += time.perf_counter() - begun
            if watch is not None:
                watch(run)
        return Call(noise=device.read(network.network.output), nodes=nodes,
                    layers_compared=compared, mismatches=mismatches, golden_seconds=seconds)

    def _check(self, run: NodeRun, expected: Tensor, timestep: int, class_index: int) -> int:
        """Values that differ; the first time, says where and why."""
        node = run.program.node
        got = self.device.read(node.output).values
        wrong = got != expected
        count = int(wrong.sum())
        if count and self.first is None:
            index = tuple(int(i) for i in wrong.nonzero()[0])
            self.first = Mismatch(
                layer=node.layer.name, timestep=timestep, class_index=class_index, index=index,
                expected=int(expected[index]), got=int(got[index]), count=count,
                outputs=expected.numel(), cause=self._cause(run))
        return count

    def _cause(self, run: NodeRun) -> str:
        """Where the difference comes from, and the file that reproduces it."""
        found = capture(self.device, run.program)
        if found is None:
            return ("the core agrees with golden on the operands it was given: an earlier tensor "
                    "or a host stage differs")
        parts = [f"the core's layer {found.layer} differs on its own operands",
                 *found.about["altered"]]
        if self.reproducer is not None:
            try:
                found.save(self.reproducer)
                parts.append(f"python -m hqdm.sim.replay {self.reproducer} runs it again")
            except ValueError as error:     # larger than a file may be
                parts.append(f"it was not kept: {error}")
        return "; ".join(parts)
