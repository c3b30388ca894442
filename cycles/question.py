"""`hqdm cycles` as a function: a model, a core, a memory, a clock; what a step takes."""

from dataclasses import dataclass
from typing import Any

from hqdm.cycles.estimate import MemoryTiming
from hqdm.cycles.measured import Measured
from hqdm.cycles.step import DEFAULT_MEMORY, Run, Step, estimate_step
from hqdm.spec.config import Config
from hqdm.spec.shapes import Shapes

SLOWEST, FASTEST = 1e-3, 1e6    # MHz
MOST_STEPS = 1_000_000


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
    measured: what a core counted in calls of one image, or None.

    Raises
    ------
    ValueError: measured layers that are not those of the step, or a step of several images.
    """

    shapes: Shapes
    step: Step
    alone: Step | None
    clock: float
    steps: int
    measured: Measured | None = None

    def __post_init__(self) -> None:
        counted = self.measured
        if counted and (len(counted.layers), 1) != (len(self.step.runs), self.step.batch):
            raise ValueError(f"measured: wanted {len(self.step.runs)} layers of 1 image, got "
                             f"{len(counted.layers)} beside {self.step.batch}")

    @property
    def calls(self) -> int:
        """Calls of the network per image: two a step with guidance."""
        return self.steps * (2 if self.shapes.guidance else 1)

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


def ask(shapes: Shapes, config: Config, *, memory: MemoryTiming = DEFAULT_MEMORY, batch: int = 1,
        clock: float = 100.0, steps: int = 20) -> Answer:
    """Estimate one denoising step of the model `shapes` on a core of `config`.

    Parameters
    ----------
    batch: images of a call: 2 are the halves of a guided image.
    clock: MHz.
    steps: of the sampler, per image.

    Raises
    ------
    ValueError: a value out of range, a layer that does not fit.
    """
    if not clock > 0:
        raise ValueError(f"clock: wanted more than 0 MHz, got {clock}")
    if not SLOWEST <= clock <= FASTEST:
        raise ValueError(f"clock: wanted {SLOWEST:g}..{FASTEST:g} MHz, got {clock:g}")
    if steps < 1:
        raise ValueError(f"steps: wanted at least 1, got {steps}")
    if steps > MOST_STEPS:
        raise ValueError(f"steps: wanted at most {MOST_STEPS:,}, got {steps:,}")
    step = estimate_step(shapes.network, config, memory, batch)
    alone = estimate_step(shapes.network, config, memory) if batch > 1 else None
    return Answer(shapes=shapes, step=step, alone=alone, clock=clock, steps=steps)


def layer_row(run: Run) -> dict[str, Any]:
    """One layer as JSON holds it."""
    return {
        "name": run.name, "kind": run.kind, "runs": run.runs, "macs": run.macs,
        "ideal_cycles": run.ideal_cycles, "cycles": run.cycles,
        "utilization": run.ideal_cycles / run.cycles, "bound": run.bound,
        "stalls": run.stalls.by_cause, "dram_bytes": run.dram_bytes}


def summary(answer: Answer) -> dict[str, Any]:
    """The answer as JSON holds it; cycles, bytes and products are of the whole batch."""
    step, found = answer.step, answer.shapes
    bounds = {name: sum(r.cycles for r in step.runs if r.bound == name)
              for name in dict.fromkeys(r.bound for r in step.runs)}
    whole = {
        "model": found.name, "config": step.config.name, "batch": step.batch,
        "tokens": found.tokens, "assumed": found.assumed,
        "parameters": found.parameters, "macs": step.macs, "ideal_cycles": step.ideal_cycles,
        "cycles": step.cycles, "utilization": step.utilization, "busy_cycles": step.busy,
        "stalls": step.stalls.by_cause, "dram_bytes": step.dram_bytes, "bound_cycles": bounds,
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
