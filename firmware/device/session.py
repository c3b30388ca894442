"""Sampling with the network on the device: guided DDIM on the host, every call on the core."""

import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from hqdm.firmware.compile.network import NetworkProgram
from hqdm.firmware.device.comparison import Call, Comparison
from hqdm.firmware.device.progress import SampleProgress
from hqdm.firmware.device.state import SamplingState, StepRecord
from hqdm.golden.carrier import Carrier
from hqdm.learn.diffusion.sampler import initial_noise
from hqdm.learn.evaluation.subjects import Subject
from hqdm.spec.stalls import Spent


class DeviceSampler:
    """Samples images one by one; a step that `state` holds is taken from it.

    The arithmetic between the calls is that of `hqdm.learn.diffusion.sampler`, by the same
    functions. The calls of a step are independent: each device takes its share, all at the same
    time.

    Parameters
    ----------
    subject: the integer network, whose `predict` the device replaces.
    comparisons: of each device with golden.

    Raises
    ------
    ValueError: a network without timesteps, or no device.
    """

    def __init__(self, subject: Subject, comparisons: Sequence[Comparison],
                 state: SamplingState, progress: SampleProgress) -> None:
        if subject.schedule is None:
            raise ValueError(f"{subject.name}: wanted the timesteps of the network's tables, got "
                             f"none")
        if not comparisons:
            raise ValueError("devices: wanted at least one, got none")
        self.subject = replace(subject, predict=self._predict)
        self.entries = {t: entry for entry, t in enumerate(subject.schedule)}
        self.comparisons, self.state, self.progress = comparisons, state, progress
        self.image = self.step = 0

    def sample(self, labels: Sequence[int], steps: int, guidance: float, seed: int) -> Tensor:
        """Latents float32 (N, L, H, W) of the classes `labels`; Ctrl-C says how to go on."""
        start = initial_noise(len(labels), self.subject.shape, seed)
        try:
            with self.progress:
                return torch.cat([
                    self._image(index, x, label, steps, guidance)
                    for index, (x, label) in enumerate(zip(start, labels, strict=True))])
        except KeyboardInterrupt:
            then = "nothing was kept" if self.state.path is None else (
                "the same command goes on from there")
            print(f"interrupted at image {self.image + 1}/{len(labels)}, step {self.step + 1}/"
                  f"{steps}; {then}", file=sys.stderr)
            raise

    def _image(self, index: int, start: Tensor, label: int, steps: int, guidance: float) -> Tensor:
        self.image = index
        return self.subject.sample(
            start.unsqueeze(0), torch.tensor([label]), steps, guidance, self._watch)

    def _watch(self, index: int, timestep: int, latents: Tensor) -> None:
        self.step = index
        self.progress.begin(self.image, index)

    def _predict(self, latents: Tensor, timestep: Tensor, labels: Tensor) -> Tensor:
        """Noise (B, L, H, W), row by row on the device, or from the state."""
        entry = self.entries[int(timestep)]
        known = self.state.find(self.image, self.step, latents[0])
        if known is not None:
            self._verify(known, latents, entry, labels)
            self.progress.skip()
            return known
        calls = self._calls(latents, entry, labels.tolist())
        network = self.comparisons[0].device.program.network
        noise = torch.stack([network.decode(call.noise) for call in calls])
        self.state.add(self._record(calls), latents[0], noise)
        return noise

    def _verify(self, noise: Tensor, latents: Tensor, entry: int, labels: Tensor) -> None:
        """ValueError unless golden computes what the state says that the core did.

        A state is a file, and no file proves that the core ran; that nothing differed is only said
        of what golden confirms.
        """
        record = self.state.records[self.image * self.state.run.steps + self.step]
        if not record.layers_compared or record.mismatches:
            return
        wanted = self.comparisons[0].device.program.network(latents, entry, labels)
        if not torch.equal(noise, wanted):
            raise ValueError(f"{self.state.path}: wanted the noise that golden computes for image "
                             f"{self.image}, step {self.step}, which did not differ, got another; "
                             f"remove the file to start again")

    def _calls(self, latents: Tensor, entry: int, labels: Sequence[int]) -> list[Call]:
        """Call i on device i modulo their number; each device's in turn."""
        count = len(self.comparisons)

        def share(index: int) -> list[Call]:
            return [self._call(self.comparisons[index], row, entry, label) for row, label in
                    list(zip(latents, labels, strict=True))[index::count]]

        if count == 1:
            return share(0)
        with ThreadPoolExecutor(count) as pool:     # a simulation runs outside Python's lock
            shares = list(pool.map(share, range(count)))
        return [shares[i % count][i // count] for i in range(len(labels))]

    def _call(self, comparison: Comparison, latents: Tensor, entry: int, label: int) -> Call:
        encoded = comparison.device.program.network.encode(latents, entry)
        return comparison.call(
            Carrier(encoded.values, encoded.exponent), entry, label,
            lambda run: self.progress.node(
                run.program.cycles, sum(layer.cycles for layer in run.layers)))

    def _record(self, calls: Sequence[Call]) -> StepRecord:
        nodes = [node for call in calls for node in call.nodes]
        first = next((c.first for c in self.comparisons if c.first), None)
        return StepRecord(
            image=self.image, step=self.step, calls=len(calls),
            layers=added([call.spent for call in calls]),
            layers_compared=sum(call.layers_compared for call in calls),
            mismatches=sum(call.mismatches for call in calls), first=str(first or ""),
            device_seconds=sum(node.device_seconds for node in nodes),
            host_seconds=sum(node.host_seconds for node in nodes),
            golden_seconds=sum(call.golden_seconds for call in calls))


def added(rows: Iterable[Sequence[Spent]]) -> tuple[Spent, ...]:
    """Rows of the same layers added up, layer by layer."""
    return tuple(sum(column, Spent()) for column in zip(*rows, strict=True))


def summary(program: NetworkProgram, records: Sequence[StepRecord], steps: int) -> dict[str, Any]:
    """What a run took.

    Returns
    -------
    cycles_per_step: of each step over all its calls, the mean over the images, rounded.
    layers_compared, mismatches: tensors compared with golden, values that differ.
    cycles: in total; macs: of all calls; array_use: macs / n**2 / cycles; stalls: cycles without
    the array busy by cause; memory: bytes; seconds in the simulation, the host stages, golden.
    """
    total = sum((r.spent for r in records), Spent())
    by_step: list[list[int]] = [[] for _ in range(steps)]
    for record in records:
        by_step[record.step].append(record.spent.cycles)
    macs = program.macs * sum(r.calls for r in records)
    cycles, device = total.cycles, sum(r.device_seconds for r in records)
    return {
        "cycles_per_step": [round(sum(c) / len(c)) if c else 0 for c in by_step],
        "layers_compared": sum(r.layers_compared for r in records),
        "mismatches": sum(r.mismatches for r in records),
        "cycles": cycles, "macs": macs,
        "array_use": macs / program.config.n ** 2 / cycles if cycles else None,
        "busy": total.busy,
        "stalls": total.stalls.by_cause,
        "cycles_per_second": cycles / device if device else None,
        "device_seconds": device,
        "host_seconds": sum(r.host_seconds for r in records),
        "golden_seconds": sum(r.golden_seconds for r in records),
        "memory_bytes": {"constants": program.memory.constant_bytes,
                         "activations": program.memory.activation_bytes,
                         "total": program.memory.total_bytes}}
