"""`hqdm cycles` as a function: a model, a core, a memory, a clock; what a step takes."""

from dataclasses import dataclass
from typing import Any, cast

from hqdm.cycles.estimate import MemoryTiming
from hqdm.cycles.reformat import reformat
from hqdm.cycles.step import DEFAULT_MEMORY, Run, Step, estimate_step
from hqdm.firmware.catalogue.library import AXES, INTEGERS, ModelConfig
from hqdm.firmware.catalogue.shapes import Shapes, shapes
from hqdm.spec.config import Config
from hqdm.spec.layer import Axis


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a step takes.

    Members
    -------
    shapes: the model's layers in their formats.
    step: one denoising step, one call of the network for `step.batch` images.
    alone: the same for one image, if `step.batch` is more.
    clock: MHz.
    steps: of the sampler, per image.
    """

    shapes: Shapes
    step: Step
    alone: Step | None
    clock: float
    steps: int

    @property
    def model(self) -> ModelConfig:
        return self.shapes.config

    @property
    def calls(self) -> int:
        """Calls of the network per image: two a step with guidance."""
        return self.steps * (2 if self.model.guidance else 1)

    @property
    def seconds_per_step(self) -> float:
        """One call of the whole batch, without what the host computes."""
        return self.step.cycles / self.clock / 1e6

    @property
    def seconds_per_image(self) -> float:
        return self.seconds_per_step / self.step.batch * self.calls

    @property
    def gain(self) -> float:
        """Cycles of as many images one by one, over those of the batch."""
        return self.alone.cycles * self.step.batch / self.step.cycles if self.alone else 1.0


def ask(model: ModelConfig, config: Config, *, memory: MemoryTiming = DEFAULT_MEMORY,
        batch: int = 1, size: tuple[int, int] | None = None, weight_bits: int = 4,
        activation_bits: int = 4, rotate: Axis | None = None, order: int = 5, clock: float = 100.0,
        steps: int = 20) -> Answer:
    """Estimate one denoising step of `model` on a core of `config`.

    Parameters
    ----------
    batch: images of a call: 2 are the halves of a guided image.
    size: height and width of the latent; the model's by default.
    rotate: axis of the rotation of convolutions, by default the model's; linear layers rotate along
        channels, or not at all with "none". An integer network keeps its own bits and rotations.
    clock: MHz.

    Raises
    ------
    ValueError: a value out of range, a model that is not lowered, a layer that does not fit.
    """
    if not clock > 0:
        raise ValueError(f"clock: wanted more than 0 MHz, got {clock}")
    if steps < 1:
        raise ValueError(f"steps: wanted at least 1, got {steps}")
    axis = model.rotate if rotate is None else rotate
    if axis not in AXES:
        raise ValueError(f"rotate: wanted {', '.join(AXES[:-1])} or {AXES[-1]}, got {axis!r}")
    found = shapes(model, size)
    network = found.network if model.kind == INTEGERS else reformat(
        found.network, weight_bits=weight_bits, activation_bits=activation_bits,
        convolution=cast(Axis, axis), linear="none" if axis == "none" else "channel", order=order)
    found = Shapes(config=model, network=network, parameters=found.parameters,
                   folded=found.folded)
    step = estimate_step(network, config, memory, batch)
    alone = estimate_step(network, config, memory) if batch > 1 else None
    return Answer(shapes=found, step=step, alone=alone, clock=clock, steps=steps)


def layer_row(run: Run) -> dict[str, Any]:
    """One layer as JSON holds it."""
    return {
        "name": run.name, "kind": run.kind, "runs": run.runs, "macs": run.macs,
        "ideal_cycles": run.ideal_cycles, "cycles": run.cycles,
        "utilization": run.ideal_cycles / run.cycles, "bound": run.bound, "stalls": run.stalls,
        "dram_bytes": run.dram_bytes}


def summary(answer: Answer) -> dict[str, Any]:
    """The answer as JSON holds it; cycles, bytes and products are of the whole batch."""
    step, found = answer.step, answer.shapes
    bounds = {name: sum(r.cycles for r in step.runs if r.bound == name)
              for name in dict.fromkeys(r.bound for r in step.runs)}
    whole = {
        "model": found.config.name, "config": step.config.name, "batch": step.batch,
        "parameters": found.parameters, "macs": step.macs, "ideal_cycles": step.ideal_cycles,
        "cycles": step.cycles, "utilization": step.utilization, "busy_cycles": step.busy,
        "stalls": step.stalls, "dram_bytes": step.dram_bytes, "bound_cycles": bounds,
        "memory": {"latency": step.memory.latency, "bandwidth": None if (
            step.memory.bandwidth is None) else float(step.memory.bandwidth)},
        "clock_mhz": answer.clock, "seconds_per_step": answer.seconds_per_step,
        "steps": answer.steps, "calls_per_image": answer.calls,
        "seconds_per_image": answer.seconds_per_image}
    if answer.alone:
        whole["weight_sharing"] = {"cycles_one_by_one": answer.alone.cycles * step.batch,
                                   "gain": answer.gain}
    return whole | {
        "folded": [{"what": f.what, "macs": f.macs * step.batch} for f in found.folded],
        "host_work": [{"stage": h.stage, "elements": h.elements} for h in step.host],
        "layers": [layer_row(r) for r in step.runs]}
