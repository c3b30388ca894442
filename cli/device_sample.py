"""`hqdm sample --backend rtl|uio`: images sampled entirely on the core, simulated or real."""

import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from hqdm.cli.board_options import Board
from hqdm.cycles.estimate import MemoryTiming
from hqdm.cycles.measured import Measured
from hqdm.cycles.question import ask
from hqdm.firmware.compile.network import NetworkProgram, compile_network
from hqdm.firmware.device.comparison import Comparison
from hqdm.firmware.device.driver import Driver
from hqdm.firmware.device.modes import Mode
from hqdm.firmware.device.progress import SampleProgress
from hqdm.firmware.device.runner import DeviceNetwork
from hqdm.firmware.device.session import DeviceSampler, added, summary
from hqdm.firmware.device.state import Run, SamplingState, StepRecord
from hqdm.firmware.device.transport import Transport
from hqdm.kit.files import is_plain
from hqdm.learn.evaluation.subjects import Subject
from hqdm.spec import Config
from hqdm.spec.shapes import shapes_of


def beside(output: Path, ending: str) -> Path | None:
    """The file `ending` beside a picture: grid.png.state, grid.png.mismatch; none beside what is
    no plain file."""
    return output.with_name(f"{output.name}.{ending}") if is_plain(output) else None


def draw_on_device(subject: Subject, autoencoder: Any, output: Path, labels: list[int], *,
                   board: Board | None = None, **options: Any) -> dict[str, Any]:
    """`draw` on the core of a board, or on a simulated one."""
    with board.open() if board is not None else nullcontext() as transport:
        if board is not None:
            options["clock"] = board.clock_mhz
        return draw(subject, autoencoder, output, labels, transport=transport, **options)


def draw(subject: Subject, autoencoder: Any, output: Path, labels: list[int], *, config: Config,
         memory_latency: int, compare: Mode, devices: int, steps: int, guidance: float,
         seed: int, columns: int, report: Path | None = None, clock: float = 100.0,
         transport: Transport | None = None) -> dict[str, Any]:
    """Sample `labels` with an integer network on a core of `config`, write the grid, and the
    counters beside the cycle model at `clock` MHz into `report`.

    `autoencoder` is as `hqdm.learn.diffusion.autoencoder.decode` takes it. `transport` is to a core
    that is there; without one `devices` simulations of the RTL run side by side, one call each,
    which changes the time alone. A state beside `output`, if that is a plain file, is written after
    every step and removed at the end.

    Returns
    -------
    what `hqdm sample` prints, and `first_mismatch`, in words or None.

    Raises
    ------
    ValueError: a network that does not fit, a state of another run.
    RuntimeError: the simulation cannot be built, or the device failed.
    OSError: a file cannot be written.  KeyboardInterrupt: after saying how to go on.
    """
    from hqdm.learn.diffusion.autoencoder import decode
    from hqdm.learn.diffusion.grid import save_grid
    begun = time.monotonic()
    place = () if transport is None else (transport.memory_bytes, transport.memory_base)
    if subject.integers is None:
        raise ValueError(f"{subject.name}: wanted an integer network, got one of kind "
                         f"{subject.kind}")
    program = compile_network(subject.integers, config, *place)
    backend = "rtl" if transport is None else "uio"
    calls = 1 if guidance == 1 else 2
    run = Run(images=len(labels), steps=steps, calls=calls, nodes=len(program.nodes),
              compared={"none": 0, "outputs": 1, "layers": len(program.nodes)}[compare],
              shape=subject.shape)
    state = SamplingState(beside(output, "state"), ({"backend": backend} if transport else {}) | {
        "model": subject.digest, "config": asdict(config), "memory_latency": memory_latency,
        "abi": config.hash, "compare": compare, "steps": steps, "guidance": guidance,
        "seed": seed, "classes": labels}, run)
    try:
        opened = ([open_device(program, memory_latency) for _ in range(min(devices, calls))]
                  if transport is None else [reset_device(program, transport)])
        comparisons = [Comparison(device, compare, beside(output, "mismatch"))
                       for device in opened]
        sampler = DeviceSampler(subject, comparisons, state, SampleProgress(
            len(labels), steps, calls * len(program.nodes), calls * program.cycles))
        latents = sampler.sample(labels, steps, guidance, seed)
    except BaseException:
        if not state.records:
            state.remove()
        raise
    save_grid(output, decode(autoencoder, latents), columns, scale=2)
    if report is not None:
        from hqdm.cycles.report import write_report
        shapes = shapes_of(program.network.network, subject.name, guidance != 1)
        answer = ask(shapes, config, memory=MemoryTiming(latency=memory_latency), clock=clock,
                     steps=steps)
        write_report(replace(answer, measured=measured(state.records, backend, config)), report)
    state.remove()
    first = next((record.first for record in state.records if record.first), None)
    return {"config": config.name, "backend": backend, "network": subject.name, "steps": steps,
            "guidance": guidance, "seed": seed, "images": len(labels),
            "classes": labels if subject.null_class else [],
            "seconds": time.monotonic() - begun, "output": str(output), "compare": compare,
            "memory_latency": memory_latency, "steps_resumed": state.resumed} | summary(
                program, state.records, steps) | {"first_mismatch": first}


def measured(records: Sequence[StepRecord], backend: str, config: Config) -> Measured:
    """What the core counted in all steps, layer by layer."""
    kind = {"rtl": "the simulated core", "uio": "the core of the board"}[backend]
    return Measured(where=f"{kind} ({config.name}, --backend {backend})",
                    calls=sum(r.calls for r in records), layers=added(r.layers for r in records))


def open_device(program: NetworkProgram, memory_latency: int) -> DeviceNetwork:
    """The network on a fresh Verilated core; builds the simulation on first use."""
    from hqdm.sim.compare_layer import make_transport
    transport = make_transport("rtl", program.config, program.memory.total_bytes, memory_latency,
                               seed=1)
    return DeviceNetwork(program, transport)


def reset_device(program: NetworkProgram, transport: Transport) -> DeviceNetwork:
    """The network on a core that is there, whatever an earlier process left running on it."""
    Driver(transport, program.config).soft_reset()
    return DeviceNetwork(program, transport)
